/**
 * GRIP (arXiv 2601.16905): routers train without moving the experts that retain inputs choose. After each update the change D_j of row j since the
 * start is projected off the span of the inputs that chose expert j, so that their logits stay; then a randomised Kaczmarz pass takes from it what would
 * bring j too near to the inputs that did not choose it. The inputs are those at the start: exact where nothing below the router changes.
 * A bias counts as one more input, which is 1. All in f64.
 */
import type { Router } from '../model/family';
import type { Params } from './parametrisation';
import { random } from './random';

/** A router in training and the retain inputs it is to treat as it did. */
export interface HeldRouter {
  readonly layer: number;
  readonly router: Pick<Router, 'choose' | 'scoring' | 'topK'>;
  readonly selectionBias: Float32Array | null;
  /** Parameter names of weight `[E, d]` and bias `[E]`. */
  readonly weight: string;
  readonly bias: string | null;
  /** Inputs `[T, d]`. */
  readonly u: Float32Array;
  readonly d: number;
}

/** Directions whose rest is below this share of the input's squared length are the rounding of those before. */
const tolerance = 1e-10;
/** What an expert that was not chosen keeps at least of its distance to being chosen. */
const keptMargin = 0.5;
const sweeps = 30;
const purpose = 0x6721;

/** Rows `[n, width]` of f64. */
interface Rows {
  readonly values: Float64Array;
  readonly width: number;
}
const rowOf = ({ values, width }: Rows, i: number): Float64Array => values.subarray(i * width, (i + 1) * width);

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

function subtract(a: Float64Array, factor: number, b: Float64Array): void {
  for (let k = 0; k < a.length; k++) a[k] -= factor * b[k];
}

/** Takes from `x` its part in the span of an orthonormal basis. */
function offSpan(basis: readonly Float64Array[], x: Float64Array): void {
  for (const direction of basis) subtract(x, dot(direction, x), direction);
}

/** Orthonormal basis of the span of some rows: Gram-Schmidt, done twice, so that it stays orthonormal. Left singular vectors span the same. */
export function spanOf(inputs: Rows, members: readonly number[]): Float64Array[] {
  const basis: Float64Array[] = [];
  for (const i of members) {
    if (basis.length === inputs.width) break;
    const rest = rowOf(inputs, i).slice();
    const size = dot(rest, rest);
    offSpan(basis, rest);
    offSpan(basis, rest);
    const left = dot(rest, rest);
    if (!(left > tolerance * size)) continue;
    const scale = 1 / Math.sqrt(left);
    basis.push(rest.map((value) => value * scale));
  }
  return basis;
}

/** Inputs `[T, d + 1]` where there is a bias, else `[T, d]`. */
function withOnes(u: Float32Array, d: number, hasBias: boolean): Rows {
  const width = hasBias ? d + 1 : d;
  const values = new Float64Array((u.length / d) * width);
  for (let t = 0; t < u.length / d; t++) {
    values.set(u.subarray(t * d, (t + 1) * d), t * width);
    if (hasBias) values[t * width + d] = 1;
  }
  return { values, width };
}

/** Rows of a router `[E, d]` or `[E, d + 1]`. */
function rowsOfRouter({ weight, bias, d }: HeldRouter, params: Params): Rows {
  const w = params.get(weight) as Float32Array;
  const b = bias === null ? null : (params.get(bias) as Float32Array);
  const rows = withOnes(w, d, b !== null);
  b?.forEach((value, e) => {
    rows.values[e * rows.width + d] = value;
  });
  return rows;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Affinities `[T, E]` as the family's choice takes them. */
function scoresOf(scoring: Router['scoring'], logits: Float64Array, experts: number): Float32Array {
  if (scoring === 'sigmoid') return Float32Array.from(logits, sigmoid);
  const scores = new Float32Array(logits.length);
  for (let t = 0; t < logits.length; t += experts) {
    const own = logits.subarray(t, t + experts);
    const top = own.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const sum = own.reduce((total, value) => total + Math.exp(value - top), 0);
    own.forEach((value, e) => {
      scores[t + e] = Math.exp(value - top) / sum;
    });
  }
  return scores;
}

function logitsOf(inputs: Rows, rows: Rows): Float64Array {
  const [tokens, experts] = [inputs.values.length / inputs.width, rows.values.length / rows.width];
  const logits = new Float64Array(tokens * experts);
  for (let t = 0; t < tokens; t++) for (let e = 0; e < experts; e++) logits[t * experts + e] = dot(rowOf(inputs, t), rowOf(rows, e));
  return logits;
}

/** Chosen experts of each input as sets `[T, K]`, ascending. */
function choicesOf({ router, selectionBias }: HeldRouter, logits: Float64Array, experts: number): Int32Array {
  const choice = router.choose(scoresOf(router.scoring, logits, experts), selectionBias, null);
  for (let at = 0; at < choice.length; at += router.topK) choice.subarray(at, at + router.topK).sort();
  return choice;
}

/** How far each logit `[T, E]` of an expert that was not chosen may rise: to where it keeps its share of the margin. Infinite where it can't be chosen at all. */
function roomOf({ router, selectionBias }: HeldRouter, logits: Float64Array, choice: Int32Array, experts: number): Float64Array {
  const { topK, scoring } = router;
  const room = new Float64Array(logits.length).fill(Number.POSITIVE_INFINITY);
  const selection = (place: number) => (scoring === 'softmax' ? logits[place] : sigmoid(logits[place]) + (selectionBias?.[place % experts] ?? 0));
  for (let t = 0; t < logits.length / experts; t++) {
    const chosen = new Set(choice.subarray(t * topK, (t + 1) * topK));
    const least = Math.min(...[...chosen].map((e) => selection(t * experts + e)));
    for (let e = 0; e < experts; e++) {
      if (chosen.has(e)) continue;
      const place = t * experts + e;
      const limit = selection(place) + (1 - keptMargin) * Math.max(0, least - selection(place));
      const logit = (p: number) => (p >= 1 ? Number.POSITIVE_INFINITY : Math.log(p / (1 - p)));
      room[place] = Math.max(0, (scoring === 'softmax' ? limit : logit(limit - (selectionBias?.[e] ?? 0))) - logits[place]);
    }
  }
  return room;
}

interface Held {
  readonly given: HeldRouter;
  readonly inputs: Rows;
  readonly start: Rows;
  readonly choice: Int32Array;
  readonly room: Float64Array;
  /** Of the inputs that chose each expert. */
  readonly spans: readonly (readonly Float64Array[])[];
}

/** Brings D_j u_t below its room for all inputs, within the complement of its span; what is left after the last sweep is scaled away. */
function keepMargins({ inputs, room }: Held, change: Float64Array, e: number, experts: number, basis: readonly Float64Array[], seed: number): void {
  const tokens = inputs.values.length / inputs.width;
  const excess = (t: number) => dot(change, rowOf(inputs, t)) - room[t * experts + e];
  // Rounding alone is no excess.
  const isBeyond = (t: number) => excess(t) > 1e-9;
  const { below } = random(seed, purpose, e);
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const beyond = Array.from({ length: tokens }, (_, t) => t).filter(isBeyond);
    if (beyond.length === 0) return;
    for (let n = 0; n < beyond.length; n++) {
      const t = beyond[below(beyond.length)];
      if (!isBeyond(t)) continue;
      const direction = rowOf(inputs, t).slice();
      offSpan(basis, direction);
      const size = dot(direction, direction);
      if (size > 0) subtract(change, excess(t) / size, direction);
    }
  }
  let share = 1;
  for (let t = 0; t < tokens; t++) if (isBeyond(t)) share = Math.min(share, room[t * experts + e] / (excess(t) + room[t * experts + e]));
  for (let k = 0; k < change.length; k++) change[k] *= share;
}

const countOf = ({ values, width }: Rows): number => values.length / width;

function held(given: HeldRouter, params: Params): Held {
  const inputs = withOnes(given.u, given.d, given.bias !== null);
  const start = rowsOfRouter(given, params);
  const experts = countOf(start);
  const logits = logitsOf(inputs, start);
  const choice = choicesOf(given, logits, experts);
  const members: number[][] = Array.from({ length: experts }, () => []);
  choice.forEach((e, slot) => void members[e].push(Math.floor(slot / given.router.topK)));
  return { given, inputs, start, choice, room: roomOf(given, logits, choice, experts), spans: members.map((own) => spanOf(inputs, own)) };
}

const isSame = (a: Int32Array, b: Int32Array): boolean => a.every((value, i) => value === b[i]);

/** The rows with changes, as f32 stores them. */
function rounded({ start }: Held, changes: readonly Float64Array[]): Rows {
  const values = Float64Array.from(start.values, (value, i) => Math.fround(value + changes[Math.floor(i / start.width)][i % start.width]));
  return { values, width: start.width };
}

function projected(own: Held, params: Params, seed: number): Rows {
  const { given, inputs, start, choice, spans } = own;
  const now = rowsOfRouter(given, params);
  const experts = countOf(start);
  const changes = spans.map((basis, e) => {
    const change = rowOf(now, e).map((value, k) => value - start.values[e * start.width + k]);
    offSpan(basis, change);
    offSpan(basis, change);
    keepMargins(own, change, e, experts, basis, seed);
    return change;
  });
  const holds = (rows: Rows) => isSame(choicesOf(given, logitsOf(inputs, rows), experts), choice);
  const rows = rounded(own, changes);
  if (holds(rows)) return rows;
  // A choice by groups depends on experts that are not chosen: then no logit of a retain input may move.
  const basis = spanOf(
    inputs,
    Array.from({ length: countOf(inputs) }, (_, t) => t),
  );
  for (const change of changes) {
    offSpan(basis, change);
    offSpan(basis, change);
  }
  const fixed = rounded(own, changes);
  return holds(fixed) ? fixed : start;
}

/** What stands for updated parameters: routers that choose as at the start for every retain input. `start`: the parameters of step 0. */
export function holdRouting(routers: readonly HeldRouter[], start: Params, seed: number): (params: Params) => Map<string, Float32Array> {
  const all = routers.map((given) => held(given, start));
  return (params) => {
    const result = new Map(params);
    for (const own of all) {
      const { weight, bias, d } = own.given;
      const rows = projected(own, params, seed);
      const experts = countOf(rows);
      const values = new Float32Array(experts * d);
      for (let e = 0; e < experts; e++) values.set(rowOf(rows, e).subarray(0, d), e * d);
      result.set(weight, values);
      if (bias !== null)
        result.set(
          bias,
          Float32Array.from({ length: experts }, (_, e) => rows.values[e * rows.width + d]),
        );
    }
    return result;
  };
}
