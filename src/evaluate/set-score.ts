import { refuse, unwrap } from '../protocol/fault';
import type { SetScore } from '../protocol/records';
import * as accuracy from './accuracy';
import { type Example, isQuestion, mean, type Normalise } from './example';
import * as extractionStrength from './extraction-strength';
import * as nll from './nll';
import * as probability from './probability';
import { blindChances, subjectBlind } from './subject-blind';

/**
 * The score of one data set (DESIGN 4.2): mean over topics of accuracy where there are questions, else exp(-NLL per target token).
 * Rows without a topic count as one topic named after the set. Throws FaultError for a set without rows, or with values that are not finite.
 */
export function setScore(name: string, rows: readonly Example[], normalise: Normalise = 'none'): SetScore {
  if (rows.length === 0) refuse('bad-data', `The set ${name} cannot be scored: it has no rows.`, 'Check that the file has rows with targets.');
  const questions = rows.filter(isQuestion);
  if (questions.length === 0) {
    const score = unwrap(probability.score(rows));
    const asked = rows.some(({ argmaxHit }) => argmaxHit !== undefined);
    const extraction = asked ? { extraction: unwrap(extractionStrength.score(rows)) } : {};
    return { name, kind: 'probability', score, ...extraction, nll: unwrap(nll.score(rows)).value, blind: null };
  }
  const score = unwrap(accuracy.score(rows, { normalise }));
  return {
    name,
    kind: 'accuracy',
    score,
    topics: topicScores(name, rows, questions, score),
    nll: unwrap(nll.score(rows)).value,
    blind: subjectBlind(questions),
  };
}

function topicScores(name: string, rows: readonly Example[], questions: readonly Example[], score: SetScore['score']): SetScore['topics'] {
  const hits = (score.perExample ?? []).flatMap((row, i) => (isQuestion(rows[i]) ? [row.value ?? 0] : []));
  const blind = accuracy.byTopic(questions, blindChances(questions));
  return Object.fromEntries(
    [...accuracy.byTopic(questions, hits)].map(([topic, group]) => [
      topic ?? name,
      { accuracy: mean(group), rows: group.length, blind: mean(blind.get(topic) ?? []) },
    ]),
  );
}
