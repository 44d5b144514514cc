import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { FaultError, refuse } from '../../protocol/fault';
import type { RawRow } from '../columns';
import { type DataFormat, presentColumns, refuseTooMany } from './format';

/** Parquet with any of its compressions; list and struct columns become lists and objects. */
export const parquet: DataFormat = {
  endings: ['.parquet'],
  read: async (file, content) => {
    const bytes = await content.bytes();
    const whole = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    let records: readonly Record<string, unknown>[];
    try {
      const metadata = parquetMetadata(whole);
      refuseCounts(file, metadata);
      records = await parquetReadObjects({ file: whole, metadata, compressors });
    } catch (error) {
      if (error instanceof FaultError) throw error;
      return refuse(
        'bad-file',
        `${file} can't be read as parquet: ${error instanceof Error ? error.message.replace(/\.\s*$/, '') : error}.`,
        'Check that the file is complete.',
      );
    }
    return records.map(
      (record, index): RawRow => ({
        at: { file, line: index + 1, unit: 'row' },
        columns: presentColumns(Object.entries(record).map(([name, value]) => [name, plain(value)] as const)),
        asText: false,
      }),
    );
  },
};

/** Values of all columns: about a gigabyte. */
const MOST_VALUES = 1 << 26;

/** Throws where the file says it holds more than can be read; what it says is all that is decoded. */
function refuseCounts(file: string, { row_groups: groups }: ReturnType<typeof parquetMetadata>): void {
  const rows = groups.reduce((sum, group) => sum + Math.max(0, Number(group.num_rows)), 0);
  const values = groups.reduce((sum, group) => sum + group.columns.reduce((own, column) => own + Math.max(0, Number(column.meta_data?.num_values ?? 0)), 0), 0);
  const columns = groups.reduce((most, group) => Math.max(most, group.columns.length), 0);
  refuseTooMany(file, rows);
  if (!(values <= MOST_VALUES && rows * columns <= MOST_VALUES))
    refuse('bad-data', `${file} holds more than ${MOST_VALUES} values.`, 'Cut it into several files, or leave columns out.');
}

/** Values as JSON would hold them: 64-bit integers as numbers, typed arrays as lists, dates as text. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, plain);
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}
