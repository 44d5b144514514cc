/** A sweep for an editor, from its manifest, the history and what an executor sees. Pure. */
import type { RunTable } from '../protocol/comparison-view';
import type { RunRecord } from '../protocol/records';
import type { SweepCounts, SweepPage, SweepTaskView, SweepView, TaskKind } from '../protocol/sweep-view';
import type { Sight } from './executor';
import type { Hands } from './sweep-hands';
import { repeatAxis, taskName } from './sweep-plan';
import { sweepLines, type TaskResult, taskResult } from './sweep-results';
import { taskWords } from './task-words';

/** What `sweep.json` says. */
export interface SweepManifest {
  readonly name: string;
  readonly file: string | null;
  readonly axes: readonly string[];
  readonly tasks: readonly { readonly id: string; readonly labels: Readonly<Record<string, string>> }[];
}

/** In one word; the sentence beside it is `taskWords`. */
export function taskKind({ state, record }: Pick<TaskResult, 'state' | 'record'>, sight: Sight | undefined): TaskKind {
  if (state === 'done') return 'done';
  if (sight?.at === 'queued') return 'queued';
  if (state === 'running') return sight?.at === 'ended' ? 'lost' : 'running';
  if (sight?.at === 'unknown') return 'unknown';
  if (state === 'failed') return 'failed';
  const isCancelled = record?.status === 'cancelled';
  if (sight?.at === 'running') return state === 'waiting' ? 'starting' : isCancelled ? 'cancelled' : 'lost';
  if (isCancelled) return 'cancelled';
  if (sight?.at === 'forgotten') return 'forgotten';
  if (sight?.at !== 'ended') return state === 'unfinished' ? 'stopped' : 'waiting';
  if (/^NODE_FAIL|^BOOT_FAIL/.test(sight.how)) return 'lost';
  if (/^cancelled/i.test(sight.how)) return 'cancelled';
  return state === 'waiting' ? 'failed' : 'stopped';
}

/** A person in front of an editor has buttons for it. */
const withoutCommand = (words: string): string => words.replace(/; the same command takes it up again$/, '');

function viewOf(
  { id, labels }: SweepManifest['tasks'][number],
  name: string,
  records: readonly RunRecord[],
  hands: Hands,
  steps: ReadonlyMap<string, number>,
): SweepTaskView {
  const result = taskResult(name, id, records);
  const { state, record } = result;
  const seen = hands.sights.get(id);
  // Here the one that looks after a task knows that its process lives: it is being taken up.
  const isTakenUp = hands.on === 'local' && seen?.at === 'running' && state !== 'done' && state !== 'running';
  const sight = hands.on === 'local' && (isTakenUp || seen?.at === 'running' || (seen?.at === 'ended' && record !== null)) ? undefined : seen;
  const kind = isTakenUp ? 'starting' : taskKind(result, sight);
  const step = kind === 'running' && record ? (steps.get(record.id) ?? null) : null;
  const words = isTakenUp ? 'starting' : withoutCommand(taskWords(result, sight));
  return {
    id,
    name: taskName({ labels: labels[repeatAxis] === undefined ? labels : { ...labels, [repeatAxis]: `${repeatAxis} ${labels[repeatAxis]}` } }),
    kind,
    words: step === null ? words : `${words}, step ${step} of ${record?.plannedSteps}`,
    run: record?.id ?? null,
    earlier: records.filter((own) => own.sweep?.name === name && own.sweep.task === id && own.id !== record?.id).map((own) => own.id),
    step,
    plannedSteps: record?.plannedSteps ?? null,
  };
}

const live: readonly TaskKind[] = ['queued', 'starting', 'running', 'unknown'];

function countsOf(tasks: readonly SweepTaskView[]): SweepCounts {
  const count = (...kinds: readonly TaskKind[]) => tasks.filter(({ kind }) => kinds.includes(kind)).length;
  return { all: tasks.length, done: count('done'), failed: count('failed'), running: count('running', 'starting'), queued: count('queued') };
}

/** `records`: the workspace's history; `steps`: how far running runs are, by run. */
export function sweepView(manifest: SweepManifest, records: readonly RunRecord[], hands: Hands, steps: ReadonlyMap<string, number>): SweepView {
  const { name, file, axes } = manifest;
  const tasks = manifest.tasks.map((task) => viewOf(task, name, records, hands, steps));
  const { on, workers, isCutOff } = hands;
  const counts = countsOf(tasks);
  return {
    name,
    file,
    axes,
    on,
    workers,
    tasks,
    counts,
    isLive: tasks.some(({ kind }) => live.includes(kind)),
    isCutOff: isCutOff && counts.done < counts.all,
  };
}

/** Sweeps that only runs tell of: their manifest is gone, or stayed on another machine. */
export function manifestsOfRuns(records: readonly RunRecord[], known: ReadonlySet<string>): SweepManifest[] {
  const tasks = new Map<string, Set<string>>();
  for (const { sweep } of records) if (sweep && !known.has(sweep.name)) tasks.set(sweep.name, (tasks.get(sweep.name) ?? new Set()).add(sweep.task));
  return [...tasks].map(([name, ids]) => ({ name, file: null, axes: [], tasks: [...ids].map((id) => ({ id, labels: { task: id } })) }));
}

/** `table`: rows of the runs that are done, its front worked out among them. */
export function sweepPage(view: SweepView, manifest: SweepManifest, records: readonly RunRecord[], table: RunTable): SweepPage {
  const results = manifest.tasks.map((task) => ({ task, ...taskResult(manifest.name, task.id, records) }));
  const axes = manifest.axes.filter((axis) => axis !== repeatAxis);
  const lines = sweepLines({ axes: manifest.axes }, results);
  const originals = [...new Set(table.rows.map(({ before }) => before.utility).filter((value) => value !== null))];
  return {
    name: view.name,
    counts: view.counts,
    isLive: view.isLive,
    isCutOff: view.isCutOff,
    on: view.on,
    axes,
    lines: lines.map(({ labels, tasks, done, failed, figures }) => ({
      labels: axes.map((axis) => labels[axis]),
      tasks,
      done,
      failed,
      forget: figures.forget,
      near: figures.near,
      utility: figures.utility,
      overlap: figures.overlapForget,
      seconds: figures.seconds,
    })),
    tasks: view.tasks.map(({ id, name, kind, words, run }) => ({ id, name, kind, words, run })),
    table,
    original: originals.length === 1 ? originals[0] : null,
  };
}
