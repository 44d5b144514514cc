/** Scores and values of attention for any family: grouped-query heads, causal and sliding masks, blocks that bound memory. */
import { replayable } from '../tensor/replay';
import {
  add,
  concat,
  matMul,
  mul,
  reshape,
  slice,
  softmax,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  tile,
  transpose,
} from '../tensor/tf';
import type { Attention, Rotation, Weights } from './family';
import { residual } from './mlp';

/** Bytes of one block of attention scores; larger products are cut by heads and queries. */
const scoreBlockBytes = 96 * 2 ** 20;

/** Queries that share their keys: those after the last of them are left out, half of all scores in a long sequence. */
const causalBlock = 256;

/** Scores `[count, H, n, m]` with one more key, whose score is its head's sink `[H]`. */
function besideSinks(scores: Tensor, sinks: Tensor): Tensor {
  const [count, heads, rows] = scores.shape;
  return concat([scores, tile(reshape(sinks, [1, heads, 1, 1]), [count, 1, rows, 1])], 3);
}

/**
 * softmax(q kᵀ + mask). q `[B, n, dk]`, k `[B, m, dk]`, mask to be added to the scores as `shape`, sinks one of each of its heads -> `[B, n, m]`.
 * Where it is replayed, sinks are constants.
 */
function probabilities(q: Tensor3D, k: Tensor3D, mask: Tensor, shape: [number, number, number, number], sinks: Tensor | undefined): Tensor3D {
  const [rows, keys] = [q.shape[1], k.shape[1]];
  const ofKeys = (x: Tensor3D): Tensor3D => (sinks ? slice(x, [0, 0, 0], [x.shape[0], rows, keys]) : x);
  const all = replayable(
    [q, k],
    () => {
      const scores = add(reshape(matMul(q, k, false, true), shape), mask);
      return reshape(softmax(sinks ? besideSinks(scores, sinks) : scores), [q.shape[0], rows, sinks ? keys + 1 : keys]) as Tensor3D;
    },
    (dy, [ownQ, ownK], result) => {
      const own = mul(dy, result);
      const dScores = ofKeys(sub(own, mul(sum(own, -1, true), result)) as Tensor3D);
      return [matMul(dScores, ownK as Tensor3D), matMul(dScores, ownQ as Tensor3D, true, false)];
    },
  );
  return ofKeys(all);
}

/** weights v: `[B, n, m]` and `[B, m, dv]` -> `[B, n, dv]`. */
const weighted = (weights: Tensor3D, v: Tensor3D): Tensor3D =>
  replayable(
    [weights, v],
    () => matMul(weights, v) as Tensor3D,
    (dy, [ownWeights, ownV]) => [matMul(dy, ownV as Tensor3D, false, true), matMul(ownWeights as Tensor3D, dy, true, false)],
  );

/**
 * softmax(q kᵀ · scale + mask) v for `count` sequences of equal length.
 * q `[count * Lq, H, dk]`, k `[count * Lk, KV, dk]`, v `[count * Lk, KV, dv]`, mask `[count or 1, 1, Lq, Lk]` -> `[count * Lq, H * dv]`.
 * `causal`: Lq = Lk, and the mask hides from query i every key above i. `sinks` `[H]`: see Attention.
 */
export function attend(q: Tensor3D, k: Tensor3D, v: Tensor3D, mask: Tensor, count: number, scale: number, causal = false, sinks?: Tensor): Tensor2D {
  const [, heads, keyWidth] = q.shape;
  const [, kvHeads, valueWidth] = v.shape;
  const queries = q.shape[0] / count;
  const keys = k.shape[0] / count;
  const perKv = heads / kvHeads;
  const byHead = (x: Tensor3D, length: number) => transpose(reshape(x, [count, length, x.shape[1], x.shape[2]]), [0, 2, 1, 3]) as Tensor4D;
  const queryHeads = byHead(mul(q, scale) as Tensor3D, queries);
  const keyHeads = byHead(k, keys);
  const valueHeads = byHead(v, keys);
  const kvBlock = Math.max(1, Math.min(kvHeads, Math.floor(scoreBlockBytes / (count * perKv * queries * keys * 4))));
  const fitting = Math.max(1, Math.min(queries, Math.floor(scoreBlockBytes / (count * perKv * kvBlock * keys * 4))));
  const queryBlock = causal ? Math.min(fitting, causalBlock) : fitting;
  const headBlocks: Tensor4D[] = [];
  for (let kv = 0; kv < kvHeads; kv += kvBlock) {
    const kvs = Math.min(kvBlock, kvHeads - kv);
    const whole = kvs === kvHeads;
    const ownSinks = sinks && (whole ? sinks : slice(sinks, [kv * perKv], [kvs * perKv]));
    const upTo = (x: Tensor4D, seen: number) => {
      const width = x.shape[3];
      const own = whole && seen === keys ? x : slice(x, [0, kv, 0, 0], [count, kvs, seen, width]);
      return reshape(own, [count * kvs, seen, width]) as Tensor3D;
    };
    const queryBlocks: Tensor4D[] = [];
    for (let from = 0; from < queries; from += queryBlock) {
      const rows = Math.min(queryBlock, queries - from);
      const seen = causal ? from + rows : keys;
      const own = whole && rows === queries ? queryHeads : slice(queryHeads, [0, kv * perKv, from, 0], [count, kvs * perKv, rows, keyWidth]);
      const ownMask = rows === queries ? mask : slice(mask, [0, 0, from, 0], [mask.shape[0], 1, rows, seen]);
      const shape: [number, number, number, number] = [count, kvs * perKv, rows, seen];
      const weights = probabilities(reshape(own, [count * kvs, perKv * rows, keyWidth]), upTo(keyHeads, seen), ownMask, shape, ownSinks);
      queryBlocks.push(reshape(weighted(weights, upTo(valueHeads, seen)), [count, kvs * perKv, rows, valueWidth]));
    }
    headBlocks.push(queryBlocks.length === 1 ? queryBlocks[0] : (concat(queryBlocks, 2) as Tensor4D));
  }
  const context = headBlocks.length === 1 ? headBlocks[0] : (concat(headBlocks, 1) as Tensor4D);
  return reshape(transpose(context, [0, 2, 1, 3]), [count * queries, heads * valueWidth]);
}

/** One span of `count` sequences of equal length, residual included: x `[count * L, d] -> [count * L, d]`. */
export function runAttention(attention: Attention, w: Weights, x: Tensor2D, rotation: Rotation, mask: Tensor, count: number): Tensor2D {
  const { q, k, v } = attention.project(w, x, rotation);
  return residual(x, attention.output(w, attend(q, k, v, mask, count, attention.scale, true, w.sinks)));
}
