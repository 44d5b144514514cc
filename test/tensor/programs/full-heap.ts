/** Fills the wasm heap up to its 4 GiB (reserved, not written, so that it costs no memory), and goes on after it. */
import { backend } from '@tensorflow/tfjs-core';
import { unwrap } from '../../../src/protocol/fault';
import { closeBackend, openBackend } from '../../../src/tensor/backend';
import { backendMemory, inScope, read, uploadMatrix } from '../../../src/tensor/host';
import { matMul } from '../../../src/tensor/tf';
import type { WasmBackend } from '../../../src/tensor/wasm-heap';

export interface FullHeap {
  /** What blocks, products and tensors of 16 MiB say when nothing is left. */
  readonly messages: readonly string[];
  /** A product that failed half way gave back all it had taken. */
  readonly refilled: boolean;
  readonly tensorsLeft: number;
  /** [[1, 2], [3, 4]] squared, before the heap was full, then, and once there was room again. */
  readonly products: readonly (readonly number[])[];
  /** A tensor that lay there all the time. */
  readonly witness: readonly number[];
}

async function main(): Promise<void> {
  unwrap(await openBackend('wasm', 1));
  const { wasm } = backend() as WasmBackend;
  const square = () =>
    inScope(() => {
      const x = uploadMatrix(Float32Array.of(1, 2, 3, 4), 2, 2);
      return Array.from(read(matMul(x, x)));
    });
  const messageOf = (body: () => unknown): string => {
    try {
      body();
      return 'nothing was thrown';
    } catch (error) {
      return (error as Error).message;
    }
  };
  const witness = uploadMatrix(Float32Array.of(5, 6), 1, 2);
  const products = [square()];
  const large = 2 ** 24;
  const taken: number[] = [];
  const take = () => {
    const address = wasm._malloc(large) >>> 0;
    if (address === 0 || address + large > wasm.HEAPU8.length)
      throw new Error(`Block ${address} to ${address + large} is not in the heap of ${wasm.HEAPU8.length}.`);
    taken.push(address);
  };
  const fill = () =>
    messageOf(() => {
      for (;;) take();
    });
  const messages = [fill()];
  const side = Math.sqrt(large / 4);
  const column = new Float32Array(side);
  messages.push(messageOf(() => inScope(() => matMul(uploadMatrix(column, side, 1), uploadMatrix(column, 1, side)))));
  messages.push(messageOf(() => inScope(() => uploadMatrix(new Float32Array(large / 4), 1, large / 4))));
  products.push(square());

  // Room for both operands, none for the product.
  const before = taken.length;
  for (const address of taken.splice(0, 2)) wasm._free(address);
  const half = new Float32Array(side * 2048);
  messages.push(messageOf(() => inScope(() => matMul(uploadMatrix(half, side, 2048), uploadMatrix(half, 2048, side)))));
  messages.push(fill());
  const refilled = taken.length === before;
  products.push(square());
  for (const address of taken) wasm._free(address);
  products.push(square());
  const result: FullHeap = { messages, refilled, tensorsLeft: backendMemory().tensors, products, witness: Array.from(read(witness)) };
  process.stdout.write(JSON.stringify(result));
  closeBackend();
}

void main();
