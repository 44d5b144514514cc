/** From measured rows to the answer of `score` (DESIGN 4.4). */
import { choose, optionLengths } from '../evaluate/accuracy';
import type { Example, Normalise } from '../evaluate/example';
import type { ScoredRow, ScoreResult } from '../protocol/engine';
import { refuse, unwrap } from '../protocol/fault';

/** Scores of the options after normalising. */
function normalised(row: Example, normalise: Normalise): number[] {
  const lengths = optionLengths(row, normalise);
  return (row.optionScores ?? []).map((score, option) => score / Math.max(1, lengths?.[option] ?? 1));
}

function scored(row: Example, normalise: Normalise): ScoredRow {
  if (row.optionScores !== undefined) {
    const chosen = unwrap(choose(row, normalise));
    const answer = row.answer ?? -1;
    return { id: row.id, chosen, answer, correct: chosen === answer, scores: normalised(row, normalise) };
  }
  const perToken = Array.from(row.perToken);
  const sum = perToken.reduce((total, value) => total + value, 0);
  if (!Number.isFinite(sum))
    refuse('not-finite', `Row "${row.id}" has an NLL that is not a finite number.`, 'The weights may have diverged; check the checkpoint, or the patch.');
  return { id: row.id, tokens: perToken.length, nll: sum / perToken.length, perToken };
}

/** Sums over rows: of questions their hits, of others their NLL and targets. */
interface Tally {
  rows: number;
  questions: number;
  hits: number;
  nll: number;
  targets: number;
}

const emptyTally = (): Tally => ({ rows: 0, questions: 0, hits: 0, nll: 0, targets: 0 });

function add(tally: Tally, row: ScoredRow): void {
  tally.rows++;
  if ('scores' in row) {
    tally.questions++;
    tally.hits += row.correct ? 1 : 0;
  } else {
    tally.nll += row.perToken.reduce((total, value) => total + value, 0);
    tally.targets += row.tokens;
  }
}

const accuracyOf = ({ hits, questions }: Tally): number | null => (questions > 0 ? hits / questions : null);
const nllOf = ({ nll, targets }: Tally): number | null => (targets > 0 ? nll / targets : null);

export const scoredRows = (examples: readonly Example[], normalise: Normalise): ScoredRow[] => examples.map((example) => scored(example, normalise));

/** Means over rows in their order. `topics`: of each row, null where it has none. */
export function scoreResult(rows: readonly ScoredRow[], topics: readonly (string | null)[], lost: Pick<ScoreResult, 'skipped' | 'truncated'>): ScoreResult {
  const all = emptyTally();
  const tallies = new Map<string, Tally>();
  rows.forEach((row, i) => {
    add(all, row);
    const topic = topics[i];
    if (topic === null) return;
    const own = tallies.get(topic) ?? emptyTally();
    tallies.set(topic, own);
    add(own, row);
  });
  const byTopic = Object.fromEntries(
    [...tallies].map(([topic, tally]) => {
      const [accuracy, nll] = [accuracyOf(tally), nllOf(tally)];
      return [topic, { rows: tally.rows, ...(accuracy === null ? {} : { accuracy }), ...(nll === null ? {} : { nll }) }];
    }),
  );
  return { rows, mean: { nll: nllOf(all), accuracy: accuracyOf(all) }, ...lost, byTopic };
}
