/** A figure's numbers as a file. Pure. */

export type CsvRow = readonly (string | number | null)[];

/** RFC 4180, numbers in full precision, null empty. A text that a spreadsheet would run as a formula gets an apostrophe. */
export function csvText(rows: readonly CsvRow[]): string {
  const field = (value: string | number | null): string => {
    if (value === null || (typeof value === 'number' && !Number.isFinite(value))) return '';
    const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(field).join(',')}\r\n`).join('');
}
