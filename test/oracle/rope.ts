/** Rotary position embedding (Su et al. 2021) and its scalings, as in transformers' modeling_rope_utils.py. */
import type { RopeParameters } from './config';

export interface Rope {
  /** Angle per position of pair i, [dim / 2]. */
  readonly frequencies: Float64Array;
  /** cos and sin are multiplied by it. */
  readonly scale: number;
}

/** YaRN's m: 0.1 a ln(factor) + 1 beyond factor 1. */
export const yarnMscale = (factor: number, a = 1): number => (factor <= 1 ? 1 : 0.1 * a * Math.log(factor) + 1);

/** `length`: tokens of the sequence, which longrope goes by. */
export function ropeOf(parameters: RopeParameters, dim: number, length = 0): Rope {
  const base = Float64Array.from({ length: dim / 2 }, (_, i) => parameters.rope_theta ** ((-2 * i) / dim));
  if (parameters.rope_type === 'linear') return { frequencies: base.map((f) => f / parameters.factor), scale: 1 };
  if (parameters.rope_type === 'llama3') return { frequencies: base.map((f) => llama3Frequency(f, parameters)), scale: 1 };
  if (parameters.rope_type === 'yarn') return yarn(base, parameters, dim);
  if (parameters.rope_type === 'longrope') return longRope(base, parameters, length);
  return { frequencies: base, scale: 1 };
}

/** Llama 3.1: long waves are stretched by the factor, short ones kept, those between interpolated. */
function llama3Frequency(frequency: number, { factor, low_freq_factor, high_freq_factor, original_max_position_embeddings }: RopeParameters): number {
  const turns = original_max_position_embeddings / ((2 * Math.PI) / frequency);
  if (turns > high_freq_factor) return frequency;
  if (turns < low_freq_factor) return frequency / factor;
  const smooth = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
  return (1 - smooth) * (frequency / factor) + smooth * frequency;
}

/** YaRN (arXiv 2309.00071): a ramp over the pairs from kept frequencies to stretched ones. */
function yarn(base: Float64Array, p: RopeParameters, dim: number): Rope {
  const pairWithTurns = (turns: number): number => (dim * Math.log(p.original_max_position_embeddings / (turns * 2 * Math.PI))) / (2 * Math.log(p.rope_theta));
  const exactLow = pairWithTurns(p.beta_fast);
  const exactHigh = pairWithTurns(p.beta_slow);
  const low = Math.max(p.truncate ? Math.floor(exactLow) : exactLow, 0);
  let high = Math.min(p.truncate ? Math.ceil(exactHigh) : exactHigh, dim - 1);
  if (low === high) high += 0.001;
  const frequencies = base.map((frequency, i) => {
    const kept = 1 - Math.min(Math.max((i - low) / (high - low), 0), 1);
    return frequency * kept + (frequency / p.factor) * (1 - kept);
  });
  const ofFactors = p.mscale && p.mscale_all_dim ? yarnMscale(p.factor, p.mscale) / yarnMscale(p.factor, p.mscale_all_dim) : yarnMscale(p.factor);
  return { frequencies, scale: p.attention_factor ?? ofFactors };
}

/** LongRoPE (arXiv 2402.13753): one divisor a pair, for short and for long sequences. PhiMoE in transformers: the short ones always, and two magnitudes. */
function longRope(base: Float64Array, p: RopeParameters, length: number): Rope {
  const long = length > p.original_max_position_embeddings;
  const phimoe = p.short_mscale !== undefined;
  const divisors = (long && !phimoe ? p.long_factor : p.short_factor) as readonly number[];
  const ofFactor = p.factor <= 1 ? 1 : Math.sqrt(1 + Math.log(p.factor) / Math.log(p.original_max_position_embeddings));
  const magnitude = phimoe ? (long ? p.long_mscale : p.short_mscale) : (p.attention_factor ?? ofFactor);
  return { frequencies: base.map((frequency, i) => frequency / divisors[i]), scale: magnitude as number };
}

/** Rotates the first places of one head's vector, two a frequency, and leaves the others; pairs are (i, i + half of them), or (2i, 2i + 1) when interleaved. */
export function rotate(x: Float64Array, position: number, rope: Rope, interleaved: boolean): Float64Array {
  const y = x.slice();
  rope.frequencies.forEach((frequency, i) => {
    const [a, b] = interleaved ? [2 * i, 2 * i + 1] : [i, i + rope.frequencies.length];
    const cos = Math.cos(position * frequency) * rope.scale;
    const sin = Math.sin(position * frequency) * rope.scale;
    y[a] = x[a] * cos - x[b] * sin;
    y[b] = x[b] * cos + x[a] * sin;
  });
  return y;
}
