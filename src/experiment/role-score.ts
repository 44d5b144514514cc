import { effectiveTrials, wilson } from '../evaluate/statistics';
import type { EvaluationRecord, SetScore } from '../protocol/records';

export type Role = EvaluationRecord['sets'][number]['role'];
export type Moment = 'before' | 'after' | 'forbiddenBefore' | 'forbiddenAfter';

/** The measurements of all sets with a role at one moment; sets not measured then are left out. */
export const setsOf = (evaluation: EvaluationRecord, role: Role, moment: Moment): readonly SetScore[] =>
  evaluation.sets.flatMap((set) => (set.role === role && set[moment] !== undefined ? [set[moment]] : []));

/**
 * One figure for several sets (DESIGN 4.4): mean accuracy over their topics; without questions, the mean of exp(-NLL).
 * A topic in two sets is one topic, its rows pooled. Null without sets.
 */
export function combinedScore(sets: readonly SetScore[]): number | null {
  const questions = sets.filter(({ kind }) => kind === 'accuracy');
  if (questions.length === 0) return sets.length === 0 ? null : mean(sets.map(({ score }) => score.value));
  return mean(pooledTopics(questions).map(({ hits, rows }) => hits / rows));
}

/** 95 % interval of that figure, as for a single set; null where none is defined. */
export function combinedInterval(sets: readonly SetScore[]): readonly [number, number] | null {
  if (sets.length === 1) return sets[0].score.interval ?? null;
  const questions = sets.filter(({ kind }) => kind === 'accuracy');
  const value = combinedScore(questions);
  return value === null ? null : wilson(value, effectiveTrials(pooledTopics(questions).map(({ rows }) => rows)));
}

function pooledTopics(questions: readonly SetScore[]): readonly { readonly hits: number; readonly rows: number }[] {
  const topics = new Map<string, { hits: number; rows: number }>();
  for (const set of questions) {
    for (const [topic, { accuracy, rows }] of Object.entries(set.topics ?? { [set.name]: { accuracy: set.score.value, rows: set.score.n } })) {
      const sum = topics.get(topic) ?? { hits: 0, rows: 0 };
      topics.set(topic, { hits: sum.hits + accuracy * rows, rows: sum.rows + rows });
    }
  }
  return [...topics.values()];
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
