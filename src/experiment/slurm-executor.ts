/** Tasks as job arrays of a Slurm cluster. Nothing stays behind here: `<sweep>/slurm/<n>/` holds every submission, for any later process to ask about. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import * as z from 'zod';
import { writeAtomic, writeJson } from '../files/atomic-write';
import { listFolder, makeFolder, removeFile } from '../files/folder';
import { readJson, readText } from '../files/read';
import { FaultError, fail, type Result, sentence, unwrap } from '../protocol/fault';
import { type Executor, isUnderWay, lastLine, pause, type Sight, shortestPollSeconds, type TaskCommand } from './executor';
import { openSlurm } from './slurm-commands';
import type { SlurmProfile } from './slurm-profile';
import { arrayScript, type Job, manifestText, mergeScript } from './slurm-script';

/** One array. `job` is null between writing and Slurm's answer; a process that was ended there left the job's unique name. */
const submissionSchema = z.object({
  name: z.string(),
  job: z.string().nullable(),
  cluster: z.string().nullable(),
  at: z.string(),
  tasks: z.array(z.string()),
  /** Of its tasks those that were asked to end: Slurm keeps no record of one that had not begun. */
  cancelled: z.array(z.string()).default([]),
});
type Submission = z.infer<typeof submissionSchema>;

export interface SlurmSweep {
  readonly name: string;
  /** Of the sweep, absolute and on a disk that the nodes share. */
  readonly folder: string;
  readonly profile: SlurmProfile;
  /** Starts this program on a node. */
  readonly program: readonly string[];
  /** Tasks at a time; undefined leaves it to Slurm. */
  readonly parallel: number | undefined;
  /** Bytes asked for a task; null asks for none. */
  readonly memory: number | null;
  /** The command that brings the results together once all have ended. */
  readonly merge: readonly string[];
  /** A task that is stopped begins anew: it is not asked to save its state near the time limit. */
  readonly startsOver?: boolean;
}

const submissionsFolder = (folder: string): string => path.join(folder, 'slurm');

/** What stands in a submission's folder. */
export interface SubmissionFiles {
  readonly folder: string;
  readonly name: string;
  readonly tasks: readonly TaskCommand[];
  readonly manifest: string;
  readonly array: string;
  readonly merge: string;
}

/** The files that a submission of these tasks has, at most `largest` in one array. The same in a dry run. */
export async function planSubmissions(sweep: SlurmSweep, tasks: readonly TaskCommand[], largest: number): Promise<SubmissionFiles[]> {
  const listed = await listFolder(submissionsFolder(sweep.folder));
  const first = Math.max(0, ...(listed.ok ? listed.value : []).map(({ name }) => Number(name) || 0)) + 1;
  const parts = Math.ceil(tasks.length / largest);
  // Arrays know nothing of one another: each gets its share of the throttle.
  const parallel = sweep.parallel === undefined ? undefined : Math.max(1, Math.floor(sweep.parallel / parts));
  return Array.from({ length: parts }, (_, part) => {
    const own = tasks.slice(part * largest, (part + 1) * largest);
    const folder = path.join(submissionsFolder(sweep.folder), String(first + part));
    const name = `uoe-${sweep.name.replace(/[^\w.-]+/g, '_')}-${createHash('sha256').update(folder).digest('hex').slice(0, 8)}`;
    const { profile, program, memory, startsOver = false } = sweep;
    const job: Job = { name, folder, profile, program, memory, startsOver };
    return { folder, name, tasks: own, manifest: manifestText(own), array: arrayScript(job, own.length, parallel), merge: mergeScript(job, sweep.merge) };
  });
}

/** Every submission so far with its folder, oldest first. Throws FaultError. */
async function submissions(folder: string): Promise<{ readonly at: string; readonly own: Submission }[]> {
  const listed = await listFolder(submissionsFolder(folder));
  if (!listed.ok && listed.fault.code === 'not-found') return [];
  const numbers = unwrap(listed)
    .map(({ name }) => name)
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(a) - Number(b));
  const found: { at: string; own: Submission }[] = [];
  for (const number of numbers) {
    const at = path.join(submissionsFolder(folder), number, 'submission.json');
    const read = await readJson(at);
    // A process ended before it wrote what it was about to submit.
    if (!read.ok && read.fault.code === 'not-found') continue;
    const parsed = submissionSchema.safeParse(unwrap(read));
    if (!parsed.success)
      throw new FaultError(fail('bad-file', `${at} is not a submission of a sweep.`, 'Move it away; its jobs are then Slurm’s alone.').fault);
    found.push({ at, own: parsed.data });
  }
  return found;
}

/** When and to which cluster something of the sweep was last handed to Slurm; null where nothing was. Throws FaultError. */
export async function lastSubmission(folder: string): Promise<{ readonly since: string; readonly cluster: string | undefined } | null> {
  const last = (await submissions(folder)).at(-1)?.own;
  return last ? { since: last.at, cluster: last.cluster ?? undefined } : null;
}

const defaultPollSeconds = 30;

/** The variable is for tests alone: a site's controller is not asked more often than the schema lets. */
function pollSeconds({ pollSeconds: own = defaultPollSeconds }: SlurmProfile): number {
  const faster = Number(process.env.UOE_SLURM_POLL_SECONDS);
  return faster > 0 ? faster : own;
}

/** Tasks that one array may have; a fault where there is no Slurm. */
export const largestArray = ({ cluster }: SlurmProfile): Promise<Result<number>> => openSlurm(cluster).largestArray();

export function slurmExecutor(sweep: SlurmSweep): Executor {
  const slurm = openSlurm(sweep.profile.cluster);
  const pollMs = pollSeconds(sweep.profile) * 1000;
  /** Asked again when one answer knew nothing of a task: Slurm's own books lag. */
  const unseen = new Set<string>();

  /** The job's number of a submission whose answer was lost, looked for by its name. */
  async function adopted({ at, own }: { readonly at: string; readonly own: Submission }): Promise<Submission> {
    if (own.job !== null) return own;
    const [job] = unwrap(await slurm.named(own.name));
    if (job === undefined) return own;
    const known = { ...own, job };
    unwrap(await writeJson(at, known));
    return known;
  }

  /** Of each task the newest submission: `job_index` by id. And those of them that were asked to end. */
  async function handedOver(): Promise<{ readonly jobs: Map<string, string>; readonly asked: ReadonlySet<string> }> {
    const jobs = new Map<string, string>();
    const asked = new Set<string>();
    for (const one of await submissions(sweep.folder)) {
      const { job, tasks, cancelled } = await adopted(one);
      tasks.forEach((id, index) => {
        if (job === null) return;
        jobs.set(id, `${job}_${index}`);
        if (cancelled.includes(id)) asked.add(id);
        else asked.delete(id);
      });
    }
    return { jobs, asked };
  }

  /** Writes down that these were asked to end, each in its newest submission. */
  async function noteCancelled(ids: ReadonlySet<string>): Promise<void> {
    const open = new Set(ids);
    for (const { at, own } of (await submissions(sweep.folder)).reverse()) {
      const found = own.tasks.filter((id) => open.delete(id));
      if (found.length > 0) unwrap(await writeJson(at, { ...own, cancelled: [...new Set([...own.cancelled, ...found])] }));
    }
  }

  async function look(): Promise<Map<string, Sight>> {
    let known: Awaited<ReturnType<typeof handedOver>>;
    try {
      known = await handedOver();
    } catch (error) {
      if (!(error instanceof FaultError) || error.fault.code === 'bad-file') throw error;
      const all = (await submissions(sweep.folder)).flatMap(({ own }) => own.tasks);
      return new Map(all.map((id) => [id, { at: 'unknown', why: sentence(error.fault) }]));
    }
    const { jobs, asked } = known;
    if (jobs.size === 0) return new Map();
    const { seen, unsure } = await slurm.look([...jobs.values()]);
    return new Map(
      [...jobs].map(([id, task]): [string, Sight] => {
        const sight = seen.get(task);
        if (sight) unseen.delete(task);
        else if (unsure === null && unseen.has(task)) return [id, asked.has(id) ? { at: 'ended', how: 'CANCELLED', where: '' } : { at: 'forgotten' }];
        else if (unsure === null) unseen.add(task);
        return [id, sight ?? { at: 'unknown', why: unsure ? sentence(unsure) : 'Slurm has not listed it yet.' }];
      }),
    );
  }

  return {
    name: 'slurm',
    async submit(tasks) {
      const jobs: string[] = [];
      const plans = await planSubmissions(sweep, tasks, unwrap(await slurm.largestArray()));
      for (const { folder, name, tasks: own, manifest, array, merge } of plans) {
        unwrap(await makeFolder(path.join(folder, 'logs')));
        unwrap(await writeAtomic(path.join(folder, 'manifest'), manifest));
        unwrap(await writeAtomic(path.join(folder, 'array.sh'), array));
        unwrap(await writeAtomic(path.join(folder, 'merge.sh'), merge));
        const at = path.join(folder, 'submission.json');
        const submission: Submission = {
          name,
          job: null,
          cluster: sweep.profile.cluster ?? null,
          at: new Date().toISOString(),
          tasks: own.map(({ id }) => id),
          cancelled: [],
        };
        unwrap(await writeJson(at, submission));
        const job = await slurm.submit(folder, 'array.sh');
        if (!job.ok) {
          // A refusal leaves nothing to look for; an answer that was only late does.
          const late = await slurm.named(name);
          if (late.ok && late.value.length === 0) unwrap(await removeFile(at));
        }
        jobs.push(unwrap(job));
        unwrap(await writeJson(at, { ...submission, job: jobs[jobs.length - 1] }));
      }
      unwrap(await slurm.submit(plans[plans.length - 1].folder, 'merge.sh', [`--dependency=afterany:${jobs.join(':')}`, '--kill-on-invalid-dep=yes']));
    },
    /** A task that one answer doesn't know is asked about once more before it counts as forgotten. */
    async states() {
      const before = new Set(unseen);
      const first = await look();
      if ([...unseen].every((task) => before.has(task))) return first;
      await pause(Math.min(pollMs, shortestPollSeconds * 1000));
      return look();
    },
    changed: (signal) => pause(pollMs * (0.9 + 0.2 * Math.random()), signal),
    async cancel(ids) {
      const { jobs } = await handedOver();
      const sights = await look();
      await noteCancelled(new Set((ids ?? [...jobs.keys()]).filter((id) => isUnderWay(sights.get(id)))));
      const chosen = ids === undefined ? [...jobs.values()] : ids.flatMap((id) => jobs.get(id) ?? []);
      const whole = ids === undefined ? [...new Set(chosen.map((task) => task.split('_')[0]))] : chosen;
      if (whole.length > 0) unwrap(await slurm.cancel(whole));
    },
    async collect({ log }) {
      const text = await readText(log);
      return text.ok ? lastLine(text.value) : '';
    },
  };
}
