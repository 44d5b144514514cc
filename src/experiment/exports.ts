/** Exports under way, noted in the workspace: one that was cut short is told of at the next start. A folder under its final name is always whole. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { exportLock } from '../checkpoint/export-checkpoint';
import { writeJson } from '../files/atomic-write';
import { kindOf, listFolder, makeFolder, removeFile } from '../files/folder';
import { isLockHeld } from '../files/lock';
import { readJson } from '../files/read';

const noteSchema = z.object({ run: z.string(), to: z.string() });

const notesFolder = (workspace: string): string => path.join(workspace, '.uoe', 'exports');
const noteOf = (workspace: string, to: string): string =>
  path.join(notesFolder(workspace), `${createHash('sha256').update(to).digest('hex').slice(0, 16)}.json`);

/**
 * Notes that a run is being exported while `work` lasts; however that ends, only a killed process leaves the note. It lies in the workspace that the
 * run's folder is in; a folder elsewhere, or one that can't be written to, is exported without.
 */
export async function notedExport<T>(runFolder: string, to: string, work: () => Promise<T>): Promise<T> {
  const target = path.resolve(to);
  const uoe = path.dirname(path.dirname(runFolder));
  if (path.basename(uoe) !== '.uoe') return work();
  const workspace = path.dirname(uoe);
  const at = noteOf(workspace, target);
  if ((await makeFolder(notesFolder(workspace))).ok) await writeJson(at, { run: path.basename(runFolder), to: target });
  try {
    return await work();
  } finally {
    await removeFile(at);
  }
}

/** A sentence for each export whose process ended before it did. Never fails; what came to its end after all is forgotten. */
export async function cutExports(workspace: string): Promise<readonly string[]> {
  const listed = await listFolder(notesFolder(workspace));
  const sentences: string[] = [];
  for (const { name, kind } of listed.ok ? listed.value : []) {
    if (kind !== 'file' || !name.endsWith('.json')) continue;
    const at = path.join(notesFolder(workspace), name);
    const json = await readJson(at, 1 << 16);
    const note = json.ok ? noteSchema.safeParse(json.value) : null;
    if (!note?.success) continue;
    const { run, to } = note.data;
    if (await isLockHeld(exportLock(to))) continue;
    const inside = await kindOf(path.join(to, 'config.json'));
    if (inside.ok && inside.value === 'file') await removeFile(at);
    else sentences.push(`The export of run ${run} to ${to} was interrupted, nothing is under that name. Exporting there again clears up what it had written.`);
  }
  return sentences;
}
