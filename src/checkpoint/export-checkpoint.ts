/** Writes a full Hugging Face checkpoint folder with a patch in it. The opened checkpoint is only read. */
import path from 'node:path';
import { temporaryName, writeAtomic, writeStreamed } from '../files/atomic-write';
import { copyFile, linkOrCopy } from '../files/copy';
import { freeBytes, fullDisk } from '../files/disk-fault';
import { fileStatus, kindOf, listFolder, makeFolder, makeNewFolder, realPath, removeEmptyFolder, removeFolder, renameDurably } from '../files/folder';
import { takeLock } from '../files/lock';
import { readText } from '../files/read';
import { isUnfinishedOf, removeUnfinished } from '../files/unfinished';
import { FaultError, faultOf, ok, type Result, refuse, unwrap } from '../protocol/fault';
import type { Patch } from '../protocol/tensors';
import { checkPatch } from './check-patch';
import type { Checkpoint } from './checkpoint';
import { refuseEscape } from './inside-folder';
import { openAt } from './open-checkpoint';
import { editsOf, patchedPieces } from './patched-shard';
import { type Proof, proveOnlyChanged } from './proof';

export interface ChangeProgress {
  readonly phase: 'write' | 'prove';
  /** Bytes. */
  readonly done: number;
  readonly total: number;
}

export interface ExportOptions {
  readonly checkpoint: Checkpoint;
  readonly patch: Patch;
  /** The new folder: absent or empty. */
  readonly to: string;
  /** Give untouched shards a second name instead of copying them, where the disk can. */
  readonly link?: boolean;
  /** Text of the model card (README.md), given the one that the checkpoint has; null where it has none. */
  readonly card?: (base: string | null) => string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ChangeProgress) => void;
}

export interface ChangedCheckpoint {
  readonly folder: string;
  /** Units changed, sorted. */
  readonly changed: readonly string[];
  readonly proof: Proof;
  readonly bytesWritten: number;
  /** Shards that are hard links of the original's. */
  readonly linked: number;
  readonly warnings: readonly string[];
  /** Weights in other formats that were left behind: they are the original's. */
  readonly leftBehind: readonly string[];
}

/** Held while a folder is exported to. */
export const exportLock = (to: string): string => path.join(path.dirname(to), `.${path.basename(to)}.lock`);

/** The model card of a Hugging Face folder. */
export const CARD_NAME = 'README.md';

/** Where a path will really be, although its last parts don't exist yet. */
async function realTarget(to: string): Promise<string> {
  const missing: string[] = [];
  let at = to;
  while (unwrap(await kindOf(at)) === 'absent') {
    const parent = path.dirname(at);
    if (parent === at) return to;
    missing.unshift(path.basename(at));
    at = parent;
  }
  return path.join(unwrap(await realPath(at)), ...missing);
}

async function refuseTarget(checkpoint: Checkpoint, to: string): Promise<void> {
  const home = unwrap(await realPath(checkpoint.folder));
  const target = await realTarget(to);
  if (target === home || target.startsWith(home + path.sep))
    refuse('bad-data', `Can't export to ${to}: it is the opened checkpoint or lies inside it.`, 'Choose a folder outside it.');
  const kind = unwrap(await kindOf(to));
  if (kind === 'absent') return;
  if (kind !== 'folder') refuse('conflict', `Can't export to ${to}: there is a file of that name.`, 'Choose another folder.');
  if (unwrap(await listFolder(to)).length > 0)
    refuse('conflict', `Can't export to ${to}: the folder is not empty.`, 'Choose another folder, or empty it first.');
}

/** Of what is copied as it is, nothing may come from elsewhere. */
async function refuseLinksOutside({ folder, otherFiles }: Checkpoint): Promise<void> {
  for (const file of otherFiles) await refuseEscape(folder, file);
}

/** Bytes that will be written, refused if the disk hasn't got them. */
async function refuseFullDisk(checkpoint: Checkpoint, touched: ReadonlySet<string>, folder: string, link: boolean): Promise<number> {
  const device = unwrap(await fileStatus(folder)).device;
  let needs = 0;
  for (const { file, path: at, bytes } of checkpoint.shards) {
    const shared = link && !touched.has(file) && unwrap(await fileStatus(at)).device === device;
    if (!shared) needs += bytes;
  }
  for (const file of checkpoint.otherFiles) needs += unwrap(await fileStatus(path.join(checkpoint.folder, file))).bytes;
  const free = await freeBytes(folder);
  if (free !== null && free < needs) throw new FaultError(fullDisk(folder, needs, free));
  return needs;
}

/** Fills an empty folder with the patched checkpoint. */
async function fill(
  { checkpoint, patch, link = false, card, signal, onProgress }: ExportOptions,
  folder: string,
  total: number,
): Promise<{ bytesWritten: number; linked: number }> {
  const edits = editsOf(checkpoint, patch);
  let bytesWritten = 0;
  let linked = 0;
  const onBytes = (bytes: number): void => {
    bytesWritten += bytes;
    onProgress?.({ phase: 'write', done: bytesWritten, total: Math.max(total, bytesWritten) });
  };
  for (const shard of checkpoint.shards) {
    signal?.throwIfAborted();
    const to = path.join(folder, shard.file);
    const changes = edits.get(shard.file);
    if (changes === undefined) {
      if (link) linked += unwrap(await linkOrCopy(shard.path, to, { signal, onBytes })) === 'linked' ? 1 : 0;
      else unwrap(await copyFile(shard.path, to, { signal, onBytes }));
      continue;
    }
    const { mode } = unwrap(await fileStatus(shard.path));
    const write = async (put: (bytes: Uint8Array) => Promise<void>): Promise<void> => {
      for await (const { patched } of patchedPieces(checkpoint, shard, changes, signal)) {
        await put(patched);
        onBytes(patched.length);
      }
    };
    unwrap(await writeStreamed(to, write, { needs: shard.bytes, mode }));
  }
  if (card) {
    const base = checkpoint.otherFiles.includes(CARD_NAME) ? unwrap(await readText(path.join(checkpoint.folder, CARD_NAME))) : null;
    const text = card(base);
    unwrap(await writeAtomic(path.join(folder, CARD_NAME), text));
    onBytes(Buffer.byteLength(text));
  }
  for (const file of checkpoint.otherFiles) {
    if (card && file === CARD_NAME) continue;
    signal?.throwIfAborted();
    if (path.dirname(file) !== '.') unwrap(await makeFolder(path.join(folder, path.dirname(file))));
    unwrap(await copyFile(path.join(checkpoint.folder, file), path.join(folder, file), { signal, onBytes }));
  }
  return { bytesWritten, linked };
}

/** The proof of a folder just written; anything that differs is a fault of ours and ends the export. */
export async function proveOrRefuse(
  before: Checkpoint,
  after: Checkpoint,
  patch: Patch,
  signal?: AbortSignal,
  onProgress?: (progress: ChangeProgress) => void,
  rewritten: readonly string[] = [],
): Promise<Proof> {
  const total = 2 * before.totalBytes;
  let done = 0;
  const onBytes = (bytes: number): void => {
    done = Math.min(done + bytes, total);
    onProgress?.({ phase: 'prove', done, total });
  };
  const proof = unwrap(await proveOnlyChanged(before, after, patch.units.keys(), { signal, onBytes, rewritten }));
  if (proof.differing.length > 0) {
    refuse(
      'io',
      `What was written to ${after.folder} differs from the original outside the patch: ${proof.differing.slice(0, 3).join(', ')}.`,
      'The disk may be failing, or a file was changed meanwhile; check it, then try again.',
    );
  }
  return proof;
}

/**
 * Exports: touched shards rewritten with only the patch's bytes replaced (rounded to the stored dtype), untouched ones copied or hard-linked,
 * every other file of the checkpoint copied; proven, then renamed to its final name. Cancelled or failed, nothing is left under that name.
 * Weights in other formats beside the shards are not copied: they hold what the patch removes.
 */
export async function exportCheckpoint(options: ExportOptions): Promise<Result<ChangedCheckpoint>> {
  const { checkpoint, patch, link = false, onProgress } = options;
  const to = path.resolve(options.to);
  const parent = path.dirname(to);
  let madeParent: string | undefined;
  const temporary = temporaryName(to);
  try {
    await refuseTarget(checkpoint, to);
    const { warnings } = unwrap(await checkPatch(patch, checkpoint, options.signal));
    madeParent = unwrap(await makeFolder(parent));
    const lock = unwrap(await takeLock(exportLock(to), to));
    const signal = options.signal ? AbortSignal.any([options.signal, lock.lost]) : lock.lost;
    try {
      const left = unwrap(await removeUnfinished(parent, { wanted: (name) => isUnfinishedOf(path.basename(to), name) }));
      await refuseLinksOutside(checkpoint);
      const total = await refuseFullDisk(checkpoint, new Set(editsOf(checkpoint, patch).keys()), parent, link);
      unwrap(await makeNewFolder(temporary));
      const { bytesWritten, linked } = await fill({ ...options, signal }, temporary, total);
      const written = await openAt(temporary, (file) => path.join(temporary, file), signal);
      let proof: Proof;
      try {
        proof = await proveOrRefuse(checkpoint, written, patch, signal, onProgress, options.card ? [CARD_NAME] : []);
      } finally {
        await written.close();
      }
      signal?.throwIfAborted();
      await lock.check();
      unwrap(await removeEmptyFolder(to));
      const placed = await renameDurably(temporary, to);
      if (!placed.ok) {
        // Where it has its name, but that could not be made to last, it goes again, as is said.
        const kind = await kindOf(temporary);
        if (kind.ok && kind.value === 'absent') await renameDurably(to, temporary);
      }
      unwrap(placed);
      const notes = left.length > 0 ? [`An earlier export to ${to} was interrupted; what it had written was removed.`] : [];
      return ok({
        folder: to,
        changed: [...patch.units.keys()].sort(),
        proof,
        bytesWritten,
        linked,
        warnings: [...warnings, ...notes],
        leftBehind: checkpoint.unusedWeights,
      });
    } catch (error) {
      // Where another process has the lock by now, it has cleared up what this one wrote.
      await lock.check();
      throw error;
    } finally {
      await removeFolder(temporary);
      await lock.release();
    }
  } catch (error) {
    // Folders above the target that were made for it go too, unless something else is in them by now.
    for (let made = parent; madeParent !== undefined && made.startsWith(madeParent); made = path.dirname(made)) await removeEmptyFolder(made);
    return { ok: false, fault: faultOf(error) };
  }
}
