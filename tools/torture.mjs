// `npm run torture`: what UOE survives, as one table. Each class of torture is a file of tools/torture with the same skeleton:
//   export const name; export async function run({ home, bundle, folder, seed, scale, say }) -> { rows: [{ what, tried, survived, note? }], failures: [sentence] }
//   npm run torture -- --only kills,faults   some classes only
//   npm run torture -- --scale 0.02          a quick look; 1 is the full count
//   npm run torture -- --seed 7              another seed; what fails names the seed that repeats it
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { installPackages } from './packages.mjs';

const home = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const bundle = path.join(home, '.build/torture');
const known = ['kills', 'faults', 'hostile', 'load'];

const { values: options } = parseArgs({
  options: { only: { type: 'string' }, scale: { type: 'string', default: '1' }, seed: { type: 'string', default: '1' } },
});
const wanted = options.only?.split(',') ?? known;
const unknown = wanted.find((name) => !known.includes(name));
const scale = Number(options.scale);
const seed = Number(options.seed);
if (unknown !== undefined || !(scale > 0) || !Number.isSafeInteger(seed)) {
  const wrong =
    unknown === undefined ? '--scale is a number above 0, --seed a whole number.' : `There is no class "${unknown}"; there are ${known.join(', ')}.`;
  console.error(wrong);
  process.exit(2);
}

/** Columns as wide as their widest cell, numbers to the right. */
function tableOf(rows) {
  const cells = [['class', 'what', 'tried', 'survived', ''], ...rows.map(({ of, what, tried, survived, note }) => [of, what, tried, survived, note ?? ''])];
  const text = cells.map((row) => row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en-US') : String(cell))));
  const widths = text[0].map((_, column) => Math.max(...text.map((row) => row[column].length)));
  return text
    .map((row) =>
      row
        .map((cell, column) => (column === 2 || column === 3 ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

installPackages();
process.chdir(home);
const { buildTorture } = await import('../esbuild.config.mjs');
await buildTorture(bundle);
const rows = [];
const failures = [];
for (const name of known.filter((one) => wanted.includes(one))) {
  const file = path.join(home, 'tools/torture', `${name}.mjs`);
  if (!fs.existsSync(file)) continue;
  const torture = await import(pathToFileURL(file).href);
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), `uoe-torture-${name}-`)));
  const began = Date.now();
  const say = (text) => console.error(`${name}: ${text}`);
  try {
    const found = await torture.run({ home, bundle, folder, seed, scale, say });
    rows.push(...found.rows.map((row) => ({ of: name, ...row })));
    failures.push(...found.failures.map((text) => `${name}: ${text}`));
    // A row that lost something without saying what would pass unseen.
    const lost = found.rows.filter(({ tried, survived }) => survived !== tried);
    if (lost.length > 0 && found.failures.length === 0) failures.push(`${name}: ${lost.map(({ what }) => what).join(', ')} did not survive every time.`);
  } catch (error) {
    failures.push(`${name}: ended with ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  say(`${((Date.now() - began) / 1000).toFixed(0)} s`);
}
console.log(tableOf(rows));
if (rows.length === 0) failures.push('Nothing was tried.');
if (failures.length > 0) console.log(`\n${failures.join('\n')}`);
console.log(`\nseed ${seed}, scale ${scale}: ${failures.length === 0 ? 'all survived' : `${failures.length} failures`}`);
process.exitCode = failures.length === 0 ? 0 : 1;
