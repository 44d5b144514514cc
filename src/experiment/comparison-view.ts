/** Step 4 of the workbench and the report from what run folders hold: cards, topics, table of sets, audits, and the result in words. */
import { descriptor as accuracy } from '../evaluate/accuracy';
import { descriptor as extractionStrength } from '../evaluate/extraction-strength';
import { descriptor as nll } from '../evaluate/nll';
import { descriptor as probability } from '../evaluate/probability';
import { descriptor as routingOverlap } from '../evaluate/routing-overlap';
import { wilson } from '../evaluate/statistics';
import { descriptor as targetShare } from '../evaluate/target-share';
import type { MetricDescriptor } from '../protocol/catalogue';
import type { ScoreCard, TopicRow } from '../protocol/comparison-view';
import type { RunFolder } from '../protocol/engine';
import { count } from '../protocol/numbers';
import type { EvaluationRecord, SetScore } from '../protocol/records';
import { methodName } from '../protocol/run-table';
import type { ComparisonRow, ComparisonView } from '../protocol/workbench';
import { auditsToRun, auditViews, worstAudit } from './audits';
import { pairedScores } from './paired-scores';
import { combinedInterval, combinedScore, type Role, setsOf } from './role-score';
import { comparedVerdict, roleVerdict, routingVerdict, verdictOf } from './verdict';

type EvaluatedSet = EvaluationRecord['sets'][number];

/** `eval/forget.jsonl`: enough to tell sets apart; the page gets no whole paths. */
const shortName = (path: string): string => path.split(/[\\/]/).slice(-2).join('/');

/** `Run 7 · NPO · α 1`: a choice of before and after. */
export function runLabel({ record, recipe }: Pick<RunFolder, 'record' | 'recipe'>): string {
  const alpha = recipe.anchor?.weight;
  return `Run ${record.number} · ${methodName(record.method)}${alpha === undefined ? '' : ` · α ${alpha}`}`;
}

function rowsOf(set: EvaluatedSet): readonly ComparisonRow[] {
  const { before, after, forbiddenAfter, role } = set;
  const whole: ComparisonRow = {
    set: shortName(after.name),
    role,
    kind: after.kind,
    rows: after.score.n,
    before: before.score.value,
    after: after.score.value,
    interval: after.score.interval ?? null,
    change: pairedScores([before], [after]),
    blind: after.blind,
    forbiddenAfter: forbiddenAfter ? forbiddenAfter.score.value : null,
    topic: false,
  };
  const measure = (kind: 'nll' | 'extraction', name: string, pick: (score: SetScore) => number | undefined): readonly ComparisonRow[] => {
    const [was, is, forbidden] = [pick(before), pick(after), forbiddenAfter && pick(forbiddenAfter)];
    if (was === undefined || is === undefined) return [];
    return [{ ...whole, set: name, kind, before: was, after: is, interval: null, change: null, forbiddenAfter: forbidden ?? null, topic: true }];
  };
  if (after.kind === 'probability')
    return [
      whole,
      ...measure('nll', 'NLL per token', ({ nll }) => nll),
      ...measure('extraction', 'extraction strength', ({ extraction }) => extraction?.value),
    ];
  const topics = Object.entries(after.topics ?? {});
  if (topics.length < 2) return [whole];
  return [
    whole,
    ...topics.map(([name, topic]) => ({
      set: name,
      role,
      kind: after.kind,
      rows: topic.rows,
      before: before.topics?.[name]?.accuracy ?? Number.NaN,
      after: topic.accuracy,
      interval: wilson(topic.accuracy, topic.rows),
      blind: topic.blind,
      forbiddenAfter: forbiddenAfter?.topics?.[name]?.accuracy ?? null,
      topic: true,
    })),
  ];
}

const roles: readonly Role[] = ['forget', 'utility', 'near'];

function cardOf(evaluation: EvaluationRecord, role: Role, reference: string): readonly ScoreCard[] {
  const [before, after] = [setsOf(evaluation, role, 'before'), setsOf(evaluation, role, 'after')];
  const [start, end] = [combinedScore(before), combinedScore(after)];
  if (start === null || end === null) return [];
  const topics = [...new Set(after.flatMap((set) => Object.keys(set.topics ?? {})))];
  const note = topics.length === 1 ? shortName(topics[0]) : topics.length > 1 ? `${count(topics.length)} topics` : shortName(after[0].name);
  return [
    {
      role,
      kind: after[0].kind === 'accuracy' ? 'accuracy' : 'probability',
      note,
      rows: after.reduce((sum, { score }) => sum + score.n, 0),
      before: start,
      after: end,
      interval: combinedInterval(after),
      change: pairedScores(before, after),
      // What forgetting aims at; for the others it means nothing.
      chance: role === 'forget' && after.length === 1 ? after[0].blind : null,
      verdict: roleVerdict(role, before, after, reference),
    },
  ];
}

/** Forget first, near second, then the others. */
function topicsOf(evaluation: EvaluationRecord): readonly TopicRow[] {
  return (['forget', 'near', 'utility'] as const).flatMap((role) =>
    evaluation.sets
      .filter((set) => set.role === role && set.after.kind === 'accuracy')
      .flatMap(({ before, after }) =>
        Object.entries(after.topics ?? {}).map(([name, { accuracy, rows, blind }]) => ({
          name: shortName(name),
          role,
          rows,
          before: before.topics?.[name]?.accuracy ?? null,
          after: accuracy,
          interval: wilson(accuracy, rows),
          chance: blind,
        })),
      ),
  );
}

/** The same sets after another run instead of on the original; sets that only one of the two measured are left out. */
function against(other: EvaluationRecord | null, own: EvaluationRecord | null): EvaluationRecord {
  const sets = (own?.sets ?? []).flatMap(({ role, after }) => {
    const match = other?.sets.find((set) => set.role === role && set.after.name === after.name && set.after.kind === after.kind);
    return match ? [{ role, before: match.after, after }] : [];
  });
  return { sets };
}

const metricOf: Readonly<Record<ComparisonRow['kind'], MetricDescriptor>> = { accuracy, probability, nll, extraction: extractionStrength };

/** In the order in which their figures are shown. */
function metricsOf(rows: readonly ComparisonRow[], hasRouting: boolean): readonly MetricDescriptor[] {
  const measured = Object.values(metricOf).filter((metric) => rows.some(({ kind }) => metricOf[kind] === metric));
  return [...measured, ...(hasRouting ? [routingOverlap, targetShare] : [])];
}

/** One run against the original, or against `other`. */
export function comparisonView(folder: RunFolder, discarded: boolean, other: RunFolder | null = null): ComparisonView {
  const { record } = folder;
  const audits = auditViews(folder);
  const evaluation = other ? against(other.evaluation, folder.evaluation) : folder.evaluation;
  const reference = other ? `run ${other.record.number}` : 'the original';
  const routing = other ? undefined : evaluation?.routing;
  const rows = (evaluation?.sets ?? []).flatMap(rowsOf);
  const { headline, sentences } = other && evaluation ? comparedVerdict(evaluation, reference, `run ${record.number}`) : verdictOf(evaluation, audits);
  return {
    run: record.id,
    number: record.number,
    method: record.method,
    target: record.target.experts,
    steps: record.steps,
    keptStep: record.keptStep,
    pair: `${other?.record.id ?? ''}|${record.id}`,
    label: runLabel(folder),
    before: other ? { run: other.record.id, label: runLabel(other) } : { run: null, label: 'Original' },
    headline,
    sentences,
    cards: evaluation ? roles.flatMap((role) => cardOf(evaluation, role, reference)) : [],
    topics: evaluation ? topicsOf(evaluation) : [],
    rows,
    audits,
    auditsToRun: auditsToRun(audits),
    worst: worstAudit(audits),
    routing: routing
      ? [
          ['Routing overlap, forget', 1, routing.overlapForget],
          ['Routing overlap, retain', 1, routing.overlapRetain],
          ['Target share on forget prompts', routing.targetShareBefore, routing.targetShareAfter],
        ]
      : [],
    routingVerdict: routing ? routingVerdict(routing) : null,
    roundingLoss: record.summary?.roundingLoss ?? null,
    metrics: metricsOf(rows, routing !== undefined),
    discarded,
    table: null,
  };
}
