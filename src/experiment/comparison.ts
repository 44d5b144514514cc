import type { RunTable, RunTableRow } from '../protocol/comparison-view';
import { difference, duration, expertName, fraction, missing } from '../protocol/numbers';
import type { EvaluationRecord, ExpertId, RunRecord } from '../protocol/records';
import { methodName, runTableRows } from '../protocol/run-table';
import { trainName } from '../protocol/train-choice';
import { combinedScore, type Moment, type Role, setsOf } from './role-score';
import { type Cell, type Column, csv, markdownTable, textTable } from './table';

/** What comparing needs of a run; a RunFolder is one. */
export interface ComparedRun {
  readonly record: RunRecord;
  readonly recipe: { readonly anchor?: { readonly weight?: number } } | null;
  readonly evaluation: EvaluationRecord | null;
}

/** Which points no other point dominates: lower forget and higher utility are better. Equal points keep each other company. `[points]` */
export function paretoFront(points: readonly { readonly forget: number; readonly utility: number }[]): boolean[] {
  const order = points.map((_, i) => i).sort((a, b) => points[a].forget - points[b].forget || points[b].utility - points[a].utility);
  const onFront = points.map(() => false);
  let bestUtility = Number.NEGATIVE_INFINITY;
  let bestForget = Number.NaN;
  for (const i of order) {
    const { forget, utility } = points[i];
    if (utility > bestUtility || (utility === bestUtility && forget === bestForget)) {
      onFront[i] = true;
      bestUtility = utility;
      bestForget = forget;
    }
  }
  return onFront;
}

/** Rows in the order given, the best of each column, and the Pareto front. A failed run stays, without claim to be best. */
export const compare = (runs: readonly ComparedRun[]): RunTable => tableOf(runs.map(rowOf));

/** The same from rows; what they say of the front is worked out anew. */
export function tableOf(measured: readonly RunTableRow[]): RunTable {
  const counts = (row: RunTableRow): boolean => row.status !== 'failed' && row.status !== 'running';
  const candidates = measured.flatMap((row) =>
    counts(row) && row.forget !== null && row.utility !== null ? [{ row, forget: row.forget, utility: row.utility }] : [],
  );
  const flags = paretoFront(candidates);
  const winners = candidates.filter((_, i) => flags[i]).sort((a, b) => b.forget - a.forget);
  const onFront = new Set(winners.map(({ row }) => row));
  const bestOf = (pick: (row: RunTableRow) => number | null, sign: 1 | -1): string[] => {
    const values = measured.flatMap((row) => (counts(row) && pick(row) !== null ? [{ id: row.id, value: sign * (pick(row) ?? 0) }] : []));
    const top = Math.max(...values.map(({ value }) => value));
    return values.length < 2 ? [] : values.filter(({ value }) => value === top).map(({ id }) => id);
  };
  return {
    rows: measured.map((row) => ({ ...row, onFront: onFront.has(row) })),
    best: { forget: bestOf((row) => row.forget, -1), utility: bestOf((row) => row.utility, 1), near: bestOf((row) => row.near, 1) },
    front: winners.map(({ row }) => row.id),
  };
}

/** Seconds a run took: its own total, else the sum of its phases, else from start to end. */
export function runSeconds(record: RunRecord): number | null {
  if (record.seconds.total !== undefined) return record.seconds.total;
  const phases = Object.values(record.seconds);
  if (phases.length > 0) return phases.reduce((a, b) => a + b, 0);
  if (record.endedAt === undefined) return null;
  const between = (Date.parse(record.endedAt) - Date.parse(record.startedAt)) / 1000;
  return Number.isFinite(between) ? between : null;
}

/** What one run's files say of it. */
export function rowOf({ record, recipe, evaluation }: ComparedRun): RunTableRow {
  const { summary } = record;
  const figure = (role: Role, moment: Moment & ('before' | 'after')): number | null =>
    summary?.[role]?.[moment] ?? (evaluation === null ? null : combinedScore(setsOf(evaluation, role, moment)));
  const forgetSets = evaluation === null ? [] : setsOf(evaluation, 'forget', 'after');
  const chance = forgetSets.length === 1 ? forgetSets[0].blind : null;
  const [forgetBefore, forgetAfter] = [figure('forget', 'before'), figure('forget', 'after')];
  return {
    run: record.number,
    id: record.id,
    model: record.model,
    method: record.method,
    alpha: recipe?.anchor?.weight ?? null,
    target: record.target.experts,
    train: trainName(record.target.train),
    forget: forgetAfter,
    utility: figure('utility', 'after'),
    near: figure('near', 'after'),
    before: { forget: forgetBefore, utility: figure('utility', 'before'), near: figure('near', 'before') },
    chance,
    forgotten:
      forgetBefore !== null && forgetAfter !== null && chance !== null && forgetBefore > chance ? (forgetBefore - forgetAfter) / (forgetBefore - chance) : null,
    overlap: summary?.overlapForget ?? evaluation?.routing?.overlapForget ?? null,
    steps: record.steps,
    seconds: runSeconds(record),
    status: record.status,
    onFront: false,
  };
}

const columns: readonly Column[] = [
  { title: 'Run', align: 'right' },
  { title: 'Method', align: 'left' },
  { title: 'α', align: 'right' },
  { title: 'Target', align: 'left' },
  { title: 'FE ↓', align: 'right' },
  { title: 'UT ↑', align: 'right' },
  { title: 'Near ↑', align: 'right' },
  { title: 'Overlap', align: 'right' },
  { title: 'Steps', align: 'right' },
  { title: 'Time', align: 'right' },
  { title: 'Status', align: 'left' },
  { title: 'Front', align: 'left' },
];

/** `L2·E10`, several joined by spaces; what trains is added where it is not expert and router. */
export function targetName(target: readonly ExpertId[], train: string): string {
  const names = target.map(expertName).join(' ');
  if (train === 'expert+router') return names;
  return `${names} (${train === 'expert' || train === 'router' ? `${train} only` : train === 'full' ? 'all parameters' : train})`;
}

/** The originals' scores, one line for each model that was measured; a model with other sets or scoring has lines of its own. */
function originals(rows: readonly RunTableRow[]): Cell[][] {
  const seen = new Set<string>();
  return rows.flatMap(({ model, before }) => {
    const values = [before.forget, before.utility, before.near].map(fraction);
    const key = [model, ...values].join('\n');
    if (seen.has(key) || values.every((value) => value === missing)) return [];
    seen.add(key);
    const name = model.split(/[/\\]/).filter(Boolean).at(-1) ?? model;
    return [[missing, 'original', missing, name, ...values, missing, missing, missing, missing, ''].map((text) => ({ text }))];
  });
}

function cells({ rows, best }: RunTable): Cell[][] {
  const line = (row: RunTableRow): Cell[] => [
    { text: String(row.run) },
    { text: methodName(row.method) },
    { text: row.alpha === null ? missing : String(row.alpha) },
    { text: targetName(row.target, row.train) },
    { text: fraction(row.forget), best: best.forget.includes(row.id) },
    { text: fraction(row.utility), best: best.utility.includes(row.id) },
    { text: fraction(row.near), best: best.near.includes(row.id) },
    { text: fraction(row.overlap) },
    { text: String(row.steps) },
    { text: duration(row.seconds) },
    { text: row.status },
    { text: row.onFront ? 'front' : '' },
  ];
  return [...originals(rows), ...rows.map(line)];
}

const legend =
  'FE: forget score, lower is better. UT: utility, Near: neighbouring topic, higher is better. Overlap: share of the forget tokens’ experts that the original also chose.';

function frontSentence({ rows, front }: RunTable): string {
  if (front.length === 0) return 'Pareto front: no run has both a forget and a utility score.';
  const names = front
    .map((id) => rows.find((row) => row.id === id))
    .flatMap((row) => (row === undefined ? [] : [`run ${row.run} (FE ${fraction(row.forget)}, UT ${fraction(row.utility)})`]));
  return `Pareto front: ${names.join(', ')}.`;
}

/** For terminals. */
export const comparisonText = (comparison: RunTable): string =>
  `${textTable(columns, cells(comparison))}\n\n${frontSentence(comparison)}\n* best of its column. ${legend}\n`;

export const comparisonMarkdown = (comparison: RunTable): string =>
  `${markdownTable(columns, cells(comparison))}\n\n${frontSentence(comparison)} Best of a column in bold. ${legend}\n`;

/** Full precision, a line a run, empty where not measured. */
export const comparisonCsv = (comparison: RunTable): string => csv(runTableRows(comparison));

export const comparisonJson = (comparison: RunTable): string => `${JSON.stringify(comparison, null, 2)}\n`;

/** `FE −0.700  UT −0.005`: how a run's scores moved, for a list of runs. */
export function changeInShort(record: RunRecord): string {
  const parts: string[] = [];
  for (const [label, pair] of [
    ['FE', record.summary?.forget],
    ['UT', record.summary?.utility],
  ] as const) {
    if (pair !== undefined) parts.push(`${label} ${difference(pair.after - pair.before)}`);
  }
  return parts.join('  ');
}
