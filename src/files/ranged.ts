/** Reading parts of large files. */
import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { fail, type Result, refuse } from '../protocol/fault';
import { onDisk } from './disk-fault';
import { fileSystem } from './file-system';

export interface RangedFile {
  readonly path: string;
  /** Bytes, when it was opened. */
  readonly size: number;
  /** Changes when the file is replaced or written to. */
  readonly version: string;
  /** What `version` would be now. */
  versionNow(): Promise<Result<string>>;
  /** Exactly `length` bytes from `offset`, into `into` (at least as long) or a new array; fewer is a fault. */
  read(offset: number, length: number, into?: Uint8Array): Promise<Result<Uint8Array>>;
  close(): Promise<void>;
}

/** One read of the operating system takes less than 2 GiB. */
const LARGEST_READ = 1 << 30;

async function readFully(handle: FileHandle, at: string, offset: number, target: Uint8Array): Promise<void> {
  let done = 0;
  while (done < target.length) {
    const { bytesRead } = await handle.read(target, done, Math.min(target.length - done, LARGEST_READ), offset + done);
    if (bytesRead === 0) {
      const missing = target.length - done;
      refuse('bad-file', `${at} ends at byte ${offset + done}: ${missing} bytes are missing there.`, 'The file was cut short; get a complete copy.');
    }
    done += bytesRead;
  }
}

const versionOf = ({ dev, ino, size, mtimeMs }: Stats): string => `${dev}:${ino}:${size}:${mtimeMs}`;

/** Opens a plain file for ranged reads. */
export const openRanged = (at: string): Promise<Result<RangedFile>> =>
  onDisk('open', at, async () => {
    const refuseOther = (plain: boolean): void => {
      if (!plain) refuse('bad-file', `Can't read ${at}: it is not a plain file.`, 'Give the path of a file.');
    };
    // Opening a pipe waits for a writer, so it is looked at before; once more after, because it may have been replaced.
    const before = await fileSystem.stat(at);
    if (!before.isDirectory()) refuseOther(before.isFile());
    const handle = await fileSystem.open(at, 'r');
    try {
      const status = await handle.stat();
      refuseOther(status.isFile());
      return {
        path: at,
        size: status.size,
        version: versionOf(status),
        versionNow: () => onDisk('look at', at, async () => versionOf(await handle.stat())),
        read: (offset, length, into) =>
          onDisk('read', at, async () => {
            const target = into === undefined ? new Uint8Array(length) : into.subarray(0, length);
            if (target.length !== length) throw new RangeError(`${length} bytes don't fit into ${target.length}`);
            await readFully(handle, at, offset, target);
            return target;
          }),
        close: async () => {
          await handle.close().catch(() => undefined);
        },
      } satisfies RangedFile;
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  });

export interface RangedPool {
  /** Says which version of a file its offsets belong to; else it is the one that is read first. */
  expect(at: string, version: string): void;
  /** As RangedFile.read. A file that was replaced or written to meanwhile is a fault: its offsets may mean nothing now. */
  read(at: string, offset: number, length: number, into?: Uint8Array): Promise<Result<Uint8Array>>;
  /** How many files are open now. */
  open(): number;
  close(): Promise<void>;
}

/** Ranged reads over many files with at most `limit` of them open, the least recently used closed first. */
export function rangedPool(limit = 16): RangedPool {
  interface Entry {
    readonly file: Promise<Result<RangedFile>>;
    users: number;
  }
  const entries = new Map<string, Entry>();
  const versions = new Map<string, string>();
  let closed = false;

  const drop = async (at: string, entry: Entry): Promise<void> => {
    if (entries.get(at) === entry) entries.delete(at);
    const opened = await entry.file;
    if (opened.ok) await opened.value.close();
  };

  const trim = async (): Promise<void> => {
    for (const [at, entry] of entries) {
      if (entries.size <= limit) return;
      if (entry.users === 0) await drop(at, entry);
    }
  };

  async function attempt(at: string, offset: number, length: number, into?: Uint8Array): Promise<Result<Uint8Array>> {
    const entry = entries.get(at) ?? { file: openRanged(at), users: 0 };
    entries.delete(at);
    entries.set(at, entry);
    entry.users++;
    let usable = false;
    try {
      const opened = await entry.file;
      if (!opened.ok) return opened;
      const { version } = opened.value;
      const known = versions.get(at) ?? version;
      versions.set(at, known);
      const changed = () => fail('conflict', `${at} was changed while it was in use.`, 'Open the checkpoint again.');
      if (known !== version) return changed();
      const read = await opened.value.read(offset, length, into);
      const now = await opened.value.versionNow();
      if (now.ok && now.value !== version) return changed();
      usable = read.ok && now.ok;
      return read.ok && !now.ok ? now : read;
    } finally {
      entry.users--;
      if (!usable && entries.get(at) === entry) entries.delete(at);
      if (closed || entries.get(at) !== entry) {
        if (entry.users === 0) await drop(at, entry);
      } else await trim();
    }
  }

  return {
    open: () => entries.size,
    expect: (at, version) => void versions.set(at, version),
    async read(at, offset, length, into) {
      if (closed) return fail('conflict', `${at} was read after its checkpoint was closed.`, 'Open the checkpoint again.');
      const wasOpen = entries.has(at);
      const first = await attempt(at, offset, length, into);
      // A file that was open may be lost for good, and fine when it is opened anew: a network drive that was away, for instance.
      return first.ok || !wasOpen || first.fault.code !== 'io' || closed ? first : attempt(at, offset, length, into);
    },
    async close() {
      closed = true;
      for (const [at, entry] of [...entries]) if (entry.users === 0) await drop(at, entry);
    },
  };
}

/** Opens, works, closes. */
export async function withRanged<T>(at: string, work: (file: RangedFile) => Promise<T>): Promise<Result<T>> {
  const opened = await openRanged(at);
  if (!opened.ok) return opened;
  return onDisk('read', at, async () => {
    try {
      return await work(opened.value);
    } finally {
      await opened.value.close();
    }
  });
}
