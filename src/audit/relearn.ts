import type { RunFolder } from '../protocol/engine';
import { bytes } from '../protocol/numbers';
import { defaults } from '../protocol/recipe-defaults';
import { memoryBytes } from '../protocol/recipe-memory';
import { type Audit, audited, forgetMissing, type RelearnTrain, rowsOf } from './audit';

/** Rows of an update, where the run's own batch is not a number. */
export const usualBatch = 16;

/**
 * All parameters learn at a sixth of an expert's rate, 5e-4 beside the demo's 3e-3: at the paper's half (5e-5 beside 1e-4) ten steps take
 * from the original itself 5 points of the half that is asked (lr 3e-3) to 39 (lr 1e-2).
 */
export const fullRate = 1 / 6;

/** f32 copies of what trains that a step holds at most: weights, two moments and gradient, and the first three once more while they are updated; clipped gradients. */
const copies = 8;

/** Bytes that training all parameters takes, where the run says how many there are. */
function bytesOfAll({ record: { summary } }: RunFolder): number | null {
  const { trainedParameters, trainedShare } = summary ?? {};
  return trainedParameters === undefined || !trainedShare ? null : (trainedParameters / trainedShare) * 4 * copies;
}

/** Null where they fit. */
function tooManyParameters(run: RunFolder): string | null {
  const needed = bytesOfAll(run);
  const budget = memoryBytes(run.recipe.memory ?? defaults.memory.value);
  if (needed === null || !budget.ok || needed <= budget.value) return null;
  return `All parameters do not fit: training them takes about ${bytes(needed)}, and the run’s memory budget is ${bytes(budget.value)}.`;
}

const sameAsOther = ({ record }: RunFolder): string | null =>
  record.target.train === 'full' ? 'The run trained all parameters, so relearning with what it trained is the same audit.' : null;

const which: Readonly<Record<RelearnTrain, { readonly id: string; readonly label: string; readonly trained: string }>> = {
  components: { id: 'relearn', label: 'Relearning', trained: 'what the run trained' },
  full: { id: 'relearn-full', label: 'Relearning, all parameters', trained: 'all parameters' },
};

type Scores = { readonly original: number; readonly edited: number };

/** Scores on the half that was taught: whether the training taught anything at all. */
export interface Taught {
  readonly before: Scores;
  readonly after: Scores;
}

/** Both models learn one half of the forget facts again; the other half shows whether what was forgotten was still there. */
export function relearning(train: RelearnTrain): Audit {
  const { id, label, trained } = which[train];
  return {
    descriptor: {
      id,
      label,
      help: `A few steps of fine-tuning (NLL) on half of the forget facts, ${trained} only, tested on the other half: what returns without being taught was still there.`,
      source: 'Relearning attack: Lynch et al., arXiv 2402.16835; Hu et al., arXiv 2406.13356',
      needs: ['evaluate', 'at least two facts'],
    },
    asks: () => `After a few steps of training on half of the forget facts (${trained}), are the facts of the other half back?`,
    refusal: (run) => forgetMissing(run) ?? (train === 'full' ? (sameAsOther(run) ?? tooManyParameters(run)) : null),
    settings: (_, { steps }) => ({ steps }),
    cost: (run, { steps }) => ({ rows: 4 * rowsOf(run, 'forget'), steps: 2 * steps }),
    measure: async (bench) => {
      const { asked, taught, settings } = await bench.relearn(train);
      const before = await bench.asIs(taught.set);
      const scores: Taught = {
        before: { original: before.original.score.value, edited: before.edited.score.value },
        after: { original: taught.under.original.score.value, edited: taught.under.edited.score.value },
      };
      return { settings: { ...settings, taught: scores }, sets: [audited(asked.set, await bench.asIs(asked.set), asked.under)] };
    },
    words: {
      asIs: 'before relearning',
      under: 'after relearning',
      holds: 'Holds: relearning does not bring it back',
      partly: 'Partly returns: treat the topic as suppressed, not gone',
      returns: 'Returns: it was still there',
      meaning: 'What comes back without being taught was never erased.',
    },
  };
}
