/** Data files as rows of a known kind (DESIGN 4.1). */
import path from 'node:path';
import { readBytes, readText } from '../files/read';
import type { DataSource } from '../protocol/engine';
import { FaultError, fail, ok, type Result, refuse, unwrap } from '../protocol/fault';
import { labelField, placeName, type RawRow } from './columns';
import { dataFormats } from './formats/formats';
import { readJsonLines } from './formats/json-lines';
import { readParagraphs } from './formats/paragraphs';
import { rowKinds } from './kinds/kinds';
import type { Row } from './row-kind';
import { rowsTogether, slices } from './slices';

/** Rows of several sources, in order, each with the index of its source. */
export async function readAllRows(sources: readonly (DataSource | string)[], signal?: AbortSignal): Promise<Result<ReadonlyMap<Row, number>>> {
  const rows = new Map<Row, number>();
  for (const [index, source] of sources.entries()) {
    const read = await readRows(source, signal);
    if (!read.ok) return read;
    for (const row of read.value) rows.set(row, index);
  }
  return ok(rows);
}

/** Rows of a file, or of text selected in an editor. A file without rows is a fault, so is a row of no known kind. */
export async function readRows(source: DataSource | string, signal?: AbortSignal): Promise<Result<Row[]>> {
  const from: DataSource = typeof source === 'string' ? { kind: 'file', path: source } : source;
  const raw = await readRawRows(from);
  if (!raw.ok) return raw;
  return settled(from, async () => {
    if (raw.value.length > 0) return ok(await recognised(raw.value, signal));
    const what = from.kind === 'file' ? `${from.path} has no rows: it is empty` : `The selection in ${from.origin} is empty`;
    return fail('bad-data', `${what}.`, 'Give at least one row of text, questions or input_ids.');
  });
}

/** Rows as they lie in the source, of whatever kind. */
export const readRawRows = (from: DataSource): Promise<Result<readonly RawRow[]>> =>
  settled(from, async () => ok(await (from.kind === 'file' ? readFile(from.path) : readSelection(from.text, from.origin, from.line))));

/** A fault thrown while reading `from` as a Result. */
async function settled<T>(from: DataSource, read: () => Promise<Result<T>>): Promise<Result<T>> {
  const name = from.kind === 'file' ? from.path : from.origin;
  try {
    return await read();
  } catch (error) {
    if (error instanceof FaultError) return { ok: false, fault: error.fault };
    return fail('bad-file', `${name} can't be read as data: ${error instanceof Error ? error.message : error}.`);
  }
}

async function readFile(file: string): Promise<readonly RawRow[]> {
  const ending = path.extname(file).toLowerCase();
  const format = dataFormats.find((candidate) => candidate.endings.includes(ending));
  if (format === undefined) {
    const known = dataFormats.flatMap((candidate) => candidate.endings).join(', ');
    return refuse('unsupported', `${file} is ${ending === '' ? 'without an ending' : `a ${ending} file`}; data files end in ${known}.`);
  }
  return format.read(file, { text: async () => unwrap(await readText(file)), bytes: async () => unwrap(await readBytes(file)) });
}

/** Selected text is paragraphs, unless it is rows of a JSON file. */
async function readSelection(text: string, origin: string, line: number): Promise<readonly RawRow[]> {
  const rows = /\.(jsonl|ndjson|json)$/i.test(origin) && text.trimStart().startsWith('{');
  return rows ? readJsonLines(origin, text, line) : readParagraphs(origin, text, line);
}

async function recognised(raw: readonly RawRow[], signal: AbortSignal | undefined): Promise<Row[]> {
  const rows: Row[] = [];
  const slice = slices(signal);
  for (const [index, own] of raw.entries()) {
    rows.push(recognise(own, index));
    if (index % rowsTogether === 0) await slice();
  }
  return rows;
}

function recognise(raw: RawRow, index: number): Row {
  const { at, columns } = raw;
  for (const kind of rowKinds) {
    const row = kind.recognise(raw);
    if (row !== null) return { ...row, at, id: labelField(columns, 'id') ?? String(index), topic: labelField(columns, 'subject', 'topic') };
  }
  const found =
    Object.keys(columns)
      .map((name) => `"${name}"`)
      .join(', ') || 'none';
  const understood = rowKinds.map((kind) => kind.shown).join('; ');
  return refuse(
    'bad-data',
    `${placeName(at)}: a row of no known kind. Columns found: ${found}. Columns understood: ${understood}.`,
    'Rename the columns, or remove the row.',
  );
}
