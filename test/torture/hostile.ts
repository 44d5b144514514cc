/**
 * Hostile input to one reader: `node hostile.js TARGET COUNT SEED FOLDER`; `--list FOLDER` names the targets, `--agent COUNT SEED FOLDER CLI` sends lines
 * to `uoe mcp`, `--short COUNT SEED FOLDER` tries every reader in turn, without coverage. A thread makes inputs and keeps those that reach code no input
 * reached before (V8's own block coverage over this bundle, libraries included); this thread watches its time and memory. Prints one JSON document.
 */
import fs from 'node:fs';
import type inspector from 'node:inspector';
import path from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { agentLines } from './hostile/agent';
import { nextInput } from './hostile/inputs';
import { LARGEST_INPUT, type Random, randomOf } from './hostile/mutations';
import { faultProblem } from './hostile/sentences';
import type { Target } from './hostile/target';
import { targetsIn } from './hostile/targets';

interface Job {
  /** One of the targets, or EVERY. */
  readonly target: string;
  readonly count: number;
  readonly seed: number;
  readonly folder: string;
  /** The input under way: [number, length, busy, target of EVERY] and its bytes. */
  readonly state: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
  /** Only this input, once. */
  readonly alone?: Uint8Array;
}

type Message =
  | { readonly kind: 'problem'; readonly what: string; readonly input: Uint8Array }
  | { readonly kind: 'done'; readonly taken: number; readonly refused: number; readonly corpus: number; readonly places: number };

/** Stands for all targets in turn, in one thread that counts no coverage. */
const EVERY = 'every reader';

/** What a real application has open beside it; a reader of inputs below a quarter of a megabyte needs a fraction. */
const HEAP_MEGABYTES = 768;
const RESIDENT = 1.5e9;
const HANG_MS = 1000;
/** A blocked thread uses no processor: after this it hangs, however busy the machine. */
const BLOCKED_MS = 20_000;
/** An input that seemed to hang is tried so often again, alone: counting coverage, and others on the machine, take several times what the input does. */
const AGAIN = 3;

/** A thread that counts before it reads this bundle: what V8 has compiled once gets no counters later. */
const START = `const inspector = require('node:inspector');
globalThis.session = new inspector.Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
require(${JSON.stringify(__filename)});`;

/** Whether code of this bundle ran, since the last call, that never ran before; `keep`: it counts as having run from now on. V8 tells the blocks of a function that did not run; what it leaves out ran. */
function coverage(): { isNew(keep: boolean): boolean; places(): number } {
  const { session } = globalThis as unknown as { session: inspector.Session };
  type Range = readonly [from: number, to: number];
  /** By place of the function: its blocks that never ran. */
  const never = new Map<string, Range[]>();
  let places = 0;
  const isNew = (keep: boolean): boolean => {
    let fresh = false;
    session.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error) throw error;
      for (const { url, functions } of taken.result) {
        if (!url.endsWith(path.basename(__filename))) continue;
        for (const { ranges } of functions) {
          if (ranges[0].count === 0) continue;
          const at = `${ranges[0].startOffset}-${ranges[0].endOffset}`;
          const idle = ranges.filter(({ count }) => count === 0).map(({ startOffset, endOffset }): Range => [startOffset, endOffset]);
          const known = never.get(at);
          if (known === undefined) {
            fresh = true;
            if (!keep) continue;
            never.set(at, idle);
            places++;
            continue;
          }
          if (known.length === 0) continue;
          const inside = ([from, to]: Range, outer: readonly Range[]) => outer.some(([start, end]) => start <= from && to <= end);
          const ran = known.filter((range) => !inside(range, idle));
          if (ran.length === 0) continue;
          fresh = true;
          if (!keep) continue;
          places += ran.length;
          never.set(at, [...known.filter((range) => inside(range, idle)), ...idle.filter((range) => inside(range, ran))]);
        }
      }
    });
    return fresh;
  };
  return { isNew, places: () => places };
}

/** One change to a seed, or now and then two. */
function aFew(target: Target, random: Random): Uint8Array {
  const once = nextInput(target, target.seeds, random);
  return random() < 1 / 3 ? nextInput(target, [once], random) : once;
}

const BATCH = 32;
const MOST_KEPT = 600;
const LARGEST_KEPT = 1 << 14;

async function fuzz({ target: name, count, seed, folder, state, bytes, alone }: Job): Promise<void> {
  const port = parentPort;
  const { targets } = await targetsIn(folder);
  const found = name === EVERY ? targets[0] : targets.find((one) => one.name === name);
  if (!found || !port) throw new Error(`There is no target ${name}.`);
  let target: Target = found;
  const random = randomOf(seed);
  const marks = new Int32Array(state);
  const current = new Uint8Array(bytes);
  let input: Uint8Array = new Uint8Array(0);
  let taken = 0;
  const problem = (what: string): void =>
    port.postMessage({ kind: 'problem', what: name === EVERY ? `${target.name}: ${what}` : what, input } satisfies Message);
  process.on('unhandledRejection', (error) => problem(`a rejection that nobody handles: ${error instanceof Error ? error.stack : String(error)}`));

  async function tried(next: Uint8Array): Promise<void> {
    input = next;
    current.set(input);
    Atomics.store(marks, 1, input.length);
    Atomics.add(marks, 0, 1);
    Atomics.store(marks, 2, 1);
    try {
      const fault = await target.run(input);
      if (fault === null) taken++;
      else {
        const wrong = faultProblem(fault);
        if (wrong !== null) problem(wrong);
      }
      if (Object.keys(Object.prototype).length > 0 || 'polluted' in {}) problem('Object.prototype was changed.');
    } catch (error) {
      problem(`thrown: ${error instanceof Error ? error.stack : String(error)}`);
    }
    // A rejection that nobody handles is told of after this.
    await new Promise((resolve) => setImmediate(resolve));
    Atomics.store(marks, 2, 0);
  }

  async function known(): Promise<void> {
    const before = taken;
    for (const one of target.seeds) await tried(one);
    if (taken - before < target.seeds.length && !target.refusedSeeds) problem('one of its own seeds is refused.');
    for (const one of target.hostile?.() ?? []) await tried(one);
  }
  if (alone !== undefined) {
    await tried(target.seeds[0]);
    await tried(alone);
    return port.postMessage({ kind: 'done', taken, refused: 0, corpus: 0, places: 0 } satisfies Message);
  }
  if (name === EVERY) {
    for (const [number, one] of targets.entries()) {
      target = one;
      Atomics.store(marks, 3, number);
      await known();
      for (let done = 0; done < count; done++) await tried(aFew(target, random));
    }
    return port.postMessage({ kind: 'done', taken, refused: Atomics.load(marks, 0) - taken, corpus: 0, places: 0 } satisfies Message);
  }

  const { isNew, places } = coverage();
  const corpus = [...target.seeds];
  await known();
  isNew(true);
  /** Asking what ran takes longer than most inputs: the ones that reached new code are found by halves. */
  async function searched(batch: readonly Uint8Array[]): Promise<void> {
    if (batch.length > 1) {
      for (const half of [batch.slice(0, batch.length >> 1), batch.slice(batch.length >> 1)]) {
        for (const next of half) await tried(next);
        if (isNew(false)) await searched(half);
      }
      return;
    }
    const [next] = batch;
    await tried(next);
    // A large one would make everything that comes of it slow.
    if (!isNew(true) || next.length > LARGEST_KEPT) return;
    if (corpus.length < MOST_KEPT) corpus.push(next);
    else corpus[target.seeds.length + Math.floor(random() * (MOST_KEPT - target.seeds.length))] = next;
  }

  taken = 0;
  for (let done = 0; done < count; ) {
    const batch = Array.from({ length: Math.min(BATCH, count - done) }, () => nextInput(target, corpus, random));
    for (const next of batch) await tried(next);
    done += batch.length;
    const before = taken;
    if (isNew(false)) await searched(batch);
    taken = before;
  }
  port.postMessage({ kind: 'done', taken, refused: count - taken, corpus: corpus.length, places: places() } satisfies Message);
}

interface Outcome {
  readonly tried: number;
  readonly taken: number;
  readonly corpus: number;
  readonly places: number;
  readonly peak: number;
  readonly problems: readonly { readonly what: string; readonly file: string }[];
}

/** Problems that are the same but for the input: told once. */
const kindOf = (what: string): string => what.replace(/"[^"]*"|\d+/g, '').slice(0, 160);

async function watch(target: string, count: number, seed: number, folder: string): Promise<Outcome> {
  const kept = path.join(folder, 'found');
  fs.mkdirSync(kept, { recursive: true });
  const problems = new Map<string, { what: string; file: string }>();
  const state = new SharedArrayBuffer(16);
  const bytes = new SharedArrayBuffer(LARGEST_INPUT);
  const marks = new Int32Array(state);
  let [done, taken, corpus, places, peak] = [0, 0, 0, 0, 0];
  const keep = (what: string, input: Uint8Array): void => {
    const file = path.join(kept, `${target.replace(/\W+/g, '-')}-${seed}-${problems.size}`);
    if (problems.has(kindOf(what)) || problems.size >= 12) return;
    fs.writeFileSync(file, input);
    problems.set(kindOf(what), { what, file });
  };
  const names = target === EVERY ? (await targetsIn(fs.mkdtempSync(path.join(folder, 'names-')))).targets.map(({ name }) => name) : [];
  const whose = (): string => (target === EVERY ? `${names[Atomics.load(marks, 3)]}: ` : '');
  const underWay = (): Uint8Array => new Uint8Array(bytes).slice(0, Atomics.load(marks, 1));

  /** Has a thread do it, until it is done or has to be ended; what it must be ended for is a sentence. */
  const watched = async (job: Job, start: string): Promise<{ readonly done: (Message & { kind: 'done' }) | null; readonly hangs: boolean }> => {
    Atomics.store(marks, 0, 0);
    Atomics.store(marks, 2, 0);
    const worker = new Worker(start, { eval: true, workerData: job, resourceLimits: { maxOldGenerationSizeMb: HEAP_MEGABYTES } });
    let last = { number: -1, at: Date.now(), processor: process.cpuUsage() };
    const end = await new Promise<Awaited<ReturnType<typeof watched>>>((resolve) => {
      const clock = setInterval(() => {
        const resident = process.memoryUsage.rss();
        peak = Math.max(peak, resident);
        const number = Atomics.load(marks, 0);
        const busy = Atomics.load(marks, 2) === 1;
        if (number !== last.number || !busy) last = { number, at: Date.now(), processor: process.cpuUsage() };
        const { user, system } = process.cpuUsage(last.processor);
        const wall = Date.now() - last.at;
        const hangs = (wall > HANG_MS && (user + system) / 1000 > HANG_MS) || wall > BLOCKED_MS;
        if (!hangs && resident < RESIDENT) return;
        if (!hangs) keep(`${whose()}it takes more than ${RESIDENT / 1e6} MB`, underWay());
        resolve({ done: null, hangs });
      }, 100);
      worker.on('message', (message: Message) => {
        if (message.kind === 'problem') keep(message.what, message.input);
        else resolve({ done: message, hangs: false });
      });
      worker.on('error', (error) => {
        keep(`${whose()}the thread ended: ${(error as Error).stack ?? String(error)}`, underWay());
        resolve({ done: null, hangs: false });
      });
      worker.on('exit', () => {
        clearInterval(clock);
        resolve({ done: null, hangs: false });
      });
    });
    await worker.terminate();
    return end;
  };
  const bare = `require(${JSON.stringify(__filename)});`;

  for (let round = 0; done < count && round < (target === EVERY ? 1 : 20); round++) {
    const own = path.join(folder, `${target.replace(/\W+/g, '-')}-${seed}-${round}`);
    const inFolder = (name: string): string => {
      fs.mkdirSync(path.join(own, name), { recursive: true });
      return path.join(own, name);
    };
    const job: Job = { target, count: count - done, seed: seed + round * 7919, folder: inFolder('all'), state, bytes };
    const end = await watched(job, target === EVERY ? bare : START);
    if (end.done !== null) {
      taken += end.done.taken;
      corpus = Math.max(corpus, end.done.corpus);
      places = Math.max(places, end.done.places);
    }
    const reached = Atomics.load(marks, 0);
    if (end.hangs) {
      const [input, reader] = [underWay(), target === EVERY ? names[Atomics.load(marks, 3)] : target];
      let hung = 0;
      for (let number = 0; number < AGAIN && hung === number; number++)
        if ((await watched({ ...job, target: reader, folder: inFolder(`alone-${number}`), alone: input }, bare)).hangs) hung++;
      if (hung === AGAIN) keep(`${target === EVERY ? `${reader}: ` : ''}it hangs: more than ${HANG_MS} ms for ${input.length} bytes`, input);
    }
    done = end.done !== null ? count : done + Math.max(1, Math.min(count - done, reached));
  }
  return { tried: done, taken, corpus, places, peak, problems: [...problems.values()] };
}

/** What is printed is the answer; the exit ends whatever threads are left. */
const print = (answer: unknown): void => void process.stdout.write(JSON.stringify(answer), () => process.exit(0));

async function main(): Promise<void> {
  const [what, ...rest] = process.argv.slice(2);
  if (what === '--list') return print((await targetsIn(rest[0])).targets.map(({ name, share }) => ({ name, share })));
  const [count, seed, folder, cli] = [Number(rest[0]), Number(rest[1]), rest[2], rest[3]];
  if (what === '--short') return print(await watch(EVERY, count, seed, folder));
  if (what !== '--agent') return print(await watch(what, count, seed, folder));
  const { problems, ...outcome } = await agentLines(cli, count, seed, folder);
  print({
    ...outcome,
    problems: problems.map(({ what: problem, input }, number) => {
      const file = path.join(folder, `agent-${seed}-${number}`);
      fs.writeFileSync(file, input);
      return { what: problem, file };
    }),
  });
}

if (isMainThread) void main();
else void fuzz(workerData as Job);
