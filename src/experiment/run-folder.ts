/** A new run's folder: it appears under its name with recipe.json and run.json in it, or not at all. */
import os from 'node:os';
import path from 'node:path';
import { version } from '../../package.json';
import { UNFINISHED, writeJson } from '../files/atomic-write';
import { kindOf, listFolder, makeFolder, makeNewFolder, removeFolder, renameDurably } from '../files/folder';
import { isLockHeld, waitForLock } from '../files/lock';
import { removeUnfinished } from '../files/unfinished';
import { FaultError, refuse, unwrap } from '../protocol/fault';
import type { RunRecord, SweepTaskId } from '../protocol/records';
import { backendInUse } from '../tensor/backend';
import { nextNumber, readHistory, runId, runsFolder, type StoredRun } from './history';
import type { OpenedRecipe } from './open-recipe';
import { dropState } from './resume';
import { diskReader } from './run-reader';

/** The record of a run that begins now. */
function firstRecord({ recipe }: OpenedRecipe, id: string, number: number, now: Date, sweep: SweepTaskId | undefined): RunRecord {
  const { name, threads } = backendInUse();
  return {
    id,
    number,
    status: 'running',
    method: recipe.method,
    model: recipe.model,
    target: { experts: [], train: recipe.train },
    steps: 0,
    plannedSteps: recipe.steps,
    keptStep: 0,
    startedAt: now.toISOString(),
    versions: { uoe: version, node: process.versions.node, tfjs: '4.22.0' },
    backend: { name, threads },
    machine: { cpu: os.cpus()[0]?.model ?? 'unknown', cores: os.availableParallelism(), memory: os.totalmem() },
    seconds: {},
    ...(sweep ? { sweep } : {}),
  };
}

/** A run that is gone on with is written to; a folder from a stranger may hold links to other places. Throws FaultError. */
export async function refuseLinks(run: string): Promise<void> {
  const link = unwrap(await listFolder(run)).find((entry) => entry.link);
  if (link)
    refuse(
      'bad-file',
      `${path.join(run, link.name)} is a symbolic link: going on with the run would write where it leads.`,
      'Replace it by a copy of what it names, or start a new run.',
    );
}

/** A process that is killed just when its run is done leaves the state to resume from, several times the size of what was trained. */
async function dropLeftStates(runs: readonly StoredRun[]): Promise<void> {
  for (const { folder, record } of runs) {
    if (record.status !== 'done' && record.status !== 'stopped' && !record.discarded) continue;
    const there = await kindOf(path.join(folder, 'resume'));
    // Of those whose process still does it itself none is waited for, and a disk that refuses is no fault of the run that begins.
    if (there.ok && there.value === 'folder' && !(await isLockHeld(path.join(folder, '.lock')))) await dropState(folder).catch(() => undefined);
  }
}

/** `<workspace>/.uoe/runs/<id>/` with the resolved recipe and the first record. Throws FaultError; then no folder is left. */
export async function createRunFolder(
  opened: OpenedRecipe,
  workspace: string,
  sweep?: SweepTaskId,
): Promise<{ readonly run: string; readonly record: RunRecord }> {
  const root = runsFolder(workspace);
  unwrap(await makeFolder(root));
  // Two runs that start at once take turns: each needs the other's number and name.
  const lock = unwrap(await waitForLock(path.join(root, '.lock'), root));
  try {
    unwrap(await removeUnfinished(root));
    const history = await readHistory(diskReader, workspace);
    if (history.unread && history.broken.some(({ folder }) => folder === root)) throw new FaultError(history.unread);
    await dropLeftStates(history.runs);
    const taken = new Set([...history.runs, ...history.broken].map(({ folder }) => path.basename(folder)));
    const now = new Date();
    const id = runId(now, opened.recipe.method, taken);
    const record = firstRecord(
      opened,
      id,
      nextNumber(
        history.runs.map((stored) => stored.record),
        taken.size,
      ),
      now,
      sweep,
    );
    const aside = path.join(root, `.${id}${UNFINISHED}`);
    const run = path.join(root, id);
    try {
      unwrap(await makeNewFolder(aside));
      unwrap(await writeJson(path.join(aside, 'recipe.json'), opened.recipe));
      unwrap(await writeJson(path.join(aside, 'run.json'), record));
      unwrap(await renameDurably(aside, run));
    } catch (error) {
      await removeFolder(aside);
      throw error;
    }
    return { run, record };
  } finally {
    await lock.release();
  }
}
