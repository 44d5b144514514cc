import path from 'node:path';
import { Option } from 'commander';
import { type Executor, isUnderWay, type Sight, type TaskCommand } from '../../experiment/executor';
import { localExecutor, threadsEach } from '../../experiment/local-executor';
import { largestArray, planSubmissions, type SlurmSweep, slurmExecutor } from '../../experiment/slurm-executor';
import { type SlurmProfile, slurmProfileSchema, withSite } from '../../experiment/slurm-profile';
import { openSweep, sweepFolder, taskLog, taskRecipe, writeResults } from '../../experiment/sweep-folder';
import { cancelTasks, handsOf } from '../../experiment/sweep-hands';
import { planSweep, type Sweep, type SweepTask, taskName } from '../../experiment/sweep-plan';
import { sweepCsv, sweepLines, sweepMarkdown, sweepText, type TaskResult, type TaskState, taskResults } from '../../experiment/sweep-results';
import { textTable } from '../../experiment/table';
import { taskWords } from '../../experiment/task-words';
import { parseJson, readJson } from '../../files/read';
import { refuse, unwrap } from '../../protocol/fault';
import { duration, fraction } from '../../protocol/numbers';
import { memoryBytes, resolveRecipe } from '../../protocol/recipe';
import { whole } from '../options';
import { type Shell, type Shown, verb } from '../verb';

interface Own {
  readonly on?: Executor['name'];
  readonly workers?: number;
  readonly dryRun?: boolean;
  readonly resultsOnly?: boolean;
  readonly write?: boolean;
  readonly state?: boolean;
  readonly cancel?: string | true;
  readonly wait: boolean;
  readonly againFailed?: boolean;
  readonly only?: string;
  readonly site?: string;
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

/** A plan is no bound to the byte, and a process begins larger on one day than on another. */
const roomBesidePlan = (peak: number): number => Math.ceil((peak * 1.25) / 2 ** 26) * 2 ** 26 + 2 ** 28;
/** What a job asks for over what its run may hold. */
const overBudget = 1.1;

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
      const { memory } = await request('planRun', { recipe: task.recipe, folder: process.cwd() });
      known.set(keyOf(task), Math.min(budget, roomBesidePlan(memory.peakBytes)));
    }
  }
  return (task) => known.get(keyOf(task)) ?? budgetOf(task);
}

/** Where the tasks run, and their commands there. */
interface Place {
  readonly executor: Executor;
  readonly commands: readonly TaskCommand[];
  readonly slurm: SlurmSweep | null;
}

function onLocal(sweep: Sweep, due: readonly SweepTask[], workers: number, workspace: string): Place {
  const share = (task: SweepTask) => (workers > 1 ? budgetOf(task) / workers : null);
  const commands = commandsOf(due, sweep, workspace, { threads: threadsEach(workers), memory: share });
  return { executor: localExecutor(process.argv[1], workers, sweepFolder(workspace, sweep.name)), commands, slurm: null };
}

/** Without its memory: to ask and to cancel. */
function slurmSweep(sweep: Sweep, file: string, workspace: string, parallel: number | undefined): SlurmSweep {
  return {
    name: sweep.name,
    folder: sweepFolder(workspace, sweep.name),
    profile: sweep.slurm,
    // VS Code's own program is Node only when it is told to be, and jobs get no environment.
    program: [...(process.versions.electron ? ['env', 'ELECTRON_RUN_AS_NODE=1'] : []), process.execPath, path.resolve(process.argv[1])],
    parallel: parallel ?? sweep.slurm.parallel,
    memory: null,
    merge: ['sweep', file, '--results-only', '--write', '--workspace', workspace],
  };
}

async function onSlurm(shell: Shell, sweep: Sweep, due: readonly SweepTask[], bare: SlurmSweep): Promise<Place> {
  const { memory: wanted = 'plan', cpus = 1 } = sweep.slurm;
  const asked = wanted === 'plan' || wanted === 'none' ? null : unwrap(memoryBytes(wanted));
  const planned = wanted === 'plan' ? await plannedMemory(shell, due) : null;
  const memory = (task: SweepTask) => (asked === null ? (planned?.(task) ?? null) : asked / overBudget);
  const largest = planned ? Math.max(...due.map(planned)) * overBudget : asked;
  const slurm = { ...bare, memory: due.length === 0 ? null : largest };
  return { executor: slurmExecutor(slurm), commands: commandsOf(due, sweep, shell.workspace, { threads: cpus, memory }), slurm };
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

/** Tells what becomes of the tasks in hand until none is left there. A cancel ends processes of this machine; jobs of a cluster go on. */
async function watch(shell: Shell, sweep: Sweep, executor: Executor, hands: readonly string[]): Promise<void> {
  const { note, signal, workspace } = shell;
  const tasks = new Map(sweep.tasks.map((task) => [task.id, task]));
  const began = performance.now();
  const told = new Map<string, string>();
  const open = new Set(hands);
  const isLocal = executor.name === 'local';
  let isStopping = false;
  const ended = () => hands.length - open.size;
  const stop = () => {
    isStopping = true;
    return executor.cancel();
  };
  const tell = (id: string, words: string) => {
    if (told.get(id) === words) return;
    told.set(id, words);
    const task = tasks.get(id);
    if (task) note(`${taskName(task)}: ${words}`);
  };
  let counted = 0;
  while (open.size > 0) {
    if (signal.aborted && !isLocal) break;
    if (signal.aborted && !isStopping) await stop();
    const sights = await executor.states();
    const isOver = [...open].filter((id) => !isUnderWay(sights.get(id)));
    const results = new Map(
      (!signal.aborted && (isOver.length > 0 || !isLocal) ? await readResults(shell, sweep) : []).map((result) => [result.task.id, result]),
    );
    for (const id of hands.filter((own) => open.has(own))) {
      const sight = sights.get(id);
      const result = results.get(id);
      if (sight?.at === 'running' || (sight?.at === 'ended' && sight.where !== '')) if (!told.has(id)) tell(id, 'begins');
      if (!isLocal && result && isUnderWay(sight)) {
        const words = taskWords(result, sight);
        if (/never starts|^lost|not known/.test(words)) tell(id, words);
      }
    }
    for (const id of isOver) {
      open.delete(id);
      if (signal.aborted) continue;
      counted++;
      const task = tasks.get(id);
      const result = results.get(id);
      const said = task ? await executor.collect({ id, log: taskLog(sweepFolder(workspace, sweep.name), task) }) : '';
      const left = ((performance.now() - began) / 1000 / ended()) * open.size;
      const words = result && !isLocal && result.state !== 'done' ? taskWords(result, sights.get(id)) : endText(result, said);
      tell(
        id,
        `${words}${!isLocal && result?.state === 'waiting' && said ? `: ${said}` : ''}; ${ended()} of ${hands.length}${left > 1 ? `, about ${duration(left)} left` : ''}`,
      );
    }
    // What was asked to end is waited for.
    if (open.size > 0) await executor.changed(signal.aborted ? new AbortController().signal : signal);
  }
  if (!signal.aborted) return;
  const again = 'The same command goes on with the rest.';
  if (isLocal) refuse('cancelled', `The sweep was stopped after ${counted} of ${hands.length} tasks.`, again);
  refuse('cancelled', `Left the sweep after ${counted} of ${hands.length} tasks; its jobs go on.`, 'The same command watches them again; --cancel ends them.');
}

const doing = (state: TaskState, run: boolean) => (!run ? 'skip  ' : state === 'unfinished' ? 'resume' : 'run   ');

/** What would be run, and for a cluster the very files that would be submitted. */
async function dryRun(
  plan: Sweep,
  before: readonly TaskResult[],
  sights: ReadonlyMap<string, Sight>,
  { commands, slurm }: Place,
  workers: number,
): Promise<Shown> {
  const due = new Set(commands.map(({ id }) => id));
  const list = before.map(({ task, state }) => ({ task: task.id, labels: task.labels, state, run: due.has(task.id) }));
  const lines = before.map((result) => {
    const run = due.has(result.task.id);
    return `${doing(result.state, run)}  ${taskName(result.task)}${run ? '' : ` (${taskWords(result, sights.get(result.task.id))})`}`;
  });
  const json = { name: plan.name, workers, tasks: list };
  if (slurm === null || commands.length === 0)
    return { json, text: [...lines, `${commands.length} of ${list.length} tasks, ${workers} at a time.`].join('\n') };
  const here = await largestArray(slurm.profile);
  const submissions = await planSubmissions(slurm, commands, here.ok ? here.value : 1000);
  const files = submissions.flatMap(({ folder, manifest, array, merge }) =>
    Object.entries({ manifest, 'array.sh': array, 'table.sh': merge }).map(([name, content]) => `\n--- ${path.join(folder, name)}\n${content.trimEnd()}`),
  );
  const text = [
    ...lines,
    `${commands.length} of ${list.length} tasks in ${submissions.length === 1 ? 'one array' : `${submissions.length} arrays`}.`,
    ...files,
  ].join('\n');
  return { json: { ...json, submissions: submissions.map(({ folder, manifest, array, merge }) => ({ folder, manifest, array, table: merge })) }, text };
}

function stateText(results: readonly TaskResult[], sights: ReadonlyMap<string, Sight>): string {
  const columns = ['Task', 'Settings', 'Run', 'State'].map((title) => ({ title, align: 'left' as const }));
  const rows = results.map((result) => [result.task.id, taskName(result.task), result.record?.id ?? '–', taskWords(result, sights.get(result.task.id))]);
  return textTable(
    columns,
    rows.map((row) => row.map((text) => ({ text }))),
  );
}

async function cancelled({ tasks }: Sweep, folder: string, sights: ReadonlyMap<string, Sight>, what: string | true): Promise<Shown> {
  const named = tasks.filter((task) => what === true || task.id === what || taskName(task) === what);
  if (named.length === 0) refuse('usage', `The sweep has no task "${what}".`, 'List them with --state.');
  const live = named.filter(({ id }) => isUnderWay(sights.get(id)));
  if (live.length > 0) await cancelTasks(folder, what === true ? undefined : live.map(({ id }) => id));
  const text = live.length === 0 ? 'None of them is queued or running.' : `Asked ${live.length === 1 ? 'one task' : `${live.length} tasks`} to end.`;
  return { json: { cancelled: live.map(({ id }) => id) }, text, done: true };
}

/** A site's settings: a file, or the JSON itself. */
async function siteOf(text: string | undefined): Promise<SlurmProfile> {
  if (text === undefined) return {};
  const json = unwrap(text.trim().startsWith('{') ? parseJson(text, '--site') : await readJson(path.resolve(text)));
  const parsed = slurmProfileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return refuse('usage', `The site's settings: ${issue.path.join('.') || 'their content'}: ${issue.message}.`, 'They are those of "slurm" in a sweep file.');
}

export const sweep = verb<[file: string], Own>({
  name: 'sweep',
  summary: 'Run the product of settings as independent runs; finished ones are not run again',
  arguments: [['<sweep>', 'sweep file: { "recipe": …, "vary": { "method": ["ga", "npo"], "seed": [0, 1, 2] } }']],
  options: [
    new Option(
      '--on <where>',
      'what runs them: processes of this machine, or a Slurm cluster with the settings of "slurm" in the file (default: local)',
    ).choices(['local', 'slurm']),
    new Option('--workers <n>', 'runs at a time; on this machine they share cores and memory').argParser((text) => whole(1)(text)),
    new Option('--dry-run', 'say what would be run; for a cluster, show the very files that would be submitted'),
    new Option('--no-wait', 'submit to the cluster and leave; the same command watches again'),
    new Option('--state', 'what becomes of each task'),
    new Option('--cancel [task]', 'end one task by its id or settings, or all, wherever they run'),
    new Option('--only <task>', 'of what is to be done, this task by its id or settings'),
    new Option('--site <settings>', 'a site\'s settings of Slurm, as under "slurm" in the file: a JSON file, or the JSON itself; the sweep file\'s come first'),
    new Option('--results-only', 'the table of what is there, without running anything'),
    new Option('--write', 'with --results-only: also write the table beside the tasks').hideHelp(),
    new Option('--again-failed', 'run failed tasks again'),
    new Option('--format <form>', 'form of the table (default: text)').choices(['text', 'markdown', 'csv', 'json']),
  ],
  example: 'uoe sweep methods.sweep.json --workers 2\n  uoe sweep methods.sweep.json --on slurm --dry-run',
  async run(shell, [file], options) {
    const { on, workers, resultsOnly = false, write = false, cancel, wait, againFailed = false, only, format = 'text' } = options;
    const at = path.resolve(file);
    const { workspace, note } = shell;
    const planned = unwrap(await planSweep(unwrap(await readJson(at)), at, readJson));
    const plan = { ...planned, slurm: withSite(await siteOf(options.site), planned.slurm) };
    const folder = sweepFolder(workspace, plan.name);
    const before = await readResults(shell, plan);
    let watched = false;
    if (!resultsOnly) {
      if (on === 'slurm' && !options.dryRun) unwrap(await largestArray(plan.slurm));
      if (on === 'local' && !wait) refuse('usage', '--no-wait is for a cluster.', 'Runs of this machine end with this command.');
      const bare = slurmSweep(plan, at, workspace, workers);
      const { sights: seen, there: sights } = await handsOf(folder);
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
      if (cancel !== undefined) return await cancelled(plan, folder, seen, cancel);
      const due = dueOf(before, sights, againFailed).filter((task) => only === undefined || task.id === only || taskName(task) === only);
      const count = workers ?? plan.workers;
      const place = on === 'slurm' ? await onSlurm(shell, plan, due, bare) : onLocal(plan, due, count, workspace);
      if (options.dryRun) return await dryRun(plan, before, sights, place, count);
      const { executor, commands } = place;
      if (commands.length > 0) {
        const lock = await openSweep(workspace, plan, at);
        try {
          await executor.submit(commands);
          if (on === 'slurm') note(`Submitted ${commands.length} of ${plan.tasks.length} tasks to Slurm.`);
          else
            await watch(
              shell,
              plan,
              executor,
              commands.map(({ id }) => id),
            );
        } finally {
          await lock.release();
        }
        watched = true;
      }
      if (on === 'slurm') {
        const hands = plan.tasks.map(({ id }) => id).filter((id) => isUnderWay(sights.get(id)) || commands.some((own) => own.id === id));
        if (!wait)
          return {
            json: { name: plan.name, submitted: commands.map(({ id }) => id), underWay: hands },
            text: `${hands.length} tasks are in Slurm's hands.`,
            done: true,
          };
        await watch(shell, plan, executor, hands);
        watched ||= hands.length > 0;
      }
    }
    const results = await readResults(shell, plan);
    const lines = sweepLines(plan, results);
    if (watched || write) await writeResults(workspace, plan, lines);
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
