import { CsvError, parse } from 'csv-parse/sync';
import { refuse } from '../../protocol/fault';
import { type Columns, type RawRow, refuseField } from '../columns';
import { parseList } from '../python-literal';
import { type DataFormat, MOST_ROWS, refuseTooMany } from './format';

/** Columns that hold lists, written as JSON or as Python or NumPy print them. */
const LISTS = new Set(['options', 'choices', 'perturbed_answer', 'input_ids', 'labels', 'messages']);

interface CsvRecord {
  readonly record: readonly string[];
  /** Bytes read up to the end of the record. */
  readonly info: { readonly bytes: number };
}

/** Comma-separated with a header; quoted cells may hold line breaks. Empty cells are absent columns. */
export const csv: DataFormat = {
  endings: ['.csv'],
  read: async (file, content) => {
    const text = await content.text();
    const records = parseCsv(file, text);
    const lines = startingLines(
      new TextEncoder().encode(text),
      records.map(({ info }) => info.bytes),
    );
    const names = records[0]?.record.map((name) => name.trim()) ?? [];
    refuseTooMany(file, records.length - 1);
    const twice = repeated(names);
    if (twice !== undefined) refuse('bad-data', `${file}, line 1: the column "${twice}" is there twice.`, 'Give every column its own name.');
    return records.slice(1).map(({ record }, index): RawRow => {
      const at = { file, line: lines[index + 1], unit: 'line' } as const;
      return {
        at,
        columns: columnsOf(
          at,
          names.map((name, column) => [name, record[column]] as const),
        ),
        asText: true,
      };
    });
  },
};

/** The first name that was there before. */
function repeated(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size);
}

/** Bytes of a row with all its cells. */
const LONGEST_ROW = 1 << 26;

function parseCsv(file: string, text: string): readonly CsvRecord[] {
  try {
    return parse(text, { info: true, skip_empty_lines: true, max_record_size: LONGEST_ROW, to: MOST_ROWS + 2 }) as unknown as CsvRecord[];
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = typeof error.lines === 'number' ? `, line ${error.lines}` : '';
    const why = error.message.replace(/ (?:on|at) line \d+/, '').replace(/\.?\s*$/, '');
    return refuse(
      'bad-data',
      `${file}${line}: not valid CSV: ${why}.`,
      'Every line needs as many cells as the header; put text with commas or quotes in double quotes.',
    );
  }
}

/** The line on which each record begins (from 1), given where each ends; the parser's own count takes CRLF in a quoted cell for two. */
function startingLines(bytes: Uint8Array, ends: readonly number[]): number[] {
  const isBreak = (byte: number): boolean => byte === 10 || byte === 13;
  let at = 0;
  let line = 1;
  const step = (): void => {
    if (bytes[at] === 10 || (bytes[at] === 13 && bytes[at + 1] !== 10)) line++;
    at++;
  };
  return ends.map((end) => {
    while (at < end && isBreak(bytes[at])) step();
    const start = line;
    while (at < end) step();
    return start;
  });
}

function columnsOf(at: RawRow['at'], cells: readonly (readonly [name: string, cell: string])[]): Columns {
  const present = cells.filter(([, cell]) => cell !== '');
  return Object.fromEntries(
    present.map(([name, cell]) => {
      if (!LISTS.has(name)) return [name, cell];
      const list = parseList(cell);
      if (list === null) refuseField(at, name, 'is not a list', 'Write it as JSON, like ["one", "two"], or as Python prints it.');
      return [name, list];
    }),
  );
}
