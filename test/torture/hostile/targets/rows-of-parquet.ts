import fs from 'node:fs';
import { rowsFile } from '../rows';
import { fixtures, type OpenTarget } from '../target';

/** The largest counts that parquet's variable-length integers can hold, as a run of equal values and as a run of packed ones. */
const largest = [
  [0xfe, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
];

/** Where the pages of the fixture end and its directory begins. */
const PAGES = 540;

/** A file with each byte of its pages in turn replaced by such a count: so every length is met, of a page's header and of the runs in it. */
function* hugeCounts(file: string): Iterable<Uint8Array> {
  const input = fs.readFileSync(file);
  for (let at = 4; at < PAGES; at++)
    for (const count of largest) yield new Uint8Array(Buffer.concat([input.subarray(0, at), Buffer.from(count), input.subarray(at + 1)]));
}

export const rowsOfParquet: OpenTarget = async (scene) => ({
  name: 'rows of parquet',
  form: 'bytes',
  share: 9,
  tail: 700,
  seeds: fixtures('test/fixtures/text', '.parquet').map((at) => fs.readFileSync(at)),
  hostile: () => hugeCounts('test/fixtures/text/questions.none.parquet'),
  run: await rowsFile(scene, 'rows.parquet'),
});
