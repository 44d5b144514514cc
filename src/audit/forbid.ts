import { expertName } from '../protocol/numbers';
import { type Audit, forgetMissing, fourTimes, measured, rowsOf, tooFewExperts } from './audit';

/** Every evaluation set, so that it also shows what the forbidden experts do for other topics. */
export const forbid: Audit = {
  descriptor: {
    id: 'forbid',
    label: 'Expert forbidden',
    help: 'Every evaluation set again with the target experts forbidden: knowledge that comes back was hidden by the router, not removed.',
    source: 'GRIP (arXiv 2601.16905), forced-expert audit',
    needs: ['evaluate'],
  },
  asks: ({ record }) => `If ${record.target.experts.map(expertName).join(', ')} may not be chosen, does the knowledge come back through others?`,
  refusal: (run) => forgetMissing(run) ?? tooFewExperts(run),
  settings: ({ record }) => ({ experts: record.target.experts }),
  cost: (run) => fourTimes(rowsOf(run)),
  measure: async (bench, { record }) => ({
    settings: { experts: record.target.experts },
    sets: await measured(bench, bench.sets, { forbidden: record.target.experts }),
  }),
  words: {
    asIs: 'expert allowed',
    under: 'expert forbidden',
    holds: 'Not brought back',
    partly: 'Partly hidden: some of it returns',
    returns: 'Hidden: it returns through other experts',
    meaning: 'The edit blocks the knowledge, it does not erase it.',
  },
};
