/** One fault put into one piece of work, and what must hold afterwards. */
import fs from 'node:fs';
import path from 'node:path';
import { UNFINISHED } from '../../src/files/atomic-write';
import { type Fault, type Result, sentence, unwrap } from '../../src/protocol/fault';
import { backendMemory } from '../../src/tensor/host';
import { changing, type FaultPlan, plantFault } from '../files/faults';
import { bitsOf, contentOf, type Done, newEngine, type Scene, type Work } from './fault-scene';

/** What a person reads of an error number, wherever it struck. */
const SAID: Readonly<Record<string, RegExp>> = {
  ENOSPC: /the disk is full/,
  EDQUOT: /quota is used up/,
  EIO: /input\/output error/,
  EACCES: /permission denied/,
  EROFS: /is read-only/,
  EMFILE: /too many open files/,
  ESTALE: /network file system lost/,
  ENOTCONN: /no longer connected/,
  ETIMEDOUT: /did not answer in time/,
};

const readingCodes = ['EIO', 'EACCES', 'EMFILE', 'ESTALE', 'ENOTCONN', 'ETIMEDOUT'];
const writingCodes = ['ENOSPC', 'EIO', 'EROFS', 'EDQUOT', 'EACCES', 'EMFILE'];
export const lastingCodes = ['ENOENT', 'ESTALE', 'ENOTCONN', 'EIO'];

/** What is wrong with a sentence as a person reads it; null where nothing is. */
export function unclear(fault: Fault, code: string, home: string): string | null {
  const said = sentence(fault);
  if (fault.code === 'internal') return `an internal error: ${said}`;
  if (/\p{Cc}/u.test(said)) return `more than one line: ${said}`;
  if (/injected|Unexpected error|undefined|\[object|NaN|Error:|\bat .*:\d+:\d+/.test(said)) return `an exception's text: ${said}`;
  if (/\bE[A-Z]{3,}\b/.test(said.replaceAll(home, ''))) return `an error number: ${said}`;
  if (!/^[A-Z"/#].*[.)]$/.test(fault.message)) return `no whole sentence: ${fault.message}`;
  if (fault.remedy === undefined || !/^[A-Z].*[.)]$/.test(fault.remedy)) return `no way out: ${said}`;
  if (!said.includes(home) && !/^Run \d{4}-/.test(said)) return `no place: ${said}`;
  if (SAID[code] && !SAID[code].test(said)) return `not what happened (${code}): ${said}`;
  return null;
}

/** What lies in the scene that must not, after a failure that was not for good. */
export function litter(scene: Scene, except: readonly string[]): string[] {
  const wrong: string[] = [];
  for (const root of [scene.workspace, scene.model, scene.out]) {
    for (const name of fs.readdirSync(root, { recursive: true }) as string[]) {
      const at = path.join(root, name);
      if (name.includes(UNFINISHED) || /\.uoe-speed-|\.lock(\.takeover)?$/.test(name)) {
        if (!except.some((own) => at.startsWith(own))) wrong.push(`${at} was left behind`);
      } else if (name.endsWith('.json') && !isJson(at)) wrong.push(`${at} is no JSON`);
      else if (name.endsWith('.safetensors') && !isWhole(at)) wrong.push(`${at} is cut short`);
    }
  }
  return wrong;
}

function isJson(at: string): boolean {
  try {
    JSON.parse(fs.readFileSync(at, 'utf8'));
    return true;
  } catch {
    return false;
  }
}

function isWhole(at: string): boolean {
  const bytes = fs.readFileSync(at);
  if (bytes.length < 8) return false;
  const length = Number(bytes.readBigUInt64LE(0));
  if (bytes.length < 8 + length) return false;
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, { data_offsets?: [number, number] }>;
  return Math.max(0, ...Object.values(header).map(({ data_offsets: place }) => place?.[1] ?? 0)) === bytes.length - 8 - length;
}

/** Files of the scene that this process has open. */
export function openFiles(scene: Scene): string[] {
  if (process.platform !== 'linux') return [];
  return fs.readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      const at = fs.readlinkSync(`/proc/self/fd/${name}`);
      return at.startsWith(scene.home) ? [at] : [];
    } catch {
      return [];
    }
  });
}

/** A file that a thread held is closed when the thread has ended, an instant later. */
async function stillOpen(scene: Scene): Promise<string[]> {
  for (let look = 0; look < 40 && openFiles(scene).length > 0; look++) await new Promise((resume) => setTimeout(resume, 25));
  return openFiles(scene);
}

export interface Undisturbed {
  readonly bits: string;
  /** Operation after operation, what it was. */
  readonly operations: readonly { readonly operation: string; readonly path: string }[];
}

/** The work without a fault. */
export async function undisturbed(scene: Scene, work: Work): Promise<Undisturbed> {
  const operations: { operation: string; path: string }[] = [];
  const plan: FaultPlan = {
    at: -1,
    code: 'EIO',
    closes: true,
    counts: ours(scene),
    before: (_, operation, at) => void operations.push({ operation, path: at }),
  };
  const { result } = await attempt(scene, work, plan, async () => undefined);
  const { value, told = [] } = unwrap(result);
  if (told.length > 0) throw new Error(`${work.name}: ${told.join(' ')}`);
  return { bits: bitsOf(value), operations };
}

/** Faults go into what belongs to the scene: not into the program's own files, nor /proc. */
const ours = (scene: Scene) => (_: string, at: string) => at.startsWith(scene.home);

/** The work in a new engine with the plan in place; `check` looks at what is there before the engine is given up. */
async function attempt(
  scene: Scene,
  work: Work,
  plan: FaultPlan,
  check: (result: Result<Done>, engine: ReturnType<typeof newEngine>, struck: { operation: string; path: string } | null) => Promise<void>,
  signal?: AbortSignal,
): Promise<{ result: Result<Done> }> {
  scene.reset(work.start);
  const engine = newEngine();
  const planted = plantFault(plan);
  try {
    if (!work.opensItself) unwrap(await engine.ask('openModel', { path: scene.model }));
    planted.arm();
    const result = await work.act(scene, engine, signal);
    planted.disarm();
    await check(result, engine, planted.struck());
    return { result };
  } finally {
    planted.disarm();
    await engine.dispose();
    planted.remove();
  }
}

/** The code for a fault at an operation: what such an operation can fail with, in turn. */
export const codeAt = (operation: string, number: number): string => {
  const codes = changing(operation) ? writingCodes : readingCodes;
  return codes[number % codes.length];
};

export interface Trial {
  readonly struck: boolean;
  /** What was said; null where the work succeeded all the same. */
  readonly said: string | null;
  /** What did not hold; empty where all did. */
  readonly wrong: readonly string[];
}

/** The work with a fault, and the same work in the same engine once more without. */
export async function trial(scene: Scene, work: Work, reference: Undisturbed, plan: Pick<FaultPlan, 'at' | 'code' | 'lasting'>): Promise<Trial> {
  const wrong: string[] = [];
  let said: string | null = null;
  let hit = false;
  const tensors = backendMemory().tensors;
  await attempt(scene, work, { ...plan, closes: true, counts: ours(scene) }, async (result, engine, struck) => {
    hit = struck !== null;
    const told = [...engine.warnings(), ...(result.ok ? (result.value.told ?? []) : [])];
    if (!result.ok) {
      said = sentence(result.fault);
      const why = unclear(result.fault, plan.code, scene.home);
      if (why) wrong.push(why);
    } else if (told.length > 0) {
      said = told.join(' ');
      for (const text of told) if (SAID[plan.code] && !SAID[plan.code].test(text)) wrong.push(`not what happened (${plan.code}): ${text}`);
    } else if (bitsOf(result.value.value) !== reference.bits) {
      wrong.push('it succeeded with another result, and said nothing');
    }
    // What can't be removed stays, until it can.
    const removal = struck && /^(rm|unlink|rmdir)$/.test(struck.operation) ? [struck.path] : [];
    if (!plan.lasting) wrong.push(...litter(scene, removal));
    if (!result.ok && fs.readdirSync(scene.out).length > 0 && !plan.lasting && removal.length === 0 && work.again !== undefined && !/files?$/.test(work.name))
      wrong.push(`${fs.readdirSync(scene.out).join(', ')} was left in ${scene.out}`);
    const once = await again(scene, work, engine, result);
    if (!once.ok) wrong.push(`afterwards it did not work: ${sentence(once.fault)}`);
    else if (once.value.told && once.value.told.length > 0) wrong.push(`afterwards: ${once.value.told.join(' ')}`);
    else if (bitsOf(once.value.value) !== reference.bits) wrong.push('afterwards it gave another result');
  });
  const open = await stillOpen(scene);
  if (open.length > 0) wrong.push(`still open: ${[...new Set(open)].join(', ')}`);
  if (backendMemory().tensors > tensors) wrong.push(`${backendMemory().tensors - tensors} tensors were left`);
  return { struck: hit, said, wrong };
}

/** The same work in the same engine; where a fault for good left a checkpoint between old and new, it says so and restoring helps. */
async function again(scene: Scene, work: Work, engine: ReturnType<typeof newEngine>, first: Result<Done>): Promise<Result<Done>> {
  if (first.ok) await work.again?.(scene, engine);
  const second = await work.act(scene, engine);
  if (second.ok) return second;
  // The first restoring may have done it all but for the last word of the disk.
  if (/^No patch is applied/.test(second.fault.message)) return { ok: true, value: { value: contentOf(scene.model) } };
  if (/uoe restore/.test(sentence(second.fault))) {
    const restored = await engine.ask('restoreModel', { model: scene.model });
    if (!restored.ok) return restored;
    return work.act(scene, engine);
  }
  return second;
}

/**
 * Most file operations between a cancel and its answer. What only reads answers at once; what writes first takes back or closes what it has begun;
 * a checkpoint whose shards are being exchanged is finished.
 */
export const slowest = ({ group, name }: Work): number => {
  if (name === 'apply' || name === 'restore') return Number.POSITIVE_INFINITY;
  return group === 'opening, attributing, scoring' && !/file$|files$|speed/.test(name) ? 1 : 160;
};

/** Counts the file operations between a cancel at operation `at` and its answer. */
export async function cancelled(scene: Scene, work: Work, reference: Undisturbed, at: number): Promise<Trial & { readonly after: number }> {
  const wrong: string[] = [];
  const stop = new AbortController();
  let count = 0;
  let after = 0;
  let said: string | null = null;
  const plan: FaultPlan = {
    at: -1,
    code: 'EIO',
    counts: ours(scene),
    before: (number) => {
      if (number === at) stop.abort();
      if (number > at) count++;
    },
  };
  await attempt(
    scene,
    work,
    plan,
    async (result, engine) => {
      after = count;
      if (!result.ok) {
        said = sentence(result.fault);
        if (result.fault.code !== 'cancelled') wrong.push(`cancelled, it said: ${said}`);
      } else if (bitsOf(result.value.value) !== reference.bits) wrong.push('cancelled, it gave another result');
      wrong.push(...litter(scene, []));
      const once = await again(scene, work, engine, result);
      if (!once.ok) wrong.push(`afterwards it did not work: ${sentence(once.fault)}`);
      else if (bitsOf(once.value.value) !== reference.bits) wrong.push('afterwards it gave another result');
    },
    stop.signal,
  );
  const open = await stillOpen(scene);
  if (open.length > 0) wrong.push(`still open: ${[...new Set(open)].join(', ')}`);
  if (after > slowest(work)) wrong.push(`${after} file operations between the cancel and its answer`);
  return { struck: stop.signal.aborted, said, wrong, after };
}
