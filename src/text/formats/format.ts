import { refuse } from '../../protocol/fault';
import { jsonExcess } from '../../protocol/json-excess';
import type { RawRow } from '../columns';

/** A data file's format: the ending it is known by, and how its rows are read. Throws a fault that names file and line. */
export interface DataFormat {
  readonly endings: readonly string[];
  /** Reads a file whole. `text` or `bytes` fetches its content. */
  read(file: string, content: { text(): Promise<string>; bytes(): Promise<Uint8Array> }): Promise<readonly RawRow[]>;
}

/** Columns without the absent ones: null as in a table of mixed kinds. */
export const presentColumns = (entries: Iterable<readonly [string, unknown]>): Record<string, unknown> =>
  Object.fromEntries([...entries].filter(([, value]) => value !== null && value !== undefined));

/** Rows are objects in memory: about two gigabytes. */
export const MOST_ROWS = 4_000_000;

/** Throws: `rows` are more than are read of one file. */
export function refuseTooMany(file: string, rows: number): void {
  if (rows > MOST_ROWS) refuse('bad-data', `${file} has more than ${MOST_ROWS} rows.`, 'Cut it into several files, or take a sample.');
}

/** Throws: JSON that would take too much stack or memory. */
export function refuseExcess(file: string, text: string): void {
  const excess = jsonExcess(text);
  if (excess !== null) refuse('bad-data', `${file} ${excess}.`, 'Give a simpler file, or cut it into several.');
}
