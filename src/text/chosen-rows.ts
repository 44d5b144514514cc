/** Some rows of several sources as one JSON Lines text that reads back as the same rows. */
import type { DataSource } from '../protocol/engine';
import { fail, ok, type Result } from '../protocol/fault';
import { labelField, type RawRow } from './columns';
import { readRawRows } from './rows';

/** In csv every cell is text, so that the index of an answer is too; in JSON it is a number. */
function columnsOf({ columns, asText }: RawRow): Readonly<Record<string, unknown>> {
  const { answer } = columns;
  return asText && typeof answer === 'string' && /^\s*\d+\s*$/.test(answer) ? { ...columns, answer: Number(answer) } : columns;
}

const asJson = (_name: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

/** Fault `not-found` where a source has no row at a line that was asked for: it changed since it was read. */
export async function chosenRows(
  sources: readonly DataSource[],
  wanted: readonly { readonly source: number; readonly line: number }[],
): Promise<Result<string>> {
  const lines: string[] = [];
  for (const [index, source] of sources.entries()) {
    const own = new Set(wanted.filter((row) => row.source === index).map((row) => row.line));
    if (own.size === 0) continue;
    const rows = await readRawRows(source);
    if (!rows.ok) return rows;
    rows.value.forEach((row, at) => {
      if (!own.delete(row.at.line)) return;
      lines.push(JSON.stringify({ ...columnsOf(row), id: labelField(row.columns, 'id') ?? String(at) }, asJson));
    });
    const name = source.kind === 'file' ? source.path : source.origin;
    if (own.size > 0)
      return fail('not-found', `${name} has no row at line ${[...own].reduce((least, line) => Math.min(least, line))} any more.`, 'Read the prompts again.');
  }
  return ok(lines.map((line) => `${line}\n`).join(''));
}
