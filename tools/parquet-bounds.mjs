// hyparquet trusts the counts in a file: a few bytes can ask for runs of billions of values, for pages of gigabytes, or for a step backwards that never ends.
// The bundles get it with bounds. Each replacement must be found exactly once, so that another version of the library fails the build and is looked at anew.
import fs from 'node:fs';

const refuse = (what) => `throw new Error(${JSON.stringify(what)})`;

/** Checks on a page's header, and on the values of a column chunk so far. */
const checkedHeader = `
    const header = parquetHeader(reader)
    const isCount = n => Number.isInteger(n) && n >= 0 && n <= 1 << 24
    const head = header.data_page_header ?? header.data_page_header_v2 ?? header.dictionary_page_header
    if (!isCount(head?.num_values) || !(header.compressed_page_size >= 0) || !(header.uncompressed_page_size >= 0 && header.uncompressed_page_size <= 1 << 28)) ${refuse('a page has no valid size')}
    const v2 = header.type === 'DATA_PAGE_V2' ? header.data_page_header_v2 : undefined
    if (v2 && !(isCount(v2.num_nulls) && v2.num_nulls <= v2.num_values && isCount(v2.num_rows) && isCount(v2.definition_levels_byte_length) && isCount(v2.repetition_levels_byte_length))) ${refuse('a page has no valid size')}
    declared -= header.type === 'DICTIONARY_PAGE' ? 0 : head.num_values
    if (declared < 0) ${refuse('a column holds more values than it says')}
`;

const heard = 'Object.assign([], { push(column) { column.data.catch(() => {}); return Array.prototype.push.call(this, column) } })';

const replacements = {
  'hyparquet/src/encoding.js': [
    ['const count = header >>> 1\n', 'const count = Math.min(header >>> 1, output.length - seen)\n'],
    ['let count = header >> 1 << 3 // values to read', 'let count = Math.min((header >>> 1) * 8, output.length - seen)'],
    [
      'const width = byteWidth(type, typeLength)\n',
      `const width = byteWidth(type, typeLength)\n  if (count * width > reader.view.byteLength) ${refuse('a page is too short for its values')}\n`,
    ],
  ],
  'hyparquet/src/delta.js': [
    [
      '  readVarInt(reader) // assert(=== count)\n',
      `  readVarInt(reader)\n  if (!(blockSize > 0 && miniblockPerBlock > 0 && miniblockPerBlock <= blockSize)) ${refuse('a block of differences has no valid size')}\n`,
    ],
    [
      '  readVarInt(reader)\n  let value = readZigZag(reader)',
      `  readVarInt(reader)\n  if (!(blockSize > 0 && miniblockPerBlock > 0 && miniblockPerBlock <= blockSize)) ${refuse('a block of differences has no valid size')}\n  let value = readZigZag(reader)`,
    ],
    ['  for (let i = 0; i < count; i++) {\n    const suffix =', '  let made = 0\n  for (let i = 0; i < count; i++) {\n    const suffix ='],
    [
      '    if (prefixData[i]) {\n',
      `    made += prefixData[i] + suffixData[i]\n    if (made > 1 << 28) ${refuse('a page makes more than 256 MB of text')}\n    if (prefixData[i]) {\n`,
    ],
  ],
  'hyparquet/src/column.js': [
    ['    const header = parquetHeader(reader)\n', checkedHeader],
    ['  let skipped = 0\n', '  let skipped = 0\n  let declared = Number(columnDecoder.num_values)\n'],
  ],
  'hyparquet/src/thrift.js': [
    ['    shift += 7\n', `    shift += 7\n    if (shift > 70) ${refuse('a number has too many bytes')}\n`],
    ['    shift += 7n\n', `    shift += 7n\n    if (shift > 70n) ${refuse('a number has too many bytes')}\n`],
    [
      '    const values = new Array(listSize)\n',
      `    if (listSize < 0 || listSize > reader.view.byteLength) ${refuse('a list is longer than the file')}\n    const values = new Array(listSize)\n`,
    ],
  ],
  // Columns are read at once; where one of them fails, or what comes after it, the others must not fail unheard.
  'hyparquet/src/rowgroup.js': [
    ['  const asyncColumns = []\n', `  const asyncColumns = ${heard}\n`],
    ['  const assembled = []\n', `  const assembled = ${heard}\n`],
  ],
  'hyparquet-compressors/src/compressors.js': [
    ['ZSTD: input => decompressZstd(input)', 'ZSTD: (input, length) => decompressZstd(input, new Uint8Array(length))'],
  ],
};

export const parquetBounds = {
  name: 'parquet-bounds',
  setup({ onLoad }) {
    onLoad({ filter: /hyparquet(-compressors)?[\\/]src[\\/](encoding|delta|column|thrift|rowgroup|compressors)\.js$/ }, ({ path }) => {
      const file = Object.keys(replacements).find((name) => path.replaceAll('\\', '/').endsWith(name));
      let contents = fs.readFileSync(path, 'utf8');
      for (const [from, to] of replacements[file]) {
        if (contents.split(from).length !== 2) throw new Error(`${file}: "${from}" is not there exactly once; look at tools/parquet-bounds.mjs.`);
        contents = contents.replace(from, () => to);
      }
      return { contents, loader: 'js' };
    });
  },
};
