/** Routers: affinity of every expert, choice of the top K, gates. One definition serves all families through its settings. */
import type { TensorRef } from '../protocol/tensors';
import { upload } from '../tensor/host';
import { gatherRows, rowIndex } from '../tensor/rows';
import { add, div, mul, reshape, sigmoid, softmax, sum, type Tensor2D } from '../tensor/tf';
import type { Forbidden, Parts, Router, Weights } from './family';
import { linear } from './linear';

export interface RouterSettings {
  readonly weight: TensorRef;
  readonly bias?: TensorRef;
  readonly selectionBias?: TensorRef;
  readonly experts: number;
  readonly topK: number;
  readonly scoring: 'softmax' | 'sigmoid';
  /** Divide the chosen scores by their sum (plus `epsilon`). */
  readonly renormalise: boolean;
  readonly epsilon?: number;
  readonly scale?: number;
  /** Choose within the best `keep` of `groups` equal groups; a group's worth is the sum of its `best` largest selection scores. */
  readonly groups?: { readonly groups: number; readonly keep: number; readonly best: 1 | 2 };
}

export const minusInfinity = -1e30;

/** Mask `[1, E]` to add to logits. */
function logitMask(experts: number, forbidden: ReadonlySet<number>) {
  return upload(
    Float32Array.from({ length: experts }, (_, e) => (forbidden.has(e) ? minusInfinity : 0)),
    [1, experts],
  );
}

/** Router logits `[T, E]`. */
export function routerLogits(w: Weights, u: Tensor2D, forbidden: Forbidden | null): Tensor2D {
  const plain = linear(u, w.weight, w.bias);
  return forbidden?.by === 'logit' ? (add(plain, logitMask(plain.shape[1], forbidden.experts)) as Tensor2D) : plain;
}

/** Scores of the chosen experts `[T, K]`, on the tape. */
function chosenScores(scores: Tensor2D, choice: Int32Array, topK: number): Tensor2D {
  const [tokens, experts] = scores.shape;
  const places = choice.map((e, i) => Math.floor(i / topK) * experts + e);
  return reshape(gatherRows(reshape(scores, [tokens * experts, 1]), rowIndex(places)), [tokens, topK]);
}

/** Indices of the `count` largest of values[0..n), best first; equal values keep the lower index first. */
function largest(values: ArrayLike<number>, n: number, count: number): number[] {
  const best: number[] = [];
  for (let i = 0; i < n; i++) {
    let at = best.length;
    while (at > 0 && values[i] > values[best[at - 1]]) at--;
    if (at < count) {
      best.splice(at, 0, i);
      if (best.length > count) best.pop();
    }
  }
  return best;
}

/** Keeps the selection scores of the best groups and puts the others out of reach, yet above forbidden experts. */
function limitToGroups(selection: Float64Array, groups: NonNullable<RouterSettings['groups']>): void {
  const size = selection.length / groups.groups;
  const worth = Array.from({ length: groups.groups }, (_, g) => {
    const own = selection.subarray(g * size, (g + 1) * size);
    return largest(own, size, groups.best).reduce((total, e) => total + own[e], 0);
  });
  const kept = new Set(largest(worth, groups.groups, groups.keep));
  for (let e = 0; e < selection.length; e++) if (!kept.has(Math.floor(e / size))) selection[e] = Math.min(selection[e], minusInfinity);
}

export function router(settings: RouterSettings): Router {
  const { experts, topK, groups } = settings;
  const parts: Parts = { weight: settings.weight, ...(settings.bias ? { bias: settings.bias } : {}) };
  return {
    parts,
    selectionBias: settings.selectionBias,
    scoring: settings.scoring,
    topK,
    logits: routerLogits,
    scores: (logits) => (settings.scoring === 'softmax' ? softmax(logits) : (sigmoid(logits) as Tensor2D)),
    choose(scores, bias, forbidden: Forbidden | null) {
      const tokens = scores.length / experts;
      const chosen = new Int32Array(tokens * topK);
      const selection = new Float64Array(experts);
      for (let t = 0; t < tokens; t++) {
        // The sum with the bias is rounded to f32, as the reference does it.
        for (let e = 0; e < experts; e++) selection[e] = bias ? Math.fround(scores[t * experts + e] + bias[e]) : scores[t * experts + e];
        if (forbidden) for (const e of forbidden.experts) selection[e] = Number.NEGATIVE_INFINITY;
        if (groups && groups.keep < groups.groups) limitToGroups(selection, groups);
        if (forbidden?.forced) for (const e of forbidden.forced) selection[e] = Number.POSITIVE_INFINITY;
        const picked = largest(selection, experts, topK).sort((a, b) => scores[t * experts + b] - scores[t * experts + a] || a - b);
        chosen.set(picked, t * topK);
      }
      return chosen;
    },
    gates(_, scores, choice) {
      const own = chosenScores(scores, choice, topK);
      const shared = settings.renormalise ? (div(own, add(sum(own, 1, true), settings.epsilon ?? 0)) as Tensor2D) : own;
      return settings.scale === undefined || settings.scale === 1 ? shared : (mul(shared, settings.scale) as Tensor2D);
    },
  };
}
