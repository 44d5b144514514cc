import { type Audit, audited, forgetMissing, type RelearnTrain, rowsOf } from './audit';

/** Rows of an update, where the run's own batch is not a number. */
export const usualBatch = 16;

const which: Readonly<Record<RelearnTrain, { readonly id: string; readonly label: string; readonly trained: string }>> = {
  components: { id: 'relearn', label: 'Relearning', trained: 'what the run trained' },
  full: { id: 'relearn-full', label: 'Relearning, all parameters', trained: 'all parameters' },
};

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
    refusal: forgetMissing,
    settings: (_, { steps }) => ({ steps }),
    cost: (run, { steps }) => ({ rows: 3 * rowsOf(run, 'forget'), steps: 2 * steps }),
    measure: async (bench) => {
      const { asked, taught, settings } = await bench.relearn(train);
      const scores = { original: taught.under.original.score.value, edited: taught.under.edited.score.value };
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
