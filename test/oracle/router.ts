/** Routers of all families: scores, choice, gating weights. */
import type { Parts } from './checkpoint';
import type { OracleConfig } from './config';
import { linear, type Matrix, sigmoid, softmax } from './matrix';

/** Experts of one layer that may not be chosen; golden README, `forced`. */
export interface Forbidden {
  readonly layer: number;
  readonly experts: readonly number[];
  readonly by: 'score_mask' | 'logit_mask';
}

export interface Routing {
  /** [tokens, experts] */
  readonly router_logits: Matrix;
  /** Score function of the logits over all experts, [tokens, experts]. */
  readonly probs: Matrix;
  /** [tokens][topK], largest gating weight first; phimoe: largest score first. */
  readonly topk_index: number[][];
  /** What expert i's output is multiplied with; 0 where not chosen. [tokens, experts] */
  readonly gates: Matrix;
  /** Smallest distance between a last chosen and a first rejected score, groups included; phimoe: of any decision. */
  readonly gap: number;
}

interface Selection {
  readonly chosen: number[];
  readonly gap: number;
}

/** The k largest, ties to the lower index. */
function top(scores: Float64Array, k: number): Selection {
  const order = [...scores.keys()].sort((a, b) => scores[b] - scores[a] || a - b);
  return { chosen: order.slice(0, k), gap: k < order.length ? scores[order[k - 1]] - scores[order[k]] : Infinity };
}

/** Keeps `topk_group` groups of equal size; scores of the others become `lost`. */
function keepGroups(
  config: OracleConfig,
  scores: Float64Array,
  groupScore: (members: Float64Array) => number,
  lost: number,
): { scores: Float64Array; gap: number } {
  const size = scores.length / config.n_group;
  const groupScores = Float64Array.from({ length: config.n_group }, (_, g) => groupScore(scores.slice(g * size, (g + 1) * size)));
  const groups = top(groupScores, config.topk_group);
  return { scores: scores.map((score, i) => (groups.chosen.includes(Math.floor(i / size)) ? score : lost)), gap: groups.gap };
}

const largest = (members: Float64Array): number => Math.max(...members);
const sumOfTwoLargest = (members: Float64Array): number => top(members, 2).chosen.reduce((sum, i) => sum + members[i], 0);

const isSigmoid = ({ model_type: family }: OracleConfig): boolean => family === 'deepseek_v3' || family === 'glm4_moe';

/** Which K experts one token takes, given its selection scores. */
function select(config: OracleConfig, scores: Float64Array): Selection {
  const k = config.num_experts_per_tok;
  const grouped = isSigmoid(config)
    ? keepGroups(config, scores, sumOfTwoLargest, -Infinity)
    : config.model_type === 'deepseek_v2' && config.topk_method === 'group_limited_greedy'
      ? keepGroups(config, scores, largest, 0)
      : { scores, gap: Infinity };
  const best = top(grouped.scores, k);
  return { chosen: best.chosen, gap: Math.min(best.gap, grouped.gap) };
}

/** Gating weights of the chosen experts: renormalised and scaled as the family does. */
function gatesOf(config: OracleConfig, probs: Float64Array, chosen: readonly number[]): Float64Array {
  const sum = chosen.reduce((total, i) => total + probs[i], 0);
  const divisor =
    config.model_type === 'mixtral' || config.model_type === 'gpt_oss'
      ? sum
      : config.model_type === 'deepseek_v2' || !config.norm_topk_prob
        ? 1
        : isSigmoid(config)
          ? sum + 1e-20
          : sum;
  const factor = config.model_type === 'deepseek_v2' || isSigmoid(config) ? config.routed_scaling_factor : 1;
  const gates = new Float64Array(probs.length);
  for (const i of chosen) gates[i] = (probs[i] / divisor) * factor;
  return gates;
}

/**
 * SparseMixer (arXiv 2409.12136) in evaluation: the first expert's weight is its share among the experts whose logit is within 2 jitter of its
 * own, relative to max(|logit|, its own); the second's the same without the first.
 */
function mixerGates(
  config: OracleConfig,
  logits: Float64Array,
  [first, second]: readonly number[],
  allowed: (i: number) => boolean,
): { gates: Float64Array; gap: number } {
  const gates = new Float64Array(logits.length);
  let gap = Infinity;
  const share = (chosen: number, candidates: number[]): void => {
    const best = logits[chosen];
    const distance = (i: number): number => (best - logits[i]) / Math.max(Math.abs(logits[i]), best);
    const near = candidates.filter((i) => i === chosen || distance(i) <= 2 * config.router_jitter_noise);
    for (const i of candidates) if (i !== chosen && Number.isFinite(logits[i])) gap = Math.min(gap, Math.abs(distance(i) - 2 * config.router_jitter_noise));
    gates[chosen] = 1 / near.reduce((sum, i) => sum + Math.exp(logits[i] - best), 0);
  };
  const all = [...logits.keys()].filter(allowed);
  share(first, all);
  share(
    second,
    all.filter((i) => i !== first),
  );
  return { gates, gap };
}

/**
 * Routes u [tokens, hidden]. `kept` fixes the choice of every token (for a gradient with the choice held constant);
 * `forbidden` experts are never chosen.
 */
export function route(config: OracleConfig, part: Parts, u: Matrix, forbidden?: Forbidden, kept?: readonly (readonly number[])[]): Routing {
  if (config.model_type === 'deepseek_v2' && !['greedy', 'group_limited_greedy'].includes(config.topk_method)) {
    throw new Error(`The oracle does not know topk_method ${config.topk_method}.`);
  }
  const isForbidden = (i: number): boolean => forbidden?.experts.includes(i) ?? false;
  const [weight, bias] =
    config.model_type === 'gpt_oss' ? [part('router.weight'), part('router.bias')] : [part(part.has('gate.weight') ? 'gate.weight' : 'router.weight')];
  const logits = linear(u, weight, bias).map((row) => (forbidden?.by === 'logit_mask' ? row.map((x, i) => (isForbidden(i) ? -Infinity : x)) : row));
  const correction = isSigmoid(config) ? part('gate.e_score_correction_bias').values : new Float64Array(config.num_experts);
  const probs = logits.map((row) => (isSigmoid(config) ? row.map(sigmoid) : softmax(row)));
  const selections = probs.map((row, t) =>
    kept
      ? { chosen: [...kept[t]], gap: Infinity }
      : select(
          config,
          row.map((score, i) => (isForbidden(i) ? -Infinity : score + correction[i])),
        ),
  );
  if (config.model_type === 'phimoe') {
    const mixed = logits.map((row, t) => mixerGates(config, row, selections[t].chosen, (i) => !isForbidden(i)));
    const firstGap = (t: number): number => probs[t][selections[t].chosen[0]] - probs[t][selections[t].chosen[1]];
    return {
      router_logits: logits,
      probs,
      topk_index: selections.map(({ chosen }) => chosen),
      gates: mixed.map(({ gates }) => gates),
      gap: Math.min(...selections.map(({ gap }, t) => Math.min(gap, mixed[t].gap, firstGap(t)))),
    };
  }
  const gates = probs.map((row, t) => gatesOf(config, row, selections[t].chosen));
  return {
    router_logits: logits,
    probs,
    topk_index: selections.map(({ chosen }, t) => [...chosen].sort((a, b) => gates[t][b] - gates[t][a] || a - b)),
    gates,
    gap: Math.min(...selections.map(({ gap }) => gap)),
  };
}
