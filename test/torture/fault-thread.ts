/** Faults in the thread that reads weights ahead, which has its own way to the disk: a checkpoint too large to stay in memory, of zeros but for some rows. */
import fs from 'node:fs';
import path from 'node:path';
import { setEnvironmentData } from 'node:worker_threads';
import { type Result, sentence } from '../../src/protocol/fault';
import { bitsOf, type Done, type Engine, newEngine, type Scene, smallTensors } from './fault-scene';
import { openFiles, unclear } from './fault-trials';
import type { Case } from './fault-world';

/** What the thread is told when it starts. `shared`: whether the fault is armed, and how many operations there were. */
export interface ThreadFault {
  readonly at: number;
  readonly code: string;
  readonly lasting: boolean;
  readonly shared: Int32Array;
}

const vocabulary = 270_000;

/** The scene's model with a vocabulary so large that its weights are read by the thread. Rows of tokens that nobody uses are holes in the file. */
function writeLarge(folder: string): void {
  fs.mkdirSync(folder, { recursive: true });
  const { config, tensors } = smallTensors();
  const own = new Map(tensors);
  const tall = ['lm_head.weight', 'model.embed_tokens.weight'];
  const width = own.get(tall[0])?.shape[1] ?? 0;
  fs.writeFileSync(path.join(folder, 'config.json'), JSON.stringify({ ...config, vocab_size: vocabulary }));
  const header: Record<string, object> = {};
  let end = 0;
  const places: { bytes: Buffer; at: number }[] = [];
  for (const [name, { dtype, shape, bytes }] of own) {
    const size = tall.includes(name) ? vocabulary * width * 4 : bytes.length;
    header[name] = { dtype, shape: tall.includes(name) ? [vocabulary, width] : shape, data_offsets: [end, end + size] };
    places.push({ bytes, at: end });
    end += size;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = fs.openSync(path.join(folder, 'model.safetensors'), 'w');
  fs.writeSync(file, Buffer.concat([length, json]));
  for (const { bytes, at } of places) fs.writeSync(file, bytes, 0, bytes.length, 8 + json.length + at);
  fs.ftruncateSync(file, 8 + json.length + end);
  fs.closeSync(file);
}

const codes = ['EIO', 'EACCES', 'EMFILE', 'ESTALE', 'SHORT', 'END', 'EXIT'];

/** Attribution with a fault at every operation of the thread; the same once more in the same engine. */
export async function threadFaults(scene: Scene, places: (count: number) => Iterable<number>): Promise<readonly Case[]> {
  const model = path.join(scene.home, 'large');
  writeLarge(model);
  scene.reset('data');
  const rows = { kind: 'file', path: path.join(scene.workspace, 'eval/forget.jsonl') } as const;
  const act = async (engine: Engine): Promise<Result<Done>> => {
    const found = await engine.ask('attribute', { model, prompts: [rows] });
    return found.ok ? { ok: true, value: { value: found.value } } : found;
  };
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const attempt = async (fault: Omit<ThreadFault, 'shared'>, check: (result: Result<Done>, engine: Engine) => Promise<void>) => {
    shared.fill(0);
    setEnvironmentData('uoe-fault', { ...fault, shared } satisfies ThreadFault);
    const engine = newEngine(2e8);
    try {
      Atomics.store(shared, 0, 1);
      const result = await act(engine);
      Atomics.store(shared, 0, 0);
      await check(result, engine);
    } finally {
      await engine.dispose();
    }
  };
  let reference = '';
  await attempt({ at: -1, code: 'EIO', lasting: false }, async (result) => {
    if (!result.ok) throw new Error(sentence(result.fault));
    reference = bitsOf(result.value.value);
  });
  const count = shared[1];
  if (count === 0) throw new Error('The thread read nothing.');
  const cases: Case[] = [];
  for (const at of places(count)) {
    const code = codes[at % codes.length];
    const lasting = Math.floor(at / codes.length) % 2 === 1 && code.startsWith('E') && code !== 'END' && code !== 'EXIT';
    const wrong: string[] = [];
    let said: string | null = null;
    await attempt({ at, code, lasting }, async (result, engine) => {
      if (!result.ok) {
        said = sentence(result.fault);
        const why = unclear(result.fault, code, scene.home);
        if (why) wrong.push(why);
      } else if (bitsOf(result.value.value) !== reference) wrong.push('it succeeded with another result');
      await engine.ask('closeModel', { path: model });
      const once = await act(engine);
      if (!once.ok) wrong.push(`afterwards it did not work: ${sentence(once.fault)}`);
      else if (bitsOf(once.value.value) !== reference) wrong.push('afterwards it gave another result');
    });
    for (let look = 0; look < 40 && openFiles(scene).length > 0; look++) await new Promise((resume) => setTimeout(resume, 25));
    const open = openFiles(scene);
    if (open.length > 0) wrong.push(`still open: ${open.join(', ')}`);
    cases.push({ place: `reading ahead, ${code}${lasting ? ' from then on' : ''} at operation ${at} of the thread`, said, wrong });
  }
  return cases;
}
