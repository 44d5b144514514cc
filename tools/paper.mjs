// `npm run paper`: the paper's tables in miniature on the demo model, from a fresh clone to docs/paper.md; begun again it goes on where it was.
//   npm run paper -- --tables methods,ranks    some tables only
//   npm run paper -- --report                  documents from the run folders that are there, nothing is run
//   npm run paper -- --quick                   the same way through in a few minutes; its numbers say nothing, its documents stay in .cache
//   npm run paper -- --workers 4               runs at a time; without it as many as there are cores
// Runs stay in .cache/paper.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { collect, readJson, runFigures } from './paper/collect.mjs';
import { documents, withinSpread } from './paper/document.mjs';
import { repeatSweep, searchedRows } from './paper/rows.mjs';
import { seeds as allSeeds, isAudited, quickTables, rateAxis, returningAudits, tables } from './paper/tables.mjs';
import { builtProgram } from './program.mjs';

const home = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false },
    tables: { type: 'string' },
    workers: { type: 'string', default: String(os.availableParallelism()) },
    cli: { type: 'string' },
  },
});

const known = options.quick ? quickTables : tables;
const wanted = options.tables?.split(',') ?? known.map(({ id }) => id);
const unknown = wanted.find((id) => !known.some((table) => table.id === id));
if (unknown !== undefined || !/^[1-9]\d*$/.test(options.workers)) {
  console.error(
    unknown === undefined ? '--workers is a whole number from 1.' : `There is no table "${unknown}"; there are ${known.map(({ id }) => id).join(', ')}.`,
  );
  process.exit(2);
}

const workspace = path.join(home, options.quick ? '.cache/paper-quick' : '.cache/paper');
const seeds = options.quick ? [0, 1] : allSeeds;
const sweepFile = (name) => path.join(home, 'docs/paper', `${name}.sweep.json`);
const repeatsOf = (name) => path.join(workspace, `${name}-seeds.sweep.json`);
const program = options.cli ? path.resolve(options.cli) : builtProgram();

const children = new Set();
// A terminal's Ctrl-C reaches the child as well, which ends in order; then so does this.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {
  for (const child of children) child.kill('SIGINT');
});

/** Runs the command line; resolves with its exit code. What it prints is not shown, what it notes is. */
function uoe(args, quiet = false) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args, '--workspace', workspace], { stdio: ['ignore', 'ignore', quiet ? 'pipe' : 'inherit'] });
    children.add(child);
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-2000);
    });
    child.on('error', (error) => resolve({ code: 1, said: error.message }));
    child.on('close', (code) => {
      children.delete(child);
      resolve({ code: code ?? 130, said });
    });
  });
}

/** Tasks of a sweep file with their runs, as the run folders have them. */
function results(file) {
  const answer = spawnSync(process.execPath, [program, 'sweep', file, '--results-only', '--json', '--workspace', workspace], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (answer.status === 0) return JSON.parse(answer.stdout);
  console.error(answer.stderr.trim());
  process.exit(answer.status ?? 130);
}

async function sweep(file) {
  const { code } = await uoe(['sweep', file, '--workers', options.workers, '--format', 'csv']);
  // 1: a task failed, which is a result; more is a fault of the file or a cancel.
  if (code > 1) process.exit(code);
}

/** The six other topics as files; the committed ones are those of hazards. */
async function writeTopics() {
  const folder = path.join(home, '.cache/paper/topics');
  const { build } = await import('esbuild');
  const bundle = path.join(home, '.cache/paper/demo-topics.mjs');
  await build({
    entryPoints: [path.join(home, 'src/experiment/demo-topics.ts')],
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile: bundle,
    logLevel: 'error',
  });
  const { makeTopicSplits, toJsonLines } = await import(pathToFileURL(bundle).href);
  const facts = readJson(path.join(home, 'demo/data/facts.json'));
  for (const { id } of facts.topics.filter(({ id: topic }) => topic !== 'hazards')) {
    const { forget, retain, evaluate, stop } = makeTopicSplits(facts, id, 1);
    const files = { forget, retain, 'eval/forget': evaluate.forget, 'eval/near': evaluate.near, 'eval/retain': evaluate.retain, 'stop/forget': stop.forget };
    for (const [name, rows] of Object.entries(files)) {
      const file = path.join(folder, id, `${name}.jsonl`);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, toJsonLines(rows));
    }
  }
}

/** The search of a sweep, then its other seeds at the rates that the search gave. */
async function runSweep(name, axes) {
  const file = sweepFile(name);
  if (!fs.existsSync(file)) return;
  const { recipe, vary } = readJson(file);
  console.error(`\n${name}: ${vary[rateAxis] === undefined ? 'runs' : `search of ${rateAxis}`}`);
  await sweep(file);
  if (vary[rateAxis] === undefined) return;
  const found = searchedRows(withFigures(results(file)), axes);
  const repeats = repeatSweep(path.relative(workspace, path.resolve(path.dirname(file), recipe)), vary, found, seeds);
  if (repeats === null) return;
  fs.writeFileSync(repeatsOf(name), `${JSON.stringify(repeats, null, 1)}\n`);
  console.error(`\n${name}: the other seeds at the chosen rates`);
  await sweep(repeatsOf(name));
}

async function runAudits(collected) {
  const due = collected.tables
    .filter(({ id, audit }) => audit && wanted.includes(id))
    .flatMap((table) =>
      table.rows
        .filter((row) => isAudited(table, row))
        .flatMap(({ name, runs }) => runs.filter(({ seed, state }) => state === 'done' && table.audit.includes(seed)).map((run) => ({ name, ...run }))),
    )
    .map(({ name, seed, id, audits, full }) => ({
      name,
      seed,
      id,
      open: returningAudits.filter((each) => !audits[each] && !(full && each === 'relearn-full')),
    }))
    .filter(({ open }) => open.length > 0);
  if (due.length === 0) return;
  console.error(`\nAudits of ${due.length} runs`);
  const waiting = [...due];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { code, said } = await uoe(['audit', next.id, '--only', next.open.join(','), '--json', '--threads', '1'], true);
      if (code > 1) process.exit(code);
      console.error(`${next.name}, seed ${next.seed}: ${code === 0 ? 'audited' : said.trim().split('\n').at(-1)}; ${waiting.length} to begin`);
    }
  };
  await Promise.all(Array.from({ length: Number(options.workers) }, work));
}

const collected = () => collect({ tables: known, sweepFile, repeatsOf, results, workspace, seeds });

/** Seconds of the runs and audits that are there, and how many runs the tables are. */
function effort(tablesNow) {
  const runs = path.join(workspace, '.uoe/runs');
  const records = (fs.existsSync(runs) ? fs.readdirSync(runs) : [])
    .map((id) => path.join(runs, id))
    .filter((folder) => fs.existsSync(path.join(folder, 'run.json')));
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const own = sum(records.map((folder) => sum(Object.values(readJson(path.join(folder, 'run.json')).seconds))));
  const audited = sum(records.map((folder) => sum(Object.values(readJson(path.join(folder, 'audits.json'))?.audits ?? {}).map(({ seconds }) => seconds))));
  const rows = tablesNow.flatMap(({ rows: each }) => each.filter(({ borrowed }) => !borrowed));
  const planned = sum(rows.map((row) => row.planned + Math.max(0, row.searched.length - 1)));
  if (records.length === 0)
    return `${planned} runs, none made yet: about an hour on two quiet cores. That is an estimate, from single runs: 12 s each to begin and to measure, 0.15 s a step where an expert trains, 0.45 s where all parameters do.`;
  const minutes = ((own + audited) / 60 / 2).toFixed(0);
  return `${planned} runs; ${records.length} are there. They took ${own.toFixed(0)} s, their audits ${audited.toFixed(0)} s, each on one core: about ${minutes} minutes on two cores.`;
}

/** Tasks with what their run folders say, as a search is judged by. */
const withFigures = ({ tasks }) =>
  tasks.map(({ labels, state, run }) => ({ labels, state, run: run === null ? null : runFigures(path.join(workspace, '.uoe/runs', run)) }));

const runsIn = (json) => Object.values(json?.tables ?? {}).reduce((sum, { rows }) => sum + rows.reduce((own, { done }) => own + done, 0), 0);

function report() {
  const now = collected();
  const written = documents(now, {
    estimate: effort(now.tables),
    seeds,
    note: options.quick ? 'Ten steps a run and two seeds: the figures and the marks below say nothing.' : null,
  });
  const own = JSON.parse(written['paper.json']);
  const committed = options.quick ? null : readJson(path.join(home, 'docs/paper.json'));
  // A few tables run in a fresh clone take nothing from a page that has more.
  const fewer = runsIn(own) < runsIn(committed);
  const to = options.quick || fewer ? path.join(workspace, 'docs') : path.join(home, 'docs');
  fs.mkdirSync(to, { recursive: true });
  for (const [name, text] of Object.entries(written)) fs.writeFileSync(path.join(to, name), text);
  if (fewer) console.error(`docs/paper.md stays: it has ${runsIn(committed)} runs, and here are ${runsIn(own)}.`);
  const { compared, outside } = withinSpread(committed, own);
  if (compared > 0) {
    console.error(`${compared - outside.length} of ${compared} figures lie within the spread of the table that was there before.`);
    for (const each of outside) console.error(`  ${each}`);
  }
  console.log(path.relative(process.cwd(), path.join(to, 'paper.md')));
}

fs.mkdirSync(workspace, { recursive: true });
if (!options.report) {
  for (const { id, sweeps, axes } of known) {
    if (!wanted.includes(id)) continue;
    if (id === 'topics') await writeTopics();
    for (const name of sweeps) await runSweep(name, axes);
  }
  await runAudits(collected());
}
report();
