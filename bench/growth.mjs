// `npm run bench -- growth`: cost while prompts, layers, experts and hidden size grow, beside what the arithmetic alone would cost on this machine.
//   npm run bench -- growth [--backend wasm|tensorflow|all] [--only prompts,layers,experts,hidden] [--repeat N] [--quick] [--format text|json|markdown]
// Arithmetic is floating-point operations at the backend's own speed plus bytes at the disk's, both measured first. A step from one size to the next whose
// time grows by more than a quarter faster than its arithmetic is flagged.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { configOf, forwardFlops, pullBackFlops, sizeOf, tensorsOf, trainedFlops } from './large/shape.mjs';
import { writeCheckpoint, writeRows } from './large/write-checkpoint.mjs';
import { backendsOf, chosenOf, optionValues, readOrExplain, wholeOf } from './options.mjs';
import { lastLine, runMeasured } from './process.mjs';
import { median, ratio, seconds, tableAs } from './table.mjs';

const usage =
  'Usage: npm run bench -- growth [--backend wasm|tensorflow|all] [--only prompts,layers,experts,hidden] [--repeat N] [--quick] [--format text|json|markdown]';
const base = { layers: 4, experts: 8, hidden: 256, vocab: 2048, rows: 8, length: 64 };
const series = {
  prompts: { key: 'rows', values: [1, 2, 4, 8, 16, 32, 64] },
  layers: { key: 'layers', values: [2, 4, 8, 16] },
  experts: { key: 'experts', values: [8, 16, 32, 64] },
  hidden: { key: 'hidden', values: [128, 256, 512, 1024] },
};
/** Steps of a process; the first one reads and warms up. */
const repeats = 3;
/** Time may grow by this much more than arithmetic before it is flagged. */
const slack = 1.25;
/** Below this growth of the arithmetic an exponent says nothing. */
const leastGrowth = 1.5;

const say = (text) => process.stderr.write(`${text}\n`);

function optionsOf(argv) {
  const values = optionValues(argv, { backend: undefined, only: undefined, repeat: undefined }, ['quick']);
  const { quick, format } = values;
  return {
    backends: backendsOf(values),
    only: chosenOf(values, Object.keys(series), 'series'),
    rounds: wholeOf(values, 'repeat', quick ? 1 : 3),
    quick,
    format,
  };
}

async function measured(bundle, job) {
  const { code, out, errors } = await runMeasured(process.execPath, [path.join(bundle, 'measure.js'), JSON.stringify(job)]);
  if (code !== 0) throw new Error(lastLine(errors));
  return JSON.parse(lastLine(out));
}

/** What each measure can't do without: operations and bytes. */
const arithmetic = {
  attribution(config, { rows, length }) {
    const last = `model.layers.${config.num_hidden_layers - 1}.mlp.`;
    const read = tensorsOf(config).filter(
      ([name]) => !/^(lm_head|model\.embed_tokens|model\.norm)/.test(name) && !(name.startsWith(last) && !name.endsWith('.gate.weight')),
    );
    const embedded = 2 * rows * length * config.hidden_size;
    return {
      flops: forwardFlops(config, { tokens: rows * length, length, lastExperts: false }),
      bytes: embedded + read.reduce((sum, [, shape]) => sum + 2 * sizeOf(shape), 0),
    };
  },
  /** A warm step: all weights of these sizes stay in memory. */
  gdiff(config, { rows, length }) {
    const tokens = 2 * rows * length;
    const layers = config.num_hidden_layers;
    // Layers below the target were run once, before the steps, and so were the frozen experts of its own layer; its router runs, forward and back.
    const above = { tokens, length, headTokens: tokens, layers: layers - (layers >> 1) - 1 };
    const router = 6 * tokens * config.hidden_size * config.num_experts;
    return { flops: forwardFlops(config, above) + pullBackFlops(config, above) + router + trainedFlops(config, tokens), bytes: 0 };
  },
};

/** One size of one series on one backend: the median of a first attribution and of a warm GDIFF step. */
async function point({ backend, bundle, limits, rounds, size, folder }) {
  const config = configOf(size);
  writeRows(folder, { vocab: size.vocab, rows: size.rows, length: size.length });
  const rows = { forget: path.join(folder, 'forget.jsonl'), retain: path.join(folder, 'retain.jsonl') };
  const shared = { model: folder, ...rows, control: '', backend, threads: os.availableParallelism(), repeat: repeats };
  const target = { layer: size.layers >> 1, expert: 0 };
  const timesOf = { attribution: ({ wall_s }) => wall_s.slice(0, 1), gdiff: ({ wall_s }) => wall_s.slice(1) };
  const found = {};
  for (const measure of ['attribution', 'gdiff']) {
    const times = [];
    for (let round = 0; round < rounds; round++)
      times.push(...timesOf[measure](await measured(bundle, { ...shared, measure, target, repeat: measure === 'gdiff' ? repeats : 1 })));
    const { flops, bytes } = arithmetic[measure](config, size);
    found[measure] = { seconds: median(times), flops, bytes, arithmeticSeconds: flops / (limits.gigaflops * 1e9) + (limits.disk ? bytes / limits.disk : 0) };
  }
  return found;
}

/** Growth from each size to the next, and over the whole series. */
function judged(points) {
  const steps = points.slice(1).map((point, i) => {
    const [time, work] = [point.seconds / points[i].seconds, point.arithmeticSeconds / points[i].arithmeticSeconds];
    return { time, work, flagged: time > slack * work };
  });
  const [first, last] = [points[0], points.at(-1)];
  const work = last.arithmeticSeconds / first.arithmeticSeconds;
  return { steps, time: last.seconds / first.seconds, work, exponent: work >= leastGrowth ? Math.log(last.seconds / first.seconds) / Math.log(work) : null };
}

function print({ cpu, cores, load, limits, curves }, format) {
  const end = format === 'markdown' ? '  ' : '';
  console.log(`${cpu}, ${cores} cores, load ${load.toFixed(1)} before${end}`);
  for (const { backend, gigaflops, disk } of limits)
    console.log(`Limits on ${backend}: products ${gigaflops.toFixed(1)} GFLOP/s, disk ${disk ? `${(disk / 1e6).toFixed(0)} MB/s` : 'unknown'}${end}`);
  for (const { backend, name, measure, sizes, points, growth } of curves) {
    const rows = points.map((point, i) => {
      const step = growth.steps[i - 1];
      return [
        String(sizes[i]),
        seconds(point.seconds),
        seconds(point.arithmeticSeconds),
        ratio(point.seconds / point.arithmeticSeconds),
        step ? ratio(step.time) : '',
        step ? ratio(step.work) : '',
        step?.flagged ? 'grows faster' : '',
      ];
    });
    const exponent = growth.exponent === null ? '' : `, exponent ${growth.exponent.toFixed(2)}`;
    console.log(
      `\n${measure === 'gdiff' ? 'GDIFF step' : 'Attribution'} over ${name}, ${backend}: time ${ratio(growth.time)}, arithmetic ${ratio(growth.work)}${exponent}\n`,
    );
    console.log(tableAs(format)([name, 'Seconds', 'Arithmetic s', 'Ratio', 'Time grows', 'Arithmetic grows', ''], rows));
  }
}

export async function benchGrowth(argv, { home, bundle }) {
  const options = readOrExplain(() => optionsOf(argv), usage);
  if (options === null) return;
  fs.mkdirSync(path.join(home, '.cache/bench'), { recursive: true });
  const folder = fs.mkdtempSync(path.join(home, '.cache/bench/growth-'));
  const load = os.loadavg()[0];
  try {
    const [limits, found] = [[], new Map()];
    writeCheckpoint({ to: folder, ...base, hidden: 1024 });
    for (const backend of options.backends) {
      try {
        limits.push({ ...(await measured(bundle, { measure: 'limits', model: folder, backend, threads: os.availableParallelism() })) });
      } catch (error) {
        say(`${backend}: ${error.message}`);
        process.exitCode = 1;
      }
    }
    for (const name of options.only) {
      const { key, values } = series[name];
      const sizes = options.quick ? values.filter((_, i) => i % 3 === 0) : values;
      for (const value of sizes) {
        const size = { ...base, [key]: value };
        writeCheckpoint({ to: folder, ...size });
        for (const own of limits) {
          const made = await point({ backend: own.backend, bundle, limits: own, rounds: options.rounds, size, folder });
          say(`${own.backend}, ${name} ${value}: attribution ${seconds(made.attribution.seconds)} s, GDIFF step ${seconds(made.gdiff.seconds)} s`);
          for (const measure of Object.keys(made)) {
            const id = `${own.backend} ${name} ${measure}`;
            const curve = found.get(id) ?? { backend: own.backend, name, measure, sizes, points: [] };
            curve.points.push(made[measure]);
            found.set(id, curve);
          }
        }
      }
    }
    const curves = [...found.values()].map((curve) => ({ ...curve, growth: judged(curve.points) }));
    const result = { cpu: os.cpus()[0]?.model, cores: os.availableParallelism(), load, base, limits, curves };
    if (options.format === 'json') console.log(JSON.stringify(result, null, 2));
    else print(result, options.format);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
