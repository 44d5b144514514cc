/** In whose hands a sweep's tasks are, for a process that did not start them: from the sweep's folder, and for a cluster by asking it. */
import path from 'node:path';
import { isLockHeld } from '../files/lock';
import { type Executor, isUnderWay, type Sight } from './executor';
import { askToEnd, readLocalState } from './local-state';
import { lastSubmission, slurmExecutor } from './slurm-executor';

export interface Hands {
  /** Where it was started last; null where that is not known. */
  readonly on: Executor['name'] | null;
  /** Tasks at a time on this machine. */
  readonly workers: number | null;
  /** The process that ran it on this machine is gone, with tasks left. */
  readonly isCutOff: boolean;
  readonly sights: ReadonlyMap<string, Sight>;
  /** What Slurm alone sees. */
  readonly there: ReadonlyMap<string, Sight>;
}

/** To ask a cluster and to cancel there; nothing is submitted by it. */
const slurmOf = (folder: string, cluster: string | undefined): Executor =>
  slurmExecutor({ name: path.basename(folder), folder, profile: { cluster }, program: [], parallel: undefined, memory: null, merge: [] });

/** What Slurm sees of every task that was ever handed to it. Throws FaultError where a submission's file can't be read. */
export async function slurmSights(folder: string): Promise<ReadonlyMap<string, Sight>> {
  const submitted = await lastSubmission(folder);
  return submitted === null ? new Map() : slurmOf(folder, submitted.cluster).states();
}

const none: ReadonlyMap<string, Sight> = new Map();

/** `askSlurm`: what Slurm sees, asked anew or known from a moment ago. Throws FaultError. */
export async function handsOf(folder: string, askSlurm: (folder: string) => Promise<ReadonlyMap<string, Sight>> = slurmSights): Promise<Hands> {
  const local = await readLocalState(folder);
  const submitted = await lastSubmission(folder);
  const isAlive = local !== null && [...local.sights.values()].some(isUnderWay) && (await isLockHeld(path.join(folder, '.lock')));
  // Of a process that is gone only what it saw to its end still holds.
  const here = [...(local?.sights ?? none)].filter(([, sight]) => isAlive || !isUnderWay(sight));
  const isLocal = local !== null && (submitted === null || local.since >= submitted.since);
  const there = submitted === null ? none : await askSlurm(folder);
  return {
    on: isLocal ? 'local' : submitted ? 'slurm' : null,
    workers: local?.workers ?? null,
    isCutOff: isLocal && here.length < local.sights.size,
    there,
    sights: new Map(isLocal ? [...[...there].filter(([id]) => isUnderWay(there.get(id)) || !local.sights.has(id)), ...here] : [...here, ...there]),
  };
}

/** Asks tasks, or all, to end in order, wherever they are. Throws FaultError. */
export async function cancelTasks(folder: string, ids?: readonly string[]): Promise<void> {
  const local = await readLocalState(folder);
  const isHere = (id: string) => isUnderWay(local?.sights.get(id));
  if (local && (await isLockHeld(path.join(folder, '.lock')))) {
    const here = (ids ?? [...local.sights.keys()]).filter(isHere);
    if (here.length > 0) await askToEnd(folder, ids === undefined ? undefined : here);
  }
  const submitted = await lastSubmission(folder);
  const there = ids?.filter((id) => !isHere(id));
  if (submitted && there?.length !== 0) await slurmOf(folder, submitted.cluster).cancel(there);
}
