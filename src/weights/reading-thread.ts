/** The thread that reads ahead: bytes of shards into slots of the shared memory, checked and widened there. One request after the other, the next read begun. */
import { parentPort, workerData } from 'node:worker_threads';
import { rangedPool } from '../files/ranged';
import type { Fault } from '../protocol/fault';
import type { Dtype } from '../protocol/tensors';
import { bytesPerElement } from '../protocol/tensors';
import { storedFrom, widenOn } from '../tensor/wasm-widen';

/** Read `count` values of `file` from byte `offset` on into the slot at `at`. */
export interface ReadRequest {
  readonly id: number;
  readonly file: string;
  readonly version: string;
  readonly offset: number;
  readonly dtype: Dtype;
  readonly count: number;
  readonly at: number;
}

/** `finite`: whether all values are. Times in ms, on the clock of performance.timeOrigin. */
export interface ReadReply {
  readonly id: number;
  readonly fault: Fault | null;
  readonly finite: boolean;
  readonly read: readonly [from: number, to: number];
  readonly widened: readonly [from: number, to: number];
}

const { memory } = workerData as { memory: WebAssembly.Memory };
const widen = widenOn(memory);
const pool = rangedPool();
const now = (): number => performance.timeOrigin + performance.now();

async function read({ file, version, offset, dtype, count, at }: ReadRequest): Promise<{ fault: Fault | null; read: readonly [number, number] }> {
  const from = now();
  const bytes = count * bytesPerElement[dtype];
  const into = new Uint8Array(memory.buffer, at + storedFrom(dtype, count), bytes);
  pool.expect(file, version);
  const result = await pool.read(file, offset, bytes, into);
  return { fault: result.ok ? null : result.fault, read: [from, now()] };
}

let before: Promise<void> = Promise.resolve();
parentPort?.on('message', (request: ReadRequest) => {
  const reading = read(request);
  before = before.then(async () => {
    const { fault, read: times } = await reading;
    const from = now();
    const finite = fault === null && widen !== null && widen(request.dtype, request.at, request.count);
    const reply: ReadReply = { id: request.id, fault, finite, read: times, widened: [from, now()] };
    parentPort?.postMessage(reply);
  });
});
