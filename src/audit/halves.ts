/** The forget facts in two halves: one to learn again, one to ask for. */
import type { TokenSequence } from '../protocol/sequences';
import { random } from '../unlearn/random';

/** Told apart from the order of rows and the control vector, which the same seed gives. */
const purpose = 2;

/** What a row asks for: its "fact" within its topic; null where it has none. */
const factOf = ({ topic, source }: TokenSequence): string | null => {
  const fact = source.columns?.fact;
  return typeof fact === 'string' || typeof fact === 'number' ? JSON.stringify([topic ?? '', fact]) : null;
};

export interface Halves {
  /** Rows to train on. */
  readonly learnt: readonly TokenSequence[];
  /** Rows of the evaluation set: those of the learnt facts, and those of the others. */
  readonly taught: readonly TokenSequence[];
  readonly asked: readonly TokenSequence[];
  /** What was cut in two: facts, or single rows where rows name no fact. */
  readonly by: 'fact' | 'row';
  readonly groups: number;
}

/**
 * Cuts an evaluation set in two by fact, so that no fact is on both sides in other words; a row without "fact" stands for itself. Learnt are the
 * forget rows of the learnt facts, or, where the forget rows name none of them, the evaluation's own rows with their right answers (`asText`, in
 * the order of `evaluation`). Null where there are fewer than two facts.
 */
export function halvesOf(
  evaluation: readonly TokenSequence[],
  forget: readonly TokenSequence[],
  asText: readonly TokenSequence[],
  seed: number,
): Halves | null {
  const keys = evaluation.map((row) => factOf(row) ?? JSON.stringify(['row', row.source.line]));
  const groups = [...new Set(keys)].sort();
  if (groups.length < 2) return null;
  const { below } = random(seed, purpose);
  for (let i = groups.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [groups[i], groups[j]] = [groups[j], groups[i]];
  }
  const learnt = new Set(groups.slice(0, Math.floor(groups.length / 2)));
  const own = forget.filter((row) => learnt.has(factOf(row) ?? ''));
  const lines = new Set(evaluation.flatMap(({ source }, i) => (learnt.has(keys[i]) ? [source.line] : [])));
  return {
    learnt: own.length > 0 ? own : asText.filter(({ source }) => lines.has(source.line)),
    taught: evaluation.filter((_, i) => learnt.has(keys[i])),
    asked: evaluation.filter((_, i) => !learnt.has(keys[i])),
    by: evaluation.some((row) => factOf(row) !== null) ? 'fact' : 'row',
    groups: groups.length,
  };
}
