import { type Pair, pairedChange } from '../evaluate/statistics';
import type { PairedChange, SetScore } from '../protocol/records';

/**
 * Change of one figure over the rows that both measurements have, aligned by set and position; null where they are not of the same rows.
 * It is made as the figure is (combinedScore): of questions the mean over topics, where there are any; else the mean over sets of exp(-NLL per token).
 */
export function pairedScores(before: readonly SetScore[], after: readonly SetScore[]): PairedChange | null {
  if (before.length !== 1 || after.length !== 1) return computed(before, after);
  // Card, table, verdict and audits ask for the same pair; the sets are never changed.
  const found = known.get(before[0])?.get(after[0]);
  if (found !== undefined) return found;
  const change = computed(before, after);
  known.set(before[0], (known.get(before[0]) ?? new WeakMap()).set(after[0], change));
  return change;
}

const known = new WeakMap<SetScore, WeakMap<SetScore, PairedChange | null>>();

function computed(before: readonly SetScore[], after: readonly SetScore[]): PairedChange | null {
  if (before.length === 0 || before.length !== after.length) return null;
  const questions = after.some(({ kind }) => kind === 'accuracy');
  const groups = new Map<string, Pair[]>();
  for (const [s, set] of after.entries()) {
    if (questions && set.kind !== 'accuracy') continue;
    const pairs = pairsOf(before[s], set);
    if (pairs === null) return null;
    for (const [topic, pair] of pairs) {
      const key = questions ? topic : `${s}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [pair]);
      else group.push(pair);
    }
  }
  if (groups.size === 0) return null;
  return pairedChange([...groups.values()], after.some(({ kind }) => kind === 'probability') && !questions ? (nll) => Math.exp(-nll) : undefined);
}

/** Topic and values of every row that both have: right or wrong, or the NLL weighted by its tokens. Null where the rows are others. */
function pairsOf(before: SetScore, after: SetScore): readonly (readonly [topic: string, pair: Pair])[] | null {
  const [a, b] = [before.score.perExample, after.score.perExample];
  if (a === undefined || b === undefined || a.length !== b.length || a.some(({ id }, i) => id !== b[i].id)) return null;
  return b.flatMap(({ value: y, topic, tokens }, i) => {
    const x = a[i].value;
    if (x === null || y === null) return [];
    const pair = after.kind !== 'probability' ? { before: x, after: y } : { before: -Math.log(x), after: -Math.log(y), weight: tokens ?? 1 };
    return [[topic ?? after.name, pair] as const];
  });
}
