/**
 * Files that appear whole or not at all: written beside their final name, synced, renamed, the folder synced.
 * By hand and not with write-file-atomic, which takes a short write on a full disk for success and does not sync the folder.
 */
import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '../protocol/fault';
import { onDisk } from './disk-fault';
import { fileSystem } from './file-system';
import { syncFolder } from './folder';

/** The ending of unfinished files; whatever still has it after a crash is garbage. */
export const UNFINISHED = '.uoe-tmp';

/** A name beside `at` that nobody else uses, on the same disk. */
export const temporaryName = (at: string): string =>
  path.join(path.dirname(at), `.${path.basename(at).slice(0, 180)}.${randomBytes(6).toString('hex')}${UNFINISHED}`);

/** Writes all of it: one call of the operating system may take less. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.length - done, 1 << 30));
    if (bytesWritten === 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' });
    done += bytesWritten;
  }
}

export interface StreamOptions {
  /** Bytes that will be written, for the sentence about a full disk. */
  readonly needs?: number;
  /** Permissions of the file; by default those the process gives. */
  readonly mode?: number;
  /** Asked when all is on the disk and about to get its name; what it throws is the end of it. */
  readonly allowed?: () => Promise<void>;
}

export type WriteBytes = (bytes: Uint8Array) => Promise<void>;

/** Writes a file in pieces. If `produce` throws (cancelled, say) or the disk fails, nothing is left and what was there before stays. */
export const writeStreamed = (at: string, produce: (write: WriteBytes) => Promise<void>, { needs, mode, allowed }: StreamOptions = {}): Promise<Result<void>> =>
  onDisk(
    'write',
    at,
    async () => {
      const temporary = temporaryName(at);
      const handle = await fileSystem.open(temporary, 'wx', mode ?? 0o666);
      try {
        try {
          await produce((bytes) => writeFully(handle, bytes));
          await handle.sync();
        } finally {
          await handle.close();
        }
        await allowed?.();
        await fileSystem.rename(temporary, at);
      } catch (error) {
        await fileSystem.rm(temporary, { force: true }).catch(() => undefined);
        throw error;
      }
      await syncFolder(path.dirname(at));
    },
    needs,
  );

/** Writes a file that is in memory. The folder must exist. */
export function writeAtomic(at: string, content: string | Uint8Array, allowed?: () => Promise<void>): Promise<Result<void>> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return writeStreamed(at, (write) => write(bytes), { needs: bytes.length, allowed });
}

/** Writes a value as JSON with two spaces of indent and a newline at the end. */
export const writeJson = (at: string, value: unknown, allowed?: () => Promise<void>): Promise<Result<void>> =>
  writeAtomic(at, `${JSON.stringify(value, null, 2)}\n`, allowed);
