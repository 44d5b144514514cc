import path from 'node:path';
import { Option } from 'commander';
import { tableOf } from '../../experiment/comparison';
import { isUnderWay, type Sight, type TaskCommand } from '../../experiment/executor';
import { localExecutor, threadsEach } from '../../experiment/local-executor';
import type { SlurmSweep } from '../../experiment/slurm-executor';
import { withSite } from '../../experiment/slurm-profile';
import { openSweep, refuseNamesake, sweepFolder, taskLog, taskRecipe, writeResults } from '../../experiment/sweep-folder';
import { handsOf } from '../../experiment/sweep-hands';
import { planSweep, type Sweep, type SweepTask, taskName } from '../../experiment/sweep-plan';
import { type SweepLine, sweepCsv, sweepLines, sweepMarkdown, sweepText, type TaskResult, taskResults } from '../../experiment/sweep-results';
import { textTable } from '../../experiment/table';
import { taskWords } from '../../experiment/task-words';
import { readJson } from '../../files/read';
import type { RunTable } from '../../protocol/comparison-view';
import { unwrap } from '../../protocol/fault';
import { fraction } from '../../protocol/numbers';
import { memoryBytes, resolveRecipe } from '../../protocol/recipe';
import {
  type Batch,
  cancelled,
  checkWhere,
  dryRun,
  handOver,
  onSlurm,
  overBudget,
  type Place,
  programOnNode,
  type Standing,
  siteOf,
  type WhereFlags,
  whereOptions,
} from '../handed';
import { type Shell, verb } from '../verb';

interface Own extends WhereFlags {
  readonly resultsOnly?: boolean;
  readonly write?: boolean;
  readonly againFailed?: boolean;
  readonly only?: string;
  readonly format?: 'text' | 'markdown' | 'csv' | 'json';
}

const readResults = async ({ request, workspace }: Shell, sweep: Sweep): Promise<TaskResult[]> =>
  taskResults(sweep, (await request('runs', { workspace })).runs);

/** What is still to be done: neither in a run folder nor in an executor's hands. */
const dueOf = (results: readonly TaskResult[], sights: ReadonlyMap<string, Sight>, againFailed: boolean): SweepTask[] =>
  results.flatMap(({ task, state }) =>
    state === 'done' || state === 'running' || (state === 'failed' && !againFailed) || isUnderWay(sights.get(task.id)) ? [] : [task],
  );

/** Each begins its task, goes on with it, or leaves it when it is done. */
function commandsOf(
  tasks: readonly SweepTask[],
  sweep: Sweep,
  workspace: string,
  { threads, memory }: { threads: number; memory: (task: SweepTask) => number | null },
) {
  const folder = sweepFolder(workspace, sweep.name);
  return tasks.map((task): TaskCommand => {
    const own = memory(task);
    return {
      id: task.id,
      args: [
        ...['unlearn', taskRecipe(folder, task), '--sweep', sweep.name, '--task', task.id, '--go-on'],
        ...(task.recipe.threads === undefined ? ['--threads', String(threads)] : []),
        ...(task.recipe.memory === undefined && own !== null ? ['--memory', String(Math.floor(own))] : []),
        ...['--workspace', workspace, '--json'],
      ],
      log: taskLog(folder, task),
    };
  });
}

const budgetOf = (task: SweepTask): number => unwrap(resolveRecipe(task.recipe)).recipe.memory;

/** What a task's process holds before its work; what this one holds varies, and the scripts of a dry run are those that are submitted. */
const processAtStart = 2 ** 28;

/** A plan is no bound to the byte, and a process begins larger on one day than on another. */
const roomBesidePlan = (peak: number): number => Math.ceil((peak * 1.25) / 2 ** 26) * 2 ** 26 + 2 ** 28;

/** Bytes that each task may hold, from its plan where its recipe says none; tasks that differ by their seed need the same. */
async function plannedMemory({ request, note }: Shell, tasks: readonly SweepTask[]): Promise<(task: SweepTask) => number> {
  const keyOf = ({ recipe: { seed: _seed, ...rest } }: SweepTask) => JSON.stringify(rest);
  const known = new Map<string, number>();
  for (const task of tasks) {
    const budget = budgetOf(task);
    if (known.has(keyOf(task))) continue;
    if (task.recipe.memory !== undefined) known.set(keyOf(task), budget);
    else {
      if (known.size === 0) note('Planning the memory of the tasks.');
      const { memory, memoryParts } = await request('planRun', { recipe: task.recipe, folder: process.cwd() });
      known.set(keyOf(task), Math.min(budget, roomBesidePlan(memory.peakBytes - memoryParts.process + processAtStart)));
    }
  }
  return (task) => known.get(keyOf(task)) ?? budgetOf(task);
}

function onLocal(sweep: Sweep, due: readonly SweepTask[], workers: number, workspace: string): Place {
  const share = (task: SweepTask) => (workers > 1 ? budgetOf(task) / workers : null);
  const commands = commandsOf(due, sweep, workspace, { threads: threadsEach(workers), memory: share });
  return { executor: localExecutor(process.argv[1], workers, sweepFolder(workspace, sweep.name)), commands, slurm: null, workers };
}

/** Without its memory: to ask and to cancel. */
function slurmSweep(sweep: Sweep, file: string, workspace: string, parallel: number | undefined): SlurmSweep {
  return {
    name: sweep.name,
    folder: sweepFolder(workspace, sweep.name),
    profile: sweep.slurm,
    program: programOnNode(),
    parallel: parallel ?? sweep.slurm.parallel,
    memory: null,
    merge: ['sweep', file, '--results-only', '--write', '--workspace', workspace],
  };
}

async function onCluster(shell: Shell, sweep: Sweep, due: readonly SweepTask[], bare: SlurmSweep, workers: number): Promise<Place> {
  const { memory: wanted = 'plan', cpus = 1 } = sweep.slurm;
  const asked = wanted === 'plan' || wanted === 'none' ? null : unwrap(memoryBytes(wanted));
  const planned = wanted === 'plan' ? await plannedMemory(shell, due) : null;
  const memory = (task: SweepTask) => (asked === null ? (planned?.(task) ?? null) : asked / overBudget);
  const largest = planned ? Math.max(...due.map(planned)) * overBudget : asked;
  const slurm = { ...bare, memory: due.length === 0 ? null : largest };
  return onSlurm(slurm, commandsOf(due, sweep, shell.workspace, { threads: cpus, memory }), workers);
}

/** One line when a task has ended. */
function endText({ state, record }: TaskResult, said: string): string {
  if (!record || state === 'waiting') return `did not start: ${said}`;
  const { summary } = record;
  const scores = [
    summary?.forget ? `forget ${fraction(summary.forget.after)}` : '',
    summary?.utility ? `utility ${fraction(summary.utility.after)}` : '',
  ].filter(Boolean);
  return [`run ${record.number} ${record.status}`, ...scores].join(', ');
}

const standingOf = (results: readonly TaskResult[]): Map<string, Standing> =>
  new Map(
    results.map((result) => [
      result.task.id,
      { state: result.state, words: (sight: Sight | undefined) => taskWords(result, sight), ended: (said: string) => endText(result, said) },
    ]),
  );

/** The runs that came to an end, each a row; what can't be read of one is left out. */
async function comparedRuns({ request, workspace }: Shell, lines: readonly SweepLine[]): Promise<RunTable> {
  const own = new Set(lines.flatMap(({ runs }) => runs));
  return tableOf(own.size === 0 ? [] : (await request('compare', { workspace })).table.rows.filter(({ id }) => own.has(id)));
}

const batchOf = (shell: Shell, sweep: Sweep, folder: string): Batch => ({
  ...{ noun: 'sweep', plural: 'tasks', name: sweep.name, folder },
  tasks: sweep.tasks.map((task) => ({ id: task.id, name: taskName(task), log: taskLog(folder, task) })),
  stand: async () => standingOf(await readResults(shell, sweep)),
});

function stateText(results: readonly TaskResult[], sights: ReadonlyMap<string, Sight>): string {
  const columns = ['Task', 'Settings', 'Run', 'State'].map((title) => ({ title, align: 'left' as const }));
  const rows = results.map((result) => [result.task.id, taskName(result.task), result.record?.id ?? '–', taskWords(result, sights.get(result.task.id))]);
  return textTable(
    columns,
    rows.map((row) => row.map((text) => ({ text }))),
  );
}

export const sweep = verb<[file: string], Own>({
  name: 'sweep',
  summary: 'Run the product of settings as independent runs; finished ones are not run again',
  arguments: [['<sweep>', 'sweep file: { "recipe": …, "vary": { "method": ["ga", "npo"], "seed": [0, 1, 2] } }']],
  options: [
    ...whereOptions('runs', '; what "slurm" in the sweep file says comes first'),
    new Option('--only <task>', 'of what is to be done, this task by its id or settings'),
    new Option('--results-only', 'the table of what is there, without running anything'),
    new Option('--write', 'with --results-only: also write the table beside the tasks').hideHelp(),
    new Option('--again-failed', 'run failed tasks again'),
    new Option('--format <form>', 'form of the table (default: text)').choices(['text', 'markdown', 'csv', 'json']),
  ],
  example: 'uoe sweep methods.sweep.json --workers 2\n  uoe sweep methods.sweep.json --on slurm --dry-run',
  async run(shell, [file], options) {
    const { on, workers, resultsOnly = false, write = false, cancel, wait, againFailed = false, only, format = 'text' } = options;
    const at = path.resolve(file);
    const { workspace } = shell;
    const planned = unwrap(await planSweep(unwrap(await readJson(at)), at, readJson));
    const plan = { ...planned, slurm: withSite(await siteOf(options.site), planned.slurm) };
    const folder = sweepFolder(workspace, plan.name);
    await refuseNamesake(workspace, plan, at);
    let watched = false;
    if (!resultsOnly) {
      await checkWhere(options, plan.slurm);
      const bare = slurmSweep(plan, at, workspace, workers);
      const isOver = (await readResults(shell, plan)).every(({ state }) => state === 'done');
      const { sights: seen, there: sights } = await handsOf(folder, isOver ? async () => new Map() : undefined);
      // After the executor was asked: what it saw to its end has its result by then.
      const before = await readResults(shell, plan);
      if (options.state) {
        const tasks = before.map(({ task, state, record }) => {
          const sight = seen.get(task.id) ?? null;
          return {
            task: task.id,
            labels: task.labels,
            state,
            seen: sight,
            words: taskWords({ state, record }, sight ?? undefined),
            run: record?.id ?? null,
            log: taskLog(folder, task),
          };
        });
        return { json: { name: plan.name, tasks }, text: stateText(before, seen) };
      }
      const batch = batchOf(shell, plan, folder);
      if (cancel !== undefined) return await cancelled(batch, seen, cancel);
      const due = dueOf(before, sights, againFailed).filter((task) => only === undefined || task.id === only || taskName(task) === only);
      const count = workers ?? plan.workers;
      const place = on === 'slurm' ? await onCluster(shell, plan, due, bare, count) : onLocal(plan, due, count, workspace);
      if (options.dryRun) {
        const labels = new Map(plan.tasks.map((task) => [task.id, task.labels]));
        return await dryRun(batch, standingOf(before), sights, place, (id) => ({ labels: labels.get(id) }));
      }
      const handed = await handOver(shell, batch, place, sights, wait, () => openSweep(workspace, plan, at));
      if (handed.left) return handed.left;
      watched = handed.watched > 0;
    }
    const results = await readResults(shell, plan);
    const lines = sweepLines(plan, results);
    if (watched || write) await writeResults(workspace, plan, lines, await comparedRuns(shell, lines));
    const tasks = results.map(({ task, state, record }) => ({ task: task.id, labels: task.labels, state, run: record?.id ?? null }));
    const json = { name: plan.name, axes: plan.axes, tasks, lines };
    const forms = { text: sweepText, markdown: sweepMarkdown, csv: sweepCsv, json: () => JSON.stringify(json, null, 2) };
    const undone = results.filter(({ state }) => state !== 'done').length;
    return {
      json,
      text: forms[format](plan, lines),
      done: true,
      ...(undone > 0 && !resultsOnly ? { failure: `${undone} of ${results.length} tasks have no result: see ${path.join(folder, 'tasks')}.` } : {}),
    };
  },
});
