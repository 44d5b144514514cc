import path from 'node:path';
import { Option } from 'commander';
import { openSweep, sweepFolder, taskLog, taskRecipe } from '../../experiment/sweep-folder';
import { planSweep, type Sweep, type SweepTask, taskName } from '../../experiment/sweep-plan';
import { sweepCsv, sweepLines, sweepMarkdown, sweepText, type TaskResult, type TaskState, taskResults } from '../../experiment/sweep-results';
import { readJson } from '../../files/read';
import { refuse, unwrap } from '../../protocol/fault';
import { duration, fraction } from '../../protocol/numbers';
import { resolveRecipe } from '../../protocol/recipe';
import { runLocally, type TaskCommand, threadsEach } from '../local-executor';
import { whole } from '../options';
import { type Shell, verb } from '../verb';

interface Own {
  readonly workers?: number;
  readonly dryRun?: boolean;
  readonly resultsOnly?: boolean;
  readonly againFailed?: boolean;
  readonly format?: 'text' | 'markdown' | 'csv' | 'json';
}

const readResults = async ({ request, workspace }: Shell, sweep: Sweep): Promise<TaskResult[]> =>
  taskResults(sweep, (await request('runs', { workspace })).runs);

/** What is still to be done, and how: begun from its recipe, or taken up where it was left. */
function commandsOf(results: readonly TaskResult[], sweep: Sweep, workers: number, workspace: string, againFailed: boolean): TaskCommand[] {
  const folder = sweepFolder(workspace, sweep.name);
  const begin = (task: SweepTask): string[] => [
    'unlearn',
    taskRecipe(folder, task),
    ...['--sweep', sweep.name, '--task', task.id],
    ...(task.recipe.threads === undefined ? ['--threads', String(threadsEach(workers))] : []),
    ...(task.recipe.memory === undefined && workers > 1 ? ['--memory', String(Math.floor(unwrap(resolveRecipe(task.recipe)).recipe.memory / workers))] : []),
  ];
  return results.flatMap(({ task, state, record }) => {
    if (state === 'done' || state === 'running' || (state === 'failed' && !againFailed)) return [];
    const own = state === 'unfinished' && record ? ['unlearn', '--resume', record.id] : begin(task);
    return [{ id: task.id, args: [...own, '--workspace', workspace, '--json'], log: taskLog(folder, task) }];
  });
}

/** One line when a task has ended. */
function endText(result: TaskResult | undefined, words: string): string {
  const { record } = result ?? {};
  if (!record || result?.state === 'waiting') return `did not start: ${words}`;
  const { summary } = record;
  const scores = [
    summary?.forget ? `forget ${fraction(summary.forget.after)}` : '',
    summary?.utility ? `utility ${fraction(summary.utility.after)}` : '',
  ].filter(Boolean);
  return [`run ${record.number} ${record.status}`, ...scores].join(', ');
}

async function execute(shell: Shell, sweep: Sweep, commands: readonly TaskCommand[], workers: number): Promise<void> {
  const { note, signal } = shell;
  const names = new Map(sweep.tasks.map((task) => [task.id, taskName(task)]));
  const began = performance.now();
  let ended = 0;
  await runLocally(process.argv[1], commands, workers, signal, {
    began: (id) => note(`${names.get(id)}: begins`),
    async ended({ id, lastWords }) {
      if (signal.aborted) return;
      ended++;
      const result = (await readResults(shell, sweep)).find(({ task }) => task.id === id);
      const left = ((performance.now() - began) / 1000 / ended) * (commands.length - ended);
      note(`${names.get(id)}: ${endText(result, lastWords)}; ${ended} of ${commands.length}${left > 1 ? `, about ${duration(left)} left` : ''}`);
    },
  });
  if (signal.aborted) refuse('cancelled', `The sweep was stopped after ${ended} of ${commands.length} tasks.`, 'The same command goes on with the rest.');
}

export const sweep = verb<[file: string], Own>({
  name: 'sweep',
  summary: 'Run the product of settings as independent runs; finished ones are not run again',
  arguments: [['<sweep>', 'sweep file: { "recipe": …, "vary": { "method": ["ga", "npo"], "seed": [0, 1, 2] } }']],
  options: [
    new Option('--workers <n>', 'runs at a time; they share cores and memory').argParser((text) => whole(1)(text)),
    new Option('--dry-run', 'say what would be run'),
    new Option('--results-only', 'the table of what is there, without running anything'),
    new Option('--again-failed', 'run failed tasks again'),
    new Option('--format <form>', 'form of the table (default: text)').choices(['text', 'markdown', 'csv', 'json']),
  ],
  example: 'uoe sweep methods.sweep.json --workers 2',
  async run(shell, [file], { workers, dryRun = false, resultsOnly = false, againFailed = false, format = 'text' }) {
    const at = path.resolve(file);
    const plan = unwrap(await planSweep(unwrap(await readJson(at)), at, readJson));
    const count = workers ?? plan.workers;
    const before = await readResults(shell, plan);
    const commands = commandsOf(before, plan, count, shell.workspace, againFailed);
    if (dryRun) {
      const due = new Set(commands.map(({ id }) => id));
      const list = before.map(({ task, state }) => ({ task: task.id, labels: task.labels, state, run: due.has(task.id) }));
      const doing = (state: TaskState, run: boolean) => (!run ? 'skip  ' : state === 'unfinished' ? 'resume' : 'run   ');
      const text = [
        ...list.map(({ labels, state, run }) => `${doing(state, run)}  ${taskName({ labels })}${run ? '' : ` (${state})`}`),
        `${commands.length} of ${list.length} tasks, ${count} at a time.`,
      ];
      return { json: { name: plan.name, workers: count, tasks: list }, text: text.join('\n') };
    }
    if (!resultsOnly && commands.length > 0) {
      const lock = await openSweep(shell.workspace, plan, at);
      try {
        await execute(shell, plan, commands, count);
      } finally {
        await lock.release();
      }
    }
    const results = await readResults(shell, plan);
    const lines = sweepLines(plan, results);
    const tasks = results.map(({ task, state, record }) => ({ task: task.id, labels: task.labels, state, run: record?.id ?? null }));
    const json = { name: plan.name, axes: plan.axes, tasks, lines };
    const forms = { text: sweepText, markdown: sweepMarkdown, csv: sweepCsv, json: () => JSON.stringify(json, null, 2) };
    const undone = results.filter(({ state }) => state !== 'done').length;
    return {
      json,
      text: forms[format](plan, lines),
      done: true,
      ...(undone > 0 && !resultsOnly
        ? { failure: `${undone} of ${results.length} tasks have no result: see ${path.join(sweepFolder(shell.workspace, plan.name), 'tasks')}.` }
        : {}),
    };
  },
});
