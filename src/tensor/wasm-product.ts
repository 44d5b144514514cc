/**
 * Our matrix product (tools/kernels/matmul.mjs) on the heap of the one-thread wasm backend: any strides, so nothing is transposed beforehand,
 * and one call for a batch of matrices. Per-head products of attention are too small for a call of XNNPACK each.
 */
import fs from 'node:fs';
import type { WasmBackend } from './wasm-heap';

/** A matrix operand in the heap: address, and distances between rows, columns and matrices, all in elements. */
export interface Operand {
  readonly at: number;
  readonly row: number;
  readonly column: number;
  readonly next: number;
}

/** c[m, n] = a[m, k] b[k, n] for `matrices` matrices. */
export type Multiply = (a: Operand, b: Operand, c: Operand, matrices: number, m: number, n: number, k: number) => void;

/** A tile, 64 rows of a and 512 columns of b, 512 of K each: what one block of the product works on. */
const workBytes = 128 + 512 * (64 + 512) * 4;

const turned = ({ at, row, column, next }: Operand): Operand => ({ at, row: column, column: row, next });
const inBytes = ({ at, row, column, next }: Operand) => [at, row * 4, column * 4, next * 4] as const;

/** TensorFlow.js sets its kernels up again whenever a backend is chosen, also where it is the one in use: the place to work in is taken once. */
const made = new WeakMap<WasmBackend, Multiply>();

/** `file`: matmul.wasm, as the build wrote it. */
export function productOn(backend: WasmBackend, file: string): Multiply {
  const known = made.get(backend);
  if (known) return known;
  const product = newProduct(backend, file);
  made.set(backend, product);
  return product;
}

function newProduct(backend: WasmBackend, file: string): Multiply {
  const { memory } = backend.wasm.asm;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)), { backend: { memory } });
  const multiply = exports.multiply as (...numbers: number[]) => void;
  const work = backend.wasm._malloc(workBytes);
  return (a, b, c, matrices, m, n, k) => {
    // The right operand is packed, and columns of c that do not lie side by side are stored one by one: (bᵀ aᵀ)ᵀ may cost less.
    const swap = k * m + m * n < k * n;
    const [left, right, result] = swap ? [turned(b), turned(a), turned(c)] : [a, b, c];
    multiply(...inBytes(left), ...inBytes(right), ...inBytes(result), matrices, swap ? n : m, swap ? m : n, k, work);
  };
}
