import type { RunFolder } from '../protocol/engine';
import { expertName } from '../protocol/numbers';
import type { ExpertId } from '../protocol/records';
import { type Audit, forgetMissing, forgetSets, fourTimes, measured, rowsOf, tooFewExperts } from './audit';

/**
 * In every layer with target experts: as many experts as are forbidden there (at most K), the next of that layer's attribution, largest affinity
 * first. Null where the run holds no attribution of such a layer.
 */
export function nextBest({ record, attribution }: RunFolder): readonly ExpertId[] | null {
  const forced: ExpertId[] = [];
  for (const layer of [...new Set(record.target.experts.map((target) => target.layer))].sort((a, b) => a - b)) {
    const targets = new Set(record.target.experts.filter((target) => target.layer === layer).map(({ expert }) => expert));
    const others = attribution?.layers.find((own) => own.layer === layer)?.experts?.filter(({ expert }) => !targets.has(expert));
    if (!attribution || !others || others.length === 0) return null;
    const ranked = [...others].sort((a, b) => b.affinity - a.affinity || a.expert - b.expert);
    forced.push(...ranked.slice(0, Math.min(targets.size, attribution.topK)).map(({ expert }) => ({ layer, expert })));
  }
  return forced;
}

const named = (experts: readonly ExpertId[]): string => experts.map(expertName).join(', ');

export const forceNext: Audit = {
  descriptor: {
    id: 'force-next',
    label: 'Next-best experts forced',
    help: 'The target experts forbidden, and in each of their layers as many of the next-best by attribution chosen for every token: does the layer’s second choice tell it?',
    source: 'GRIP (arXiv 2601.16905), forced-expert audit; the next-best by the run’s own attribution (UOE paper, Eq. 2)',
    needs: ['evaluate'],
  },
  asks(run) {
    const next = nextBest(run);
    const forced = next === null ? 'the next-best experts of its layer always are' : `${named(next)} always is`;
    return `If ${named(run.record.target.experts)} may not be chosen and ${forced}, does the knowledge come back?`;
  },
  refusal: (run) =>
    forgetMissing(run) ??
    tooFewExperts(run) ??
    (nextBest(run) === null ? 'The run holds no attribution of the target’s layer, so the next-best experts are not known.' : null),
  settings: (run) => ({ experts: run.record.target.experts, forced: nextBest(run) ?? [] }),
  cost: (run) => fourTimes(rowsOf(run, 'forget')),
  measure: async (bench, run) => {
    const forced = nextBest(run) ?? [];
    const forbidden = run.record.target.experts;
    return { settings: { experts: forbidden, forced }, sets: await measured(bench, forgetSets(bench), { forbidden, forced }) };
  },
  words: {
    asIs: 'routing free',
    under: 'next-best forced',
    holds: 'Not brought back',
    partly: 'Partly hidden: some of it returns',
    returns: 'Hidden: the next-best experts tell it',
    meaning: 'The edit blocks the knowledge, it does not erase it.',
  },
};
