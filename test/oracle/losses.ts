/**
 * The losses of UOE and its baselines over whole passes, in float64.
 * Sequences carry ids and a mask of target tokens; a target at t is predicted from position t - 1.
 */
import type { TokenSequence } from '../../src/protocol/sequences';
import type { Checkpoint } from './checkpoint';
import { logSigmoid, logSoftmax } from './matrix';
import { type Choices, choicesOf, type ForwardOptions, forward, type Pass } from './model';

export type OracleSequence = Pick<TokenSequence, 'ids' | 'targetMask'>;

/** Hugging Face labels (-100 is no target; position 0 never is one) as a sequence. */
export const fromLabels = (ids: readonly number[], labels: readonly number[]): OracleSequence => ({
  ids: Int32Array.from(ids),
  targetMask: Uint8Array.from(labels, (label, t) => (t > 0 && label !== -100 ? 1 : 0)),
});

/** A sequence and what the model makes of it. */
export interface Scored {
  readonly sequence: OracleSequence;
  readonly pass: Pass;
}

/** Runs every sequence alone. `choices` (one per sequence) holds the routing constant. */
export const scoreAll = (
  checkpoint: Checkpoint,
  sequences: readonly OracleSequence[],
  options: Pick<ForwardOptions, 'forbidden'> & { readonly choices?: readonly Choices[] } = {},
): Scored[] =>
  sequences.map((sequence, j) => ({ sequence, pass: forward(checkpoint, sequence.ids, { forbidden: options.forbidden, choices: options.choices?.[j] }) }));

/** The same sequences in a model that differs from theirs in `layer` and above alone, the choice of experts held. */
export const scoreAgain = (checkpoint: Checkpoint, scored: readonly Scored[], layer: number): Scored[] =>
  scored.map(({ sequence, pass }) => ({ sequence, pass: forward(checkpoint, sequence.ids, { choices: choicesOf(pass), from: { layer, pass } }) }));

export const allChoices = (scored: readonly Scored[]): Choices[] => scored.map(({ pass }) => choicesOf(pass));

const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]): number => sum(values) / values.length;

/** Log-probability of a sequence's targets, summed. */
export const logProbability = ({ sequence, pass }: Scored): number => -sum(pass.nll.map((value, t) => (sequence.targetMask[t] ? value : 0)));

export const targetCount = ({ sequence }: Scored): number => sum(sequence.targetMask);

/** Mean over all targets of the batch, pooled: token mean, not mean of sequence means. */
export const nll = (batch: readonly Scored[]): number => -sum(batch.map(logProbability)) / sum(batch.map(targetCount));

/** Gradient ascent: minus the NLL of the forget batch. */
export const ga = (forget: readonly Scored[]): number => -nll(forget);

/** NPO (arXiv 2404.05868): -(2/beta) mean log sigmoid(-beta log(p / p_reference)). */
export const npo = (forget: readonly Scored[], reference: readonly Scored[], beta: number): number =>
  (-2 / beta) * mean(forget.map((scored, j) => logSigmoid(-beta * (logProbability(scored) - logProbability(reference[j])))));

/** SimNPO (arXiv 2410.07163): -(2/beta) mean log sigmoid(-(beta/|y|) log p - delta). */
export const simnpo = (forget: readonly Scored[], beta: number, delta: number): number =>
  (-2 / beta) * mean(forget.map((scored) => logSigmoid((-beta / targetCount(scored)) * logProbability(scored) - delta)));

/** KL(reference || current), mean over all positions of all retain sequences, prompt and last position included. */
export function klRetain(retain: readonly Scored[], reference: readonly Scored[]): number {
  const divergences = retain.flatMap(({ pass }, j) =>
    pass.logits.map((row, t) => {
      const logP = logSoftmax(row);
      return sum(logSoftmax(reference[j].pass.logits[t]).map((logReference, v) => Math.exp(logReference) * (logReference - logP[v])));
    }),
  );
  return mean(divergences);
}

/** RMU (arXiv 2403.03218): {mean((h_f - c u)^2), mean((h_r - h_r,reference)^2)} over all tokens and all of the hidden state after `layer`; without the weight. */
export function rmu(
  forget: readonly Scored[],
  retain: readonly Scored[],
  reference: readonly Scored[],
  options: { readonly layer: number; readonly c: number; readonly u: ArrayLike<number> },
): { forget: number; retain: number } {
  const rows = (batch: readonly Scored[]): Float64Array[] => batch.flatMap(({ pass }) => pass.hidden[options.layer]);
  const squares = (row: Float64Array, target: (i: number) => number): number[] => [...row].map((value, i) => (value - target(i)) ** 2);
  const before = rows(reference);
  return {
    forget: mean(rows(forget).flatMap((row) => squares(row, (i) => options.c * options.u[i]))),
    retain: retain.length === 0 ? 0 : mean(rows(retain).flatMap((row, t) => squares(row, (i) => before[t][i]))),
  };
}

export interface ExpertOfLayer {
  readonly layer: number;
  readonly expert: number;
}

/**
 * Router anchor (Eq. 3): squared distance of g to a, a_i = 1/(target experts of the layer), else 0; mean over all tokens; mean over target layers.
 * paper: summed over experts, g = probs masked to the top-K. released: mean over experts too, probs unmasked.
 */
export function anchor(forget: readonly Scored[], targets: readonly ExpertOfLayer[], form: 'paper' | 'released'): number {
  const layers = [...new Set(targets.map(({ layer }) => layer))];
  return mean(
    layers.map((layer) => {
      const experts = targets.filter((target) => target.layer === layer).map(({ expert }) => expert);
      const distances = forget.flatMap(({ pass }) => {
        const { probs, topk_index } = pass.layers.get(layer)!;
        return probs.map((row, t) => {
          const squares = [...row].map(
            (p, i) => ((form === 'paper' && !topk_index[t].includes(i) ? 0 : p) - (experts.includes(i) ? 1 / experts.length : 0)) ** 2,
          );
          return form === 'paper' ? sum(squares) : mean(squares);
        });
      });
      return mean(distances);
    }),
  );
}
