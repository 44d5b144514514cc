/** How fast a disk reads and writes in sequence, past the system's cache, within bounds of bytes and time. */
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '../protocol/fault';
import { freeBytes, isErrno, onDisk } from './disk-fault';
import { fileSystem } from './file-system';

/** Bytes per second. */
export interface DiskSpeed {
  readonly write: number;
  /** null where the system offers no way past its cache. */
  readonly read: number | null;
}

export interface Bounds {
  readonly bytes: number;
  readonly seconds: number;
}

const blockBytes = 4 << 20;
/** Reads under way at once: one alone leaves a fast disk waiting. */
const atOnce = 4;
/** A trial file takes at most this share of what is free. */
const mostOfFree = 0.1;

/** Memory whose address is a multiple of a page, as reads past the cache need it. */
const alignedBlock = (): Uint8Array => new Uint8Array(new WebAssembly.Memory({ initial: blockBytes >> 16 }).buffer);

/** A handle that reads past the system's cache; null where there is none such. */
async function openUncached(at: string): Promise<FileHandle | null> {
  // Absent from Node's constants outside Linux.
  const direct: number | undefined = constants.O_DIRECT;
  if (direct === undefined) return null;
  try {
    return await fileSystem.open(at, constants.O_RDONLY | direct);
  } catch (error) {
    if (isErrno(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP')) return null;
    throw error;
  }
}

async function readThrough(handle: FileHandle, { bytes, seconds }: Bounds): Promise<number | null> {
  const began = performance.now();
  let [next, done] = [0, 0];
  const worker = async () => {
    const block = alignedBlock();
    while (next < bytes && performance.now() - began < seconds * 1000) {
      const from = next;
      next += blockBytes;
      const { bytesRead } = await handle.read(block, 0, blockBytes, from);
      done += bytesRead;
      if (bytesRead < blockBytes) return;
    }
  };
  try {
    await Promise.all(Array.from({ length: atOnce }, worker));
  } catch (error) {
    // Some file systems take the flag and then refuse the read.
    if (isErrno(error, 'EINVAL')) return null;
    throw error;
  }
  return done < blockBytes ? null : (done * 1000) / (performance.now() - began);
}

/** Bytes per second of reading the beginning of a file; null where the cache can't be passed by or the file is too small to tell. */
export const readSpeed = (at: string, bounds: Bounds): Promise<Result<number | null>> =>
  onDisk('read', at, async () => {
    const handle = await openUncached(at);
    if (handle === null) return null;
    try {
      return await readThrough(handle, bounds);
    } finally {
      await handle.close().catch(() => undefined);
    }
  });

async function writeThrough(handle: FileHandle, { bytes, seconds }: Bounds): Promise<{ readonly bytes: number; readonly speed: number }> {
  const block = alignedBlock();
  // Not zeros, which some disks only note down.
  for (let i = 0; i < block.length; i++) block[i] = (i * 167 + (i >> 8)) & 255;
  const began = performance.now();
  let done = 0;
  while (done < bytes && (done === 0 || performance.now() - began < seconds * 1000)) {
    const { bytesWritten } = await handle.write(block, 0, Math.min(blockBytes, bytes - done), done);
    if (bytesWritten === 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' });
    done += bytesWritten;
  }
  await handle.sync();
  return { bytes: done, speed: (done * 1000) / (performance.now() - began) };
}

/** Writes a file into a folder that exists, reads it back and leaves nothing behind: where the system allows it, the file never has a name for long. */
export const diskSpeed = (folder: string, bounds: Bounds): Promise<Result<DiskSpeed>> =>
  onDisk('write to', folder, async () => {
    const at = path.join(folder, `.uoe-speed-${process.pid}-${Date.now()}`);
    const free = await freeBytes(folder);
    const bytes = Math.max(blockBytes, Math.floor(Math.min(bounds.bytes, (free ?? bounds.bytes) * mostOfFree) / blockBytes) * blockBytes);
    const handle = await fileSystem.open(at, 'wx');
    let reader: FileHandle | null = null;
    try {
      reader = await openUncached(at);
      // An open file without a name is gone with the process, however that ends.
      if (process.platform !== 'win32') await fileSystem.unlink(at);
      const written = await writeThrough(handle, { bytes, seconds: bounds.seconds });
      return { write: written.speed, read: reader && (await readThrough(reader, { bytes: written.bytes, seconds: bounds.seconds })) };
    } finally {
      // One that fails must not keep the others from being let go.
      for (const own of [reader, handle]) await own?.close().catch(() => undefined);
      await fileSystem.rm(at, { force: true }).catch(() => fileSystem.rm(at, { force: true }));
    }
  });
