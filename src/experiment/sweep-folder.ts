/** `<workspace>/.uoe/sweeps/<name>/`: the manifest of a sweep and the recipe of each task, for whatever executes them. */
import path from 'node:path';
import { writeAtomic, writeJson } from '../files/atomic-write';
import { exists, makeFolder, realPath } from '../files/folder';
import { type Lock, takeLock } from '../files/lock';
import { readJson } from '../files/read';
import { removeUnfinished } from '../files/unfinished';
import type { RunTable } from '../protocol/comparison-view';
import { refuse, unwrap } from '../protocol/fault';
import { scatterSvg } from './scatter-svg';
import type { Sweep, SweepTask } from './sweep-plan';
import { type SweepLine, sweepCsv, sweepMarkdown } from './sweep-results';

export const sweepFolder = (workspace: string, name: string): string => path.join(workspace, '.uoe', 'sweeps', name);

export const taskRecipe = (folder: string, { id }: Pick<SweepTask, 'id'>): string => path.join(folder, 'tasks', `${id}.uoe.json`);
export const taskLog = (folder: string, { id }: Pick<SweepTask, 'id'>): string => path.join(folder, 'tasks', `${id}.log`);

/** The file itself, whatever links lead to it. */
async function placeOf(file: string): Promise<string> {
  const real = await realPath(file);
  return real.ok ? real.value : file;
}

/** A sweep is called what its file is called: of two such files in a workspace the first one has the folder, for as long as it is there. Throws FaultError. */
export async function refuseNamesake(workspace: string, { name }: Pick<Sweep, 'name'>, file: string): Promise<void> {
  const read = await readJson(path.join(sweepFolder(workspace, name), 'sweep.json'));
  const first = read.ok ? (read.value as { readonly file?: unknown } | null)?.file : undefined;
  if (typeof first !== 'string' || (await placeOf(first)) === (await placeOf(file)) || !unwrap(await exists(first))) return;
  refuse('conflict', `Another file has the sweep ${name} of this workspace: ${first}.`, 'Give one of the two files another name.');
}

/** Writes the sweep as it stands now; a task's file is the same each time. Nobody else runs it until the lock is given back. Throws FaultError. */
export async function openSweep(workspace: string, sweep: Sweep, file: string): Promise<Lock> {
  const folder = sweepFolder(workspace, sweep.name);
  unwrap(await makeFolder(path.join(folder, 'tasks')));
  const lock = unwrap(await takeLock(path.join(folder, '.lock'), `Sweep ${sweep.name}`));
  try {
    for (const own of [folder, path.join(folder, 'tasks')]) unwrap(await removeUnfinished(own));
    for (const task of sweep.tasks) unwrap(await writeJson(taskRecipe(folder, task), task.recipe));
    const tasks = sweep.tasks.map((task) => ({ id: task.id, labels: task.labels, recipe: path.relative(folder, taskRecipe(folder, task)) }));
    unwrap(await writeJson(path.join(folder, 'sweep.json'), { name: sweep.name, file, axes: sweep.axes, tasks }));
    return lock;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** The table as it stands, beside the manifest, and its scatter where runs have both figures. Throws FaultError. */
export async function writeResults(workspace: string, sweep: Sweep, lines: readonly SweepLine[], runs: RunTable): Promise<void> {
  const folder = sweepFolder(workspace, sweep.name);
  unwrap(await makeFolder(folder));
  unwrap(await writeAtomic(path.join(folder, 'results.md'), `${sweepMarkdown(sweep, lines).trimEnd()}\n`));
  unwrap(await writeAtomic(path.join(folder, 'results.csv'), sweepCsv(sweep, lines)));
  const scatter = scatterSvg(runs, `Sweep ${sweep.name}: utility against forgetting`);
  if (scatter !== null) unwrap(await writeAtomic(path.join(folder, 'results.svg'), scatter));
}
