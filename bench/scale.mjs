// `npm run bench -- scale`: what attribution and sweeps cost on checkpoints that are not here, on 1 to many nodes of a cluster, by the plan's own model.
//   npm run bench -- scale [--nodes 1,8,64] [--cores 32] [--gflops 30] [--read 1GB] [--files 10GB] [--memory 64GB] [--tokens 100000] [--runs 64] [--format text|json|markdown]
// Operations and bytes are the plan's (bench/scale.ts); seconds follow from the speeds given: --gflops what a core does in a pass (two cores measured, docs/scale.md),
// --read what a node reads in a second, --files what the file system gives to all nodes together. A phase takes as long as the slower of the two.
import fs from 'node:fs';
import path from 'node:path';
import { optionValues, readOrExplain } from './options.mjs';
import { lastLine, runMeasured } from './process.mjs';
import { tableAs } from './table.mjs';

const rowTokens = 512;
const sizeOf = (text) => {
  const [, value, unit] = text.match(/^([\d.]+)\s*(TB|GB|MB)$/) ?? [];
  if (value === undefined) throw new Error(`${text} is not a size such as 10GB.`);
  return Number(value) * { TB: 1e12, GB: 1e9, MB: 1e6 }[unit];
};
const number = (text, name) => {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} is a number above 0.`);
  return value;
};

function optionsOf(argv) {
  const texts = { nodes: '1,8,64', cores: '32', gflops: '30', read: '1GB', files: '10GB', memory: '64GB', tokens: '100000', runs: '64' };
  const values = optionValues(argv, texts);
  return {
    nodes: values.nodes.split(',').map((text) => number(text, 'nodes')),
    cores: number(values.cores, 'cores'),
    nodeFlops: number(values.cores, 'cores') * number(values.gflops, 'gflops') * 1e9,
    gflops: number(values.gflops, 'gflops'),
    read: sizeOf(values.read),
    files: sizeOf(values.files),
    memory: sizeOf(values.memory),
    rows: Math.ceil(number(values.tokens, 'tokens') / rowTokens),
    runs: number(values.runs, 'runs'),
    format: values.format,
  };
}

/** Seconds of work on one of `reading` nodes that read at the same time, and what they wait for. */
export function secondsOf({ flops, bytes }, reading, { nodeFlops, read, files }) {
  const rate = Math.min(read, files / reading);
  const [computing, fetching] = [flops / nodeFlops, bytes / rate];
  if (computing >= fetching) return { seconds: computing, limit: 'cores' };
  return { seconds: fetching, limit: rate < read ? 'file system' : 'node reads' };
}

/** Phases one after the other. */
function runSeconds(phases, reading, speeds) {
  const parts = phases.map((phase) => ({ ...phase, ...secondsOf(phase, reading, speeds) }));
  const longest = parts.toSorted((a, b) => b.seconds - a.seconds)[0];
  return { seconds: parts.reduce((sum, { seconds }) => sum + seconds, 0), limit: longest.limit };
}

/** Attribution in shards of prompts: every node reads all weights and computes its share. A sweep of runs that each look for their target, and of runs that find the first one's activations. */
export function scaled(model, count, options) {
  const [run] = model.runs.filter(({ method }) => method === 'rmu');
  const { attribution, ...later } = run.phases;
  const tokens = 2 * options.rows * rowTokens;
  const shard = { flops: attribution.flops / count, bytes: model.passBytes * Math.ceil(tokens / count / model.blockTokens) };
  const looked = secondsOf(shard, count, options);
  const busy = Math.min(count, options.runs);
  const rounds = Math.ceil(options.runs / count);
  const own = runSeconds([attribution, ...Object.values(later)], busy, options);
  const found = runSeconds(Object.values(later), busy, options);
  return {
    nodes: count,
    attribution: { ...looked, bytes: shard.bytes * count },
    sweepAlone: { seconds: rounds * own.seconds, limit: own.limit, bytes: options.runs * bytesOf(run.phases) },
    sweepStored: {
      seconds: looked.seconds + rounds * found.seconds,
      limit: found.limit,
      bytes: shard.bytes * count + options.runs * bytesOf(later),
    },
  };
}

const bytesOf = (phases) => Object.values(phases).reduce((sum, { bytes }) => sum + bytes, 0);

const hours = (value) =>
  value >= 36_000
    ? `${(value / 3600).toFixed(0)} h`
    : value >= 3600
      ? `${(value / 3600).toFixed(1)} h`
      : value >= 60
        ? `${(value / 60).toFixed(0)} min`
        : `${value.toFixed(0)} s`;
const terabytes = (value) => (value / 1e12).toFixed(value >= 1e13 ? 0 : value >= 1e12 ? 1 : 2);
const gigabytes = (value) => (value / 1e9).toFixed(value >= 1e10 ? 0 : 1);

function print(models, options) {
  const { nodes, cores, gflops, read, files, memory, rows, runs, format } = options;
  const table = tableAs(format);
  const break_ = format === 'markdown' ? '  ' : '';
  console.log(
    `Each node: ${cores} cores of ${gflops} GFLOP/s in a pass, reads ${gigabytes(read)} GB/s; the file system gives ${gigabytes(files)} GB/s to all; ${gigabytes(memory)} GB of memory.${break_}`,
  );
  console.log(
    `${(rows * rowTokens).toLocaleString('en-US')} forget and as many retain tokens in rows of ${rowTokens}; runs of 100 RMU steps, batch 4, middle layer.\n`,
  );
  const shapes = models.map(({ name, parameters, bytes, runs: list, storedBytes }) => {
    const [rmu, gdiff] = list;
    return [
      name,
      (parameters / 1e9).toFixed(1),
      gigabytes(bytes),
      (rmu.phases.attribution.flops / 1e15).toFixed(2),
      gigabytes(rmu.peakBytes),
      gigabytes(gdiff.peakBytes),
      terabytes(bytesOf(rmu.phases)),
      terabytes(bytesOf(gdiff.phases)),
      gigabytes(storedBytes),
    ];
  });
  console.log(
    `${table(['Checkpoint', 'Parameters, 10⁹', 'bf16, GB', 'Attribution, PFLOP', 'Peak RMU, GB', 'Peak GDIFF, GB', 'RMU reads, TB', 'GDIFF reads, TB', 'Activations kept, GB'], shapes)}\n`,
  );
  const lines = models.flatMap((model) =>
    nodes.map((count) => {
      const { attribution, sweepAlone, sweepStored } = scaled(model, count, options);
      return [
        `${model.name}, ${count} node${count === 1 ? '' : 's'}`,
        ...[attribution, sweepAlone, sweepStored].flatMap(({ seconds, limit, bytes }) => [hours(seconds), limit, terabytes(bytes)]),
      ];
    }),
  );
  const three = (title) => [title, 'waits for', 'TB read'];
  console.log(table(['', ...three('Attribution in shards'), ...three(`${runs} runs, each by itself`), ...three(`${runs} runs that find activations`)], lines));
}

export async function benchScale(argv, { home, bundle }) {
  const options = readOrExplain(() => optionsOf(argv));
  if (options === null) return;
  const folder = path.join(home, 'bench/configs');
  const configs = Object.fromEntries(fs.readdirSync(folder).map((file) => [path.basename(file, '.json'), path.join(folder, file)]));
  const job = { configs, memory: options.memory, rows: options.rows, rowTokens, batchSize: 4, steps: 100, processBytes: 2.3e8 };
  const ended = await runMeasured(process.execPath, [path.join(bundle, 'scale.js'), JSON.stringify(job)]);
  if (ended.code !== 0) throw new Error(lastLine(ended.errors));
  const models = JSON.parse(lastLine(ended.out));
  if (options.format === 'json')
    console.log(JSON.stringify({ options, models, lines: models.map((model) => options.nodes.map((count) => scaled(model, count, options))) }, null, 2));
  else print(models, options);
}
