/**
 * What the process that carries out a sweep on this machine tells others, and hears from them: files in the sweep's folder, so that neither needs
 * the other to be alive. Whether that process still lives is what the sweep's lock says.
 */
import path from 'node:path';
import * as z from 'zod';
import { writeAtomic, writeJson } from '../files/atomic-write';
import { listFolder, makeFolder, removeFile } from '../files/folder';
import { readJson } from '../files/read';
import { unwrap } from '../protocol/fault';
import type { Sight } from './executor';

const sight = z.discriminatedUnion('at', [
  z.object({ at: z.literal('queued'), why: z.string() }),
  z.object({ at: z.literal('running'), where: z.string() }),
  z.object({ at: z.literal('ended'), how: z.string(), where: z.string() }),
]);
const stateSchema = z.object({ since: z.string(), workers: z.int().min(1), tasks: z.record(z.string(), sight) });

export interface LocalState {
  /** When the sweep began here last, ISO 8601. */
  readonly since: string;
  readonly workers: number;
  readonly sights: ReadonlyMap<string, Sight>;
}

const stateFile = (folder: string): string => path.join(folder, 'local.json');
const cancelFolder = (folder: string): string => path.join(folder, 'cancel');
const everyTask = 'all';

/** Throws FaultError. */
export async function writeLocalState(folder: string, { since, workers, sights }: LocalState): Promise<void> {
  unwrap(await writeJson(stateFile(folder), { since, workers, tasks: Object.fromEntries(sights) }));
}

/** Null where the sweep never ran on this machine, or where its file can't be read. */
export async function readLocalState(folder: string): Promise<LocalState | null> {
  const read = await readJson(stateFile(folder));
  const parsed = read.ok ? stateSchema.safeParse(read.value) : null;
  if (!parsed?.success) return null;
  const { since, workers, tasks } = parsed.data;
  return { since, workers, sights: new Map(Object.entries(tasks)) };
}

/** Asks the process that runs the sweep to end these tasks, or all, in order; it looks every second. Throws FaultError. */
export async function askToEnd(folder: string, ids: readonly string[] = [everyTask]): Promise<void> {
  unwrap(await makeFolder(cancelFolder(folder)));
  for (const id of ids) unwrap(await writeAtomic(path.join(cancelFolder(folder), id), ''));
}

/** What was asked to end since the last look; undefined is all. */
export async function takeAsked(folder: string): Promise<readonly string[] | undefined> {
  const listed = await listFolder(cancelFolder(folder));
  const names = (listed.ok ? listed.value : []).map(({ name }) => name).filter((name) => /^[\w-]+$/.test(name));
  for (const name of names) await removeFile(path.join(cancelFolder(folder), name));
  return names.includes(everyTask) ? undefined : names;
}
