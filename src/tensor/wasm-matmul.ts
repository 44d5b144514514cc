/**
 * BatchMatMul for the wasm backend. On one thread it is our own product; on several every case becomes 2-D, non-transposed XNNPACK
 * products, which XNNPACK spreads over its threads. The stock kernel uses XNNPACK only for [1,M,K]x[1,K,N] without transposes, runs a scalar triple loop otherwise (3 GFLOP/s,
 * and every backward pass transposes), and keeps a packed copy of each right operand alive.
 */
import {
  BatchMatMul,
  type BatchMatMulAttrs,
  type BatchMatMulInputs,
  broadcast_util,
  type NamedAttrMap,
  registerKernel,
  type TensorInfo,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import { heapOf, type WasmBackend } from './wasm-heap';
import { type Multiply, type Operand, productOn } from './wasm-product';

type Product = (
  a: number,
  aShape: Uint8Array,
  aRank: number,
  b: number,
  bShape: Uint8Array,
  bRank: number,
  transposeA: boolean,
  transposeB: boolean,
  out: number,
) => void;

const shapeBytes = (shape: readonly number[]) => new Uint8Array(Int32Array.from(shape).buffer);

/** to[columns, rows] = from[rows, columns]^T, in blocks that stay in cache. */
function transposeInto(heap: Float32Array, from: number, rows: number, columns: number, to: number): void {
  for (let rowBlock = 0; rowBlock < rows; rowBlock += 8) {
    const rowEnd = Math.min(rowBlock + 8, rows);
    for (let columnBlock = 0; columnBlock < columns; columnBlock += 8) {
      const columnEnd = Math.min(columnBlock + 8, columns);
      for (let column = columnBlock; column < columnEnd; column++) {
        const target = to + column * rows;
        for (let row = rowBlock; row < rowEnd; row++) heap[target + row] = heap[from + row * columns + column];
      }
    }
  }
}

/** Number of the operand's matrix that output matrix i uses, with broadcasting of the outer axes. */
function matrixPicker(outer: readonly number[], outputOuter: readonly number[]): (i: number) => number {
  const padded = [...Array<number>(outputOuter.length - outer.length).fill(1), ...outer];
  if (padded.every((size, axis) => size === outputOuter[axis])) return (i) => i;
  return (i) => {
    let rest = i;
    let picked = 0;
    let stride = 1;
    for (let axis = padded.length - 1; axis >= 0; axis--) {
      const at = rest % outputOuter[axis];
      rest = (rest - at) / outputOuter[axis];
      if (padded[axis] !== 1) picked += at * stride;
      stride *= padded[axis];
    }
    return picked;
  };
}

/** Below this many multiplications a matrix of a batch costs less in the stock loop (one call for all) than in a call of its own. */
const smallProduct = 2 ** 13;

/** Whole products with our own kernel; a broadcast operand that is one matrix has no distance to the next. */
function multiplyAll(multiply: Multiply, a: Operand, b: Operand, c: Operand, outer: Outer, m: number, n: number, k: number): void {
  const { a: aOuter, b: bOuter, all } = outer;
  const matrices = sizeOf(all);
  const regular = (own: readonly number[]) => sizeOf(own) === 1 || sizeOf(own) === matrices;
  if (regular(aOuter) && regular(bOuter)) {
    const next = (own: readonly number[], operand: Operand): Operand => (sizeOf(own) === 1 ? { ...operand, next: 0 } : operand);
    multiply(next(aOuter, a), next(bOuter, b), c, matrices, m, n, k);
    return;
  }
  const aPick = matrixPicker(aOuter, all);
  const bPick = matrixPicker(bOuter, all);
  const at = (operand: Operand, i: number): Operand => ({ ...operand, at: operand.at + i * operand.next * 4 });
  for (let i = 0; i < matrices; i++) multiply(at(a, aPick(i)), at(b, bPick(i)), at(c, i), 1, m, n, k);
}

interface Outer {
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly all: readonly number[];
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((all, size) => all * size, 1);

/** A row-major matrix, or its transpose. */
const operandOf = (at: number, rows: number, columns: number, transposed: boolean): Operand => ({
  at,
  row: transposed ? 1 : columns,
  column: transposed ? columns : 1,
  next: rows * columns,
});

/** `file`: our product's binary, for backends of one thread. */
export function installWasmMatMul(file: string): void {
  let product: Product;
  let own: Multiply | null = null;
  unregisterKernel(BatchMatMul, 'wasm');
  registerKernel({
    kernelName: BatchMatMul,
    backendName: 'wasm',
    setupFunc: (backend) => {
      own = (backend as WasmBackend).wasm.HEAPU8.buffer instanceof ArrayBuffer ? productOn(backend as WasmBackend, file) : null;
      product = (backend as WasmBackend).wasm.cwrap('BatchMatMul', null, [
        'number',
        'array',
        'number',
        'number',
        'array',
        'number',
        'number',
        'number',
        'number',
      ]) as Product;
    },
    kernelFunc: ({ inputs, backend: anyBackend, attrs }) => {
      const { a, b } = inputs as Record<keyof BatchMatMulInputs, TensorInfo>;
      const { transposeA, transposeB } = attrs as unknown as BatchMatMulAttrs & NamedAttrMap;
      const backend = anyBackend as WasmBackend;
      const [aRows, aColumns] = a.shape.slice(-2);
      const [bRows, bColumns] = b.shape.slice(-2);
      const M = transposeA ? aColumns : aRows;
      const K = transposeA ? aRows : aColumns;
      const N = transposeB ? bRows : bColumns;
      if (K !== (transposeB ? bColumns : bRows)) throw new Error(`matMul: inner sizes differ: ${a.shape} x ${b.shape}`);
      const aOuter = a.shape.slice(0, -2);
      const bOuter = b.shape.slice(0, -2);
      const outer = broadcast_util.assertAndGetBroadcastShape(aOuter, bOuter);
      const matrices = sizeOf(outer);
      const out: TensorInfo = backend.makeOutput([...outer, M, N], 'float32');
      if (matrices * M * N === 0) return out;

      const { wasm } = backend;
      const address = (tensor: TensorInfo) => backend.dataIdMap.get(tensor.dataId).memoryOffset;
      const aAt = address(a);
      const bAt = address(b);
      const outAt = address(out);
      if (K === 0) {
        heapOf(backend).fill(0, outAt >>> 2, (outAt >>> 2) + matrices * M * N);
        return out;
      }
      if (own) {
        const [left, right] = [operandOf(aAt, aRows, aColumns, transposeA), operandOf(bAt, bRows, bColumns, transposeB)];
        multiplyAll(own, left, right, operandOf(outAt, M, N, false), { a: aOuter, b: bOuter, all: outer }, M, N, K);
        return out;
      }
      const sameOuter = aOuter.length === bOuter.length && aOuter.every((size, axis) => size === bOuter[axis]);
      if (matrices > 1 && sameOuter && M * K * N <= smallProduct) {
        const id = (tensor: TensorInfo) => backend.dataIdMap.get(tensor.dataId).id;
        product(id(a), shapeBytes([matrices, aRows, aColumns]), 3, id(b), shapeBytes([matrices, bRows, bColumns]), 3, transposeA, transposeB, id(out));
        return out;
      }
      // XNNPACK packs its right operand. Count elements moved by transposes and packing for A·B and for (Bᵀ·Aᵀ)ᵀ, take the cheaper.
      const direct = (transposeA ? M * K : 0) + (transposeB ? K * N : 0) + K * N;
      const swapped = (transposeA ? 0 : M * K) + (transposeB ? 0 : K * N) + M * K + M * N;
      const swap = swapped < direct;
      const buffers: number[] = [];
      const buffer = (elements: number) => {
        const at = wasm._malloc(elements * 4) >>> 0;
        buffers.push(at);
        return at;
      };
      const [m, n] = swap ? [N, M] : [M, N];
      const leftShape = shapeBytes([1, m, K]);
      const rightShape = shapeBytes([1, K, n]);
      const view = (at: number, elements: number) => {
        const id = backend.dataIdNextNumber++;
        wasm.tfjs.registerTensor(id, elements, at);
        return id;
      };
      const multiply = (left: number, right: number, result: number) => {
        const ids = [view(left, m * K), view(right, K * n), view(result, m * n)];
        product(ids[0], leftShape, 3, ids[1], rightShape, 3, false, false, ids[2]);
        for (const id of ids) wasm.tfjs.disposeData(id); // also frees XNNPACK's packed copy
      };
      try {
        const turnA = swap ? !transposeA : transposeA;
        const turnB = swap ? !transposeB : transposeB;
        const aTurned = turnA ? buffer(M * K) : 0;
        const bTurned = turnB ? buffer(K * N) : 0;
        const outTurned = swap ? buffer(M * N) : 0;
        const aPick = matrixPicker(aOuter, outer);
        const bPick = matrixPicker(bOuter, outer);
        let lastA = -1;
        let lastB = -1;
        for (let i = 0; i < matrices; i++) {
          const aIndex = aPick(i);
          const bIndex = bPick(i);
          const left = aAt + aIndex * M * K * 4;
          const right = bAt + bIndex * K * N * 4;
          const result = outAt + i * M * N * 4;
          const heap = heapOf(backend);
          if (turnA && aIndex !== lastA) transposeInto(heap, left >>> 2, aRows, aColumns, aTurned >>> 2);
          if (turnB && bIndex !== lastB) transposeInto(heap, right >>> 2, bRows, bColumns, bTurned >>> 2);
          if (swap) {
            multiply(turnB ? bTurned : right, turnA ? aTurned : left, outTurned);
            transposeInto(heapOf(backend), outTurned >>> 2, N, M, result >>> 2);
          } else {
            multiply(turnA ? aTurned : left, turnB ? bTurned : right, result);
          }
          lastA = aIndex;
          lastB = bIndex;
        }
      } catch (error) {
        backend.disposeData(out.dataId, true);
        throw error;
      } finally {
        for (const at of buffers) wasm._free(at);
      }
      return out;
    },
  });
}
