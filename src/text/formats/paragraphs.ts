import type { RawRow } from '../columns';
import { type DataFormat, refuseTooMany } from './format';

/** Plain text: every paragraph (text between blank lines) is a text row, at the line where it begins. */
export const paragraphs: DataFormat = {
  endings: ['.txt', '.md'],
  read: async (file, content) => readParagraphs(file, await content.text(), 1),
};

export function readParagraphs(file: string, text: string, firstLine: number): RawRow[] {
  const rows: RawRow[] = [];
  let open: string[] = [];
  const end = /\r\n|\n|\r|$/g;
  for (let from = 0, line = firstLine; ; line++) {
    end.lastIndex = from;
    const found = end.exec(text);
    const content = from > text.length || !found ? '' : text.slice(from, found.index);
    if (content.trim() !== '') open.push(content);
    else if (open.length > 0) {
      rows.push({ at: { file, line: line - open.length, unit: 'line' }, columns: { text: open.join('\n').trim() }, asText: false });
      refuseTooMany(file, rows.length);
      open = [];
    }
    if (from > text.length || !found) return rows;
    from = found[0] === '' ? text.length + 1 : found.index + found[0].length;
  }
}
