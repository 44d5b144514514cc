/**
 * A window used all day: open → read → run → compare → close, again and again, on the host's own logic with a real engine. What is held is looked at
 * after each cycle: memory, descriptors, threads and processes. `node --expose-gc soak.js JSON` prints one JSON line.
 */
import fs from 'node:fs';
import path from 'node:path';
import { createEngineClient } from '../../src/extension/engine/client';
import { initialState } from '../../src/extension/workbench/initial';
import { createJobs } from '../../src/extension/workbench/job';
import { createLoop, type Figures, type Loop } from '../../src/extension/workbench/loop';
import { fileSource } from '../../src/extension/workbench/sources';
import { createStore } from '../../src/extension/workbench/store';
import { type Fault, ok, sentence } from '../../src/protocol/fault';
import type { WorkbenchState } from '../../src/protocol/workbench';

export interface SoakJob {
  /** engine.js */
  readonly engine: string;
  readonly demo: string;
  /** A new folder of its own. */
  readonly folder: string;
  readonly cycles: number;
  /** Cycles after which the window is closed and another opened. */
  readonly window: number;
}

/** What is held after a cycle; bytes and counts. Null where /proc is missing. */
export interface Held {
  readonly hostHeap: number;
  readonly hostFiles: number | null;
  readonly engineMemory: number | null;
  readonly engineFiles: number | null;
  readonly engineThreads: number | null;
  /** Processes that this one started and that are there. */
  readonly children: number | null;
}

export interface Soaked {
  readonly held: readonly Held[];
  /** Engines of windows that were closed, and those of them that are still there. */
  readonly windows: number;
  readonly left: number;
}

const count = (folder: string): number | null => {
  try {
    return fs.readdirSync(folder).length;
  } catch {
    return null;
  }
};

function memoryOf(pid: number): number | null {
  try {
    const found = /^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
    return found ? Number(found[1]) * 1024 : null;
  } catch {
    return null;
  }
}

function childrenOf(pid: number): number | null {
  try {
    const tasks = fs.readdirSync(`/proc/${pid}/task`);
    return tasks.flatMap((task) => fs.readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(/\s+/).filter(Boolean)).length;
  } catch {
    return null;
  }
}

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function until(what: string, is: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1500; turn++) {
    if (is()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what} did not happen in thirty seconds.`);
}

interface Window {
  readonly loop: Loop;
  readonly store: { get(): WorkbenchState };
  readonly pid: () => number | undefined;
}

function openWindow({ engine: module }: SoakJob, workspace: string): Window {
  const store = createStore<WorkbenchState>(initialState(true));
  const figures = createStore<Figures>({ heatmap: null, prompts: null, ticks: null, tokens: null, steps: { run: '', rows: [] } });
  const report = (fault: Fault) => {
    throw new Error(sentence(fault));
  };
  const holder: { loop?: Loop } = {};
  const engine = createEngineClient({
    module,
    handshake: () => ({ backend: 'wasm', threads: 1, memory: '2GB' }),
    onStatus: (status) => holder.loop?.engineChanged(status),
    onOutput: () => undefined,
  });
  const loop = createLoop({
    engine,
    store,
    figures,
    jobs: createJobs({ onShown: (job) => store.set({ job }), onList: (jobs) => store.set({ jobs }), present: () => () => undefined }),
    workspace: () => workspace,
    saveSelection: async (text) => {
      const at = path.join(workspace, 'selection.jsonl');
      fs.writeFileSync(at, text);
      return ok(at);
    },
    keepFile: async (from) => ok(from),
    report,
    inform: () => undefined,
  });
  holder.loop = loop;
  return { loop, store, pid: engine.pid };
}

/** Opens one checkpoint (which closes the other), reads, runs two steps, looks at the result and its routing, and deletes the run. */
async function cycle({ loop, store }: Window, model: string, forget: string, workspace: string): Promise<void> {
  await loop.openModel(model, path.basename(model), undefined, { forget: [fileSource(forget, 'forget.jsonl')] });
  const { problem, target } = store.get();
  if (problem || !target) throw new Error(problem ? `${problem.title}: ${problem.text}` : 'No target was found.');
  loop.changeSettings({ steps: 2, batchSize: 4 });
  await loop.start();
  const { comparison, run } = store.get();
  if (!comparison || run?.status !== 'done') throw new Error(`The run ended as ${run?.status}: ${run?.reason ?? store.get().problem?.text}`);
  await loop.comparison.readRouting('forget');
  await loop.comparison.readTable();
  fs.rmSync(path.join(workspace, '.uoe/runs', comparison.run), { recursive: true });
  await loop.forgetRun(comparison.run);
}

export async function soak(job: SoakJob, say: (text: string) => void = () => undefined): Promise<Soaked> {
  const workspace = path.join(job.folder, 'workspace');
  fs.mkdirSync(workspace, { recursive: true });
  const models = ['one', 'other'].map((name) => {
    const at = path.join(job.folder, name);
    fs.cpSync(path.join(job.demo, 'checkpoint'), at, { recursive: true });
    return at;
  });
  const forget = path.join(workspace, 'forget.jsonl');
  fs.writeFileSync(forget, fs.readFileSync(path.join(job.demo, 'data/forget.jsonl'), 'utf8').split('\n').slice(0, 8).join('\n'));
  const held: Held[] = [];
  let windows = 0;
  let left = 0;
  let window = openWindow(job, workspace);
  const close = async () => {
    const pid = window.pid();
    window.loop.dispose();
    windows++;
    if (pid === undefined) return;
    await until('The end of a closed window’s engine', () => !isThere(pid)).catch(() => {
      left++;
    });
  };
  for (let turn = 0; turn < job.cycles; turn++) {
    if (turn > 0 && turn % job.window === 0) {
      await close();
      window = openWindow(job, workspace);
    }
    await cycle(window, models[turn % 2], forget, workspace);
    // What only waits to be collected is no leak.
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 30));
    globalThis.gc?.();
    const pid = window.pid() ?? 0;
    held.push({
      hostHeap: process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers,
      hostFiles: count('/proc/self/fd'),
      engineMemory: memoryOf(pid),
      engineFiles: count(`/proc/${pid}/fd`),
      engineThreads: count(`/proc/${pid}/task`),
      children: childrenOf(process.pid),
    });
    if (turn % 10 === 9) say(`${turn + 1} of ${job.cycles} cycles`);
  }
  await close();
  return { held, windows, left };
}

/** Median of the slopes between all pairs (Theil and Sen): a few odd cycles don't move it. */
export function slopeOf(values: readonly number[]): number {
  const slopes: number[] = [];
  for (let i = 0; i < values.length; i++) for (let j = i + 1; j < values.length; j++) slopes.push((values[j] - values[i]) / (j - i));
  slopes.sort((a, b) => a - b);
  return slopes.length === 0 ? 0 : (slopes[(slopes.length - 1) >> 1] + slopes[slopes.length >> 1]) / 2;
}

/** Cycles before what is kept on purpose is there: compiled code, the backend's heap, eight pairs of figures. */
export const warmUp = 14;

interface Bound {
  readonly what: string;
  readonly of: (held: Held) => number | null;
  /** Growth of a cycle that is let pass. */
  readonly most: number;
  readonly unit: 'bytes' | 'count';
  readonly why: string;
  /** Engines are compared with themselves: a new window begins anew. */
  readonly within: 'window' | 'all';
}

/**
 * The rule: after the warm-up, growth from cycle to cycle is at most this. A cycle opens a checkpoint of 2.5 MB in 200 tensors, keeps 8 prompts, a run and its figures.
 */
export const bounds: readonly Bound[] = [
  {
    what: 'memory of the window',
    of: ({ hostHeap }) => hostHeap,
    most: 32_768,
    unit: 'bytes',
    why: 'a run kept by mistake is 60 kB with its recipe, evaluation and figures; V8 moves a few kB',
    within: 'all',
  },
  {
    what: 'memory of the engine',
    of: ({ engineMemory }) => engineMemory,
    most: 1_000_000,
    unit: 'bytes',
    why: 'an open checkpoint kept by mistake is 2.5 MB and more; what the system counts of a process moves by some hundred kB',
    within: 'window',
  },
  { what: 'descriptors of the window', of: ({ hostFiles }) => hostFiles, most: 0, unit: 'count', why: 'none may stay', within: 'all' },
  { what: 'descriptors of the engine', of: ({ engineFiles }) => engineFiles, most: 0, unit: 'count', why: 'none may stay', within: 'window' },
  { what: 'threads of the engine', of: ({ engineThreads }) => engineThreads, most: 0, unit: 'count', why: 'none may stay', within: 'window' },
  { what: 'processes', of: ({ children }) => children, most: 0, unit: 'count', why: 'none may stay', within: 'all' },
];

export interface Judged {
  readonly what: string;
  readonly cycles: number;
  readonly slope: number;
  readonly last: number;
  readonly failure: string | null;
}

/** Slopes against the bounds. `skip`: cycles of each series that are left out. */
export function judged({ held, left, windows }: Soaked, window: number, skip = warmUp): readonly Judged[] {
  const series = (within: Bound['within']) => {
    if (within === 'all') return [held.slice(skip)];
    return Array.from({ length: Math.ceil(held.length / window) }, (_, turn) => held.slice(turn * window, (turn + 1) * window).slice(skip));
  };
  const found = bounds.flatMap(({ what, of, most, unit, why, within }): Judged[] => {
    const lists = series(within)
      .map((part) => part.flatMap((one) => of(one) ?? []))
      .filter((values) => values.length >= 3);
    if (lists.length === 0) return [];
    // Of several engines the median counts.
    const slopes = lists.map(slopeOf).sort((a, b) => a - b);
    const slope = slopes[slopes.length >> 1];
    const last = lists.at(-1)?.at(-1) ?? 0;
    const shown = (value: number) => (unit === 'bytes' ? `${(value / 1000).toFixed(1)} kB` : value.toFixed(2));
    const failure = slope > most ? `${what} grow by ${shown(slope)} a cycle, more than ${shown(most)} (${why})` : null;
    return [{ what, cycles: lists.reduce((sum, list) => sum + list.length, 0), slope, last, failure }];
  });
  return [
    ...found,
    { what: 'engines of closed windows', cycles: windows, slope: left, last: left, failure: left > 0 ? `${left} engines outlived their window` : null },
  ];
}

if (require.main === module) {
  soak(JSON.parse(process.argv[2]) as SoakJob, (text) => process.stderr.write(`${text}\n`)).then(
    (soaked) => process.stdout.write(`${JSON.stringify(soaked)}\n`, () => process.exit(0)),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      process.exit(1);
    },
  );
}
