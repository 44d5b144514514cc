import { refuse } from '../../protocol/fault';
import { kindOfValue, type RawRow } from '../columns';
import { jsonFault } from '../json-fault';
import { rowsTogether, slices } from '../slices';
import { type DataFormat, presentColumns, refuseExcess, refuseTooMany } from './format';

/** One JSON object a line; blank lines are passed over. */
export const jsonLines: DataFormat = {
  endings: ['.jsonl', '.ndjson'],
  read: async (file, content) => readJsonLines(file, await content.text(), 1),
};

/** `firstLine`: number of the text's first line, for text that was selected in a file. */
export async function readJsonLines(file: string, text: string, firstLine: number): Promise<RawRow[]> {
  refuseExcess(file, text);
  const rows: RawRow[] = [];
  const slice = slices();
  // Not split: a list of all lines would take many times the memory of the text.
  for (let from = 0, line = firstLine; from <= text.length; line++) {
    const end = text.indexOf('\n', from);
    const content = text.slice(from, end < 0 ? text.length : end);
    from = end < 0 ? text.length + 1 : end + 1;
    if (content.trim() === '') continue;
    rows.push(rawRow({ file, line, unit: 'line' }, parseLine(file, line, content)));
    refuseTooMany(file, rows.length);
    if (rows.length % rowsTogether === 0) await slice();
  }
  return rows;
}

function parseLine(file: string, line: number, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    const { offset, what } = jsonFault(content);
    return refuse('bad-data', `${file}, line ${line}, column ${offset + 1}: not valid JSON, ${what}.`, 'Every line must be one complete JSON object.');
  }
}

/** A parsed value as a row, which must be an object. */
export function rawRow(at: RawRow['at'], value: unknown): RawRow {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const remedy = Array.isArray(value) && at.unit === 'line' ? 'A file that is one JSON list must end in .json.' : 'A row is an object like {"text": "..."}.';
    refuse('bad-data', `${at.file}, ${at.unit} ${at.line}: a row must be a JSON object, this is ${kindOfValue(value)}.`, remedy);
  }
  return { at, columns: presentColumns(Object.entries(value as object)), asText: false };
}
