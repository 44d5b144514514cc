/**
 * Audits as pages and reports show them: what each asks, what the run folder holds of it, how that reads, and how long it takes. Whatever stands in
 * the list of src/audit is listed; nothing here measures.
 */
import { z } from 'zod';
import { type Audit, type AuditOptions, usualOptions, type Words } from '../audit/audit';
import { audits } from '../audit/audits';
import type { AuditedSet, AuditResult } from '../protocol/audits';
import type { AuditsToRun, AuditView, VerdictWords } from '../protocol/comparison-view';
import type { RunFolder } from '../protocol/engine';
import { difference, fraction, percent } from '../protocol/numbers';
import type { PairedChange, SetScore } from '../protocol/records';
import { pairedScores } from './paired-scores';
import { combinedInterval, combinedScore } from './role-score';

type Outcome = NonNullable<AuditView['outcome']>;
type Moments = Readonly<Record<'before' | 'after' | 'underBefore' | 'underAfter', readonly SetScore[]>>;

const momentsOf = (sets: readonly AuditedSet[]): Moments => ({
  before: sets.map(({ before }) => before),
  after: sets.map(({ after }) => after),
  underBefore: sets.map(({ underBefore }) => underBefore),
  underAfter: sets.map(({ underAfter }) => underAfter),
});

/** Of what the edit took, the share that is back under an audit: below the first it holds, from the second on it returns (our choice). */
const heldBelow = 0.25;
const returnedFrom = 0.6;

const range = ({ difference: value, interval }: PairedChange & { readonly interval: readonly [number, number] }): string =>
  `${difference(value)}, 95 % ${difference(interval[0])} to ${difference(interval[1])}`;

const hasInterval = (change: PairedChange | null): change is PairedChange & { readonly interval: readonly [number, number] } => change?.interval !== undefined;

/** The original knows nothing to compare with: its 95 % interval under the audit reaches down to chance, or it is no better than the edited model was. */
function knowsNothing(original: readonly SetScore[], edited: number): boolean {
  const score = combinedScore(original) ?? 0;
  const chance = original.length === 1 ? original[0].blind : null;
  return score <= edited || (chance !== null && (combinedInterval(original) ?? [score])[0] <= chance);
}

/** Does the knowledge come back? Against the original under the same intervention, by a paired 95 % interval over the same rows. */
function returning(words: Words, moments: Moments, elsewhere: Outcome['facts']): Omit<Outcome, 'source'> | null {
  const apart = pairedScores(moments.underBefore, moments.underAfter);
  const [original, edited, originalUnder, editedUnder] = [moments.before, moments.after, moments.underBefore, moments.underAfter].map(combinedScore);
  if (!hasInterval(apart) || original === null || edited === null || originalUnder === null || editedUnder === null) return null;
  const taken = original - edited;
  const back = 1 + (editedUnder - originalUnder) / taken;
  const lost = pairedScores(moments.before, moments.after);
  const figures = `Under this audit the edited model scores ${fraction(editedUnder)} and the original ${fraction(originalUnder)}: difference ${range(apart)}.`;
  const share = `${percent(Math.min(1, Math.max(0, back)), 0)} of what the edit took is back.`;
  const read = (): readonly [VerdictWords, string] => {
    if (!hasInterval(lost) || !(lost.interval[1] < 0)) return [{ kind: 'none', text: 'Nothing was forgotten, so nothing can return' }, figures];
    if (knowsNothing(moments.underBefore, edited)) return [{ kind: 'none', text: 'Says nothing: the original does not know it either then' }, figures];
    if (apart.interval[1] >= 0) return [{ kind: 'bad', text: words.returns }, `${figures} The two cannot be told apart. ${words.meaning}`];
    if (back >= returnedFrom) return [{ kind: 'bad', text: words.returns }, `${figures} ${share} ${words.meaning}`];
    if (back >= heldBelow) return [{ kind: 'warn', text: words.partly }, `${figures} ${share}`];
    return [{ kind: 'ok', text: words.holds }, `${figures} ${share}`];
  };
  const [verdict, text] = read();
  return {
    verdict,
    text,
    before: edited,
    after: editedUnder,
    original: originalUnder,
    names: [`Edited model, ${words.asIs}`, `Edited model, ${words.under}`],
    series: 'forget',
    interval: combinedInterval(moments.underAfter),
    chance: moments.underAfter.length === 1 ? moments.underAfter[0].blind : null,
    facts: [
      [`Original model, ${words.asIs}`, fraction(original)],
      [`Edited model, ${words.asIs}`, fraction(edited)],
      [`Original model, ${words.under}`, fraction(originalUnder)],
      [`Edited model, ${words.under}`, fraction(editedUnder)],
      ...elsewhere,
    ],
  };
}

/** A neighbour may lose less than this before it counts. */
const smallLoss = 0.025;

/** Was a neighbouring topic spared? */
function sparing({ before, after }: Moments): Omit<Outcome, 'source'> | null {
  const change = pairedScores(before, after);
  const [original, edited] = [combinedScore(before), combinedScore(after)];
  if (!hasInterval(change) || original === null || edited === null) return null;
  const verdict: VerdictWords =
    change.interval[1] >= 0
      ? { kind: 'ok', text: 'Spared: no loss can be shown' }
      : original - edited < smallLoss
        ? { kind: 'ok', text: 'Small side effect' }
        : { kind: 'warn', text: `Visible side effect: loses ${fraction(original - edited)}` };
  return {
    verdict,
    text: `The near topic went from ${fraction(original)} to ${fraction(edited)}: difference ${range(change)}.`,
    before: original,
    after: edited,
    original,
    names: ['Original model', 'Edited model'],
    series: 'near',
    interval: combinedInterval(after),
    chance: after.length === 1 ? after[0].blind : null,
    facts: [
      ['Original model', fraction(original)],
      ['Edited model', fraction(edited)],
    ],
  };
}

/** What the run folder holds of an audit: audits.json, and of the forbidden expert evaluation.json too, which has the forget set of it. */
function stored({ descriptor: { id } }: Audit, { audits: record, evaluation }: RunFolder): (Omit<AuditResult, 'seconds'> & { readonly source: string }) | null {
  const own = record?.audits[id];
  if (own) return { sets: own.sets, settings: own.settings, source: 'audits.json' };
  if (id !== 'forbid') return null;
  const sets = (evaluation?.sets ?? []).flatMap(({ role, before, after, forbiddenBefore, forbiddenAfter }) =>
    forbiddenBefore && forbiddenAfter ? [{ role, before, after, underBefore: forbiddenBefore, underAfter: forbiddenAfter }] : [],
  );
  return sets.length > 0 ? { sets, settings: {}, source: 'evaluation.json' } : null;
}

const scores = z.object({ original: z.number(), edited: z.number() });
const taughtScores = z.object({ taught: z.object({ before: scores, after: scores }) });

/** What relearning did to the half that it taught: one that taught next to nothing has not shown that the other half holds. */
function withTaughtHalf(reading: Omit<Outcome, 'source'>, settings: AuditResult['settings']): Omit<Outcome, 'source'> {
  const found = taughtScores.safeParse(settings);
  if (!found.success) return reading;
  const { before, after } = found.data.taught;
  const text = `${reading.text} On the half that was taught, the edited model now scores ${fraction(after.edited)} and the original ${fraction(after.original)}.`;
  const learnt = (after.edited - before.edited) / (before.original - before.edited);
  if (reading.verdict.kind !== 'ok' || !(learnt < heldBelow)) return { ...reading, text };
  return {
    ...reading,
    verdict: { kind: 'none', text: 'Says nothing: too few steps to teach even their own half' },
    text: `${text} More steps would say more.`,
  };
}

function outcomeOf(audit: Audit, run: RunFolder): AuditView['outcome'] {
  const found = stored(audit, run);
  if (!found) return null;
  const of = (role: AuditedSet['role']) => momentsOf(found.sets.filter((set) => set.role === role));
  const { words } = audit;
  if (words === 'spares') {
    const reading = sparing(of('near'));
    return reading && { ...reading, source: found.source };
  }
  const elsewhere = (['near', 'utility'] as const).flatMap((role) => {
    const [allowed, under] = [combinedScore(of(role).after), combinedScore(of(role).underAfter)];
    const name = role === 'near' ? `Near topic, ${words.under}` : `Utility, ${words.under}`;
    return allowed === null || under === null ? [] : [[name, `${fraction(allowed)} → ${fraction(under)}`] as const];
  });
  const reading = returning(words, of('forget'), elsewhere);
  return reading && { ...withTaughtHalf(reading, found.settings), source: found.source };
}

/** Seconds of the run's own evaluation for a row measured once, and of its training for an update; null where they were not measured. */
function pace({ record, evaluation }: RunFolder): { readonly row: number | null; readonly step: number | null } {
  const rows = (evaluation?.sets ?? []).reduce((sum, { after, forbiddenAfter }) => sum + after.score.n * (forbiddenAfter === undefined ? 2 : 4), 0);
  const { evaluation: measuring, training } = record.seconds;
  return {
    row: measuring === undefined || rows === 0 ? null : measuring / rows,
    step: training === undefined || record.steps === 0 ? null : training / record.steps,
  };
}

function secondsOf(audit: Audit, run: RunFolder, options: AuditOptions): number | null {
  const { row, step } = pace(run);
  const cost = audit.cost(run, options);
  if (row === null || (cost.steps > 0 && step === null)) return null;
  return row * cost.rows + (step ?? 0) * cost.steps;
}

export const auditViews = (run: RunFolder, options: AuditOptions = usualOptions): readonly AuditView[] =>
  audits.map((audit) => ({
    id: audit.descriptor.id,
    title: audit.descriptor.label,
    asks: audit.asks(run),
    outcome: outcomeOf(audit, run),
    seconds: secondsOf(audit, run, options),
    refusal: audit.refusal(run, options),
    wantsFile: audit.wantsFile !== undefined && audit.refusal(run, { ...options, [audit.wantsFile]: '' }) === null,
  }));

/** What "run all" would do: the audits that can be run and are not in audits.json yet (all that can be run where none is left), and how long they take. */
export function auditsToRun(views: readonly AuditView[]): AuditsToRun {
  const possible = views.filter(({ refusal }) => refusal === null);
  const open = possible.filter(({ outcome }) => outcome?.source !== 'audits.json');
  const chosen = open.length > 0 ? open : possible;
  const seconds = chosen.reduce<number | null>((sum, view) => (sum === null || view.seconds === null ? null : sum + view.seconds), 0);
  return { count: chosen.length, again: open.length === 0, seconds };
}

const severity = ['bad', 'warn', 'none', 'ok'] as const;

/** The audit that speaks most against the result; null where none was run. */
export function worstOf(views: readonly AuditView[]): { readonly title: string; readonly verdict: VerdictWords } | null {
  const run = views.flatMap(({ title, outcome }) => (outcome ? [{ title, verdict: outcome.verdict }] : []));
  if (run.length === 0) return null;
  return run.reduce((a, b) => (severity.indexOf(b.verdict.kind) < severity.indexOf(a.verdict.kind) ? b : a));
}

/** The same as `Expert forbidden: hidden, it returns …`. */
export function worstAudit(views: readonly AuditView[]): VerdictWords | null {
  const worst = worstOf(views);
  if (!worst) return null;
  const words = worst.verdict.text.replace(': ', ', ');
  return { kind: worst.verdict.kind, text: `${worst.title}: ${words.charAt(0).toLowerCase()}${words.slice(1)}` };
}
