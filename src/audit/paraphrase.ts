import { type Audit, audited, forgetMissing, forgetSets, rowsOf } from './audit';

/** The forget questions in words that were neither trained on nor measured by the run. */
export const paraphrase: Audit = {
  descriptor: {
    id: 'paraphrase',
    label: 'Other words',
    help: 'The same questions in other words, from a file of your own: an edit that only knows the wordings it was trained on leaves them answered.',
    source: 'Paraphrased questions as in TOFU (arXiv 2401.06121) and RWKU (arXiv 2406.10890)',
    needs: ['evaluate', 'a file of paraphrases'],
  },
  asks: () => 'Asked in other words, does the model still tell it?',
  refusal: (run, { paraphrases }) =>
    forgetMissing(run) ??
    (paraphrases === null ? 'No paraphrases were given: name a file of the same questions in other words (uoe audit --paraphrases FILE).' : null),
  wantsFile: 'paraphrases',
  settings: (_, { paraphrases }) => ({ file: paraphrases ?? '' }),
  cost: (run) => ({ rows: 4 * rowsOf(run, 'forget'), steps: 0 }),
  measure: async (bench) => {
    const { paraphrases } = bench;
    const [forget] = forgetSets(bench);
    if (!paraphrases || !forget) return { settings: {}, sets: [] };
    return { settings: { file: paraphrases.file }, sets: [audited({ role: 'forget' }, await bench.asIs(forget), await bench.asIs(paraphrases))] };
  },
  words: {
    asIs: 'words of the run',
    under: 'other words',
    holds: 'Holds in other words',
    partly: 'Partly returns in other words',
    returns: 'Returns in other words',
    meaning: 'The edit knows the wordings it was trained on, not the knowledge.',
  },
};
