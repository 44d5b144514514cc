/** Rotary position embedding: frequencies per rope type as transformers' modeling_rope_utils computes them (in float32). */
import { fail, ok, type Result } from '../protocol/fault';
import { upload } from '../tensor/host';
import { add, matMul, mul, reshape, type Tensor, type Tensor3D } from '../tensor/tf';

export interface RopeSettings {
  readonly type: string;
  readonly theta: number;
  readonly dim: number;
  readonly maxPositions: number;
  readonly values: Readonly<Record<string, unknown>>;
}

/** cos and sin `[positions, dim / 2]`, both times the attention factor. */
export interface RopeTable {
  readonly dim: number;
  /** Tokens beyond which all positions of a sequence turn otherwise (longrope): keys that were kept until then have to be made again. */
  readonly turning?: number;
  /** Positions of whole sequences, each of which begins at 0, or of the newest tokens of sequences of one length: with longrope the longest position decides. */
  rows(positions: Int32Array): { cos: Float32Array; sin: Float32Array };
}

/**
 * Rope settings from either spelling: a non-empty rope_scaling wins over rope_parameters, rope_type over type, a theta
 * inside over the one on top.
 */
export function ropeSettings(raw: Readonly<Record<string, unknown>>, dim: number, maxPositions: number, defaultTheta: number): RopeSettings {
  const dictionary = (value: unknown) =>
    typeof value === 'object' && value !== null && Object.keys(value).length > 0 ? (value as Record<string, unknown>) : null;
  const values = dictionary(raw.rope_scaling) ?? dictionary(raw.rope_parameters) ?? {};
  const theta = [values.rope_theta, raw.rope_theta].find((value) => typeof value === 'number') ?? defaultTheta;
  const type = [values.rope_type, values.type].find((value) => typeof value === 'string') ?? 'default';
  return { type: type as string, theta: theta as number, dim, maxPositions, values: { original: raw.original_max_position_embeddings, ...values } };
}

/** YaRN's magnitude m(f, a) = 0.1 a ln f + 1 for f > 1. */
export const yarnMagnitude = (factor: number, a: number): number => (factor <= 1 ? 1 : 0.1 * a * Math.log(factor) + 1);

const numberOr = (value: unknown, otherwise: number): number => (typeof value === 'number' && value !== 0 ? value : otherwise);

/** Inverse frequencies `[dim / 2]` and the factor on cos and sin. */
interface Frequencies {
  readonly inverse: Float32Array;
  readonly attention: number;
}

/** Those of sequences up to `original` tokens, and of longer ones where they differ (longrope). */
interface AllFrequencies extends Frequencies {
  readonly beyond?: Frequencies & { readonly original: number };
}

/** base frequencies divided one by one, for short sequences and for long ones. */
function longRope({ values, theta, dim, maxPositions }: RopeSettings, original: number): Result<AllFrequencies> {
  const factor = numberOr(values.factor, maxPositions / original);
  const ofFactor = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  const attention = typeof values.attention_factor === 'number' ? values.attention_factor : ofFactor;
  const divided = (name: string): Float32Array | null => {
    const factors = values[name];
    if (!Array.isArray(factors) || factors.length !== dim / 2 || !factors.every((one) => typeof one === 'number' && one > 0)) return null;
    return Float32Array.from({ length: dim / 2 }, (_, i) => 1 / Math.fround(Math.fround(factors[i]) * Math.fround(theta ** ((2 * i) / dim))));
  };
  const [short, long] = [divided('short_factor'), divided('long_factor')];
  if (!short || !long)
    return fail(
      'bad-file',
      `config.json: rope type "longrope" needs short_factor and long_factor, ${dim / 2} numbers above 0 each.`,
      'Check that config.json belongs to this checkpoint.',
    );
  return ok({ inverse: short, attention, beyond: { inverse: long, attention, original } });
}

/** Dimensions of a head; models have up to 576. */
const WIDEST = 65536;

function frequencies(settings: RopeSettings): Result<AllFrequencies> {
  const { type, theta, dim, maxPositions, values } = settings;
  if (!Number.isInteger(dim / 2) || dim < 2 || dim > WIDEST)
    return fail('bad-file', `config.json: rotary position embedding over ${dim} dimensions of a head.`, 'Check that config.json belongs to this checkpoint.');
  if (!(theta > 0 && Number.isFinite(theta)))
    return fail('bad-file', `config.json: rope_theta is ${theta}.`, 'Check that config.json belongs to this checkpoint.');
  const base = Float32Array.from({ length: dim / 2 }, (_, i) => 1 / Math.fround(theta ** ((2 * i) / dim)));
  const original = numberOr(values.original, numberOr(values.original_max_position_embeddings, maxPositions));
  if (type === 'default' || type === 'dynamic') return ok({ inverse: base, attention: 1 }); // dynamic changes nothing up to max_position_embeddings
  if (type === 'linear') {
    const factor = numberOr(values.factor, 1);
    return ok({ inverse: base.map((f) => f / factor), attention: 1 });
  }
  if (type === 'yarn') {
    const factor = numberOr(values.factor, maxPositions / original);
    const correction = (rotations: number) => (dim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
    const whole = values.truncate !== false;
    const low = correction(numberOr(values.beta_fast, 32));
    const high = correction(numberOr(values.beta_slow, 1));
    const from = Math.max(whole ? Math.floor(low) : low, 0);
    let to = Math.min(whole ? Math.ceil(high) : high, dim - 1);
    if (from === to) to += 0.001;
    const inverse = base.map((f, i) => {
      const keep = 1 - Math.min(Math.max((i - from) / (to - from), 0), 1);
      return (f / factor) * (1 - keep) + f * keep;
    });
    const given = values.attention_factor;
    const both = numberOr(values.mscale, 0) !== 0 && numberOr(values.mscale_all_dim, 0) !== 0;
    const attention =
      typeof given === 'number'
        ? given
        : both
          ? yarnMagnitude(factor, values.mscale as number) / yarnMagnitude(factor, values.mscale_all_dim as number)
          : yarnMagnitude(factor, 1);
    return ok({ inverse, attention });
  }
  if (type === 'llama3') {
    const factor = numberOr(values.factor, 1);
    const lowFactor = numberOr(values.low_freq_factor, 1);
    const highFactor = numberOr(values.high_freq_factor, 4);
    const inverse = base.map((f) => {
      const wavelength = (2 * Math.PI) / f;
      if (wavelength < original / highFactor) return f;
      if (wavelength > original / lowFactor) return f / factor;
      const smooth = (original / wavelength - lowFactor) / (highFactor - lowFactor);
      return ((1 - smooth) * f) / factor + smooth * f;
    });
    return ok({ inverse, attention: 1 });
  }
  if (type === 'longrope') return longRope(settings, original);
  return fail('unsupported', `config.json asks for rope type "${type}".`, 'UOE reads default, linear, dynamic, yarn, llama3 and longrope.');
}

/** cos and sin of given positions, row by row; grown on demand. */
function tableOf({ inverse, attention }: Frequencies): (positions: Int32Array, cos: Float32Array, sin: Float32Array) => void {
  const half = inverse.length;
  // All layers and sequences ask for the same positions: each is worked out once.
  let known = { positions: 0, cos: new Float32Array(0), sin: new Float32Array(0) };
  const upTo = (positions: number) => {
    const cos = new Float32Array(positions * half);
    const sin = new Float32Array(positions * half);
    cos.set(known.cos);
    sin.set(known.sin);
    for (let position = known.positions; position < positions; position++) {
      for (let i = 0; i < half; i++) {
        const angle = Math.fround(position * inverse[i]);
        cos[position * half + i] = Math.cos(angle) * attention;
        sin[position * half + i] = Math.sin(angle) * attention;
      }
    }
    known = { positions, cos, sin };
  };
  return (positions, cos, sin) => {
    const most = positions.reduce((max, position) => Math.max(max, position + 1), 0);
    if (most > known.positions) upTo(Math.max(most, 2 * known.positions));
    positions.forEach((position, row) => {
      cos.set(known.cos.subarray(position * half, (position + 1) * half), row * half);
      sin.set(known.sin.subarray(position * half, (position + 1) * half), row * half);
    });
  };
}

/** Bounds of the sequences among positions that begin at 0 each. */
function sequencesIn(positions: Int32Array): [from: number, to: number][] {
  const starts = [...positions.keys()].filter((row) => row === 0 || positions[row] === 0);
  return starts.map((from, i) => [from, starts[i + 1] ?? positions.length]);
}

/** `adjust` lets a family replace what its rope type says. */
export function ropeTable(settings: RopeSettings, adjust: (found: AllFrequencies) => AllFrequencies = (found) => found): Result<RopeTable> {
  const found = frequencies(settings);
  if (!found.ok) return found;
  const own = adjust(found.value);
  const { beyond } = own;
  const half = own.inverse.length;
  const short = tableOf(own);
  const long = beyond && tableOf(beyond);
  return ok({
    dim: settings.dim,
    turning: beyond?.original,
    rows(positions) {
      const cos = new Float32Array(positions.length * half);
      const sin = new Float32Array(positions.length * half);
      if (!beyond || !long) short(positions, cos, sin);
      else
        for (const [from, to] of sequencesIn(positions)) {
          const rows = positions.subarray(from, to);
          const table = rows.some((position) => position >= beyond.original) ? long : short;
          table(rows, cos.subarray(from * half, to * half), sin.subarray(from * half, to * half));
        }
      return { cos, sin };
    },
  });
}

/** How a head's rotary part is laid out: first and second half belong together, or adjacent pairs (2i, 2i+1) do. */
export type RopeLayout = 'halves' | 'pairs';

/** Turn `[dim, dim]`: (x turn) holds -x2 where x1 was and x1 where x2 was, so that rotating is x cos + (x turn) sin, exact to the bit. */
function turn(dim: number, layout: RopeLayout): Float32Array {
  const matrix = new Float32Array(dim * dim);
  for (let i = 0; i < dim / 2; i++) {
    const [first, second] = layout === 'halves' ? [i, i + dim / 2] : [2 * i, 2 * i + 1];
    matrix[second * dim + first] = -1;
    matrix[first * dim + second] = 1;
  }
  return matrix;
}

/** cos or sin `[rows, dim / 2]` spread over the layout's `dim` places: `[rows, dim]`. */
export function spread(table: Float32Array, dim: number, layout: RopeLayout): Float32Array {
  const half = dim / 2;
  const rows = table.length / half;
  const out = new Float32Array(rows * dim);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < half; i++) {
      const value = table[row * half + i];
      const [first, second] = layout === 'halves' ? [i, i + half] : [2 * i, 2 * i + 1];
      out[row * dim + first] = value;
      out[row * dim + second] = value;
    }
  }
  return out;
}

/** Rotates x `[N, heads, dim]` by cos and sin `[N, 1, dim]`: y1 = x1 cos - x2 sin, y2 = x2 cos + x1 sin. A product instead of slices, which are slow on wasm. */
export function rotate(x: Tensor3D, cos: Tensor, sin: Tensor, layout: RopeLayout): Tensor3D {
  const [rows, heads, dim] = x.shape;
  const turned = reshape(matMul(reshape(x, [rows * heads, dim]), upload(turn(dim, layout), [dim, dim])), [rows, heads, dim]);
  return add(mul(x, cos), mul(turned, sin)) as Tensor3D;
}
