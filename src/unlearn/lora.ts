/**
 * LoRA (arXiv 2106.09685): a linear weight W `[out, in]` becomes W + s B A with A `[rank, in]`, B `[out, rank]` and s = alpha / rank.
 * A is drawn as PEFT draws it (Kaiming-uniform with a = sqrt 5: uniform within 1 / sqrt(in)), B is zero, so that training starts from W.
 */
import type { ComponentPart } from '../passes/components';
import { elementCount, type HostTensor, unitName } from '../protocol/tensors';
import type { LoraChoice } from '../protocol/train-choice';
import type { Parametrisation, Params } from './parametrisation';
import { random } from './random';

/** One linear map: rows `out` of width `in` from `offset` on in its unit's values. */
interface Adapter {
  readonly name: string;
  readonly unit: string;
  readonly offset: number;
  readonly out: number;
  readonly in: number;
}

function adaptersOf(parts: readonly Pick<ComponentPart, 'ref'>[]): Adapter[] {
  return parts.map(({ ref }) => {
    const [out, width] = ref.shape;
    const unit = unitName(ref);
    return { name: ref.rows ? `${unit}.${ref.rows[0]}-${ref.rows[1]}` : unit, unit, offset: (ref.rows?.[0] ?? 0) * width, out, in: width };
  });
}

const aOf = ({ name }: Adapter): string => `${name}.lora_A`;
const bOf = ({ name }: Adapter): string => `${name}.lora_B`;

/** target `[rows, width]` += factor * left `[rows, rank]` right `[rank, width]`. */
function addProduct(target: Float32Array | Float64Array, left: Float32Array, right: Float32Array, rank: number, width: number, factor: number): void {
  for (let o = 0; o < target.length / width; o++) {
    for (let k = 0; k < rank; k++) {
      const scale = factor * left[o * rank + k];
      if (scale === 0) continue;
      for (let i = 0; i < width; i++) target[o * width + i] += scale * right[k * width + i];
    }
  }
}

/** dA = s Bᵀ dW. */
function gradientOfA(dW: Float32Array, b: Float32Array, rank: number, width: number, factor: number): Float32Array {
  const sum = new Float64Array(rank * width);
  for (let o = 0; o < dW.length / width; o++) {
    for (let k = 0; k < rank; k++) {
      const scale = factor * b[o * rank + k];
      if (scale === 0) continue;
      for (let i = 0; i < width; i++) sum[k * width + i] += scale * dW[o * width + i];
    }
  }
  return Float32Array.from(sum);
}

/** dB = s dW Aᵀ. */
function gradientOfB(dW: Float32Array, a: Float32Array, rank: number, width: number, factor: number): Float32Array {
  const out = dW.length / width;
  const result = new Float32Array(out * rank);
  for (let o = 0; o < out; o++) {
    for (let k = 0; k < rank; k++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += dW[o * width + i] * a[k * width + i];
      result[o * rank + k] = factor * sum;
    }
  }
  return result;
}

/** Tells LoRA's draws from others of a seed. */
const purpose = 0x104a;

/** A of every adapter drawn from the seed, B zero. */
export function initialLora(parts: readonly Pick<ComponentPart, 'ref'>[], { rank }: LoraChoice, seed: number): Map<string, Float32Array> {
  const params = new Map<string, Float32Array>();
  adaptersOf(parts).forEach((adapter, i) => {
    const { uniform } = random(seed, purpose, i);
    const bound = 1 / Math.sqrt(adapter.in);
    params.set(
      aOf(adapter),
      Float32Array.from({ length: rank * adapter.in }, () => (2 * uniform() - 1) * bound),
    );
    params.set(bOf(adapter), new Float32Array(adapter.out * rank));
  });
  return params;
}

/** `base`: the units' values that the adapters are added to. */
export function loraParametrisation(
  parts: readonly Pick<ComponentPart, 'ref'>[],
  base: ReadonlyMap<string, HostTensor>,
  { rank, alpha }: LoraChoice,
): Parametrisation {
  const adapters = adaptersOf(parts);
  const factor = alpha / rank;
  const own = (params: Params, name: string): Float32Array => params.get(name) as Float32Array;
  return {
    parameters: adapters.flatMap((adapter) => [
      { name: aOf(adapter), shape: [rank, adapter.in] },
      { name: bOf(adapter), shape: [adapter.out, rank] },
    ]),
    overlay(params) {
      const overlay = new Map([...base].map(([unit, { shape, values }]): [string, HostTensor] => [unit, { shape, values: values.slice() }]));
      for (const adapter of adapters) {
        const { offset, out, in: width, unit } = adapter;
        const rows = (overlay.get(unit) as HostTensor).values.subarray(offset, offset + out * width);
        addProduct(rows, own(params, bOf(adapter)), own(params, aOf(adapter)), rank, width, factor);
      }
      return overlay;
    },
    gradients(units, params) {
      const gradients = new Map<string, HostTensor>();
      for (const adapter of adapters) {
        const { offset, out, in: width, unit } = adapter;
        const dW = units.get(unit)?.values.subarray(offset, offset + out * width);
        const [a, b] = [own(params, aOf(adapter)), own(params, bOf(adapter))];
        gradients.set(aOf(adapter), { shape: [rank, width], values: dW ? gradientOfA(dW, b, rank, width, factor) : new Float32Array(a.length) });
        gradients.set(bOf(adapter), { shape: [out, rank], values: dW ? gradientOfB(dW, a, rank, width, factor) : new Float32Array(b.length) });
      }
      return gradients;
    },
  };
}

/** Parameters of adapters of a rank. */
export const loraCount = (parts: readonly Pick<ComponentPart, 'ref'>[], rank: number): number =>
  parts.reduce((sum, { ref }) => sum + rank * (ref.shape[0] + elementCount(ref.shape) / ref.shape[0]), 0);
