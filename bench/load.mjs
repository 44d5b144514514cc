// `npm run bench -- load`: what large work costs. 1,000 runs in the history, a data file of a million rows, 100,000 prompts, 94 x 512 experts, a vocabulary of
// 200,000 tokens, a journal of eight hours with a step every 100 ms.
//   npm run bench -- load [--only runs,data,prompts,experts,vocabulary,journal] [--scale X] [--format text|json|markdown]
// Every measure is a process of its own (bench/load.ts). CPU is processor seconds of its threads together; "longest" is the longest stretch in which nothing else of
// the process had its turn: clicks, cancels and other messages wait for so long (on a busy machine it is too long, by what others took). Memory is what the process held more than before, at most. A row above a bound is marked.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { writeCheckpoint } from './large/write-checkpoint.mjs';
import { chosenOf, optionValues, readOrExplain } from './options.mjs';
import { lastLine, runMeasured } from './process.mjs';
import { seconds, tableAs } from './table.mjs';

const usage = 'Usage: npm run bench -- load [--only runs,data,prompts,experts,vocabulary,journal] [--scale X] [--format text|json|markdown]';
const titles = {
  runs: '1,000 runs in the history',
  data: 'a data file of 1 M rows',
  prompts: '100,000 prompts',
  experts: '94 × 512 experts',
  vocabulary: 'a vocabulary of 200,000 tokens',
  journal: 'eight hours of journal',
};
/** A process that answers within half a second is felt to respond; what takes longer is read or computed in slices. */
const longestMs = 500;
/** The smallest machine that UOE is planned for has 8 GB, of which the engine takes the budget and the window this at most. */
const mostHeld = 2e9;

function optionsOf(argv) {
  const values = optionValues(argv, { only: undefined, scale: '1' });
  const scale = Number(values.scale);
  if (!(scale > 0 && scale <= 1)) throw new Error('--scale is above 0 and at most 1.');
  return { only: chosenOf(values, Object.keys(titles), 'load'), scale, format: values.format };
}

const shownCount = (value) => value.toLocaleString('en-US').replaceAll(',', '\u202f');
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
const mark = (value, most) => (value > most ? ' !' : '');

export async function benchLoad(argv, { home, bundle }) {
  const options = readOrExplain(() => optionsOf(argv), usage);
  if (options === null) return;
  const { only, scale, format } = options;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-load-'));
  const results = [];
  try {
    for (const measure of only) {
      const own = path.join(folder, measure);
      fs.mkdirSync(own);
      if (measure === 'vocabulary')
        await writeCheckpoint({ to: path.join(own, 'model'), layers: 2, experts: 4, hidden: 64, vocab: Math.round(200_000 * scale), seed: 1 });
      process.stderr.write(`${titles[measure]} ...\n`);
      const job = { measure, folder: own, scale, demo: path.join(home, 'demo') };
      const ended = await runMeasured(process.execPath, ['--expose-gc', path.join(bundle, 'load.js'), JSON.stringify(job)]);
      if (ended.code !== 0) throw new Error(`${titles[measure]}: ${lastLine(ended.errors) || `ended with ${ended.signal ?? ended.code}`}\n${ended.errors}`);
      results.push({ measure, title: titles[measure], peakBytes: ended.peakBytes, rows: JSON.parse(lastLine(ended.out)) });
      fs.rmSync(own, { recursive: true, force: true });
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  if (format === 'json') {
    console.log(JSON.stringify({ scale, node: process.version, cores: os.availableParallelism(), results }, null, 2));
    return;
  }
  const rows = results.flatMap(({ title, peakBytes, rows: own }) => [
    [`${title}${scale === 1 ? '' : ` × ${scale}`}`, '', '', '', '', megabytes(peakBytes)],
    ...own.map(({ what, count, of, cpu, longest, held }) => [
      `  ${what}`,
      `${shownCount(count)} ${of}`,
      seconds(cpu),
      `${longest.toFixed(0)} ms${mark(longest, longestMs)}`,
      `${megabytes(held)}${mark(held, mostHeld)}`,
      '',
    ]),
  ]);
  console.log(tableAs(format)(['What', 'Of', 'CPU s', 'Longest', 'Memory', 'Process at most'], rows));
  const above = results.flatMap(({ rows: own }) => own.filter(({ longest, held }) => longest > longestMs || held > mostHeld)).length;
  console.log(
    `\n${above} of ${results.reduce((sum, { rows: own }) => sum + own.length, 0)} above a bound (${longestMs} ms without a turn, ${megabytes(mostHeld)} held), marked "!".`,
  );
}
