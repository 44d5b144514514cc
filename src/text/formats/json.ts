import { refuse } from '../../protocol/fault';
import { kindOfValue } from '../columns';
import { jsonFault } from '../json-fault';
import { type DataFormat, refuseExcess, refuseTooMany } from './format';
import { rawRow, readJsonLines } from './json-lines';

const LIST = 'A file is one list like [{"text": "..."}], or one object a line.';

/** One JSON list of rows or of texts, or an object with the list as "data" or "rows"; a file of one object a line is read as such. */
export const json: DataFormat = {
  endings: ['.json'],
  read: async (file, content) => {
    const text = await content.text();
    refuseExcess(file, text);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      if (looksLikeLines(text)) return readJsonLines(file, text, 1);
      const { offset, what } = jsonFault(text);
      const before = text.slice(0, offset).split('\n');
      refuse('bad-data', `${file}, line ${before.length}, column ${before[before.length - 1].length + 1}: not valid JSON, ${what}.`, LIST);
    }
    const list = rowList(file, value);
    refuseTooMany(file, list.length);
    return list.map((row, index) => rawRow({ file, line: index + 1, unit: 'row' }, typeof row === 'string' ? { text: row } : row));
  },
};

function rowList(file: string, value: unknown): readonly unknown[] {
  const list = [value, (value as { data?: unknown } | null)?.data, (value as { rows?: unknown } | null)?.rows].find(Array.isArray);
  if (list !== undefined) return list;
  const keys =
    typeof value === 'object' && value !== null
      ? Object.keys(value)
          .slice(0, 12)
          .map((key) => `"${key}"`)
      : [];
  const found = keys.length > 0 ? `an object with ${keys.join(', ')}` : kindOfValue(value);
  return refuse('bad-data', `${file}: expected a list of rows, or an object with the list as "data" or "rows"; found ${found}.`, LIST);
}

function looksLikeLines(text: string): boolean {
  const [first, ...rest] = text.split('\n').filter((line) => line.trim() !== '');
  if (first === undefined || rest.length === 0) return false;
  try {
    const value: unknown = JSON.parse(first);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
