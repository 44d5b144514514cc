/**
 * Puts a patch into the opened checkpoint itself and back out of it. The originals of the touched shards are kept in `.uoe-original/`
 * under a second name; a shard is replaced by a new file, never written to, so its other hard links keep the original.
 *
 * Order, so that a kill at any instant can be undone: patched shards are written into .uoe-original/new; then the manifest; then each original
 * gets its second name; then each new shard is renamed over the old. The way back: originals verified; the manifest marked; originals renamed back;
 * the manifest removed, then the folder.
 *
 * A lock can be lost: a process that was stopped for minutes counts as gone. So it is looked at before each of these steps; who has lost it takes it again
 * before it undoes what it began, and leaves what another process has made of it since.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { temporaryName, writeJson, writeStreamed } from '../files/atomic-write';
import { linkOrCopy } from '../files/copy';
import { freeBytes, fullDisk } from '../files/disk-fault';
import { fileStatus, kindOf, linkTarget, makeNewFolder, placeLink, removeEmptyFolder, removeFile, removeFolder, renameDurably } from '../files/folder';
import { type Lock, takeLock, waitForLock } from '../files/lock';
import { sha256File } from '../files/sha256';
import { removeUnfinished } from '../files/unfinished';
import { FaultError, fail, faultOf, ok, type Result, refuse, sentence, unwrap } from '../protocol/fault';
import type { Patch } from '../protocol/tensors';
import { appliedState, KEPT_FOLDER, lockOf, MANIFEST_NAME, type Manifest, NEW_FOLDER } from './applied-state';
import { checkPatch } from './check-patch';
import type { Checkpoint, Shard } from './checkpoint';
import { type ChangedCheckpoint, type ChangeProgress, proveOrRefuse } from './export-checkpoint';
import { openAt, openCheckpoint } from './open-checkpoint';
import { editsOf, patchedPieces } from './patched-shard';

export interface ApplyOptions {
  /** Kept with the originals, so that it can be told later whose result is applied. */
  readonly source?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ChangeProgress) => void;
}

export interface Restored {
  readonly folder: string;
  /** Shards that have their original bytes again, verified by SHA-256. */
  readonly restored: readonly string[];
}

const keptPath = (folder: string, ...names: string[]): string => path.join(folder, KEPT_FOLDER, ...names);
const manifestPath = (folder: string): string => keptPath(folder, MANIFEST_NAME);

/** Takes .uoe-original away. The manifest goes first: half a folder with a manifest would look like something else. */
async function removeKept(folder: string, lock: Lock): Promise<void> {
  if (unwrap(await kindOf(keptPath(folder))) === 'absent') return;
  await lock.check();
  unwrap(await removeFile(manifestPath(folder)));
  await lock.check();
  unwrap(await removeFolder(keptPath(folder)));
}

/** One process at a time changes a checkpoint. */
async function locked<T>(folder: string, work: (lock: Lock) => Promise<T>): Promise<Result<T>> {
  const lock = await takeLock(lockOf(folder), folder);
  if (!lock.ok) return lock;
  try {
    // Links that a killed process was about to put back.
    unwrap(await removeUnfinished(folder, { wanted: (name) => /\.safetensors\.[0-9a-f]{12}\.uoe-tmp$/.test(name) }));
    return ok(await work(lock.value));
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  } finally {
    await lock.value.release();
  }
}

/** Writes all patched shards into .uoe-original/new. Nothing of the checkpoint is touched. */
async function prepare(
  checkpoint: Checkpoint,
  patch: Patch,
  { signal, onProgress }: ApplyOptions,
  lock: Lock,
): Promise<{ shards: Manifest['shards']; bytesWritten: number }> {
  const { folder } = checkpoint;
  const edits = editsOf(checkpoint, patch);
  const touched = checkpoint.shards.filter(({ file }) => edits.has(file));
  const total = touched.reduce((sum, { bytes }) => sum + bytes, 0);
  const free = await freeBytes(folder);
  if (free !== null && free < total) throw new FaultError(fullDisk(folder, total, free));
  await lock.check();
  unwrap(await makeNewFolder(keptPath(folder)));
  unwrap(await makeNewFolder(keptPath(folder, NEW_FOLDER)));
  let done = 0;
  const writeShard = async (shard: Shard): Promise<Manifest['shards'][number]> => {
    const before = createHash('sha256');
    const after = createHash('sha256');
    const { mode } = unwrap(await fileStatus(shard.path));
    const write = async (put: (bytes: Uint8Array) => Promise<void>): Promise<void> => {
      for await (const { original, patched } of patchedPieces(checkpoint, shard, edits.get(shard.file) ?? [], signal)) {
        before.update(original);
        after.update(patched);
        await put(patched);
        done += patched.length;
        onProgress?.({ phase: 'write', done, total });
      }
    };
    unwrap(await writeStreamed(keptPath(folder, NEW_FOLDER, shard.file), write, { needs: shard.bytes, mode, allowed: lock.check }));
    return {
      file: shard.file,
      bytes: shard.bytes,
      original: `sha256:${before.digest('hex')}`,
      patched: `sha256:${after.digest('hex')}`,
      link: unwrap(await linkTarget(shard.path)),
    };
  };
  const shards: Manifest['shards'] = [];
  for (const shard of touched) shards.push(await writeShard(shard));
  return { shards, bytesWritten: done };
}

/** From the manifest on: originals get their second name, new shards take their place. */
async function swap(folder: string, manifest: Manifest, lock: Lock, signal: AbortSignal): Promise<void> {
  const goesOn = async (): Promise<void> => {
    signal.throwIfAborted();
    await lock.check();
  };
  for (const { file, link } of manifest.shards) {
    await goesOn();
    if (link === null) unwrap(await linkOrCopy(path.join(folder, file), keptPath(folder, file), { signal }));
  }
  for (const { file } of manifest.shards) {
    await goesOn();
    unwrap(await renameDurably(keptPath(folder, NEW_FOLDER, file), path.join(folder, file)));
  }
  unwrap(await removeEmptyFolder(keptPath(folder, NEW_FOLDER)));
}

/** Where the original bytes of a shard are while a patch is applied. */
function originalPath(folder: string, manifest: Manifest, file: string): string {
  const shard = manifest.shards.find((one) => one.file === file);
  if (shard === undefined) return path.join(folder, file);
  return shard.link === null ? keptPath(folder, file) : path.resolve(folder, shard.link);
}

/** The checkpoint as it was before a patch was applied to it, which may be as it is. */
export async function openOriginal(folder: string): Promise<Result<Checkpoint>> {
  const state = await appliedState(folder);
  if (!state.ok) return state;
  if (state.value.state !== 'applied') return openCheckpoint(folder);
  const { manifest } = state.value;
  try {
    return ok(await openAt(folder, (file) => originalPath(folder, manifest, file)));
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}

async function proveApplied(folder: string, manifest: Manifest, patch: Patch, signal: AbortSignal, onProgress?: (progress: ChangeProgress) => void) {
  const before = await openAt(folder, (file) => originalPath(folder, manifest, file));
  const after = unwrap(await openCheckpoint(folder));
  try {
    return await proveOrRefuse(before, after, patch, signal, onProgress);
  } finally {
    await before.close();
    await after.close();
  }
}

/**
 * Applies a patch to the opened checkpoint, rounded to its dtypes, keeping the originals for restoreOriginal. Open the checkpoint again afterwards.
 * Cancelled or failed at any moment, also while what was written is proven, it is undone.
 */
export async function applyPatch(checkpoint: Checkpoint, patch: Patch, options: ApplyOptions = {}): Promise<Result<ChangedCheckpoint>> {
  const { folder } = checkpoint;
  return locked(folder, async (lock) => {
    const signal = options.signal ? AbortSignal.any([options.signal, lock.lost]) : lock.lost;
    const { state } = unwrap(await appliedState(folder));
    if (state === 'applied') refuse('conflict', `A patch is applied to ${folder} already.`, 'Restore the original first (uoe restore).');
    if (state === 'interrupted') refuse('conflict', `Applying or restoring a patch in ${folder} was interrupted.`, 'Restore the original first (uoe restore).');
    const { warnings } = unwrap(await checkPatch(patch, checkpoint, signal));
    const base = unwrap(await checkpoint.fingerprint(signal));
    const changed = [...patch.units.keys()].sort();
    if (changed.length === 0) refuse('bad-data', 'The patch changes nothing.');
    let manifest: Manifest | null = null;
    try {
      const { shards, bytesWritten } = await prepare(checkpoint, patch, { ...options, signal }, lock);
      signal.throwIfAborted();
      const whole: Manifest = {
        format: 'uoe-original',
        version: 1,
        appliedAt: new Date().toISOString(),
        base,
        units: changed,
        ...(options.source === undefined ? {} : { source: options.source }),
        restoring: false,
        shards,
      };
      unwrap(await writeJson(manifestPath(folder), whole, lock.check));
      manifest = whole;
      await swap(folder, manifest, lock, signal);
      const proof = await proveApplied(folder, manifest, patch, signal, options.onProgress);
      signal.throwIfAborted();
      await lock.check();
      return { folder, changed, proof, bytesWritten, linked: 0, warnings, leftBehind: [] };
    } catch (error) {
      return undone(folder, manifest, lock, error);
    }
  });
}

const isLost = (lock: Lock): Promise<boolean> =>
  lock.check().then(
    () => false,
    () => true,
  );

/** Takes back what was begun, of which there is a manifest or none yet; then throws what ended it. */
async function undone(folder: string, began: Manifest | null, lock: Lock, error: unknown): Promise<never> {
  if (!(await isLost(lock))) {
    const back = await bringBack(folder, began, lock);
    // Without a manifest nothing of the checkpoint was touched.
    if (back.ok || (began === null && !(await isLost(lock)))) throw error;
    if (!(await isLost(lock))) {
      const { code, message } = faultOf(error);
      return refuse(code, message, `It could not be undone (${sentence(back.fault)}) Run uoe restore ${folder}.`);
    }
  }
  return endedByLoss(folder, began, lock);
}

const isSame = (one: Manifest, other: Manifest | null): boolean =>
  other !== null && JSON.stringify({ ...one, restoring: false }) === JSON.stringify({ ...other, restoring: false });

/** Throws that the lock was lost, and what has become of the checkpoint: the original, unless another process holds it or has changed it since. */
async function endedByLoss(folder: string, began: Manifest | null, lock: Lock): Promise<never> {
  const { code, message } = faultOf(lock.lost.reason);
  const again = await waitForLock(lockOf(folder), folder);
  if (!again.ok) return refuse(code, message, `This process has stopped. When the other one is done, uoe restore ${folder} brings the original back.`);
  const settle = async (): Promise<string> => {
    const found = unwrap(await appliedState(folder));
    if (found.state === 'none') return 'This process has stopped; the checkpoint is the original one.';
    if (found.manifest !== null && !isSame(found.manifest, began)) return 'This process has stopped; the checkpoint is as the other one left it.';
    const back = await bringBack(folder, found.manifest, again.value);
    return back.ok
      ? 'This process has stopped and brought the original back.'
      : `This process has stopped. It could not be undone (${sentence(back.fault)}) Run uoe restore ${folder}.`;
  };
  try {
    return refuse(code, message, await settle());
  } finally {
    await again.value.release();
  }
}

/** Makes sure that every original is at hand and that nobody changed the patched shards since. Gives how to bring each back. */
async function verifyOriginals(
  folder: string,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<{ file: string; from: 'kept' | 'link' | 'there'; link: string }[]> {
  const ways: { file: string; from: 'kept' | 'link' | 'there'; link: string }[] = [];
  for (const { file, original, patched, link } of manifest.shards) {
    const current = path.join(folder, file);
    const now = unwrap(await kindOf(current)) === 'file' ? unwrap(await sha256File(current, undefined, signal)) : null;
    if (now !== null && now !== original && now !== patched) {
      refuse(
        'conflict',
        `${current} was changed after the patch was applied; restoring would overwrite that.`,
        'Move that file elsewhere, then restore again.',
      );
    }
    const source = link === null ? keptPath(folder, file) : path.resolve(folder, link);
    if (unwrap(await kindOf(source)) === 'file') {
      if (unwrap(await sha256File(source, undefined, signal)) !== original)
        refuse(
          'bad-file',
          `${source} should be the original of ${file}, but its SHA-256 differs.`,
          'Nothing was changed; get that file again from where the checkpoint came from.',
        );
      ways.push({ file, from: link === null ? 'kept' : 'link', link: link ?? '' });
    } else if (now === original) ways.push({ file, from: 'there', link: '' });
    else
      refuse(
        'not-found',
        `The original of ${current} is not in ${keptPath(folder)} any more.`,
        'Nothing was changed; get that file again from where the checkpoint came from.',
      );
  }
  return ways;
}

const nothingApplied = (folder: string) => fail('not-found', `No patch is applied in ${folder}.`, 'There is nothing to restore.');

/** The way back, under the lock; without a manifest nothing was touched yet. */
async function bringBack(folder: string, manifest: Manifest | null, lock: Lock): Promise<Result<Restored>> {
  try {
    if (manifest !== null) {
      const ways = await verifyOriginals(folder, manifest, lock.lost);
      unwrap(await writeJson(manifestPath(folder), { ...manifest, restoring: true }, lock.check));
      for (const { file, from, link } of ways) {
        const current = path.join(folder, file);
        await lock.check();
        if (from === 'kept') unwrap(await renameDurably(keptPath(folder, file), current));
        if (from === 'link') unwrap(await placeLink(link, current, temporaryName(current)));
      }
    }
    await removeKept(folder, lock);
    return ok({ folder, restored: manifest?.shards.map(({ file }) => file) ?? [] });
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}

/** Brings a checkpoint folder back to its very bytes, after an apply or in the middle of an interrupted one; verified before anything is replaced. */
export async function restoreOriginal(folder: string): Promise<Result<Restored>> {
  const at = path.resolve(folder);
  const kind = await kindOf(at);
  if (!kind.ok) return kind;
  if (kind.value !== 'folder') return fail('not-found', `There is no folder ${at}.`, 'Give the folder of a checkpoint.');
  const state = await appliedState(at);
  if (!state.ok) return state;
  if (state.value.state === 'none') {
    // A drive that is gone has no kept originals either.
    const still = await kindOf(at);
    if (!still.ok) return still;
    return still.value === 'folder' ? nothingApplied(at) : fail('not-found', `There is no folder ${at}.`, 'Give the folder of a checkpoint.');
  }
  return locked(at, async (lock) => {
    const now = unwrap(await appliedState(at));
    if (now.state === 'none') return unwrap(nothingApplied(at));
    const back = await bringBack(at, now.manifest, lock);
    return !back.ok && (await isLost(lock)) ? endedByLoss(at, now.manifest, lock) : unwrap(back);
  });
}
