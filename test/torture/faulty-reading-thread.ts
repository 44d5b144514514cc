/** The thread that reads weights ahead, with a fault in its own file operations: tools/torture/faults.mjs puts it in the place of the real one. */
import { getEnvironmentData } from 'node:worker_threads';
import '../../src/weights/reading-thread';
import { plantFault } from '../files/faults';
import type { ThreadFault } from './fault-thread';

const { at, code, lasting, shared } = getEnvironmentData('uoe-fault') as ThreadFault;
plantFault({
  at,
  code,
  lasting,
  counts: () => Atomics.load(shared, 0) === 1,
  before: (number) => {
    Atomics.store(shared, 1, number + 1);
    if (code === 'EXIT' && number === at) process.exit(1);
  },
}).arm();
