/** A row as it lies in the file, before its kind is known, and the checks its fields go through. */
import { refuse } from '../protocol/fault';

export type Columns = Readonly<Record<string, unknown>>;

/** Where a row is, for messages: file and line (jsonl, csv, txt) or row number (json, parquet), both from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly unit: 'line' | 'row';
}

/** What a format reads: columns with absent ones (null, an empty cell) left out. `asText`: cells are text, lists are written out (csv). */
export interface RawRow {
  readonly at: Place;
  readonly columns: Columns;
  readonly asText: boolean;
}

export const placeName = (at: Place): string => `${at.file}, ${at.unit} ${at.line}`;

/** Throws: the field of this row is wrong. */
export function refuseField(at: Place, field: string, why: string, remedy = 'Correct the field, or remove the row.'): never {
  return refuse('bad-data', `${placeName(at)}: "${field}" ${why}.`, remedy);
}

/** The kind of a value in words: "a number", "a list". */
export function kindOfValue(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  return { string: 'text', number: 'a number', boolean: 'true or false', object: 'an object' }[typeof value as string] ?? typeof value;
}

export function textField(raw: RawRow, field: string): string {
  const value = raw.columns[field];
  if (typeof value !== 'string') refuseField(raw.at, field, `is ${kindOfValue(value)}, not text`);
  return value as string;
}

export function listField(raw: RawRow, field: string): readonly unknown[] {
  const value = raw.columns[field];
  if (Array.isArray(value)) return value;
  return refuseField(raw.at, field, `is ${kindOfValue(value)}, not a list`);
}

/** Integers from 0. */
export function idsField(raw: RawRow, field: string, lowest: number): readonly number[] {
  const list = listField(raw, field);
  const wrong = list.findIndex((id) => !Number.isSafeInteger(id) || (id as number) < lowest);
  if (wrong >= 0) refuseField(raw.at, field, `has ${JSON.stringify(list[wrong]) ?? 'nothing'} at index ${wrong}, where an integer from ${lowest} is needed`);
  return list as readonly number[];
}

/** A cell as text, where an id or topic may be a number. */
export function labelField(columns: Columns, ...fields: readonly string[]): string | undefined {
  for (const field of fields) {
    const value = columns[field];
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  }
  return undefined;
}
