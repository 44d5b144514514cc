/** Append-only journals: one JSON object a line, on disk before the next begins. A kill or a power failure costs at most the last line. */
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { fail, ok, type Result } from '../protocol/fault';
import { writeFully } from './atomic-write';
import { diskFault, onDisk } from './disk-fault';
import { fileSystem } from './file-system';
import { kindOf, syncFolder } from './folder';
import { readBytes } from './read';

export interface JournalContent {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** What is left of a last line that was cut short; null if there is none. */
  readonly torn: string | null;
  /** Bytes up to and with the last whole row. */
  readonly bytes: number;
  /** Whether the last whole row ends with a newline. */
  readonly ended: boolean;
}

/** Rows read in one turn of the process. */
const rowsTogether = 4096;

const EMPTY: JournalContent = { rows: [], torn: null, bytes: 0, ended: true };

function parseRow(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const row: unknown = JSON.parse(line);
    return typeof row === 'object' && row !== null && !Array.isArray(row) ? (row as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

/** Reads a journal; an absent one is empty. Only the last line may be torn: a broken line before it is a fault that names the line. */
export async function readJournal(at: string): Promise<Result<JournalContent>> {
  const kind = await kindOf(at);
  if (!kind.ok) return kind;
  if (kind.value === 'absent') return ok(EMPTY);
  const read = await readBytes(at);
  if (!read.ok) return read;
  const content = Buffer.from(read.value.buffer, read.value.byteOffset, read.value.length);
  const rows: Readonly<Record<string, unknown>>[] = [];
  let start = 0;
  while (start < content.length) {
    const newline = content.indexOf(0x0a, start);
    const end = newline < 0 ? content.length : newline;
    const line = content.toString('utf8', start, end);
    const row = parseRow(line);
    if (row === null) {
      // Blocks that were never written read as zeros after a power failure, and the last line's end may be there without its beginning.
      if (newline < 0 || newline === content.length - 1 || /^\0*$/.test(content.toString('latin1', start).trim()))
        return ok({ rows, torn: line, bytes: start, ended: true });
      return fail('bad-file', `${at}, line ${rows.length + 1} is not a JSON object.`, 'Repair or remove that line.');
    }
    rows.push(row);
    // A night has 300,000 rows: others have their turn.
    if (rows.length % rowsTogether === 0) await new Promise((resolve) => setImmediate(resolve));
    start = end + 1;
    if (newline < 0) return ok({ rows, torn: null, bytes: content.length, ended: false });
  }
  return ok({ rows, torn: null, bytes: content.length, ended: true });
}

/** Keeps the first `rows` rows and drops the rest, a torn line included. Fewer rows than that is a fault. */
export async function truncateJournal(at: string, rows: number): Promise<Result<void>> {
  const found = await readJournal(at);
  if (!found.ok) return found;
  if (found.value.rows.length < rows)
    return fail('bad-file', `${at} has ${found.value.rows.length} rows where at least ${rows} were expected.`, 'The journal was cut; start a new run.');
  const content = await readBytes(at);
  if (!content.ok) return rows === 0 && content.fault.code === 'not-found' ? ok(undefined) : content;
  let end = 0;
  for (let row = 0; row < rows; row++) {
    const newline = content.value.indexOf(0x0a, end);
    end = newline < 0 ? content.value.length : newline + 1;
  }
  return onDisk('cut', at, async () => {
    const handle = await fileSystem.open(at, 'r+');
    try {
      await handle.truncate(end);
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
}

export interface Journal {
  /** Appends one row and returns when it is on the disk. If that fails, the journal is as it was. */
  append(row: object): Promise<Result<void>>;
  close(): Promise<void>;
}

/** Opens a journal for appending, made if absent; a torn last line is cut off first. */
export async function openJournal(at: string): Promise<Result<Journal>> {
  const found = await readJournal(at);
  if (!found.ok) return found;
  const opened = await onDisk('open', at, async () => {
    const handle = await fileSystem.open(at, 'a');
    try {
      if (found.value.torn !== null) await handle.truncate(found.value.bytes);
      if (!found.value.ended) await writeFully(handle, new TextEncoder().encode('\n'));
      await handle.sync();
      await syncFolder(path.dirname(at));
      return { handle, bytes: found.value.bytes + (found.value.ended ? 0 : 1) };
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  });
  return opened.ok ? ok(journalOn(at, opened.value.handle, opened.value.bytes)) : opened;
}

function journalOn(at: string, handle: FileHandle, bytes: number): Journal {
  let end = bytes;
  let turn: Promise<unknown> = Promise.resolve();
  const write = async (row: object): Promise<Result<void>> => {
    const line = new TextEncoder().encode(`${JSON.stringify(row)}\n`);
    try {
      await writeFully(handle, line);
      await handle.datasync();
    } catch (error) {
      await handle.truncate(end).catch(() => undefined);
      return { ok: false, fault: await diskFault(error, 'write', at, line.length) };
    }
    end += line.length;
    return ok(undefined);
  };
  return {
    // Rows follow each other in the order of the calls, also when a caller doesn't wait.
    append: (row) => {
      const written = turn.then(() => write(row));
      turn = written;
      return written;
    },
    close: async () => {
      await turn;
      await handle.close().catch(() => undefined);
    },
  };
}
