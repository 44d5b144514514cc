// `npm run bench -- large`: a checkpoint of 14.3 B parameters (28.6 GB) in a process that may hold 8 GB, through the command line as a person uses it.
//   npm run bench -- large [--model FOLDER] [--backend wasm|tensorflow|all] [--memory 8GB] [--tokens 4096] [--only inspect,attribution,rmu,gdiff,export] [--format text|json|markdown]
// Without --model, write-checkpoint.mjs writes one into .cache/bench/large once. Every job is a process of its own; shares are of the disk's and the
// processor's own speed, measured in the same run: a shard read past the system's cache, and products of 512 x 512 on the same backend.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { backendsOf, chosenOf, optionValues, readOrExplain, wholeOf } from '../options.mjs';
import { lastLine, runMeasured } from '../process.mjs';
import { gigabytes, percent, seconds, tableAs } from '../table.mjs';
import { forwardFlops, pullBackFlops, trainedFlops } from './shape.mjs';
import { writeCheckpoint, writeRows } from './write-checkpoint.mjs';

const usage =
  'Usage: npm run bench -- large [--model FOLDER] [--backend wasm|tensorflow|all] [--memory SIZE] [--tokens N] [--only JOBS] [--format text|json|markdown]';
const rowLength = 128;
/** Forget and retain tokens of a step, together, at most. */
const mostStepTokens = 2048;
/** Updates by method; wasm takes two of RMU alone. */
const updates = { tensorflow: { rmu: 20, gdiff: 2 }, wasm: { rmu: 2 } };
const jobNames = ['inspect', 'attribution', 'rmu', 'gdiff', 'export'];
const say = (text) => process.stderr.write(`${text}\n`);

function bytesOf(text) {
  const [, value, unit] = text.match(/^([\d.]+)\s*(GB|GiB|MB|MiB)$/) ?? [];
  if (value === undefined) throw new Error('--memory is a size such as 8GB.');
  return Math.floor(Number(value) * { GB: 1e9, GiB: 2 ** 30, MB: 1e6, MiB: 2 ** 20 }[unit]);
}

function optionsOf(argv) {
  const values = optionValues(argv, { model: undefined, backend: undefined, memory: '8GB', tokens: undefined, only: undefined });
  const tokens = wholeOf(values, 'tokens', 4096, rowLength);
  const only = chosenOf(values, jobNames, 'job');
  const backends = backendsOf(values);
  return { ...values, tokens, only, backends, memory: bytesOf(values.memory), budget: values.memory };
}

/** Forward passes of one run's rows through everything up to the target layer's experts: what no program can leave out. */
function stepArithmetic(config, { method, target, steps, stepTokens, uniqueTokens }) {
  const above = config.num_hidden_layers - target.layer - 1;
  const trained = steps * trainedFlops(config, stepTokens);
  if (method === 'rmu') return forwardFlops(config, { tokens: uniqueTokens, length: rowLength, layers: target.layer + 1 }) + trained;
  const forward = forwardFlops(config, { tokens: stepTokens, length: rowLength, headTokens: stepTokens });
  return steps * (forward + pullBackFlops(config, { tokens: stepTokens, length: rowLength, layers: above, headTokens: stepTokens })) + trained;
}

/** Bytes per second of a shard and GFLOP/s of a backend, each measured by the engine's own code. */
async function limitsOf(bundle, model, backend) {
  const job = JSON.stringify({ measure: 'limits', model, backend, threads: os.availableParallelism() });
  const ended = await runMeasured(process.execPath, [path.join(bundle, 'measure.js'), job]);
  if (ended.code !== 0) throw new Error(lastLine(ended.errors));
  return JSON.parse(lastLine(ended.out));
}

/** Takes the checkpoint out of the system's cache, so that every job reads from the disk; where coreutils can't, the column "of it disk" shows it. */
function forget(model) {
  for (const name of fs.readdirSync(model)) if (name.endsWith('.safetensors')) spawnSync('dd', [`if=${path.join(model, name)}`, 'iflag=nocache', 'count=0']);
}

const gigaflop = (value) => (value === null ? '–' : (value / 1e9).toFixed(0));

function print({ model, shape, budget, tokens, cpu, cores, load, limits, jobs }, format) {
  const mark = format === 'markdown' ? '**' : '';
  console.log(`${mark}${shape.parameters} parameters, ${shape.bytes}${mark} (${model}), ${cpu}, ${cores} cores, load ${load.toFixed(1)} before`);
  console.log(`Memory at most ${budget} for each process; attribution of ${tokens} tokens, steps of at most ${mostStepTokens} tokens, rows of ${rowLength}\n`);
  for (const { backend, disk, gigaflops } of limits)
    console.log(
      `Limits on ${backend}: disk ${disk === null ? 'unknown' : `${(disk / 1e6).toFixed(0)} MB/s`}, products ${gigaflops.toFixed(1)} GFLOP/s${format === 'markdown' ? '  ' : ''}`,
    );
  const columns = ['', 'Wall s', 'CPU s', 'Peak GB', 'Read GB', 'of it disk', 'GFLOP', "Disk's share", "Cores' share", 'Overlap', 'Limit'];
  const rows = jobs.map((job) => [
    `${job.name}, ${job.backend}`,
    seconds(job.wallSeconds),
    seconds(job.cpuSeconds),
    gigabytes(job.peakBytes),
    gigabytes(job.readBytes),
    gigabytes(job.diskBytes),
    gigaflop(job.flops),
    percent(job.diskShare),
    percent(job.coresShare),
    percent(job.overlap?.share ?? null),
    job.failed ? 'FAILED' : `held (${job.limit})`,
  ]);
  console.log(`\n${tableAs(format)(columns, rows)}\n`);
  for (const { name, backend, failed } of jobs) if (failed) console.log(`${name}, ${backend} failed: ${failed}${format === 'markdown' ? '  ' : ''}`);
  for (const { name, backend, detail } of jobs) if (detail) console.log(`${name}, ${backend}: ${detail}${format === 'markdown' ? '  ' : ''}`);
  console.log(
    "Read: asked for by the process; of it disk: not found in the system's cache. GFLOP: from the shape, what the job can't leave out. Shares: read bytes and GFLOP per second of wall time against the limits above. Overlap: the shorter of reading with widening and arithmetic, as far as it went on beside the other (--trace).",
  );
}

export async function benchLarge(argv, { home, bundle }) {
  const options = readOrExplain(() => optionsOf(argv), usage);
  if (options === null) return;
  const model = path.resolve(options.model ?? path.join(home, '.cache/bench/large'));
  if (!fs.existsSync(path.join(model, 'config.json'))) {
    say(`Writing a checkpoint of 14.3 B parameters (28.6 GB) to ${model} …`);
    writeCheckpoint({ to: model }, say);
  }
  const config = JSON.parse(fs.readFileSync(path.join(model, 'config.json'), 'utf8'));
  const work = fs.mkdtempSync(path.join(path.dirname(model), 'uoe-large-'));
  const load = os.loadavg()[0];
  try {
    writeRows(work, { vocab: config.vocab_size, rows: Math.round(options.tokens / rowLength), length: rowLength });
    const [limits, jobs] = [[], []];
    let shape = null;
    for (const backend of options.backends) {
      try {
        limits.push({ backend, ...(await limitsOf(bundle, model, backend)) });
      } catch (error) {
        say(`${backend}: ${error.message}`);
        process.exitCode = 1;
        continue;
      }
      const made = await jobsOf(backend, { options, model, config, work, bundle, limits: limits.at(-1) });
      jobs.push(...made.jobs);
      shape ??= made.shape;
    }
    const result = {
      model,
      shape,
      budget: options.budget,
      tokens: options.tokens,
      cpu: os.cpus()[0]?.model,
      cores: os.availableParallelism(),
      load,
      limits,
      jobs,
    };
    if (jobs.some(({ failed }) => failed)) process.exitCode = 1;
    if (options.format === 'json') console.log(JSON.stringify(result, null, 2));
    else print({ ...result, shape: shape ?? { parameters: '?', bytes: '?' } }, options.format);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** Runs a backend's jobs one after another. */
async function jobsOf(backend, { options, model, config, work, bundle, limits }) {
  const jobs = [];
  const file = (name) => path.join(work, name);
  const wanted = (name) => options.only.includes(name);

  /** One verb of the command line; its JSON, or null where it failed. */
  async function job(name, args, flops, detailOf = () => '') {
    say(`${backend}: ${name} …`);
    forget(model);
    const traced = ['attribute', 'unlearn'].includes(args[0]) ? ['--trace', file('trace.json')] : [];
    const all = [path.join(bundle, 'cli.js'), ...args, ...traced, '--workspace', work, '--memory', options.budget, '--backend', backend, '--json'];
    const { out, errors, code, signal, ...took } = await runMeasured(process.execPath, all, { cwd: work, limitBytes: options.memory });
    const over = took.peakBytes > options.memory ? `${gigabytes(took.peakBytes)} GB at its peak` : null;
    const ended = signal === null ? lastLine(errors) : `ended by ${signal} at ${gigabytes(took.peakBytes)} GB (${lastLine(errors)})`;
    const failed = code !== 0 ? ended : over;
    const answer = code === 0 ? JSON.parse(out) : null;
    const share = (amount, limit) => (amount === null || limit === null || failed ? null : amount / took.wallSeconds / limit);
    jobs.push({
      name,
      backend,
      ...took,
      flops,
      failed,
      diskShare: share(took.readBytes, limits.disk),
      coresShare: share(flops, limits.gigaflops * 1e9),
      overlap: answer?.overlap ?? null,
      detail: answer ? detailOf(answer) : '',
    });
    say(failed ? `${backend}: ${name} failed: ${failed}` : `${backend}: ${name} ${seconds(took.wallSeconds)} s, ${gigabytes(took.peakBytes)} GB`);
    return answer;
  }

  const info = await job('inspect', ['inspect', model], null);
  const shape = info && { parameters: `${(info.parameters.total / 1e9).toFixed(2)} B`, bytes: `${gigabytes(info.bytes)} GB` };
  if (info === null) return { jobs, shape };

  // A middle layer, so that a step has as much below it as above it; its best expert where the attribution says so.
  const target = { layer: config.num_hidden_layers >> 1, expert: 0 };
  if (wanted('attribution')) {
    const flops = forwardFlops(config, { tokens: options.tokens, length: rowLength, lastExperts: false });
    const record = await job('attribution', ['attribute', model, '--prompts', file('forget.jsonl')], flops, ({ tokens }) => `${tokens} tokens`);
    const experts = record?.layers.find(({ layer }) => layer === target.layer)?.experts ?? [];
    target.expert = experts.toSorted((a, b) => b.affinity - a.affinity)[0]?.expert ?? 0;
  }
  let folder = null;
  for (const [method, steps] of Object.entries(updates[backend])) {
    if (!wanted(method)) continue;
    const batchSize = Math.min(mostStepTokens / 2 / rowLength, Math.round(options.tokens / rowLength));
    const stepTokens = 2 * batchSize * rowLength;
    const recipe = file(`${method}.uoe.json`);
    // No more rows than the steps take: the others would only be compared.
    const rowsOf = (set) => {
      const own = file(`${method}-${set}.jsonl`);
      const lines = fs
        .readFileSync(file(`${set}.jsonl`), 'utf8')
        .trim()
        .split('\n');
      fs.writeFileSync(own, `${lines.slice(0, steps * batchSize).join('\n')}\n`);
      return own;
    };
    const data = { forget: rowsOf('forget'), retain: rowsOf('retain') };
    fs.writeFileSync(recipe, JSON.stringify({ model, ...data, target, method, steps, batchSize, maxLength: rowLength }));
    const uniqueTokens = Math.min(2 * options.tokens, steps * stepTokens);
    const flops = stepArithmetic(config, { method, target, steps, stepTokens, uniqueTokens });
    const answer = await job(`${method.toUpperCase()}, ${steps} steps`, ['unlearn', recipe], flops, (run) => stepsOf(path.resolve(work, run.folder)));
    folder ??= answer && path.resolve(work, answer.folder);
  }
  if (wanted('export') && folder !== null) {
    const to = file('exported');
    await job(
      'export, hard links',
      ['export', folder, '--to', to, '--link'],
      null,
      ({ linked, bytesWritten }) => `${linked} files linked, ${gigabytes(bytesWritten)} GB written`,
    );
    fs.rmSync(to, { recursive: true, force: true });
  }
  return { jobs, shape };
}

/** Where a run's time went: its phases, its first step and the median of the others. */
function stepsOf(folder) {
  const { seconds: phases } = JSON.parse(fs.readFileSync(path.join(folder, 'run.json'), 'utf8'));
  const steps = fs
    .readFileSync(path.join(folder, 'steps.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).ms / 1000);
  const warm = steps.slice(1).toSorted((a, b) => a - b);
  const words = Object.entries(phases).map(([phase, value]) => `${phase} ${seconds(value)} s`);
  return `${words.join(', ')}; first step ${seconds(steps[0])} s, median of the others ${seconds(warm[warm.length >> 1])} s`;
}
