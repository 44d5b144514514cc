/** The sweeps of a workspace, for whoever did not start them. Reads folders; asks a cluster only through `askSlurm`. */
import path from 'node:path';
import * as z from 'zod';
import { listFolder } from '../files/folder';
import { readJson } from '../files/read';
import { FaultError } from '../protocol/fault';
import type { RunRecord } from '../protocol/records';
import type { SweepPage, SweepView } from '../protocol/sweep-view';
import { tableOf } from './comparison';
import { knownRuns } from './comparison-runs';
import type { Sight } from './executor';
import { diskReader } from './run-reader';
import { runsFolder } from './runs-folder';
import { lastStep } from './saved-step';
import { sweepFolder } from './sweep-folder';
import { type Hands, handsOf } from './sweep-hands';
import { taskResult } from './sweep-results';
import { manifestsOfRuns, type SweepManifest, sweepPage, sweepView } from './sweep-view';

const manifestSchema = z.object({
  file: z.string().nullable().catch(null),
  axes: z.array(z.string()),
  tasks: z.array(z.object({ id: z.string().regex(/^[\w-]+$/), labels: z.record(z.string(), z.string()) })),
});

/** A sweep is called what its folder is called. Null where there is none that can be read. */
async function readManifest(folder: string): Promise<SweepManifest | null> {
  const read = await readJson(path.join(folder, 'sweep.json'));
  const parsed = read.ok ? manifestSchema.safeParse(read.value) : null;
  return parsed?.success ? { name: path.basename(folder), ...parsed.data } : null;
}

const nobody: Hands = { on: null, workers: null, isCutOff: false, sights: new Map(), there: new Map() };

/** By name. `history`: the runs as they are known at the time. */
export async function readSweeps(
  workspace: string,
  history: () => readonly RunRecord[],
  askSlurm: (folder: string) => Promise<ReadonlyMap<string, Sight>>,
): Promise<SweepView[]> {
  const listed = await listFolder(path.dirname(sweepFolder(workspace, 'any')));
  const folders = (listed.ok ? listed.value : [])
    .filter(({ kind, name }) => kind === 'folder' && !name.startsWith('.'))
    .map(({ name }) => sweepFolder(workspace, name));
  const manifests = (await Promise.all(folders.map(readManifest))).filter((manifest) => manifest !== null);
  const handsBy = new Map<string, Hands>();
  for (const { name, tasks } of manifests) {
    const isOpen = tasks.some(({ id }) => taskResult(name, id, history()).state !== 'done');
    // A folder that can't be looked at now hides what an executor sees, not what the runs say.
    handsBy.set(name, await handsOf(sweepFolder(workspace, name), isOpen ? askSlurm : nothingToAsk).catch(faultsAside));
  }
  // After all that was asked: what has ended since is in the history by then.
  const records = history();
  const orphans = manifestsOfRuns(records, new Set(manifests.map(({ name }) => name)));
  const running = records.filter(({ status, sweep }) => status === 'running' && sweep !== undefined);
  const steps = new Map<string, number>();
  for (const { id } of running) {
    const step = await lastStep(path.join(runsFolder(workspace), id));
    if (step !== null) steps.set(id, step);
  }
  return [...manifests, ...orphans]
    .map((manifest) => sweepView(manifest, records, handsBy.get(manifest.name) ?? nobody, steps))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

const nothingToAsk = async (): Promise<ReadonlyMap<string, Sight>> => new Map();

function faultsAside(error: unknown): Hands {
  if (error instanceof FaultError) return nobody;
  throw error;
}

const known = knownRuns(diskReader);

/** The page of one sweep. Throws FaultError where the folder of all runs can't be listed. */
export async function readSweepPage(workspace: string, view: SweepView, records: readonly RunRecord[]): Promise<SweepPage> {
  const manifest = (await readManifest(sweepFolder(workspace, view.name))) ?? manifestsOfRuns(records, new Set()).find(({ name }) => name === view.name);
  const own = new Set(view.tasks.flatMap(({ kind, run }) => (kind === 'done' && run !== null ? [run] : [])));
  const { rows } = await known.table(runsFolder(workspace));
  const table = tableOf(rows.filter(({ id }) => own.has(id)));
  return sweepPage(view, manifest ?? { name: view.name, file: null, axes: [], tasks: [] }, records, table);
}
