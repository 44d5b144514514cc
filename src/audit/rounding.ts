/**
 * Round-to-nearest quantisation as deployed models have it: linear weights of attention, experts, shared experts and dense layers, symmetric, one
 * scale (f32) for each 128 consecutive inputs of an output; routers, norms, biases, embeddings and head stay as they are (GPTQ's and AWQ's usual
 * choice for Mixture-of-Experts models). Weights are rounded when they are leased and multiplied in f32: no rounded model is ever held.
 */
import { type ComponentPart, componentParts } from '../passes/components';
import type { OpenModel } from '../passes/model';
import { unitName } from '../protocol/tensors';
import type { ComponentKind } from '../protocol/train-choice';
import type { WeightRounding } from '../weights/store';

export const groupInputs = 128;

/** Nearest whole number, halves to the even one, as torch.round. */
function nearest(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

/**
 * Rounds a matrix in place, output by output: q = round(w / s), s = max |w| / (2^(bits-1) - 1) of the group, w = q s. It lies
 * `[outputs, inputs]`, or with `inputsFirst` `[inputs, outputs]`.
 */
export function roundGroups(
  values: Float32Array,
  [rows, columns]: readonly [rows: number, columns: number],
  bits: number,
  { group = groupInputs, inputsFirst = false }: { readonly group?: number; readonly inputsFirst?: boolean } = {},
): void {
  const largestLevel = 2 ** (bits - 1) - 1;
  const [outputs, inputs] = inputsFirst ? [columns, rows] : [rows, columns];
  const [next, step] = inputsFirst ? [1, columns] : [columns, 1];
  for (let output = 0; output < outputs; output++) {
    for (let first = 0; first < inputs; first += group) {
      const from = output * next + first * step;
      const to = output * next + Math.min(first + group, inputs) * step;
      let largest = 0;
      for (let i = from; i < to; i += step) {
        const size = Math.abs(values[i]);
        if (size > largest) largest = size;
      }
      if (largest === 0) continue;
      const scale = Math.fround(largest / largestLevel);
      for (let i = from; i < to; i += step) values[i] = nearest(values[i] / scale) * scale;
    }
  }
}

const rounded: ReadonlySet<ComponentKind> = new Set(['attention', 'expert', 'shared', 'dense']);

/** Whether the parts of a piece lie `[inputs, outputs]`. */
function liesInputsFirst({ layers }: OpenModel, { kind, layer, expert }: ComponentPart): boolean {
  const feed = layer === null ? null : layers[layer].feed;
  if (feed === null) return false;
  const block =
    feed.kind === 'dense' ? (kind === 'dense' ? feed.block : null) : kind === 'expert' ? feed.expert(expert ?? 0) : kind === 'shared' ? feed.shared : null;
  return block?.inputsFirst === true;
}

/** The model's linear weights rounded to `bits`. Gates of shared experts, which have one output, are routers of a kind and stay. */
export function roundingTo(bits: number, model: OpenModel): WeightRounding {
  const units = new Map<string, { readonly inputsFirst: boolean }>();
  for (const part of componentParts(model)) {
    const { kind, ref } = part;
    if (rounded.has(kind) && ref.shape.length === 2 && ref.shape.every((size) => size > 1))
      units.set(unitName(ref), { inputsFirst: liesInputsFirst(model, part) });
  }
  return {
    id: `${bits} bit`,
    has: (unit) => units.has(unit),
    round: (values, ref) => roundGroups(values, [ref.shape[0], ref.shape[1]], bits, units.get(unitName(ref))),
  };
}
