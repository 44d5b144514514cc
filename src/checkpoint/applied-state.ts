/** Whether a patch is applied in a checkpoint folder: told by `.uoe-original/` and the files in it (applyPatch.ts writes them). */
import path from 'node:path';
import { z } from 'zod';
import { kindOf } from '../files/folder';
import { readJson } from '../files/read';
import { fail, faultOf, ok, type Result, unwrap } from '../protocol/fault';

export const KEPT_FOLDER = '.uoe-original';
export const MANIFEST_NAME = 'manifest.json';
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
  /** `mixed`: some shards are patched and others original. Without a manifest nothing was touched yet. */
  | { readonly state: 'interrupted'; readonly manifest: Manifest | null; readonly mixed: boolean };

/** Reads the state of a checkpoint folder. A manifest that can't be understood is a fault. */
export async function appliedState(folder: string): Promise<Result<AppliedState>> {
  try {
    const kept = path.join(folder, KEPT_FOLDER);
    if (unwrap(await kindOf(kept)) === 'absent') return ok({ state: 'none' });
    const at = path.join(kept, MANIFEST_NAME);
    if (unwrap(await kindOf(at)) === 'absent') return ok({ state: 'interrupted', manifest: null, mixed: false });
    const parsed = manifestSchema.safeParse(unwrap(await readJson(at)));
    if (!parsed.success) return fail('bad-file', `${at} is not a manifest of UOE.`, `The originals lie beside it in ${kept}; copy them back by hand.`);
    const manifest = parsed.data;
    if (manifest.restoring) return ok({ state: 'interrupted', manifest, mixed: manifest.shards.length > 1 });
    let waiting = 0;
    for (const { file } of manifest.shards) if (unwrap(await kindOf(path.join(kept, NEW_FOLDER, file))) !== 'absent') waiting++;
    if (waiting === 0) return ok({ state: 'applied', manifest });
    return ok({ state: 'interrupted', manifest, mixed: waiting < manifest.shards.length });
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}
