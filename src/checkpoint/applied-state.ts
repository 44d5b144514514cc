/** Whether a patch is applied in a checkpoint folder: told by `.uoe-original/` and the files in it (applyPatch.ts writes them). */
import path from 'node:path';
import { z } from 'zod';
import { fileStatus, kindOf, linkTarget } from '../files/folder';
import { isLockHeld } from '../files/lock';
import { readJson } from '../files/read';
import { fail, faultOf, ok, type Result, refuse, unwrap } from '../protocol/fault';

export const KEPT_FOLDER = '.uoe-original';
export const MANIFEST_NAME = 'manifest.json';
/** Held while a patch is applied or the original restored. */
export const lockOf = (folder: string): string => path.join(folder, '.uoe.lock');
/** Patched shards wait in this folder within KEPT_FOLDER until all are ready. */
export const NEW_FOLDER = 'new';

const manifestSchema = z.object({
  format: z.literal('uoe-original'),
  version: z.literal(1),
  appliedAt: z.string(),
  base: z.string(),
  units: z.array(z.string()),
  /** Whose result it is, in the words of whoever applied it. */
  source: z.string().optional(),
  /** Set when the way back has begun. */
  restoring: z.boolean(),
  shards: z.array(
    z.object({
      file: z.string().regex(/^(?!\.\.?$)[^/\\:]+$/),
      bytes: z.number(),
      original: z.string(),
      patched: z.string(),
      /** What the shard's symbolic link said, where it was one (the cache of huggingface_hub). */
      link: z.string().nullable(),
    }),
  ),
});
export type Manifest = z.infer<typeof manifestSchema>;

export type AppliedState =
  | { readonly state: 'none' }
  | { readonly state: 'applied'; readonly manifest: Manifest }
  /** Without a manifest nothing was touched yet. */
  | { readonly state: 'interrupted'; readonly manifest: Manifest | null; readonly content: 'original' | 'patched' | 'mixed' };

/** One file under two names: a rename between folders may have been cut in half. */
async function isSameFile(one: string, other: string): Promise<boolean> {
  const [first, second] = [unwrap(await fileStatus(one)), unwrap(await fileStatus(other))];
  return first.inode !== 0 && first.inode === second.inode && first.device === second.device;
}

/** Whether a shard in the folder is the patched one, by the steps of applyPatch and of the way back. */
async function isPatched(folder: string, { file, link }: Manifest['shards'][number]): Promise<boolean> {
  const [current, kept, waiting] = [path.join(folder, file), path.join(folder, KEPT_FOLDER, file), path.join(folder, KEPT_FOLDER, NEW_FOLDER, file)];
  const isThere = async (at: string) => unwrap(await kindOf(at)) !== 'absent';
  if (!(await isThere(current))) return true;
  if ((await isThere(waiting)) && !(await isSameFile(waiting, current))) return false;
  if (link !== null) return unwrap(await linkTarget(current)) === null;
  return (await isThere(kept)) && !(await isSameFile(kept, current));
}

/** Reads the state of a checkpoint folder. A manifest that can't be understood is a fault. */
export async function appliedState(folder: string): Promise<Result<AppliedState>> {
  try {
    const kept = path.join(folder, KEPT_FOLDER);
    if (unwrap(await kindOf(kept)) === 'absent') return ok({ state: 'none' });
    const at = path.join(kept, MANIFEST_NAME);
    if (unwrap(await kindOf(at)) === 'absent') return ok({ state: 'interrupted', manifest: null, content: 'original' });
    const parsed = manifestSchema.safeParse(unwrap(await readJson(at)));
    if (!parsed.success) return fail('bad-file', `${at} is not a manifest of UOE.`, `The originals lie beside it in ${kept}; copy them back by hand.`);
    const manifest = parsed.data;
    let waiting = 0;
    let patched = 0;
    for (const shard of manifest.shards) {
      if (unwrap(await kindOf(path.join(kept, NEW_FOLDER, shard.file))) !== 'absent') waiting++;
      if (await isPatched(folder, shard)) patched++;
    }
    if (!manifest.restoring && waiting === 0) return ok({ state: 'applied', manifest });
    return ok({ state: 'interrupted', manifest, content: patched === 0 ? 'original' : patched === manifest.shards.length ? 'patched' : 'mixed' });
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}

/** Shards of two checkpoints are no checkpoint. */
export async function refuseMixed(folder: string): Promise<never> {
  if (await isLockHeld(lockOf(folder)))
    refuse('conflict', `A patch is being applied to ${folder}, or the original restored, by another process.`, 'Wait until it is done, then try again.');
  return refuse(
    'conflict',
    `Applying or restoring a patch in ${folder} was interrupted; its shards don't belong together.`,
    'Restore the original first (uoe restore).',
  );
}

/** What a checkpoint folder is when it is not just the original: a sentence, or null. */
export async function appliedNote(folder: string): Promise<string | null> {
  const read = await appliedState(folder);
  if (!read.ok || read.value.state === 'none') return null;
  const state = read.value;
  const back = 'Restoring the original (uoe restore) brings it back.';
  if (state.state === 'applied') {
    const { source } = state.manifest;
    return `${source === undefined ? 'A patch' : `The result of run ${source}`} is applied to this checkpoint. ${back}`;
  }
  if (await isLockHeld(lockOf(folder))) return 'A patch is being applied to this checkpoint, or the original restored, by another process.';
  const all = state.content === 'original' ? 'all its shards are the original ones' : "all its shards hold the patch, none is the original's";
  return `Applying or restoring a patch was interrupted here; ${all}. ${state.content === 'original' ? 'Restoring the original (uoe restore) clears up.' : back}`;
}
