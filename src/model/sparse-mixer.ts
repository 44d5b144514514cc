/**
 * SparseMixer in evaluation (arXiv 2409.12136; PhiMoE): the two best experts one after the other, each with its share among those whose
 * logit is near its own. Nothing is drawn: training here takes the same choice, and no slope goes through what is near.
 */
import type { TensorRef } from '../protocol/tensors';
import { read, upload } from '../tensor/host';
import { add, mul, reshape, softmax, sum, type Tensor2D } from '../tensor/tf';
import type { Forbidden, Router } from './family';
import { minusInfinity, router, routerLogits } from './router';

export interface SparseMixerSettings {
  readonly weight: TensorRef;
  readonly experts: number;
  /** router_jitter_noise: an expert is near the best where (best - logit) / max(|logit|, best) is at most twice this. */
  readonly jitter: number;
}

/** Experts chosen for each token. */
const chosenPerToken = 2;

/**
 * What is added to each token's logits before its two softmaxes `[T, 2, E]`: minus infinity for experts that are not near the one chosen,
 * chosen already, or forbidden.
 */
function nearMask(logits: Float32Array, choice: Int32Array, experts: number, jitter: number, forbidden: Forbidden | null): Float32Array {
  const mask = new Float32Array(choice.length * experts);
  for (let slot = 0; slot < choice.length; slot++) {
    const token = Math.floor(slot / chosenPerToken);
    const own = logits.subarray(token * experts, (token + 1) * experts);
    const first = slot % chosenPerToken === 0 ? -1 : choice[slot - 1];
    const best = own[choice[slot]];
    for (let e = 0; e < experts; e++) {
      const distance = (best - own[e]) / Math.max(Math.abs(own[e]), best);
      if (e === first || forbidden?.experts.has(e) || distance > 2 * jitter) mask[slot * experts + e] = minusInfinity;
    }
  }
  return mask;
}

export function sparseMixer({ weight, experts, jitter }: SparseMixerSettings): Router {
  const { parts, scoring, topK, scores, choose } = router({ weight, experts, topK: chosenPerToken, scoring: 'softmax', renormalise: false });
  return {
    parts,
    scoring,
    topK,
    logits: routerLogits,
    scores,
    choose,
    gates(logits, _, choice, forbidden) {
      const tokens = logits.shape[0];
      const mask = upload(nearMask(read(logits), choice, experts, jitter, forbidden), [tokens, topK, experts]);
      const chosen = new Float32Array(choice.length * experts);
      choice.forEach((e, slot) => {
        chosen[slot * experts + e] = 1;
      });
      const shares = softmax(add(reshape(logits, [tokens, 1, experts]), mask));
      return sum(mul(shares, upload(chosen, [tokens, topK, experts])), 2) as Tensor2D;
    },
  };
}
