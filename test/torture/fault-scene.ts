/** A place to put faults into: a tiny checkpoint in three shards, a workspace in four states, and every kind of work a session does on them. */
import fs from 'node:fs';
import path from 'node:path';
import type { Emit } from '../../src/engine/serve';
import { createSession } from '../../src/engine/session';
import { openHandle } from '../../src/experiment/open-recipe';
import { resumeRun, startRun } from '../../src/experiment/run';
import { diskSpeed } from '../../src/files/disk-speed';
import type { RunOutcome } from '../../src/protocol/engine';
import { faultOf, type Result, unwrap } from '../../src/protocol/fault';
import type { RequestAnswer, RequestName, RequestParams } from '../../src/protocol/rpc';
import { fileOf, type SmallTensor, shardName, writeIndex } from '../checkpoint/small-checkpoint';
import { goldenFolder, recipeFor, writeData, writeRows } from '../experiment/run-case';

/** What a session is asked in, with a signal that ends it. */
export interface Engine {
  ask<K extends RequestName>(request: K, params: RequestParams<K>, signal?: AbortSignal): Promise<Result<RequestAnswer<K>>>;
  /** Warnings since the last look. */
  warnings(): string[];
  dispose(): Promise<void>;
}

export function newEngine(memory = 1e9): Engine {
  const warnings: string[] = [];
  const note: Emit = (event, payload) => {
    if (event === 'log' && 'level' in payload && payload.level === 'warn') warnings.push(payload.message);
  };
  const session = createSession(note, { backend: 'wasm', threads: 1, memory });
  const never = new AbortController().signal;
  return {
    ask: (request, params, signal = never) => session.handle(request, params, { request, signal }),
    warnings: () => warnings.splice(0),
    dispose: () => session.dispose(),
  };
}

/** What was done: a value whose bits are compared, and sentences about what could not be done of it. */
export interface Done {
  readonly value: unknown;
  readonly told?: readonly string[];
}

export interface Work {
  readonly name: string;
  /** What its faults are counted under. */
  readonly group: string;
  /** State of the workspace and of the checkpoint it begins in. */
  readonly start: 'data' | 'done' | 'cut' | 'applied';
  /** The checkpoint is opened before, or the work opens it. */
  readonly opensItself?: boolean;
  /** Of so many operations one is tried at scale 1, where one trial takes seconds; all when left out. */
  readonly every?: number;
  act(scene: Scene, engine: Engine, signal?: AbortSignal): Promise<Result<Done>>;
  /** After a success, what must go for the work to be possible again. */
  again?(scene: Scene, engine: Engine): Promise<void>;
}

export interface Scene {
  readonly home: string;
  readonly model: string;
  readonly workspace: string;
  /** Where exports go. */
  readonly out: string;
  /** Id of the run that is done, and of the one that was cut off. */
  readonly ids: { done: string; cut: string };
  /** Puts workspace, checkpoint and exports into a state. */
  reset(state: Work['start']): void;
}

/** Keys whose values depend on the clock, on the memory of this process or on the disk. */
const VOLATILE = new Set([
  'ms',
  'seconds',
  'weights',
  'plan',
  'plannedSeconds',
  'memory',
  'memoryParts',
  'availableBytes',
  'free',
  'freeBytes',
  'time',
  'sampleSeconds',
]);
const VOLATILE_TOO = new Set(['startedAt', 'endedAt', 'measuredAt', 'overlap', 'write', 'read', 'gigaflops', 'bf16Gigaflops']);

/** Text that is equal where the bits are. */
export const bitsOf = (value: unknown): string =>
  JSON.stringify(value, (key, own: unknown) => {
    if (VOLATILE.has(key) || VOLATILE_TOO.has(key)) return undefined;
    if (ArrayBuffer.isView(own)) return Buffer.from(own.buffer, own.byteOffset, own.byteLength).toString('base64');
    return own;
  });

const done = (value: unknown, told?: readonly string[]): Result<Done> => ({ ok: true, value: { value, told } });
const then = <T>(result: Result<T>, value: (own: T) => unknown, told?: (own: T) => readonly string[]): Result<Done> =>
  result.ok ? done(value(result.value), told?.(result.value)) : result;

/** Content of a folder by name, without locks and what is unfinished. */
export function contentOf(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of (fs.readdirSync(folder, { recursive: true }) as string[]).sort()) {
    const at = path.join(folder, name);
    if (!/\.lock(\.takeover)?$|^\.uoe-ballast$|\.uoe-tmp(\/|$)/.test(name) && fs.statSync(at).isFile()) found[name] = fs.readFileSync(at).toString('base64');
  }
  return found;
}

const layers = 2;
const experts = 4;

/** Part of the golden model: fewer layers and experts make fewer operations. null: a tensor that is left out. */
function smaller(name: string, tensor: SmallTensor): SmallTensor | null {
  const layer = Number(/layers\.(\d+)/.exec(name)?.[1] ?? 0);
  const expert = Number(/experts\.(\d+)/.exec(name)?.[1] ?? 0);
  if (layer >= layers || expert >= experts) return null;
  if (!name.endsWith('mlp.gate.weight')) return tensor;
  const [all, width] = tensor.shape;
  return { ...tensor, shape: [experts, width], bytes: tensor.bytes.subarray(0, (tensor.bytes.length / all) * experts) };
}

/** Part of the golden model. */
export function smallTensors(): { readonly config: object; readonly tensors: readonly (readonly [string, SmallTensor])[] } {
  const golden = goldenFolder('olmoe');
  const bytes = fs.readFileSync(path.join(golden, 'model.safetensors'));
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  const tensors = Object.entries(header).flatMap(([name, { dtype, shape, data_offsets: place }]) => {
    if (name === '__metadata__') return [];
    const own = smaller(name, { dtype, shape, bytes: bytes.subarray(8 + length + place[0], 8 + length + place[1]) });
    return own ? [[name, own] as const] : [];
  });
  const config = JSON.parse(fs.readFileSync(path.join(golden, 'config.json'), 'utf8')) as object;
  return { config: { ...config, num_hidden_layers: layers, num_experts: experts, num_experts_per_tok: 2 }, tensors };
}

/** It in three shards, with a tokenizer and what else lies in such a folder; one of the files is a link. */
function writeModel(folder: string): void {
  const { config, tensors } = smallTensors();
  const shards: Record<string, SmallTensor>[] = [{}, {}, {}];
  const map: Record<string, string> = {};
  tensors.forEach(([name, tensor], i) => {
    const number = Math.floor((i * 3) / tensors.length);
    shards[number][name] = tensor;
    map[name] = shardName(number, 3);
  });
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  for (const [number, own] of shards.entries()) fs.writeFileSync(path.join(folder, shardName(number, 3)), fileOf(own));
  writeIndex(folder, map);
  const vocab = Object.fromEntries(Array.from({ length: 97 }, (_, i) => [i === 0 ? '[UNK]' : `w${i}`, i]));
  const tokenizer = { model: { type: 'WordLevel', vocab, unk_token: '[UNK]' }, pre_tokenizer: { type: 'Whitespace' } };
  fs.writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  fs.writeFileSync(path.join(folder, 'tokenizer_config.json'), JSON.stringify({ unk_token: '[UNK]', bos_token: 'w1', eos_token: 'w2' }));
  fs.writeFileSync(path.join(folder, 'generation_config.json'), JSON.stringify({ eos_token_id: 2 }));
  fs.writeFileSync(path.join(folder, 'chat_template.jinja'), '{% for m in messages %}{{ m.content }} {% endfor %}');
  fs.writeFileSync(path.join(folder, 'card.md'), '# A model\n');
  fs.symlinkSync('card.md', path.join(folder, 'README.md'));
}

/** What a run leaves behind, as text; times are left out by bitsOf. */
function traceOf(run: string): unknown {
  const text = (name: string) => (fs.existsSync(path.join(run, name)) ? fs.readFileSync(path.join(run, name), 'utf8') : null);
  const json = (name: string): unknown => JSON.parse(text(name) ?? 'null');
  const rows = (name: string) =>
    (text(name) ?? '')
      .split('\n')
      .filter(Boolean)
      .map((line): unknown => JSON.parse(line));
  const { status, reason, steps, keptStep, target, summary } = json('run.json') as Record<string, unknown>;
  return {
    end: { status, reason, steps, keptStep, target, summary },
    steps: rows('steps.jsonl'),
    checks: rows('checks.jsonl'),
    evaluation: json('evaluation.json'),
    attribution: json('attribution.json'),
    patch: fs.readFileSync(path.join(run, 'patch.safetensors')).toString('base64'),
    resume: fs.existsSync(path.join(run, 'resume')),
  };
}

const file = (at: string) => ({ kind: 'file', path: at }) as const;

/** Rows in every format UOE reads that a test can write. */
function writeFormats(workspace: string): void {
  fs.writeFileSync(path.join(workspace, 'prose.txt'), 'w3 w4 w5 w6\n\nw7 w8 w9\n');
  fs.writeFileSync(path.join(workspace, 'rows.csv'), 'text\nw10 w11 w12\nw13 w14\n');
  fs.writeFileSync(path.join(workspace, 'rows.json'), JSON.stringify([{ question: 'w3 w4', choices: ['w5', 'w6'], answer: 1 }]));
  writeRows(path.join(workspace, 'paraphrases.jsonl'), [{ input_ids: [3, 4, 5, 6, 7], labels: [-100, -100, 5, 6, 7] }]);
}

/** A run of two steps with checks and an evaluation. */
export const recipeIn = (scene: Pick<Scene, 'model' | 'workspace'>, fields: Readonly<Record<string, unknown>> = {}) =>
  recipeFor(scene.model, { steps: 2, checks: { everySteps: 1, forget: 'stop/forget.jsonl', utility: ['stop/retain.jsonl'] }, keep: 'best', ...fields });

export async function openScene(home: string): Promise<Scene> {
  const at = (...names: string[]) => path.join(home, ...names);
  const states = ['data', 'done', 'cut'] as const;
  const model = at('model');
  const workspace = at('workspace');
  const out = at('out');
  const copy = (from: string, to: string) => fs.cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  const replace = (from: string, to: string) => {
    fs.rmSync(to, { recursive: true, force: true });
    copy(from, to);
  };
  const ids = { done: '', cut: '' };
  let touched = true;
  const scene: Scene = {
    home,
    model,
    workspace,
    out,
    ids,
    reset(state) {
      replace(at('states', state === 'applied' ? 'done' : state), workspace);
      fs.rmSync(out, { recursive: true, force: true });
      fs.mkdirSync(out);
      const wanted = at('states', state === 'applied' ? 'model-applied' : 'model');
      if (touched || bitsOf(contentOf(model)) !== bitsOf(contentOf(wanted))) replace(wanted, model);
      touched = state === 'applied';
    },
  };
  writeModel(at('states', 'model'));
  copy(at('states', 'model'), model);
  fs.mkdirSync(workspace, { recursive: true });
  fs.mkdirSync(out);
  writeData(workspace);
  writeFormats(workspace);
  copy(workspace, at('states', 'data'));
  const engine = newEngine();
  const run = async (signal?: AbortSignal) => engine.ask('startRun', { recipe: recipeIn(scene), folder: workspace, workspace }, signal);
  const whole = await run();
  ids.done = unwrap(whole).record.id;
  copy(workspace, at('states', 'done'));
  unwrap(await engine.ask('applyRun', { run: ids.done, workspace }));
  copy(model, at('states', 'model-applied'));
  scene.reset('data');
  await engine.dispose();
  const cut = new AbortController();
  const handle = await openHandle(model, 1e9);
  await startRun(recipeIn(scene), workspace, workspace, { open: async () => handle, signal: cut.signal, step: () => cut.abort() }).catch(() => undefined);
  handle.model.weights.close();
  await handle.checkpoint.close();
  ids.cut = fs.readdirSync(path.join(workspace, '.uoe', 'runs')).filter((name) => !name.startsWith('.'))[0];
  copy(workspace, at('states', 'cut'));
  for (const state of states) scene.reset(state);
  return scene;
}

/** A run without the sample of its speed, which takes a second. */
async function runOf(run: () => Promise<RunOutcome>): Promise<Result<Done>> {
  try {
    return done(traceOf((await run()).folder));
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}

/** Without checks and evaluation. */
const bare = { evaluate: null, checks: null, keep: 'last' };

/** It may be a disk of its own, which stays. */
const emptied = (folder: string): void => {
  for (const name of fs.readdirSync(folder)) fs.rmSync(path.join(folder, name), { recursive: true, force: true });
};

const runAgain = async ({ workspace, out }: Scene): Promise<void> => {
  fs.rmSync(path.join(workspace, '.uoe'), { recursive: true, force: true });
  emptied(out);
};
const emptyOut = async ({ out }: Scene): Promise<void> => {
  emptied(out);
};

export const works: readonly Work[] = [
  {
    name: 'opening a checkpoint',
    group: 'opening, attributing, scoring',
    start: 'data',
    opensItself: true,
    act: async ({ model }, engine, signal) => then(await engine.ask('openModel', { path: model }, signal), (info) => info),
    again: async ({ model }, engine) => void (await engine.ask('closeModel', { path: model })),
  },
  {
    name: 'attribution',
    group: 'opening, attributing, scoring',
    start: 'data',
    act: async ({ model, workspace }, engine, signal) =>
      then(
        await engine.ask(
          'attribute',
          { model, prompts: [file(path.join(workspace, 'forget.jsonl'))], against: [file(path.join(workspace, 'retain.jsonl'))], workspace },
          signal,
        ),
        (result) => result,
      ),
  },
  {
    name: 'unlearning',
    group: 'runs and resuming',
    start: 'data',
    opensItself: true,
    act: (scene, _, signal) => runOf(() => startRun(recipeIn(scene), scene.workspace, scene.workspace, { signal })),
    again: runAgain,
  },
  {
    name: 'unlearning with a sample of its speed',
    group: 'runs and resuming',
    start: 'data',
    every: 40,
    act: async (scene, engine, signal) =>
      then(await engine.ask('startRun', { recipe: recipeIn(scene), folder: scene.workspace, workspace: scene.workspace }, signal), ({ folder }) =>
        traceOf(folder),
      ),
    again: runAgain,
  },
  {
    name: 'resume',
    group: 'runs and resuming',
    every: 2,
    start: 'cut',
    opensItself: true,
    act: ({ workspace, ids }, _, signal) => runOf(() => resumeRun(path.join(workspace, '.uoe', 'runs', ids.cut), { signal })),
    again: async (scene) => scene.reset('cut'),
  },
  {
    name: 'a run with activations on disk',
    group: 'runs and resuming',
    every: 3,
    start: 'data',
    opensItself: true,
    act: (scene, _, signal) => runOf(() => startRun(recipeIn(scene, bare), scene.workspace, scene.workspace, { signal, worthKeeping: 0 })),
    again: async ({ workspace }) => fs.rmSync(path.join(workspace, '.uoe', 'runs'), { recursive: true, force: true }),
  },
  {
    name: 'a run with streams on disk',
    group: 'runs and resuming',
    every: 3,
    start: 'data',
    opensItself: true,
    act: (scene, _, signal) => runOf(() => startRun(recipeIn(scene, { ...bare, memory: '20kB' }), scene.workspace, scene.workspace, { signal })),
    again: runAgain,
  },
  {
    name: 'evaluation',
    group: 'opening, attributing, scoring',
    start: 'done',
    act: async ({ model, workspace, ids }, engine, signal) =>
      then(
        await engine.ask(
          'evaluate',
          {
            model,
            run: ids.done,
            workspace,
            sets: [{ name: 'forget', data: file(path.join(workspace, 'eval/forget.jsonl')) }],
            holdout: file(path.join(workspace, 'eval/near.jsonl')),
          },
          signal,
        ),
        (result) => result,
      ),
  },
  {
    name: 'scores with logits and routing as files',
    group: 'opening, attributing, scoring',
    start: 'data',
    act: async ({ model, workspace, out }, engine, signal) =>
      then(
        await engine.ask(
          'score',
          {
            model,
            data: [file(path.join(workspace, 'eval/forget.jsonl'))],
            logits: path.join(out, 'logits.safetensors'),
            routing: path.join(out, 'routing.safetensors'),
          },
          signal,
        ),
        (result) => [result, contentOf(out)],
      ),
    again: emptyOut,
  },
  {
    name: 'gradients as a file',
    group: 'opening, attributing, scoring',
    start: 'data',
    act: async (scene, engine, signal) =>
      then(
        await engine.ask('gradients', { recipe: recipeIn(scene), folder: scene.workspace, to: path.join(scene.out, 'gradients.safetensors') }, signal),
        ({ losses }) => [losses, contentOf(scene.out)],
      ),
    again: emptyOut,
  },
  {
    name: 'audits',
    group: 'audits, map, comparison, history',
    start: 'done',
    act: async ({ workspace, ids }, engine, signal) =>
      then(
        await engine.ask('audit', { run: ids.done, workspace, audits: ['forbid', 'quantise-8'], again: true }, signal),
        ({ audits }) => audits,
        ({ left }) => left.map(({ why }) => why),
      ),
  },
  {
    name: 'knowledge map',
    group: 'audits, map, comparison, history',
    start: 'data',
    act: async ({ model, workspace }, engine, signal) =>
      then(
        await engine.ask('measureMap', { model, forget: [file(path.join(workspace, 'eval/forget.jsonl'))], workspace, layers: [0], again: true }, signal),
        (map) => map,
      ),
  },
  {
    name: 'comparison and report',
    group: 'audits, map, comparison, history',
    start: 'done',
    act: async ({ workspace, ids }, engine, signal) => {
      const compared = await engine.ask('compare', { workspace }, signal);
      if (!compared.ok) return compared;
      const named = await engine.ask('compare', { workspace, runs: ['#1'] }, signal);
      if (!named.ok) return named;
      const report = await engine.ask('report', { run: ids.done, workspace, form: 'markdown' }, signal);
      return then(report, ({ text }) => [compared.value.table, named.value.table, text]);
    },
  },
  {
    name: 'history',
    group: 'audits, map, comparison, history',
    start: 'done',
    act: async ({ workspace, ids }, engine, signal) => {
      const listed = await engine.ask('runs', { workspace }, signal);
      if (!listed.ok) return listed;
      if (listed.value.broken.length > 0)
        return done(
          listed.value.runs,
          listed.value.broken.map(({ why }) => why),
        );
      return then(await engine.ask('readRun', { run: ids.done, workspace }, signal), (run) => [listed.value, run]);
    },
  },
  {
    name: 'answers, changes, proof of an export',
    group: 'audits, map, comparison, history',
    start: 'done',
    act: async ({ model, workspace, ids }, engine, signal) => {
      const answers = await engine.ask('answers', { model, run: ids.done, workspace }, signal);
      if (!answers.ok) return answers;
      return then(await engine.ask('runChanges', { run: ids.done, workspace }, signal), (changes) => [answers.value, changes]);
    },
  },
  {
    name: 'export as a copy',
    group: 'export, apply, restore',
    start: 'done',
    act: async ({ workspace, out, ids }, engine, signal) =>
      then(
        await engine.ask('exportRun', { run: ids.done, workspace, to: path.join(out, 'deep', 'copy'), form: 'checkpoint' }, signal),
        ({ changed, proof }) => [changed, proof, contentOf(out)],
      ),
    again: emptyOut,
  },
  {
    name: 'export with links',
    group: 'export, apply, restore',
    start: 'done',
    act: async ({ workspace, out, ids }, engine, signal) =>
      then(
        await engine.ask('exportRun', { run: ids.done, workspace, to: path.join(out, 'linked'), form: 'checkpoint', link: true }, signal),
        ({ changed, proof }) => [changed, proof, contentOf(out)],
      ),
    again: emptyOut,
  },
  {
    name: 'export of the patch',
    group: 'export, apply, restore',
    start: 'done',
    act: async ({ workspace, out, ids }, engine, signal) =>
      then(await engine.ask('exportRun', { run: ids.done, workspace, to: path.join(out, 'own.safetensors'), form: 'patch' }, signal), ({ changed }) => [
        changed,
        contentOf(out),
      ]),
    again: emptyOut,
  },
  {
    name: 'apply',
    group: 'export, apply, restore',
    start: 'done',
    act: async ({ model, workspace, ids }, engine, signal) =>
      then(await engine.ask('applyRun', { run: ids.done, workspace }, signal), ({ changed, proof }) => [changed, proof, contentOfModel(model)]),
    again: async ({ model }, engine) => void unwrap(await engine.ask('restoreModel', { model })),
  },
  {
    name: 'restore',
    group: 'export, apply, restore',
    start: 'applied',
    opensItself: true,
    act: async ({ model }, engine, signal) => then(await engine.ask('restoreModel', { model }, signal), () => contentOf(model)),
    again: async ({ workspace, ids }, engine) => void unwrap(await engine.ask('applyRun', { run: ids.done, workspace })),
  },
  {
    name: 'recipe, plan and data files',
    group: 'opening, attributing, scoring',
    start: 'data',
    act: async (scene, engine, signal) => {
      const { model, workspace } = scene;
      const sources = ['prose.txt', 'rows.csv', 'rows.json', 'forget.jsonl'].map((name) => file(path.join(workspace, name)));
      const preview = await engine.ask('preview', { model, forget: sources, retain: [file(path.join(workspace, 'retain.jsonl'))] }, signal);
      if (!preview.ok) return preview;
      const rows = await engine.ask('chosenRows', { sources: sources.slice(3), rows: [{ source: 0, line: 2 }] }, signal);
      if (!rows.ok) return rows;
      return then(await engine.ask('planRun', { recipe: recipeIn(scene), folder: workspace }, signal), ({ target, trainedParameters, warnings }) => [
        preview.value,
        rows.value,
        target,
        trainedParameters,
        warnings,
      ]);
    },
  },
  {
    name: 'speed of the disk',
    group: 'opening, attributing, scoring',
    start: 'data',
    opensItself: true,
    act: async ({ workspace }) =>
      then(await diskSpeed(workspace, { bytes: 8 << 20, seconds: 5 }), () =>
        fs
          .readdirSync(workspace)
          .filter((name) => !name.startsWith('.uoe-speed'))
          .sort(),
      ),
  },
];

/** The checkpoint with a patch applied; its manifest says when. */
function contentOfModel(model: string): Record<string, string> {
  const { '.uoe-original/manifest.json': _, ...rest } = contentOf(model);
  return rest;
}
