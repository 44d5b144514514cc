// `npm run bench`: UOE beside PyTorch on the CPU, same checkpoint, same rows of tokens, same target, in turns; medians.
//   npm run bench -- vscode     times in a real VS Code instead (bench/vscode.mjs)
//   npm run bench -- [--model FOLDER] [--tokens N] [--threads N] [--repeat N] [--quick] [--json]
// PyTorch runs where UOE_PYTHON (or python3) has torch and transformers; else UOE's numbers stand alone.
// Without --model, bench/gen_mid.py makes a checkpoint of 164 M parameters (0.66 GB) in .cache/bench once; without PyTorch it is the demo's.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { installPackages } from '../tools/packages.mjs';

const home = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const usage = 'Usage: npm run bench -- [--model FOLDER] [--tokens N] [--threads N] [--repeat N] [--quick] [--json]';
const rowLength = 256;

function optionsOf(argv) {
  try {
    const { values } = parseArgs({
      args: argv,
      options: {
        model: { type: 'string' },
        tokens: { type: 'string' },
        threads: { type: 'string' },
        repeat: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const whole = (name, otherwise) => {
      const value = Number(values[name] ?? otherwise);
      if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} is a whole number from 1.`);
      return value;
    };
    return {
      model: values.model,
      tokens: whole('tokens', values.quick ? rowLength : 4 * rowLength),
      threads: whole('threads', os.availableParallelism()),
      rounds: whole('repeat', values.quick ? 1 : 3),
      quick: values.quick,
      json: values.json,
    };
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    process.exit(2);
  }
}

/** Steps in one process; the first one warms up and does not count. */
const steps = 3;

const say = (text) => process.stderr.write(`${text}\n`);

/** A program's last line of output as JSON; rejects with its last line of errors. */
function rowOf(program, args, env = process.env) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const out = [];
    const errors = [];
    child.stdout.on('data', (data) => out.push(data));
    child.stderr.on('data', (data) => errors.push(data));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const last = (parts) => Buffer.concat(parts).toString().trim().split('\n').at(-1) ?? '';
      if (code !== 0 && out.length === 0) return reject(new Error(last(errors) || `ended with ${signal ?? code}`));
      try {
        const row = JSON.parse(last(out));
        if (row.error) reject(new Error(row.error));
        else resolve(row);
      } catch {
        reject(new Error(last(errors) || last(out)));
      }
    });
  });
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
async function modelOf(given, python) {
  if (given !== undefined) return path.resolve(given);
  if (python.program === null) return path.join(home, 'demo/checkpoint');
  const folder = path.join(home, '.cache/bench/mid');
  if (!fs.existsSync(path.join(folder, 'control.safetensors'))) {
    say('Making a checkpoint of 164 M parameters in .cache/bench/mid …');
    fs.mkdirSync(folder, { recursive: true });
    await new Promise((resolve, reject) => {
      const child = spawn(python.program, ['bench/gen_mid.py', folder], { cwd: home, stdio: ['ignore', 2, 2] });
      child.on('error', reject);
      child.on('close', (code) => (code === 0 ? resolve() : reject(new Error('bench/gen_mid.py failed.'))));
    });
  }
  return folder;
}

/** mulberry32: numbers in [0, 1). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Rows of random tokens for both programs, and RMU's control vector. */
function writeInputs(folder, model, tokens) {
  const config = JSON.parse(fs.readFileSync(path.join(model, 'config.json'), 'utf8'));
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

const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** What is measured, with the variants of PyTorch that it is held against. */
const measures = [
  { id: 'attribution', label: 'Attribution', torch: { attribution: 'PyTorch', attribution_grouped: 'PyTorch, grouped experts' } },
  { id: 'rmu', label: 'RMU step', torch: { rmu: 'PyTorch', rmu_cut: 'PyTorch, cut after the target layer' } },
  { id: 'gdiff', label: 'GDIFF step', torch: { gdiff: 'PyTorch' } },
];

if (process.argv[2] === 'vscode') {
  installPackages();
  process.chdir(home);
  const { benchVscode } = await import('./vscode.mjs');
  await benchVscode();
  process.exit(0);
}
const options = optionsOf(process.argv.slice(2));
installPackages();
const { buildBench } = await import('../esbuild.config.mjs');
const bundle = path.join(home, '.build/bench');
process.chdir(home);
await buildBench(bundle);
const python = await findPython();
const inputs = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-bench-'));
try {
  await bench();
} catch (error) {
  console.error(`The bench failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  fs.rmSync(inputs, { recursive: true, force: true });
}

async function bench() {
  const model = await modelOf(options.model, python);
  const tokens = writeInputs(inputs, model, options.tokens);
  const file = (name) => path.join(inputs, name);
  const files = { forget: file('forget.jsonl'), retain: file('retain.jsonl'), control: file('control.safetensors') };
  const { threads, rounds } = options;

  let target;
  const ours = (measure) =>
    rowOf(process.execPath, [path.join(bundle, 'measure.js'), JSON.stringify({ measure, model, ...files, threads, repeat: steps, target })]);
  const torch = (measure) =>
    // biome-ignore format: a command line
    rowOf(python.program, ['bench/yardstick.py', model, '--measures', measure, '--threads', String(threads), '--repeat', String(steps), '--target', `${target.layer}:${target.expert}`,
      '--forget', files.forget, '--retain', files.retain, '--control', files.control]);

  /** Rows of every process, by program and measure. */
  const rows = new Map();
  const failures = [];
  const keep = async (key, made) => {
    try {
      const row = await made;
      rows.set(key, [...(rows.get(key) ?? []), row]);
      say(`${key}: ${median(row.wall_s.slice(1)).toFixed(3)} s`);
      return row;
    } catch (error) {
      failures.push(`${key}: ${error.message}`);
      say(`${key}: ${error.message}`);
      return null;
    }
  };
  for (let round = 0; round < rounds; round++) {
    say(`Round ${round + 1} of ${rounds}`);
    for (const { id, torch: variants } of measures) {
      const row = await keep(`uoe ${id}`, ours(id));
      if (id === 'attribution' && row) target ??= { layer: row.target.layer, expert: row.target.expert };
      if (target === undefined) throw new Error(`attribution: ${failures.at(-1)}`);
      if (python.program === null) continue;
      for (const name of Object.keys(variants)) if (!options.quick || name === id) await keep(`torch ${name}`, torch(name));
    }
  }

  const figures = (key) => {
    const all = rows.get(key);
    if (all === undefined) return null;
    return {
      seconds: median(all.flatMap(({ wall_s }) => wall_s.slice(1))),
      cpuSeconds: median(all.flatMap(({ cpu_s }) => cpu_s.slice(1))),
      first: median(all.map(({ wall_s }) => wall_s[0])),
      tokens: all[0].tokens,
      tokensPerSecond: all[0].tokens / median(all.flatMap(({ wall_s }) => wall_s.slice(1))),
      peakMiB: median(all.map(({ process_peak_mib }) => process_peak_mib)),
      loss: all[0].losses?.[0] ?? null,
      target: all[0].target ?? null,
      ...(all[0].prepare_s === undefined ? {} : { prepareSeconds: median(all.map(({ prepare_s }) => prepare_s)) }),
    };
  };
  const table = measures.map(({ id, label, torch: variants }) => ({
    measure: id,
    label,
    uoe: figures(`uoe ${id}`),
    torch: Object.entries(variants).flatMap(([name, title]) => {
      const own = figures(`torch ${name}`);
      return own ? [{ variant: name, title, ...own }] : [];
    }),
  }));
  const [{ backend, family }] = rows.get('uoe attribution');
  const result = {
    model,
    family,
    tokens,
    threads,
    backend,
    rounds,
    stepsEach: steps - 1,
    cpu: os.cpus()[0]?.model,
    cores: os.availableParallelism(),
    load: os.loadavg()[0],
    target,
    python: python.versions ?? null,
    measures: table,
    failures,
  };
  if (options.json) console.log(JSON.stringify(result, null, 2));
  else print(result);
  if (failures.length > 0) process.exitCode = 1;
}

function print({ model, family, tokens, threads, backend, rounds, stepsEach, cpu, cores, load, target, measures: table, failures }) {
  const columns = ['', 'Seconds', 'CPU s', 'Tokens/s', 'Peak MiB', 'UOE against it', 'by CPU s', 'by peak', 'First loss'];
  const lines = table.flatMap(({ label, measure, uoe, torch }) => {
    if (uoe === null) return [];
    const figures = ({ seconds, cpuSeconds, tokensPerSecond, peakMiB }) => [
      seconds.toFixed(3),
      cpuSeconds.toFixed(3),
      tokensPerSecond.toFixed(0),
      peakMiB.toFixed(0),
    ];
    const first = ({ loss, target: found }) =>
      loss === null ? (measure === 'attribution' && found ? `L${found.layer}·E${found.expert} ${found.affinity.toFixed(5)}` : '') : loss.toFixed(5);
    return [
      [`${label}: UOE`, ...figures(uoe), '', '', '', first(uoe)],
      ...torch.map((one) => [
        `  ${one.title}`,
        ...figures(one),
        `${(one.seconds / uoe.seconds).toFixed(2)} × the speed`,
        `${(one.cpuSeconds / uoe.cpuSeconds).toFixed(2)} ×`,
        `${(uoe.peakMiB / one.peakMiB).toFixed(2)} ×`,
        first(one),
      ]),
    ];
  });
  const widths = columns.map((title, c) => Math.max(title.length, ...lines.map((line) => line[c].length)));
  const shown = (line) =>
    line
      .map((text, c) => (c === 0 ? text.padEnd(widths[c]) : text.padStart(widths[c])))
      .join('  ')
      .trimEnd();
  const versus =
    python.program === null
      ? `PyTorch was not measured (${python.why}; UOE_PYTHON names another Python)`
      : `PyTorch ${python.versions.torch}, transformers ${python.versions.transformers}`;
  console.log(`${model} (${family}), target layer ${target.layer} expert ${target.expert}; ${tokens} forget and ${tokens} retain tokens`);
  console.log(`${cpu}, ${cores} cores, load ${load.toFixed(1)}; ${threads} threads; UOE on ${backend}; ${versus}`);
  console.log(
    `Medians of ${stepsEach} steps in each of ${rounds} rounds, programs in turns, a first step left out; peak: resident memory of the whole process\n`,
  );
  console.log([shown(columns), shown(widths.map((width) => '─'.repeat(width))), ...lines.map(shown)].join('\n'));
  const once = table.flatMap(({ label, uoe }) =>
    uoe?.prepareSeconds === undefined ? [] : [`${label.replace(' step', '')} ${uoe.prepareSeconds.toFixed(2)} s`],
  );
  if (once.length > 0)
    console.log(
      `\nOnce before UOE's steps, for all rows together: ${once.join(', ')}. First attribution, which reads the weights: ${table[0].uoe.first.toFixed(2)} s.`,
    );
  for (const failure of failures) console.log(`Failed: ${failure}`);
}
