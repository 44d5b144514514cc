import { type Audit, audited, rowsOf } from './audit';

/** What the edit takes from a neighbouring topic, which nobody asked to forget. */
export const near: Audit = {
  descriptor: {
    id: 'near',
    label: 'Near topic',
    help: 'The set of a neighbouring topic before and after: an edit that forgets a whole neighbourhood has not found the knowledge, it has broken its surroundings.',
    source: 'Neighbour sets as in RWKU (arXiv 2406.10890) and WMDP with MMLU’s virology (arXiv 2403.03218)',
    needs: ['evaluate.near'],
  },
  asks: () => 'Does the model still know the neighbouring topic?',
  refusal: ({ recipe }) =>
    recipe.evaluate?.near === undefined || recipe.evaluate.near === null
      ? 'The recipe names no near set under "evaluate", so there is nothing to measure.'
      : null,
  settings: () => ({}),
  cost: (run) => ({ rows: 2 * rowsOf(run, 'near'), steps: 0 }),
  measure: async (bench) => {
    const sets = [];
    for (const set of bench.sets.filter(({ role }) => role === 'near')) {
      const asIs = await bench.asIs(set);
      sets.push(audited(set, asIs, asIs));
    }
    return { settings: {}, sets };
  },
  words: 'spares',
};
