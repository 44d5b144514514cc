/** Tasks that a verb hands to processes of this machine or to a cluster: its options, and what is told of them. Sweeps and readings in shards share it. */
import path from 'node:path';
import { Option } from 'commander';
import { type Executor, isUnderWay, type Sight, type TaskCommand } from '../experiment/executor';
import { largestArray, planSubmissions, type SlurmSweep, slurmExecutor } from '../experiment/slurm-executor';
import { type SlurmProfile, slurmProfileSchema } from '../experiment/slurm-profile';
import { cancelTasks } from '../experiment/sweep-hands';
import type { TaskState } from '../experiment/sweep-results';
import type { Lock } from '../files/lock';
import { parseJson, readJson } from '../files/read';
import { refuse, unwrap } from '../protocol/fault';
import { duration } from '../protocol/numbers';
import { whole } from './options';
import type { Shell, Shown } from './verb';

export interface WhereFlags {
  readonly on?: Executor['name'];
  readonly workers?: number;
  readonly dryRun?: boolean;
  readonly state?: boolean;
  readonly cancel?: string | true;
  readonly wait: boolean;
  readonly site?: string;
}

/** `tasks`: what they are, in the plural. `site`: where its settings stand besides, in words. */
export const whereOptions = (tasks: string, site: string): Option[] => [
  new Option('--on <where>', `what runs ${tasks}: processes of this machine, or a Slurm cluster (default: local)`).choices(['local', 'slurm']),
  new Option('--workers <n>', `${tasks} at a time; on this machine they share cores and memory`).argParser((text) => whole(1)(text)),
  new Option('--dry-run', 'say what would be run; for a cluster, show the very files that would be submitted'),
  new Option('--no-wait', 'submit to the cluster and leave; the same command watches again'),
  new Option('--state', `what becomes of the ${tasks}`),
  new Option('--cancel [task]', 'end one by its id or name, or all, wherever they run'),
  new Option('--site <settings>', `a site's settings of Slurm: a JSON file, or the JSON itself${site}`),
];

/** A site's settings: a file, or the JSON itself. */
export async function siteOf(text: string | undefined): Promise<SlurmProfile> {
  if (text === undefined) return {};
  const json = unwrap(text.trim().startsWith('{') ? parseJson(text, '--site') : await readJson(path.resolve(text)));
  const parsed = slurmProfileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return refuse('usage', `The site's settings: ${issue.path.join('.') || 'their content'}: ${issue.message}.`, 'They are those of "slurm" in a sweep file.');
}

/** What starts this program on a node. VS Code's own program is Node only when it is told to be, and jobs get no environment. */
export const programOnNode = (): readonly string[] => [
  ...(process.versions.electron ? ['env', 'ELECTRON_RUN_AS_NODE=1'] : []),
  process.execPath,
  path.resolve(process.argv[1]),
];

/** What a job asks for over what its task may hold. */
export const overBudget = 1.1;

/** How a task stands by its own files. */
export interface Standing {
  readonly state: TaskState;
  /** With what an executor sees of it, in a phrase. */
  words(sight: Sight | undefined): string;
  /** Once it has ended; `said`: its last line. */
  ended(said: string): string;
}

export interface Batch {
  /** `sweep`, and what it is of, `tasks`: in sentences. */
  readonly noun: string;
  readonly plural: string;
  readonly name: string;
  /** Absolute. */
  readonly folder: string;
  readonly tasks: readonly { readonly id: string; readonly name: string; readonly log: string }[];
  /** Of every task by id, read anew. */
  stand(): Promise<ReadonlyMap<string, Standing>>;
}

/** Where the tasks run, and the commands of those that are due. */
export interface Place {
  readonly executor: Executor;
  readonly commands: readonly TaskCommand[];
  /** Null on this machine. */
  readonly slurm: SlurmSweep | null;
  /** At a time. */
  readonly workers: number;
}

export const onSlurm = (slurm: SlurmSweep, commands: readonly TaskCommand[], workers: number): Place => ({
  ...{ executor: slurmExecutor(slurm), commands, slurm, workers },
});

/** Before anything is planned: what can't be asked for here. */
export async function checkWhere({ on, wait, dryRun }: WhereFlags, profile: SlurmProfile): Promise<void> {
  if (on !== 'slurm' && !wait) refuse('usage', '--no-wait is for a cluster.', 'What runs on this machine ends with this command.');
  if (on === 'slurm' && !dryRun) unwrap(await largestArray(profile));
}

/** Tells what becomes of the tasks in hand until none is left there. A cancel ends processes of this machine; jobs of a cluster go on. */
async function watch({ note, signal }: Shell, batch: Batch, executor: Executor, hands: readonly string[]): Promise<void> {
  const tasks = new Map(batch.tasks.map((task) => [task.id, task]));
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
    if (task) note(`${task.name}: ${words}`);
  };
  let counted = 0;
  while (open.size > 0) {
    if (signal.aborted && !isLocal) break;
    if (signal.aborted && !isStopping) await stop();
    const sights = await executor.states();
    const isOver = [...open].filter((id) => !isUnderWay(sights.get(id)));
    const standing: ReadonlyMap<string, Standing> = !signal.aborted && (isOver.length > 0 || !isLocal) ? await batch.stand() : new Map();
    for (const id of hands.filter((own) => open.has(own))) {
      const sight = sights.get(id);
      const own = standing.get(id);
      if (sight?.at === 'running' || (sight?.at === 'ended' && sight.where !== '')) if (!told.has(id)) tell(id, 'begins');
      if (!isLocal && own && isUnderWay(sight)) {
        const words = own.words(sight);
        if (/never starts|^lost|not known/.test(words)) tell(id, words);
      }
    }
    for (const id of isOver) {
      open.delete(id);
      if (signal.aborted) continue;
      counted++;
      const task = tasks.get(id);
      const own = standing.get(id);
      const said = task ? await executor.collect(task) : '';
      const left = ((performance.now() - began) / 1000 / ended()) * open.size;
      const words =
        own && (isLocal || own.state === 'done') ? own.ended(said) : `${own?.words(sights.get(id))}${own?.state === 'waiting' && said ? `: ${said}` : ''}`;
      tell(id, `${words}; ${ended()} of ${hands.length}${left > 1 ? `, about ${duration(left)} left` : ''}`);
    }
    // What was asked to end is waited for.
    if (open.size > 0) await executor.changed(signal.aborted ? new AbortController().signal : signal);
  }
  if (!signal.aborted) return;
  const again = 'The same command goes on with the rest.';
  const { noun, plural } = batch;
  if (isLocal) refuse('cancelled', `The ${noun} was stopped after ${counted} of ${hands.length} ${plural}.`, again);
  refuse(
    'cancelled',
    `Left the ${noun} after ${counted} of ${hands.length} ${plural}; its jobs go on.`,
    'The same command watches them again; --cancel ends them.',
  );
}

const doing = (state: TaskState, run: boolean) => (!run ? 'skip  ' : state === 'unfinished' ? 'resume' : 'run   ');

/** What would be run, and for a cluster the very files that would be submitted. `more`: what a verb's own JSON says of a task. */
export async function dryRun(
  { name, plural, tasks }: Batch,
  standing: ReadonlyMap<string, Standing>,
  sights: ReadonlyMap<string, Sight>,
  { commands, slurm, workers }: Place,
  more: (id: string) => object = () => ({}),
): Promise<Shown> {
  const due = new Set(commands.map(({ id }) => id));
  const stateOf = (id: string): TaskState => standing.get(id)?.state ?? 'waiting';
  const list = tasks.map(({ id }) => ({ task: id, ...more(id), state: stateOf(id), run: due.has(id) }));
  const lines = tasks.map(({ id, name: own }) => {
    const run = due.has(id);
    return `${doing(stateOf(id), run)}  ${own}${run ? '' : ` (${standing.get(id)?.words(sights.get(id))})`}`;
  });
  const json = { name, workers, tasks: list };
  if (slurm === null || commands.length === 0)
    return { json, text: [...lines, `${commands.length} of ${list.length} ${plural}, ${workers} at a time.`].join('\n') };
  const here = await largestArray(slurm.profile);
  const submissions = await planSubmissions(slurm, commands, here.ok ? here.value : 1000);
  const files = submissions.flatMap(({ folder, manifest, array, merge }) =>
    Object.entries({ manifest, 'array.sh': array, 'merge.sh': merge }).map(([file, content]) => `\n--- ${path.join(folder, file)}\n${content.trimEnd()}`),
  );
  const text = [
    ...lines,
    `${commands.length} of ${list.length} ${plural} in ${submissions.length === 1 ? 'one array' : `${submissions.length} arrays`}.`,
    ...files,
  ].join('\n');
  return { json: { ...json, submissions: submissions.map(({ folder, manifest, array, merge }) => ({ folder, manifest, array, merge })) }, text };
}

/** Asks one, or all, to end. */
export async function cancelled({ noun, folder, tasks }: Batch, sights: ReadonlyMap<string, Sight>, what: string | true): Promise<Shown> {
  const named = tasks.filter(({ id, name }) => what === true || id === what || name === what);
  if (named.length === 0) refuse('usage', `The ${noun} has no task "${what}".`, 'List them with --state.');
  const live = named.filter(({ id }) => isUnderWay(sights.get(id)));
  if (live.length > 0) await cancelTasks(folder, what === true ? undefined : live.map(({ id }) => id));
  const text = live.length === 0 ? 'None of them is queued or running.' : `Asked ${live.length === 1 ? 'one task' : `${live.length} tasks`} to end.`;
  return { json: { cancelled: live.map(({ id }) => id) }, text, done: true };
}

/**
 * Hands over what is due and watches all that is in hand. `sights`: what a cluster has of it already. `open`: takes the lock of the folder.
 * Gives what is shown where it is left to itself, else how many were watched.
 */
export async function handOver(
  shell: Shell,
  batch: Batch,
  { executor, commands, slurm }: Place,
  sights: ReadonlyMap<string, Sight>,
  wait: boolean,
  open: () => Promise<Lock>,
): Promise<{ readonly left: Shown | null; readonly watched: number }> {
  const due = commands.map(({ id }) => id);
  const { name, tasks, plural } = batch;
  if (due.length > 0) {
    const lock = await open();
    try {
      await executor.submit(commands);
      if (slurm) shell.note(`Submitted ${due.length} of ${tasks.length} ${plural} to Slurm.`);
      else await watch(shell, batch, executor, due);
    } finally {
      await lock.release();
    }
  }
  if (slurm === null) return { left: null, watched: due.length };
  const hands = tasks.map(({ id }) => id).filter((id) => isUnderWay(sights.get(id)) || due.includes(id));
  if (!wait) {
    const left: Shown = { json: { name, submitted: due, underWay: hands }, text: `${hands.length} ${plural} are in Slurm's hands.`, done: true };
    return { left, watched: 0 };
  }
  await watch(shell, batch, executor, hands);
  return { left: null, watched: hands.length };
}
