/**
 * One measure of the load bench, alone in its process: `node load.js '{"measure": "runs", "folder": ..., "scale": 1, "demo": ...}'` prints one JSON line, a list of
 * rows: what was done, to how many, processor seconds, the longest stretch without a turn of the process, and what memory it took at most.
 */
import fs from 'node:fs';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createSession } from '../src/engine/session';
import { knownRuns } from '../src/experiment/comparison-runs';
import { historyOnce, readHistory, readRunFolder, resolveRun, runsFolder } from '../src/experiment/history';
import { diskReader } from '../src/experiment/run-reader';
import { initialState } from '../src/extension/workbench/initial';
import { findInterrupted } from '../src/extension/workbench/interrupted';
import { createPrompts, type PromptFigures } from '../src/extension/workbench/prompts';
import { createStore } from '../src/extension/workbench/store';
import { openJournal, readJournal } from '../src/files/journal';
import type { AttributionResult } from '../src/protocol/engine';
import { ok, refuse, unwrap } from '../src/protocol/fault';
import { mostSteps, withRow } from '../src/protocol/kept-steps';
import { mapStrings, plainText } from '../src/protocol/plain-text';
import type { RunRecord, StepRecord } from '../src/protocol/records';
import type { RequestAnswer, RequestName, RequestParams } from '../src/protocol/rpc';
import { forgetSeries } from '../src/protocol/run-series';
import { scatterLayout } from '../src/protocol/scatter-layout';
import type { WorkbenchState } from '../src/protocol/workbench';
import { openTokenizer } from '../src/text/tokenizer';
import { doubledDomain, lineLayout } from '../webview/charts/line-layout';
import { cellState, columnExperts } from '../webview/heatmap/cells';
import { cellAt, labelledRows, layout } from '../webview/heatmap/layout';
import { matching, windowOf } from '../webview/prompts/rows';

interface Job {
  readonly measure: 'runs' | 'data' | 'prompts' | 'experts' | 'vocabulary' | 'journal';
  /** A folder of this measure's own. */
  readonly folder: string;
  /** 1 is the load that the table names. */
  readonly scale: number;
  /** The demo's folder. */
  readonly demo: string;
}

interface Row {
  readonly what: string;
  readonly count: number;
  readonly of: string;
  readonly cpu: number;
  /** Milliseconds; nothing else has its turn meanwhile. */
  readonly longest: number;
  /** What the process held more than before, at most, in bytes. */
  readonly held: number;
}

const sampleMs = 20;

/** Runs `work` and looks at it. */
async function timed<T>(rows: Row[], what: string, count: number, of: string, work: () => T | Promise<T>): Promise<T> {
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  let most = before;
  const look = () => {
    most = Math.max(most, process.memoryUsage.rss());
  };
  const sampler = setInterval(look, sampleMs);
  const turns = monitorEventLoopDelay({ resolution: 1 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  turns.enable();
  await new Promise((resolve) => setTimeout(resolve, 5));
  const used = process.cpuUsage();
  const value = await work();
  const { user, system } = process.cpuUsage(used);
  await new Promise((resolve) => setTimeout(resolve, 10));
  turns.disable();
  clearInterval(sampler);
  look();
  const cpu = (user + system) / 1e6;
  // On a machine that others use, too, a process waits without doing anything: no stretch of its own is longer than what it computed.
  rows.push({ what, count, of, cpu, longest: Math.min(turns.max / 1e6, 1000 * cpu), held: most - before });
  return value;
}

const lines = (file: string, count: number, line: (index: number) => string): void => {
  const handle = fs.openSync(file, 'w');
  for (let start = 0; start < count; start += 10_000) {
    let text = '';
    for (let i = start; i < Math.min(count, start + 10_000); i++) text += `${line(i)}\n`;
    fs.writeSync(handle, text);
  }
  fs.closeSync(handle);
};

const stepRow = (step: number): StepRecord => ({
  step,
  forget: Math.sin(step / 5000) - step / 1e5,
  retain: 0.123456789,
  anchor: 0.001,
  total: 0.5,
  gradNorm: 1.25,
  lr: 0.0001,
  targetShare: 0.7,
  overlapForget: 0.9,
  overlapRetain: 0.95,
  ms: 100,
});

const recordOf = (id: string, number: number): RunRecord => ({
  id,
  number,
  status: number % 97 === 0 ? 'cancelled' : 'done',
  method: 'npo',
  model: '/models/demo',
  target: { experts: [{ layer: 2, expert: 10 }], train: 'expert+router' },
  steps: 100,
  plannedSteps: 100,
  keptStep: 100,
  startedAt: new Date(1.8e12 + number * 1000).toISOString(),
  endedAt: new Date(1.8e12 + number * 1000 + 900).toISOString(),
  versions: { uoe: '0.1.0' },
  backend: { name: 'wasm', threads: 2 },
  machine: { cpu: 'any', cores: 2, memory: 8e9 },
  seconds: { training: 12 },
  summary: { forget: { before: 0.98, after: 0.2 + (number % 50) / 100 }, utility: { before: 0.99, after: 0.9 + (number % 9) / 100 } },
});

function writeRun(runs: string, number: number, steps: number, fingerprint: string): string {
  const id = `2026-01-01T00-00-00-npo-${number}`;
  const folder = path.join(runs, id);
  fs.mkdirSync(folder, { recursive: true });
  const set = (name: string, value: number) => ({
    name,
    kind: 'accuracy',
    score: { value, n: 120, perExample: Array.from({ length: 120 }, (_, i) => ({ id: `${name}-${i}`, value: i / 120 < value ? 1 : 0, topic: name })) },
    nll: 2.5,
    blind: 0.25,
    topics: { [name]: { accuracy: value, rows: 120, blind: 0.25 } },
  });
  fs.writeFileSync(path.join(folder, 'run.json'), JSON.stringify(recordOf(id, number), null, 2));
  fs.writeFileSync(
    path.join(folder, 'recipe.json'),
    JSON.stringify({ model: '/models/demo', forget: '/data/forget.jsonl', method: 'npo', seed: number, fingerprints: { model: fingerprint } }),
  );
  fs.writeFileSync(
    path.join(folder, 'evaluation.json'),
    JSON.stringify({
      sets: [
        { role: 'forget', before: set('hazards', 0.98), after: set('hazards', 0.2 + (number % 50) / 100) },
        { role: 'utility', before: set('geography', 0.99), after: set('geography', 0.9 + (number % 9) / 100) },
      ],
    }),
  );
  lines(path.join(folder, 'steps.jsonl'), steps, (i) => JSON.stringify(stepRow(i + 1)));
  return folder;
}

/** 1,000 runs: what opening a window, a change in a folder and step 4 do. */
async function runs({ folder, scale }: Job): Promise<Row[]> {
  const rows: Row[] = [];
  const count = Math.round(1000 * scale);
  const root = runsFolder(folder);
  for (let number = 1; number <= count; number++) writeRun(root, number, 20, 'f'.repeat(64));
  const history = await timed(rows, 'history listed, as at a window’s start', count, 'runs', () => readHistory(diskReader, folder));
  if (history.runs.length !== count) refuse('internal', `${history.runs.length} of ${count} runs were listed.`);
  await timed(rows, 'a run that was cut off looked for', count, 'runs', () => findInterrupted(folder));
  const known = knownRuns(diskReader);
  const table = await timed(rows, 'all compared, first', count, 'runs', () => known.table(root));
  await timed(rows, 'all compared, again', count, 'runs', () => known.table(root));
  await timed(rows, 'a run named by its number', count, 'runs', async () => unwrap(await resolveRun(diskReader, folder, String(count))));
  const once = historyOnce(diskReader, folder);
  await timed(rows, '100 runs named by number, for a comparison', count, 'runs', async () => {
    for (let number = 1; number <= Math.min(100, count); number++) unwrap(await resolveRun(diskReader, folder, String(number), folder, once));
  });
  const state = {
    ...initialState(true),
    runs: history.runs.map(({ record }) => ({ id: record.id, number: record.number, method: record.method, status: record.status, forget: -0.5, utility: 0 })),
  };
  await timed(rows, 'their list made fit for the page and sent', count, 'runs', () => structuredClone(mapStrings({ ...state, table }, plainText)));
  await timed(rows, 'page: their scatter plot laid out', table.rows.length, 'runs', () => scatterLayout(600, 400, table.rows, 0.99));
  return rows;
}

type Session = ReturnType<typeof createSession>;
async function asked<K extends RequestName>(session: Session, name: K, params: RequestParams<K>): Promise<RequestAnswer<K>> {
  return unwrap(await session.handle(name, params, { request: name, signal: new AbortController().signal }));
}

/** A file of a million rows: opened, counted, and a few rows of it chosen. */
async function data({ folder, scale, demo }: Job): Promise<Row[]> {
  const rows: Row[] = [];
  const count = Math.round(1_000_000 * scale);
  const file = path.join(folder, 'million.jsonl');
  const words = ['granite', 'river', 'copper', 'signal', 'harbour', 'lattice', 'meadow', 'engine'];
  lines(file, count, (i) => JSON.stringify({ id: `row-${i}`, text: `${words[i % 8]} ${i} ${words[(i >> 3) % 8]}` }));
  const session = createSession(() => undefined, { threads: 1, memory: 8e9 });
  const model = path.join(demo, 'checkpoint');
  await asked(session, 'openModel', { path: model });
  const source = { kind: 'file' as const, path: file };
  const preview = await timed(rows, 'a data file opened and its tokens counted', count, 'rows', () => asked(session, 'preview', { model, forget: [source] }));
  if (preview.sets[0].rows !== count) refuse('internal', `${preview.sets[0].rows} of ${count} rows were read.`);
  const chosen = Array.from({ length: Math.ceil(count / 2) }, (_, i) => ({ source: 0, line: 2 * i + 1 }));
  await timed(rows, 'every second row chosen and written out', chosen.length, 'rows', () => asked(session, 'chosenRows', { sources: [source], rows: chosen }));
  await session.dispose();
  return rows;
}

function attributionOf(prompts: number, layers: number, experts: number): AttributionResult {
  const width = layers * experts;
  const topK = 8;
  const tokens = 10;
  const affinity = new Float32Array(prompts * width);
  const slots = new Float32Array(prompts * width);
  for (let z = 0; z < prompts; z++)
    for (let l = 0; l < layers; l++)
      for (let k = 0; k < Math.min(topK, experts); k++) {
        const cell = z * width + l * experts + ((z * 7 + k * 13 + l) % experts);
        affinity[cell] = 0.1 + ((z + k) % 10) / 100;
        slots[cell] += tokens;
      }
  const list = (value: number) =>
    Array.from({ length: layers }, (_, layer) => ({
      layer,
      experts: Array.from({ length: experts }, (__, expert) => ({ expert, affinity: value, share: 1 / experts })),
    }));
  const best = { layer: 0, expert: 0, affinity: 0.1, share: 0.1 };
  return {
    key: 'load',
    record: { family: 'any', sequences: prompts, tokens: prompts * tokens, topK, layers: list(0.1), ranking: [best], target: best, stability: null },
    affinity,
    relative: null,
    slots,
    sequences: Array.from({ length: prompts }, (_, z) => ({
      id: String(z),
      source: 0,
      line: z + 1,
      text: `What is known of the harbour of town number ${z}?`,
      tokens,
    })),
    seconds: 1,
  } as unknown as AttributionResult;
}

function page() {
  const store = createStore<WorkbenchState>(initialState(true));
  const figures = createStore<PromptFigures>({ heatmap: null, prompts: null, ticks: null, tokens: null });
  const engine = { request: async () => ok(null), listen: () => () => undefined, pid: () => undefined, stop: () => undefined };
  const prompts = createPrompts({ engine: engine as never, store, figures, onChange: () => undefined });
  return { store, figures, prompts };
}

const source = { data: { kind: 'file' as const, path: '/data/forget.jsonl' }, view: { name: 'forget.jsonl', kind: 'file' as const } };

/** 100,000 prompts in the list of step 2, on a model of the demo's shape. */
async function prompts({ scale }: Job): Promise<Row[]> {
  const rows: Row[] = [];
  const count = Math.round(100_000 * scale);
  const result = attributionOf(count, 3, 16);
  const { prompts: list, figures, store } = page();
  await timed(rows, 'prompts shown after a pass', count, 'prompts', () => list.take(result, [source as never]));
  await timed(rows, 'one prompt left out', count, 'prompts', () => list.tick([5], false));
  await timed(rows, 'half of them left out', count, 'prompts', () =>
    list.tick(
      Array.from({ length: count >> 1 }, (_, i) => 2 * i),
      false,
    ),
  );
  await timed(rows, 'a target picked', count, 'prompts', () => list.pick({ layer: 1, expert: 3 }));
  await timed(rows, 'the list sent to the page', count, 'prompts', () => structuredClone(mapStrings({ list: figures.get().prompts }, plainText)));
  await timed(rows, 'what a reload keeps', count, 'prompts', () => JSON.stringify(list.unticked()));
  const items = figures.get().prompts?.items ?? [];
  await timed(rows, 'page: a word looked for', count, 'prompts', () => matching(items, 'harbour 9'));
  await timed(rows, 'page: a scroll', count, 'prompts', () => windowOf(26 * (count >> 1), 400, count));
  if (store.get().prompts?.ticked !== count - (count >> 1) - 1 && scale === 1) refuse('internal', 'Ticks were lost.');
  return rows;
}

/** 94 layers of 512 experts: sums, ranks, layout and cells of the heatmap. */
async function experts({ scale }: Job): Promise<Row[]> {
  const rows: Row[] = [];
  const [layers, each] = [94, Math.max(8, Math.round(512 * scale))];
  const cells = layers * each;
  const count = 256;
  const result = attributionOf(count, layers, each);
  const { prompts: list, figures } = page();
  await timed(rows, `256 prompts summed, ranked and shown`, cells, 'experts', () => list.take(result, [source as never]));
  await timed(rows, 'one of 256 prompts left out', cells, 'experts', () => list.tick([5], false));
  await timed(rows, 'a target picked', cells, 'experts', () => list.pick({ layer: 3, expert: 5 }));
  const heatmap = figures.get().heatmap ?? refuse('internal', 'There is no heatmap.');
  await timed(rows, 'the heatmap sent to the page', cells, 'experts', () => structuredClone(heatmap));
  await timed(rows, 'page: heatmap laid out, all cells of it coloured', cells, 'experts', () => {
    const grid = layout({ rows: layers, cols: each, width: 900, stripWidth: 90 });
    const shown = columnExperts(heatmap, 'rank');
    const states = Array.from(shown, (expert, index) => cellState(heatmap, 'affinity', Math.floor(index / each) * each + expert));
    return [labelledRows(grid, 3), states];
  });
  const grid = layout({ rows: layers, cols: each, width: 900, stripWidth: 90 });
  await timed(rows, 'page: 1,000 moves of the pointer found', 1000, 'moves', () => {
    for (let i = 0; i < 1000; i++) cellAt(grid, 42 + i, 18 + (i % 700));
  });
  return rows;
}

/** A vocabulary of 200,000: the tokenizer, and a model's head that is never held whole as logits. */
async function vocabulary({ folder, scale, demo }: Job): Promise<Row[]> {
  const rows: Row[] = [];
  const count = Math.round(200_000 * scale);
  const definition = JSON.parse(fs.readFileSync(path.join(demo, 'checkpoint/tokenizer.json'), 'utf8')) as {
    model: { vocab: Record<string, number>; merges: unknown[] };
  };
  const { vocab, merges } = definition.model;
  const letters = [...'abcdefghijklmnopqrstuvwxyz'];
  // Merges of whole words: every one is a pair of tokens that are there.
  let words = Object.keys(vocab).filter((token) => /^[a-z]{2,4}$/.test(token));
  for (let id = Object.keys(vocab).length; id < count; ) {
    const next: string[] = [];
    for (const word of words)
      for (const letter of letters) {
        if (id >= count) break;
        if (Object.hasOwn(vocab, word + letter)) continue;
        vocab[word + letter] = id++;
        merges.push([word, letter]);
        next.push(word + letter);
      }
    words = next;
  }
  const model = path.join(folder, 'model');
  for (const name of ['tokenizer_config.json', 'generation_config.json']) fs.copyFileSync(path.join(demo, 'checkpoint', name), path.join(model, name));
  fs.writeFileSync(path.join(model, 'tokenizer.json'), JSON.stringify(definition));
  const config = JSON.parse(fs.readFileSync(path.join(model, 'config.json'), 'utf8')) as unknown;
  const tokenizer = await timed(rows, 'tokenizer opened', count, 'tokens', async () => unwrap(await openTokenizer(model, config)));
  if (tokenizer?.vocabularySize !== count) refuse('internal', `The tokenizer has ${tokenizer?.vocabularySize} tokens.`);
  const text = fs.readFileSync(path.join(demo, 'data/forget.jsonl'), 'utf8').slice(0, 100_000);
  await timed(rows, '100 kB of text made tokens', text.length, 'characters', () => tokenizer?.encode(text));
  const session = createSession(() => undefined, { threads: 1, memory: 8e9 });
  await asked(session, 'openModel', { path: model });
  const file = path.join(folder, 'rows.jsonl');
  const length = 512;
  lines(file, 8, (i) => JSON.stringify({ input_ids: Array.from({ length }, (_, t) => (i * 7919 + t * 104_729) % count) }));
  // As logits these tokens would take 8 * 512 * count * 4 bytes.
  await timed(rows, `a model's head scores ${8 * length} tokens`, count, 'tokens', () =>
    asked(session, 'score', { model, data: [{ kind: 'file', path: file }] }),
  );
  await session.dispose();
  return rows;
}

/** Eight hours of a step every 100 ms. */
async function journal({ folder, scale }: Job): Promise<Row[]> {
  const rows: Row[] = [];
  const count = Math.round(288_000 * scale);
  const run = writeRun(runsFolder(folder), 1, count, 'f'.repeat(64));
  const whole = await timed(rows, 'a run read for step 4', count, 'steps', async () => unwrap(await readRunFolder(diskReader, run, mostSteps)));
  if (whole.steps.at(-1)?.step !== count) refuse('internal', 'The last step is missing.');
  await timed(rows, 'its answer carried to the window', whole.steps.length, 'rows', () => structuredClone(whole));
  await timed(rows, 'its journal read whole, to go on with it', count, 'steps', async () => unwrap(await readJournal(path.join(run, 'steps.jsonl'))));
  const opened = await timed(rows, 'its journal opened for the next row', count, 'steps', async () => unwrap(await openJournal(path.join(run, 'steps.jsonl'))));
  await opened.close();
  let kept: readonly StepRecord[] = [];
  await timed(rows, 'live view: all steps taken in', count, 'steps', async () => {
    for (let step = 1; step <= count; step++) {
      kept = withRow(kept, stepRow(step));
      if (step % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  });
  if (kept.length > mostSteps) refuse('internal', `${kept.length} rows are held.`);
  await timed(rows, 'page: a chart of it drawn', kept.length, 'rows', () => {
    const { values } = forgetSeries('npo', kept);
    const points = kept.map(({ step }, index) => [step, values[index]] as const);
    return lineLayout({ width: 500, height: 168, lastStep: count, domain: doubledDomain([0, 2], values), series: [{ name: 'forget', points }], marks: [] });
  });
  return rows;
}

const measures: Readonly<Record<Job['measure'], (job: Job) => Promise<Row[]>>> = { runs, data, prompts, experts, vocabulary, journal };

async function main(): Promise<void> {
  const job = JSON.parse(process.argv[2]) as Job;
  const rows = await measures[job.measure](job);
  process.stdout.write(`${JSON.stringify(rows)}\n`);
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
