/** A file for values that are only needed until their process ends. It has a name for an instant at most, where the system allows that. */
import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { type Result, unwrap } from '../protocol/fault';
import { UNFINISHED } from './atomic-write';
import { onDisk } from './disk-fault';
import { fileSystem } from './file-system';

export interface ScratchFile {
  /** Appends the bytes and gives their offset. */
  write(bytes: Uint8Array): Promise<Result<number>>;
  /** Fills `into` from the offset on. */
  read(offset: number, into: Uint8Array): Promise<Result<void>>;
  close(): Promise<void>;
}

async function transferred(bytes: Uint8Array, part: (from: number, length: number) => Promise<number>): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const count = await part(done, Math.min(bytes.length - done, 1 << 30));
    if (count === 0) throw Object.assign(new Error('no bytes were transferred'), { code: 'EIO' });
    done += count;
  }
}

/** Opens one in a folder that exists; its name ends as that of every unfinished file, so that cleaning up finds what a killed process left. */
export const openScratch = (folder: string): Promise<Result<ScratchFile>> => {
  const at = path.join(folder, `.scratch.${randomBytes(6).toString('hex')}${UNFINISHED}`);
  return onDisk('write', at, async () => {
    const handle: FileHandle = await fileSystem.open(at, 'wx+');
    const named = await fileSystem.unlink(at).then(
      () => false,
      () => true,
    );
    let end = 0;
    return {
      write: (bytes) =>
        onDisk(
          'write',
          at,
          async () => {
            const start = end;
            end += bytes.length;
            await transferred(bytes, async (from, length) => (await handle.write(bytes, from, length, start + from)).bytesWritten);
            return start;
          },
          bytes.length,
        ),
      read: (offset, into) =>
        onDisk('read', at, () => transferred(into, async (from, length) => (await handle.read(into, from, length, offset + from)).bytesRead)),
      async close() {
        await handle.close().catch(() => undefined);
        if (named) await fileSystem.unlink(at).catch(() => undefined);
      },
    } satisfies ScratchFile;
  });
};

/** The scratch file of a folder, opened with the first bytes that go there. */
export function scratchIn(folder: string): ScratchFile {
  let opened: Promise<Result<ScratchFile>> | null = null;
  const file = async () => {
    opened ??= openScratch(folder);
    return unwrap(await opened);
  };
  return {
    write: async (bytes) => (await file()).write(bytes),
    read: async (offset, into) => (await file()).read(offset, into),
    async close() {
      const own = await opened;
      if (own?.ok) await own.value.close();
    },
  };
}
