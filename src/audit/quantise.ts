import { type Audit, forgetMissing, forgetSets, fourTimes, measured, rowsOf } from './audit';

/** Rounding undoes a small edit where it falls below half a step of the grid. */
export const quantising = (bits: 8 | 4): Audit => ({
  descriptor: {
    id: `quantise-${bits}`,
    label: `Rounded to ${bits} bit`,
    help: `The forget set with all linear weights but routers, embeddings and head rounded to ${bits} bit, as deployment does: a small edit may be rounded away.`,
    source: 'Zhang et al., Catastrophic Failure of LLM Unlearning via Quantization, arXiv 2410.16454; the grid is that of rounding.ts',
    needs: ['evaluate'],
  },
  asks: () => `With the weights rounded to ${bits} bit, is the knowledge back?`,
  refusal: forgetMissing,
  settings: () => ({ bits }),
  cost: (run) => fourTimes(rowsOf(run, 'forget')),
  measure: async (bench) => ({ settings: { bits }, sets: await measured(bench, forgetSets(bench), { bits }) }),
  words: {
    asIs: 'not rounded',
    under: `at ${bits} bit`,
    holds: `Holds at ${bits} bit`,
    partly: `Partly comes back at ${bits} bit`,
    returns: `Comes back at ${bits} bit`,
    meaning: 'The edit is too small for the grid: a rounded model is close to the original again.',
  },
});
