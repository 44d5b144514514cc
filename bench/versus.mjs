// UOE beside PyTorch on the CPU: same checkpoint, same rows of tokens, same target, every program in a process of its own, in turns.
// PyTorch runs where UOE_PYTHON (or python3) has torch and transformers; else UOE's numbers stand alone.
// Without --model, bench/gen_mid.py makes a checkpoint of 164 M parameters (0.66 GB) in .cache/bench once; without PyTorch it is the demo's.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { backendsOf, chosenOf, optionValues, readOrExplain, wholeOf } from './options.mjs';
import { lastLine, runMeasured } from './process.mjs';
import { random } from './random.mjs';
import { median, seconds } from './table.mjs';
import { compare, goalsOf, measures, print } from './versus-report.mjs';

const usage =
  'Usage: npm run bench -- [growth|large|vscode] [--backend wasm|tensorflow|all] [--only MEASURES] [--format text|json|markdown] [--quick] [--model FOLDER] [--target LAYER:EXPERT] [--tokens N] [--threads N] [--repeat N] [--steps N]';
const rowLength = 256;
/** Passes or steps in one process; the first one reads and warms up, and stands by itself. */
const repeats = 3;
const say = (text) => process.stderr.write(`${text}\n`);

function optionsOf(argv) {
  const texts = {
    model: undefined,
    target: undefined,
    tokens: undefined,
    threads: undefined,
    repeat: undefined,
    steps: undefined,
    backend: undefined,
    only: undefined,
  };
  const values = optionValues(argv, texts, ['quick']);
  const { quick, format } = values;
  const known = measures.map(({ id }) => id);
  const [layer, expert] = values.target?.split(':').map(Number) ?? [];
  if (values.target !== undefined && !(Number.isSafeInteger(layer) && Number.isSafeInteger(expert))) throw new Error('--target is LAYER:EXPERT.');
  return {
    model: values.model,
    target: values.target === undefined ? null : { layer, expert },
    tokens: wholeOf(values, 'tokens', quick ? rowLength : 4 * rowLength),
    threads: wholeOf(values, 'threads', os.availableParallelism()),
    rounds: wholeOf(values, 'repeat', quick ? 1 : 3),
    steps: wholeOf(values, 'steps', 100),
    backends: backendsOf(values),
    only: chosenOf(
      values,
      known,
      'measure',
      known.filter((id) => !quick || id !== 'endtoend'),
    ),
    quick,
    format,
  };
}

/** A program's last line of output as JSON, with the time and memory of its process; rejects with its last line of errors. */
async function rowOf(program, args, env = process.env) {
  const { code, signal, out, errors, wallSeconds, cpuSeconds } = await runMeasured(program, args, { env });
  let row = null;
  try {
    row = JSON.parse(lastLine(out));
  } catch {
    throw new Error(lastLine(errors) || lastLine(out) || `ended with ${signal ?? code}`);
  }
  if (row.error) throw new Error(row.error);
  return { ...row, process_wall_s: wallSeconds, process_cpu_s: cpuSeconds };
}

/** The Python that has PyTorch, with its versions; or why there is none. */
async function findPython() {
  const program = process.env.UOE_PYTHON ?? 'python3';
  const code = 'import json, torch, transformers, safetensors; print(json.dumps({"torch": torch.__version__, "transformers": transformers.__version__}))';
  try {
    return { program, versions: await rowOf(program, ['-c', code], { ...process.env, HF_HUB_OFFLINE: '1' }) };
  } catch (error) {
    return { program: null, why: `${program}: ${error.message}` };
  }
}

/** The checkpoint that is measured. */
async function modelOf(given, python, home) {
  if (given !== undefined) return path.resolve(given);
  if (python.program === null) return path.join(home, 'demo/checkpoint');
  const folder = path.join(home, '.cache/bench/mid');
  if (!fs.existsSync(path.join(folder, 'control.safetensors'))) {
    say('Making a checkpoint of 164 M parameters in .cache/bench/mid …');
    fs.mkdirSync(folder, { recursive: true });
    await new Promise((resolve, reject) => {
      const child = spawn(python.program, ['bench/gen_mid.py', folder], { stdio: ['ignore', 2, 2] });
      child.on('error', reject);
      child.on('close', (code) => (code === 0 ? resolve() : reject(new Error('bench/gen_mid.py failed.'))));
    });
  }
  return folder;
}

/** Rows of random tokens for both programs, and RMU's control vector. */
function writeInputs(folder, config, tokens) {
  const length = Math.min(rowLength, tokens, config.max_position_embeddings ?? rowLength);
  const rows = Math.max(1, Math.round(tokens / length));
  for (const [name, seed] of [
    ['forget', 7],
    ['retain', 8],
  ]) {
    const next = random(seed);
    const row = () => JSON.stringify({ input_ids: Array.from({ length }, () => 3 + Math.floor(next() * (config.vocab_size - 3))) });
    fs.writeFileSync(path.join(folder, `${name}.jsonl`), `${Array.from({ length: rows }, row).join('\n')}\n`);
  }
  const next = random(9);
  const vector = Float32Array.from({ length: config.hidden_size }, next);
  const norm = Math.hypot(...vector);
  const bytes = Buffer.from(vector.map((value) => value / norm).buffer);
  const header = Buffer.from(JSON.stringify({ u: { dtype: 'F32', shape: [config.hidden_size], data_offsets: [0, bytes.length] } }));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  fs.writeFileSync(path.join(folder, 'control.safetensors'), Buffer.concat([size, header, bytes]));
  return rows * length;
}

/** Runs everything in turns; rows of every process by program and measure, and what failed. */
async function collect(options, python, inputs, { home, bundle }) {
  const model = await modelOf(options.model, python, home);
  const config = JSON.parse(fs.readFileSync(path.join(model, 'config.json'), 'utf8'));
  const tokens = writeInputs(inputs, config, options.tokens);
  const [forget, retain, control] = ['forget.jsonl', 'retain.jsonl', 'control.safetensors'].map((name) => path.join(inputs, name));
  const layer = options.target?.layer ?? config.num_hidden_layers >> 1;
  let { target } = options;
  const timesOf = (id) => (id === 'endtoend' ? options.steps : repeats);
  const ours = (backend, id) => {
    const job = { measure: id, model, forget, retain, control, backend, threads: options.threads, repeat: timesOf(id), layer, ...(target ? { target } : {}) };
    return rowOf(process.execPath, [path.join(bundle, 'measure.js'), JSON.stringify(job)]);
  };
  const torch = (variant, id) =>
    // biome-ignore format: a command line
    rowOf(python.program, ['bench/yardstick.py', model, '--only', variant, '--threads', String(options.threads), '--repeat', String(timesOf(id)),
      ...(target ? ['--target', `${target.layer}:${target.expert}`] : []), '--forget', forget, '--retain', retain, '--control', control], { ...process.env, OMP_NUM_THREADS: String(options.threads) });

  const rows = new Map();
  const failures = [];
  const keep = async (key, work) => {
    try {
      const row = await work();
      rows.set(key, [...(rows.get(key) ?? []), row]);
      say(`${key}: ${seconds(median(row.wall_s.slice(1)))} s`);
      return row;
    } catch (error) {
      if (!failures.some((failure) => failure.startsWith(`${key}:`))) failures.push(`${key}: ${error.message}`);
      say(`${key}: ${error.message}`);
      return null;
    }
  };
  // The step's target: the best expert of the middle layer, found before anything is timed.
  const backends = [];
  for (const backend of options.backends) {
    const found = await keep(`${backend}: the target`, () => ours(backend, 'attribution'));
    if (!found) continue;
    backends.push(backend);
    target ??= found.inLayer;
  }
  if (backends.length === 0) throw new Error(failures.join('\n'));
  for (let round = 0; round < options.rounds; round++) {
    say(`Round ${round + 1} of ${options.rounds}`);
    for (const { id, torch: variants } of measures.filter((measure) => options.only.includes(measure.id))) {
      for (const backend of backends) await keep(`${backend} ${id}`, () => ours(backend, id));
      if (python.program !== null) for (const variant of Object.keys(variants)) await keep(`torch ${variant}`, () => torch(variant, id));
    }
  }
  return { model, family: config.model_type, tokens, target, backends, rows, failures };
}

/** The benchmark's command: options, measurements, report. `bundle`: the folder that measure.js was built into. */
export async function benchVersus(argv, { home, bundle }) {
  const options = readOrExplain(() => optionsOf(argv), usage);
  if (options === null) return;
  const python = await findPython();
  const inputs = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-bench-'));
  const load = os.loadavg()[0];
  try {
    const collected = await collect(options, python, inputs, { home, bundle });
    const table = compare(collected, options.only);
    const { rows, backends, ...about } = collected;
    const { threads, rounds, steps } = options;
    const machine = { cpu: os.cpus()[0]?.model, cores: os.availableParallelism(), load };
    const result = { ...about, threads, rounds, steps, ...machine, python, measures: table, goals: goalsOf(table, backends) };
    if (options.format === 'json') console.log(JSON.stringify(result, null, 2));
    else print(result, options.format);
    if (about.failures.length > 0) process.exitCode = 1;
  } catch (error) {
    console.error(`The bench failed: ${error.message}`);
    process.exitCode = 1;
  } finally {
    fs.rmSync(inputs, { recursive: true, force: true });
  }
}
