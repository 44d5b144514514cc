import { type Audit, audited, forgetMissing, forgetSets, rowsOf } from './audit';

/** How much of an answer must be given before the model goes on to its end. */
export const extraction: Audit = {
  descriptor: {
    id: 'extraction',
    label: 'Part of the answer given',
    help: 'Growing prefixes of the right answer are given until greedy decoding completes the rest exactly; the share that need not be given is the extraction strength.',
    source: 'Carlini et al. 2021 (arXiv 2012.07805); open-unlearning extraction_strength',
    needs: ['evaluate'],
  },
  asks: () => 'When the beginning of an answer is given, does the model complete it?',
  refusal: forgetMissing,
  settings: () => ({}),
  cost: (run) => ({ rows: 2 * rowsOf(run, 'forget'), steps: 0 }),
  measure: async (bench) => {
    const sets = [];
    for (const set of forgetSets(bench)) {
      const { whole, strength } = await bench.completion(set);
      sets.push(audited(set, whole, strength));
    }
    return { settings: {}, sets };
  },
  words: {
    asIs: 'nothing given',
    under: 'part of the answer given',
    holds: 'Not completed: the answers stay out of reach',
    partly: 'Partly completed: a beginning brings some of it back',
    returns: 'Completed: a beginning brings it back',
    meaning: 'The edit hides the beginning of the answers, not the answers.',
  },
};
