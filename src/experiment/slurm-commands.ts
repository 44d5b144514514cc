/** Slurm's commands, read as text: the same on all its versions. One call for all arrays, never one for each task. */
import { type Ended, runProgram } from '../files/programs';
import { type Fault, fail, ok, type Result } from '../protocol/fault';
import type { Sight } from './executor';

const patienceSeconds = 60;
/** Characters of an answer: those of every task of the largest sweep. */
const kept = 2 ** 26;

/** Users' own settings of formats and filters stay away. */
const environment = (): Record<string, string | undefined> => ({
  ...Object.fromEntries(Object.keys(process.env).flatMap((name) => (/^(SQUEUE|SACCT|SCANCEL)_/.test(name) ? [[name, undefined]] : []))),
  LC_ALL: 'C',
});

const say = (command: string, args: readonly string[], folder?: string): Promise<Ended> =>
  runProgram(command, args, { environment: environment(), limit: patienceSeconds, kept, ...(folder === undefined ? {} : { folder }) });

const missing = (command: string) =>
  fail(
    'unsupported',
    `Slurm is not here: there is no ${command} on the path.`,
    'Run this on a login node of the cluster, or run the tasks on this machine with --on local.',
  );

const firstLine = ({ code, errors, out }: Ended, command: string): string =>
  (errors.trim() || out.trim()).split('\n')[0] || (code === null ? `${command} gave no answer in ${patienceSeconds} s` : `${command} ended with ${code}`);

const refused = (said: Ended, command: string): Result<never> =>
  said.absent
    ? missing(command)
    : fail('conflict', `Slurm did not do it: ${firstLine(said, command)}.`, 'Look at the "slurm" settings of the sweep, and ask "sinfo" what there is.');

/** A job as sbatch, squeue and scancel take it. */
export interface Slurm {
  /** Submits a script that lies in `folder`, which is where the job begins; gives the job's number. */
  submit(folder: string, script: string, options?: readonly string[]): Promise<Result<string>>;
  cancel(jobs: readonly string[]): Promise<Result<void>>;
  /** What is seen of each array task, by `job_index`; one that is in no answer is left out. `unsure`: why Slurm gave none. */
  look(tasks: readonly string[]): Promise<{ readonly seen: ReadonlyMap<string, Sight>; readonly unsure: Fault | null }>;
  /** Jobs of this name that are queued or running. */
  named(name: string): Promise<Result<readonly string[]>>;
  /** Tasks that one array may have: Slurm's MaxArraySize. */
  largestArray(): Promise<Result<number>>;
}

const queued = ['PENDING', 'CONFIGURING', 'REQUEUED', 'REQUEUE_HOLD', 'REQUEUE_FED', 'SPECIAL_EXIT', 'RESV_DEL_HOLD'];
const ended = [
  ...['COMPLETED', 'FAILED', 'CANCELLED', 'TIMEOUT', 'NODE_FAIL', 'OUT_OF_MEMORY', 'PREEMPTED', 'BOOT_FAIL', 'DEADLINE', 'REVOKED'],
  ...['LAUNCH_FAILED', 'RECONFIG_FAIL'],
];

/** `CANCELLED by 1000` and `CANCELLED+` are CANCELLED; what isn't known counts as under way. */
export function sightOf(state: string, reason: string, node: string): Sight {
  const [name] = /^[A-Z_]+/.exec(state) ?? [''];
  if (ended.includes(name)) return { at: 'ended', how: name, where: node };
  if (queued.includes(name)) return { at: 'queued', why: reason };
  return { at: 'running', where: node };
}

/** `12|3|RUNNING|None|node1` */
export function readQueue(text: string): Map<string, Sight> {
  const rows = [...text.matchAll(/^(\d+)\|(\d+)\|([A-Z_]+)\|(.*)\|(.*)$/gm)];
  return new Map(rows.map(([, job, index, state, reason, node]) => [`${job}_${index}`, sightOf(state, reason, node)]));
}

/** `[0,2-3%2]` is 0, 2, 3; what Slurm cut off with dots is left out. */
const indices = (text: string): number[] =>
  [...text.matchAll(/(?<=[[,])(\d+)(?:-(\d+))?(?=[\],%])/g)].flatMap(([, first, last = first]) =>
    Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i),
  );

/** `12_3|FAILED|3:0|node1`, and `12_[0,2-3]|CANCELLED by 0|0:0|None assigned` for those that never began; rows that have no index yet say nothing. */
export function readAccounting(text: string): Map<string, Sight> {
  const rows = [...text.matchAll(/^(\d+)_(\d+|\[[^|]*\])\|([A-Z_]+)[^|]*\|(\d+):(\d+)\|(.*)$/gm)];
  return new Map(
    rows.flatMap(([, job, own, state, code, , node]) => {
      const sight = sightOf(state, '', node === 'None assigned' ? '' : node);
      const ended: Sight = sight.at === 'ended' && code !== '0' ? { ...sight, how: `${sight.how}, exit ${code}` } : sight;
      // What is to begin stands in the queue, or is a leftover of the books.
      const known = !own.startsWith('[') ? [Number(own)] : sight.at === 'ended' ? indices(own) : [];
      return known.map((index): [string, Sight] => [`${job}_${index}`, ended]);
    }),
  );
}

/** `cluster`: -M, on every command. */
export function openSlurm(cluster: string | undefined): Slurm {
  const on = cluster === undefined ? [] : ['-M', cluster];
  return {
    async submit(folder, script, options = []) {
      const said = await say('sbatch', ['--parsable', ...on, ...options, script], folder);
      const [, job] = /^(\d+)(;|\s|$)/.exec(said.out.trim()) ?? [];
      return said.code === 0 && job !== undefined ? ok(job) : refused(said, 'sbatch');
    },
    async cancel(jobs) {
      const said = await say('scancel', [...on, ...jobs]);
      // One that has ended by then is no fault.
      return said.code === 0 || /Invalid job id|already/i.test(said.errors) ? ok(undefined) : refused(said, 'scancel');
    },
    async look(tasks) {
      const jobs = [...new Set(tasks.map((task) => task.split('_')[0]))].join(',');
      const queue = await say('squeue', [...on, '-h', '-r', '-t', 'all', '-j', jobs, '-o', '%F|%K|%T|%r|%N']);
      // A single number that Slurm has forgotten is an error to squeue, and no error here.
      const isForgotten = /Invalid job id/i.test(queue.errors);
      const sights = readQueue(queue.out);
      if (queue.code !== 0 && !isForgotten) {
        const { fault } = queue.absent ? missing('squeue') : fail('conflict', `Slurm can't be asked: ${firstLine(queue, 'squeue')}.`);
        return { seen: sights, unsure: fault };
      }
      if (tasks.every((task) => sights.has(task))) return { seen: sights, unsure: null };
      const accounting = await say('sacct', [...on, '-X', '-n', '-P', '-j', jobs, '--format=JobID,State,ExitCode,NodeList']);
      // A site may have no accounting: then what left the queue is forgotten.
      const seen = accounting.code === 0 ? new Map([...readAccounting(accounting.out), ...sights]) : sights;
      return { seen, unsure: null };
    },
    async named(name) {
      const said = await say('squeue', [...on, '-h', '-t', 'all', '-n', name, '-o', '%F']);
      return said.code === 0 ? ok([...new Set(said.out.match(/^\d+$/gm) ?? [])]) : refused(said, 'squeue');
    },
    async largestArray() {
      const said = await say('scontrol', [...on, 'show', 'config']);
      const [, most] = /^MaxArraySize\s*=\s*(\d+)/m.exec(said.out) ?? [];
      if (said.code !== 0) return refused(said, 'scontrol');
      // Indices begin at 0 and stay below it; at 0 there are no arrays.
      return most === '0'
        ? fail('unsupported', 'Slurm takes no job arrays here (MaxArraySize is 0).', 'Ask the site, or run the tasks on this machine with --on local.')
        : ok(Number(most ?? 1001));
    },
  };
}
