/** RMSNorm w * x * rsqrt(mean(x^2) + eps) and LayerNorm w * (x - mean(x)) * rsqrt(var(x) + eps) + b, over the last axis. */
import type { TensorRef } from '../protocol/tensors';
import { add, mean, mul, rsqrt, square, sub, type Tensor } from '../tensor/tf';
import type { Block, NormKind, Parts, TensorNames } from './family';

const normalised = <T extends Tensor>(x: T, eps: number): T => mul(x, rsqrt(add(mean(square(x), -1, true), eps))) as T;

export const rmsNorm = <T extends Tensor>(x: T, weight: Tensor, eps: number): T => mul(normalised(x, eps), weight) as T;

export const layerNorm = <T extends Tensor>(x: T, weight: Tensor, bias: Tensor, eps: number): T =>
  add(mul(normalised(sub(x, mean(x, -1, true)) as T, eps), weight), bias) as T;

export const normBlock = (weight: TensorRef, eps: number): Block => ({
  parts: { weight },
  run: (w, x) => rmsNorm(x, w.weight, eps),
});

/** The norm called `name` of a model that has one kind throughout: `{name}.weight` and, of a LayerNorm, `{name}.bias`. */
export function normOf(kind: NormKind, name: string, names: TensorNames, d: number, eps: number): Block {
  const weight: TensorRef = { name: names.stored(`${name}.weight`), shape: [d] };
  if (kind === 'rms') return normBlock(weight, eps);
  const parts: Parts = { weight, bias: { name: names.stored(`${name}.bias`), shape: [d] } };
  return { parts, run: (w, x) => layerNorm(x, w.weight, w.bias, eps) };
}
