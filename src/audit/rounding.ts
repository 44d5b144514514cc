/**
 * Round-to-nearest quantisation as deployed models have it: linear weights of attention, experts, shared experts and dense layers, symmetric, one
 * scale (f32) for each 128 consecutive inputs of an output; routers, norms, biases, embeddings and head stay as they are (GPTQ's and AWQ's usual
 * choice for Mixture-of-Experts models). Weights are rounded when they are leased and multiplied in f32: no rounded model is ever held.
 */
import { allParts, type OpenModel } from '../passes/model';
import { unitName } from '../protocol/tensors';
import type { WeightRounding } from '../weights/store';

export const groupInputs = 128;

/** Nearest whole number, halves to the even one, as torch.round. */
function nearest(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

/** Rounds `[..., inputs]` in place: q = round(w / s), s = max |w| / (2^(bits-1) - 1) of the group, w = q s. */
export function roundGroups(values: Float32Array, inputs: number, bits: number, group = groupInputs): void {
  const largestLevel = 2 ** (bits - 1) - 1;
  for (let row = 0; row < values.length; row += inputs) {
    for (let from = row; from < row + inputs; from += group) {
      const to = Math.min(from + group, row + inputs);
      let largest = 0;
      for (let i = from; i < to; i++) {
        const size = Math.abs(values[i]);
        if (size > largest) largest = size;
      }
      if (largest === 0) continue;
      const scale = Math.fround(largest / largestLevel);
      for (let i = from; i < to; i++) values[i] = nearest(values[i] / scale) * scale;
    }
  }
}

const rounded: ReadonlySet<string> = new Set(['attention', 'expert', 'shared', 'dense']);

/** The model's linear weights rounded to `bits`. */
export function roundingTo(bits: number, model: OpenModel): WeightRounding {
  const units = new Set(
    allParts(model).flatMap(({ kind, ref }) => (rounded.has(kind) && ref.shape.length === 2 && ref.shape.every((size) => size > 1) ? [unitName(ref)] : [])),
  );
  return {
    id: `${bits} bit`,
    has: (unit) => units.has(unit),
    round: (values, shape) => roundGroups(values, shape[shape.length - 1], bits),
  };
}
