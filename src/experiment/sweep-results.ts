/** What became of a sweep's tasks, from run folders alone, and their figures over repeats. */
import { fraction, percent } from '../protocol/numbers';
import type { RunRecord } from '../protocol/records';
import type { Spread } from '../protocol/sweep-view';
import { runSeconds } from './comparison';
import { repeatAxis, type Sweep, type SweepTask } from './sweep-plan';
import { type Cell, type Column, csv, markdownTable, textTable } from './table';

export type TaskState = 'waiting' | 'running' | 'unfinished' | 'done' | 'failed';

export interface TaskResult {
  readonly task: SweepTask;
  readonly state: TaskState;
  readonly record: RunRecord | null;
}

const stateOf = ({ status, discarded }: RunRecord): TaskState => {
  if (status === 'running') return 'running';
  if (status === 'done' || status === 'stopped') return 'done';
  if (status === 'failed') return 'failed';
  return discarded ? 'waiting' : 'unfinished';
};

/** Of several runs of a task the one that is furthest. */
const rank: readonly TaskState[] = ['waiting', 'failed', 'unfinished', 'running', 'done'];

/** Every task with its run; `records`: the workspace's history. */
export function taskResults({ name, tasks }: Pick<Sweep, 'name' | 'tasks'> & Partial<Sweep>, records: readonly RunRecord[]): TaskResult[] {
  const own = furthestRuns(name, records);
  return tasks.map((task) => {
    const record = own.get(task.id) ?? null;
    return { task, state: record ? stateOf(record) : 'waiting', record };
  });
}

function furthestRuns(name: string, records: readonly RunRecord[]): Map<string, RunRecord> {
  const own = new Map<string, RunRecord>();
  for (const record of records) {
    if (record.sweep?.name !== name) continue;
    const known = own.get(record.sweep.task);
    if (!known || rank.indexOf(stateOf(record)) >= rank.indexOf(stateOf(known))) own.set(record.sweep.task, record);
  }
  return own;
}

/** What is there of one task. */
export function taskResult(sweep: string, task: string, records: readonly RunRecord[]): Pick<TaskResult, 'state' | 'record'> {
  const record = furthestRuns(sweep, records).get(task) ?? null;
  return { state: record ? stateOf(record) : 'waiting', record };
}

export function spreadOf(values: readonly (number | null | undefined)[]): Spread | null {
  const known = values.filter((value) => typeof value === 'number' && Number.isFinite(value)) as number[];
  if (known.length === 0) return null;
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { n: known.length, mean, sd: known.length < 2 ? null : Math.sqrt(squares / (known.length - 1)) };
}

const figures = {
  forget: ({ summary }: RunRecord) => summary?.forget?.after,
  near: ({ summary }: RunRecord) => summary?.near?.after,
  utility: ({ summary }: RunRecord) => summary?.utility?.after,
  forbidden: ({ summary }: RunRecord) => summary?.forbidden?.after,
  overlapForget: ({ summary }: RunRecord) => summary?.overlapForget,
  overlapRetain: ({ summary }: RunRecord) => summary?.overlapRetain,
  trainedShare: ({ summary }: RunRecord) => summary?.trainedShare,
  steps: ({ keptStep }: RunRecord) => keptStep,
  seconds: (record: RunRecord) => runSeconds(record),
} as const;
export type Figure = keyof typeof figures;
const figureNames = Object.keys(figures) as Figure[];

/** A line of the table: tasks that differ by their seed alone. */
export interface SweepLine {
  readonly labels: Readonly<Record<string, string>>;
  readonly tasks: number;
  readonly done: number;
  readonly failed: number;
  readonly figures: Readonly<Record<Figure, Spread | null>>;
  readonly runs: readonly string[];
}

/** What a line needs of a result. */
type LabelledResult = Pick<TaskResult, 'state' | 'record'> & { readonly task: Pick<SweepTask, 'labels'> };

export function sweepLines({ axes }: Pick<Sweep, 'axes'>, results: readonly LabelledResult[]): SweepLine[] {
  const groups = new Map<string, LabelledResult[]>();
  const kept = axes.filter((axis) => axis !== repeatAxis);
  for (const result of results) {
    const key = JSON.stringify(kept.map((axis) => result.task.labels[axis]));
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  return [...groups.values()].map((group) => {
    const records = group.flatMap(({ state, record }) => (state === 'done' && record ? [record] : []));
    return {
      labels: Object.fromEntries(kept.map((axis) => [axis, group[0].task.labels[axis]])),
      tasks: group.length,
      done: records.length,
      failed: group.filter(({ state }) => state === 'failed').length,
      figures: Object.fromEntries(figureNames.map((name) => [name, spreadOf(records.map(figures[name]))])) as SweepLine['figures'],
      runs: records.map(({ id }) => id),
    };
  });
}

const spread = (value: Spread | null, form: (value: number) => string): string =>
  value === null ? '–' : value.sd === null ? form(value.mean) : `${form(value.mean)} ± ${form(value.sd)}`;

const shown: readonly { readonly title: string; readonly figure: Figure; readonly form: (value: number) => string }[] = [
  { title: 'FE ↓', figure: 'forget', form: fraction },
  { title: 'Near ↑', figure: 'near', form: fraction },
  { title: 'UT ↑', figure: 'utility', form: fraction },
  { title: 'Forbidden', figure: 'forbidden', form: fraction },
  { title: 'Overlap', figure: 'overlapForget', form: fraction },
  { title: 'Trained', figure: 'trainedShare', form: (value) => percent(value, 2) },
  { title: 'Steps', figure: 'steps', form: (value) => value.toFixed(0) },
  { title: 'Seconds', figure: 'seconds', form: (value) => value.toFixed(1) },
];

const counted = ({ tasks, done, failed }: SweepLine): string => `${done}/${tasks}${failed > 0 ? ` (${failed} failed)` : ''}`;

function rows(sweep: Pick<Sweep, 'axes'>, lines: readonly SweepLine[]): { columns: Column[]; cells: Cell[][] } {
  const kept = sweep.axes.filter((axis) => axis !== repeatAxis);
  return {
    columns: [
      ...kept.map((title): Column => ({ title, align: 'left' })),
      { title: 'Runs', align: 'right' },
      ...shown.map(({ title }): Column => ({ title, align: 'right' })),
    ],
    cells: lines.map((line) => [
      ...kept.map((axis) => ({ text: line.labels[axis] })),
      { text: counted(line) },
      ...shown.map(({ figure, form }) => ({ text: spread(line.figures[figure], form) })),
    ]),
  };
}

export function sweepText(sweep: Pick<Sweep, 'axes'>, lines: readonly SweepLine[]): string {
  const { columns, cells } = rows(sweep, lines);
  return textTable(columns, cells);
}

export function sweepMarkdown(sweep: Pick<Sweep, 'axes'>, lines: readonly SweepLine[]): string {
  const { columns, cells } = rows(sweep, lines);
  return markdownTable(columns, cells);
}

/** Full precision: means and deviations in columns of their own. */
export function sweepCsv({ axes }: Pick<Sweep, 'axes'>, lines: readonly SweepLine[]): string {
  const kept = axes.filter((axis) => axis !== repeatAxis);
  return csv([
    [...kept, 'tasks', 'done', 'failed', ...figureNames.flatMap((name) => [name, `${name} sd`])],
    ...lines.map((line) => [
      ...kept.map((axis) => line.labels[axis]),
      line.tasks,
      line.done,
      line.failed,
      ...figureNames.flatMap((name) => [line.figures[name]?.mean ?? null, line.figures[name]?.sd ?? null]),
    ]),
  ]);
}
