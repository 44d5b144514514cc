/** Precision of products with frozen weights: f32, or (precision "fast") bf16 operands where a backend multiplies them. */
import type { Tensor, TensorInfo } from '@tensorflow/tfjs-core';

export type Precision = 'exact' | 'fast';

let current: Precision = 'exact';
let exactly = 0;
const frozen = new WeakSet<object>();

export const precisionInUse = (): Precision => current;

/** Runs `work` with the precision in place; one piece of work at a time computes. */
export async function withPrecision<T>(precision: Precision, work: () => Promise<T>): Promise<T> {
  const before = current;
  current = precision;
  try {
    return await work();
  } finally {
    current = before;
  }
}

/** Products inside are f32 whatever the precision: a router's scores decide, they are not approximated. */
export function exactProducts<T>(body: () => T): T {
  exactly++;
  try {
    return body();
  } finally {
    exactly--;
  }
}

/** Marks a tensor of stored bf16 values that do not train: as operands in bf16 they are the same numbers. */
export function markFrozen<T extends Tensor>(tensor: T): T {
  frozen.add(tensor.dataId);
  return tensor;
}

/** Whether a product with this right operand may take bf16 operands now. */
export const mayBeFast = ({ dataId }: TensorInfo): boolean => current === 'fast' && exactly === 0 && frozen.has(dataId);
