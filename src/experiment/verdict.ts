import type { AuditView, VerdictWords } from '../protocol/comparison-view';
import { difference, fraction, percent, pValue } from '../protocol/numbers';
import type { EvaluationRecord, PairedChange, SetScore } from '../protocol/records';
import { worstOf } from './audits';
import { pairedScores } from './paired-scores';
import { combinedInterval, combinedScore, type Moment, type Role, setsOf } from './role-score';

/** What the evaluation lets one say about a run; every claim rests on a 95 % interval over the same rows. */
export interface Verdict {
  readonly kind: 'not measured' | 'not forgotten' | 'forgotten, hidden or erased unknown' | 'blocked' | 'brought back' | 'not brought back';
  /** One sentence that can stand alone. */
  readonly headline: string;
  /** The evidence, a sentence each. */
  readonly sentences: readonly string[];
  /** Forget score: edited against original. */
  readonly forgetting: PairedChange | null;
  /** Forget score of the edited model: target expert forbidden against allowed. */
  readonly returning: PairedChange | null;
}

/** Audits besides the forbidden expert that say something about knowledge that returns. */
const furtherAudits = (audits: readonly AuditView[]): readonly AuditView[] =>
  audits.filter(({ id, outcome }) => id !== 'forbid' && outcome?.series === 'forget' && outcome.verdict.kind !== 'none');

/** The honest reading of an evaluation: was it forgotten, and is it erased or only out of reach? `audits`: what else was tried to bring it back. */
export function verdictOf(evaluation: EvaluationRecord | null, audits: readonly AuditView[] = []): Verdict {
  const sets = (moment: Moment): readonly SetScore[] => (evaluation === null ? [] : setsOf(evaluation, 'forget', moment));
  const score = (moment: Moment): number | null => combinedScore(sets(moment));
  const forgetting = pairedScores(sets('before'), sets('after'));
  const returning = pairedScores(sets('after'), sets('forbiddenAfter'));
  const utility = utilitySentences(evaluation);
  const base = { forgetting, returning };
  if (forgetting === null) {
    const why = sets('after').length === 0 ? 'the run has no forget set to evaluate' : 'the forget set has no values per example before and after';
    return { ...base, kind: 'not measured', headline: `Whether anything was forgotten was not measured: ${why}.`, sentences: utility };
  }
  const change = `The forget score went from ${fraction(score('before'))} to ${fraction(score('after'))} (${interval(forgetting)} over ${forgetting.n} ${forgetting.n === 1 ? 'row' : 'rows'}).`;
  if (forgetting.interval === undefined) {
    // One row has no interval: neither forgetting nor chance can be claimed.
    const fell = forgetting.difference < 0;
    return {
      ...base,
      kind: 'not measured',
      headline: `The forget score ${fell ? 'fell' : 'did not fall'}, measured on ${forgetting.n === 1 ? 'one row' : `${forgetting.n} rows`}: too few to tell it from chance.`,
      sentences: [
        change,
        ...(returning === null ? [] : [`With the target expert forbidden, the edited model scores ${fraction(score('forbiddenAfter'))}.`]),
        ...utility,
      ],
    };
  }
  if (!(forgetting.interval[1] < 0)) {
    return {
      ...base,
      kind: 'not forgotten',
      headline: 'No forgetting was shown: the fall of the forget score is within chance.',
      sentences: [change, ...utility],
    };
  }
  const fallen = [change, ...baselineSentences(sets('before'), sets('after'))];
  const further = furtherAudits(audits);
  const returned = further.filter(({ outcome }) => outcome?.verdict.kind === 'bad' || outcome?.verdict.kind === 'warn');
  const worst = worstOf(returned);
  const broughtBack = worst && {
    kind: 'brought back' as const,
    headline: 'The forget score fell, but an audit brings it back.',
    sentence: `The worst of them: ${worst.title} (${worst.verdict.text}).`,
  };
  if (returning === null) {
    const unknown = {
      kind: 'forgotten, hidden or erased unknown' as const,
      headline: 'The forget score fell; whether the knowledge is erased or only hidden was not measured.',
      sentence: 'The target expert was not forbidden in the evaluation.',
    };
    const { kind, headline, sentence } = broughtBack ?? unknown;
    return { ...base, kind, headline, sentences: [...fallen, sentence, ...utility] };
  }
  const forbidden = `With the target expert forbidden, the edited model scores ${fraction(score('forbiddenAfter'))} (${interval(returning)} against the edited model as it is).`;
  const original = originalSentences(sets('forbiddenBefore'), sets('forbiddenAfter'), score('forbiddenBefore'));
  if (returning.interval !== undefined && returning.interval[0] > 0) {
    const headline = 'The edit blocks access, it does not erase: forbidding the target expert brings the score back.';
    return { ...base, kind: 'blocked', headline, sentences: [...fallen, forbidden, ...original, ...utility] };
  }
  const caution =
    further.length === 0
      ? 'That is one check. Relearning, quantising or other wordings may still bring the knowledge back.'
      : further.length === 1
        ? 'One further audit does not bring it back either.'
        : `${further.length} further audits do not bring it back either.`;
  const held = {
    kind: 'not brought back' as const,
    headline: 'The forget score fell, and forbidding the target expert does not bring it back.',
    sentence: caution,
  };
  const { kind, headline, sentence } = broughtBack ?? held;
  return { ...base, kind, headline, sentences: [...fallen, forbidden, ...original, sentence, ...utility] };
}

/** Utility may fall by less than this before it counts as a loss, a neighbouring topic by less than that. */
const utilityLoss = 0.02;
const nearLoss = 0.025;

/** One role's score in a few words; `reference` names what stands before: `the original`, `run 3`. */
export function roleVerdict(role: Role, before: readonly SetScore[], after: readonly SetScore[], reference = 'the original'): VerdictWords {
  const [start, end] = [combinedScore(before), combinedScore(after)];
  if (start === null || end === null) return { kind: 'none', text: 'Not measured' };
  const lost = start - end;
  if (role === 'utility') return { kind: lost < utilityLoss ? 'ok' : 'warn', text: `Keeps ${percent(end / start)} of ${reference}` };
  if (role === 'near')
    return lost < nearLoss ? { kind: 'ok', text: 'Small side effect' } : { kind: 'warn', text: `Visible side effect: loses ${fraction(lost)}` };
  const blind = after.length === 1 ? after[0].blind : null;
  if (blind === null) return { kind: 'none', text: 'No chance level to judge it by: see how far it fell' };
  const range = combinedInterval(after) ?? [end, end];
  if (range[0] <= blind && blind <= range[1]) return { kind: 'ok', text: 'At chance: no better than guessing' };
  if (end < blind) return { kind: 'warn', text: 'Below chance: it avoids the right answer' };
  if (start <= blind) return { kind: 'none', text: `${reference[0].toUpperCase()}${reference.slice(1)} was at chance already` };
  if (lost <= 0) return { kind: 'bad', text: 'Not forgotten' };
  return { kind: 'warn', text: `${percent(lost / (start - blind), 0)} of the way to chance` };
}

/** Overlap falls in a good run, because forget tokens are pulled to the target; a router that dodges sends fewer of them there. */
export function routingVerdict({ targetShareBefore, targetShareAfter }: NonNullable<EvaluationRecord['routing']>): VerdictWords {
  const share = `${fraction(targetShareBefore)} → ${fraction(targetShareAfter)}`;
  return targetShareAfter < targetShareBefore
    ? { kind: 'warn', text: `Target share fell, ${share}: the router dodges` }
    : { kind: 'ok', text: `Forget tokens keep going to the target, share ${share}` };
}

/** What can be said of two runs measured on the same rows; `before` holds one run's scores, `after` the other's. */
export function comparedVerdict(evaluation: EvaluationRecord, one: string, other: string): Pick<Verdict, 'headline' | 'sentences'> {
  const lines = (['forget', 'near', 'utility'] as const).flatMap((role) => {
    const change = pairedScores(setsOf(evaluation, role, 'before'), setsOf(evaluation, role, 'after'));
    if (change === null) return [];
    const differs = change.interval !== undefined && (change.interval[0] > 0 || change.interval[1] < 0);
    return [{ role, change, differs }];
  });
  const forget = lines.find(({ role }) => role === 'forget');
  const named = (text: string) => `${text[0].toUpperCase()}${text.slice(1)}`;
  const headline = !forget
    ? `${named(other)} and ${one} have no forget set in common.`
    : !forget.differs
      ? `${named(other)} and ${one} cannot be told apart on the forget set.`
      : `${named(other)} forgets ${forget.change.difference < 0 ? 'more' : 'less'} than ${one}.`;
  const roles = { forget: 'Forget score', near: 'Near topic', utility: 'Utility' } as const;
  const sentences = lines.map(({ role, change }) => `${roles[role]}: ${named(interval(change))} over ${change.n} rows.`);
  return { headline, sentences };
}

const interval = (change: PairedChange): string => {
  const ends = change.interval === undefined ? 'no interval' : `95 % interval ${difference(change.interval[0])} to ${difference(change.interval[1])}`;
  const p = change.mcnemar === undefined || change.interval === undefined ? '' : `, McNemar p ${pValue(change.mcnemar.p)}`;
  return `change ${difference(change.difference)}, ${ends}${p}`;
};

/** How far the forget score went towards answering without knowing the subject. */
function baselineSentences(before: readonly SetScore[], after: readonly SetScore[]): string[] {
  const questions = after.flatMap((set, i) => (set.blind === null ? [] : [{ blind: set.blind, after: set.score, before: before[i].score.value }]));
  if (questions.length !== 1) return [];
  const [{ blind, after: score, before: start }] = questions;
  if (score.interval !== undefined && score.interval[0] <= blind && blind <= score.interval[1])
    return [`It cannot be told apart from answering without knowing the subject (${fraction(blind)}).`];
  if (score.value < blind) return [`It is below answering without knowing the subject (${fraction(blind)}): the model now avoids the right answer.`];
  return start > blind
    ? [`That is ${percent((start - score.value) / (start - blind), 0)} of the way to answering without knowing the subject (${fraction(blind)}).`]
    : [];
}

function originalSentences(original: readonly SetScore[], edited: readonly SetScore[], score: number | null): string[] {
  const change = pairedScores(original, edited);
  if (change === null || change.interval === undefined) return [];
  const same = change.interval[0] <= 0 && change.interval[1] >= 0;
  const reading = same ? 'the two cannot be told apart' : change.difference < 0 ? 'the edited model is still below' : 'the edited model is above';
  return [`The original scores ${fraction(score)} with the same expert forbidden: ${reading} (${interval(change)}).`];
}

function utilitySentences(evaluation: EvaluationRecord | null): string[] {
  if (evaluation === null) return [];
  return (['utility', 'near'] as const).flatMap((role) => {
    const [before, after] = [combinedScore(setsOf(evaluation, role, 'before')), combinedScore(setsOf(evaluation, role, 'after'))];
    if (before === null || after === null) return role === 'utility' ? ['What the edit costs elsewhere was not measured: the run has no utility set.'] : [];
    const change = pairedScores(setsOf(evaluation, role, 'before'), setsOf(evaluation, role, 'after'));
    const how = change === null ? difference(after - before) : interval(change);
    return [`${role === 'utility' ? 'Utility' : 'The neighbouring topic'} went from ${fraction(before)} to ${fraction(after)} (${how}).`];
  });
}
