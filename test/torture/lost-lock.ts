/**
 * A process that works on a checkpoint: `node lost-lock.js WORK FOLDER [FILE] [STOP_AT]`. It applies the patch FILE, restores, exports to FILE, or holds the
 * lock until it is ended. Before its STOP_AT-th operation that changes the disk it says where it is and stops as Ctrl-Z would; its answer is one line of JSON.
 */
import fs from 'node:fs';
import { lockOf } from '../../src/checkpoint/applied-state';
import { applyPatch, restoreOriginal } from '../../src/checkpoint/apply-patch';
import { exportCheckpoint } from '../../src/checkpoint/export-checkpoint';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { readPatch } from '../../src/checkpoint/patch-file';
import { takeLock } from '../../src/files/lock';
import { FaultError, faultOf, type Result, sentence, unwrap } from '../../src/protocol/fault';
import { movedBy, SOME_UNITS } from '../checkpoint/small-patch';
import { changing, plantFault } from '../files/faults';

export type Change = 'apply' | 'restore' | 'export' | 'hold';

/** Where a process has stopped. */
export interface Stop {
  readonly operation: string;
  readonly at: string;
}

const [what, folder, file, stopAt = '-1'] = process.argv.slice(2);

/** Not through a stream: the next thing that happens is the stop. */
const say = (line: object): void => void fs.writeSync(1, `${JSON.stringify(line)}\n`);

async function change(): Promise<Result<unknown>> {
  if (what === 'restore') return restoreOriginal(folder);
  if (what === 'hold') {
    unwrap(await takeLock(lockOf(folder), folder));
    say({ holds: true });
    return new Promise(() => setInterval(() => undefined, 1000));
  }
  const checkpoint = unwrap(await openCheckpoint(folder));
  try {
    if (what === 'apply') return await applyPatch(checkpoint, unwrap(await readPatch(file)));
    return await exportCheckpoint({ checkpoint, patch: await movedBy(checkpoint, SOME_UNITS), to: file });
  } finally {
    await checkpoint.close();
  }
}

const before = (number: number, operation: string, at: string): void => {
  if (number !== Number(stopAt)) return;
  say({ operation, at } satisfies Stop);
  process.kill(process.pid, 'SIGSTOP');
};
const planted = plantFault({ at: -1, code: 'EIO', counts: changing, before });
planted.arm();
void change()
  .catch((error: unknown) => ({ ok: false as const, fault: error instanceof FaultError ? error.fault : faultOf(error) }))
  .then((result) => {
    say(result.ok ? { ok: true, said: '', operations: planted.operations() } : { ok: false, said: sentence(result.fault), operations: planted.operations() });
    process.exit(0);
  });
