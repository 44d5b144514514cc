/** Tables as text for terminals, as Markdown, and as CSV. */

import { plainText } from '../protocol/plain-text';
import type { Cell, Column } from '../protocol/report-page';

export type { Cell, Column };

/** Terminals break on control characters, tables on line ends, readers on marks that turn the direction of writing. */
export const oneLine = (text: string): string => plainText(text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim());

/** Width in a terminal: characters, combining marks not counted. */
const width = (text: string): number => [...text.replace(/\p{M}/gu, '')].length;

/** Columns aligned with spaces; a best value is followed by `*`, and every row keeps the place for it. No trailing space. */
export function textTable(columns: readonly Column[], rows: readonly (readonly Cell[])[]): string {
  const shown = rows.map((row) => row.map(({ text, best }) => oneLine(text) + (best ? '*' : '')));
  const starred = columns.map((_, c) => rows.some((row) => row[c].best));
  const padded = shown.map((row, r) => row.map((text, c) => (starred[c] && columns[c].align === 'right' && !rows[r][c].best ? `${text} ` : text)));
  const titles = columns.map(({ title, align }, c) => (starred[c] && align === 'right' ? `${title} ` : title));
  const widths = columns.map((_, c) => Math.max(width(titles[c]), ...padded.map((row) => width(row[c]))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, c) => (columns[c].align === 'right' ? ' '.repeat(widths[c] - width(cell)) + cell : cell + ' '.repeat(widths[c] - width(cell))))
      .join('  ')
      .trimEnd();
  return [line(titles), line(widths.map((w) => '─'.repeat(w))), ...padded.map(line)].join('\n');
}

/** Text that Markdown shows as it is: no emphasis, links, HTML or cells of its own. */
export const escapeMarkdown = (text: string): string =>
  oneLine(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replace(/[\\`*_[\]|#~!$]/g, '\\$&');

/** A GitHub table; a best value is bold. */
export function markdownTable(columns: readonly Column[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map(({ title }) => escapeMarkdown(title))),
    line(columns.map(({ align }) => (align === 'right' ? '---:' : '---'))),
    ...rows.map((row) => line(row.map(({ text, best }) => (best ? `**${escapeMarkdown(text)}**` : escapeMarkdown(text))))),
  ].join('\n');
}

/** RFC 4180: a field with a comma, quote or line end is quoted. Null is an empty field. */
export function csv(rows: readonly (readonly (string | number | null)[])[]): string {
  const field = (value: string | number | null): string => {
    if (value === null) return '';
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(field).join(',')}\r\n`).join('');
}
