/**
 * One measure of UOE's side of the bench, alone in its process: `node measure.js JSON` prints one JSON line.
 * A step is what a run repeats; what a run does once before its steps is `prepare_s`. `endtoend` is the attribution and then `repeat` steps of RMU.
 */
import { attributionRecord } from '../src/attribution/attribute';
import { openCheckpoint } from '../src/checkpoint/open-checkpoint';
import { routingOf } from '../src/engine/routing';
import { measure as measureRows } from '../src/evaluate/measure';
import { openRecipe } from '../src/experiment/open-recipe';
import { readSpeed } from '../src/files/disk-speed';
import { asStored } from '../src/passes/model';
import { refuse, unwrap } from '../src/protocol/fault';
import { backendInUse, openBackend } from '../src/tensor/backend';
import { withProductTime } from '../src/tensor/product-time';
import { gigaflops } from '../src/tensor/self-test';
import { takeStep } from '../src/unlearn/step';
import { openTraining } from '../src/unlearn/training';

interface Job {
  readonly measure: 'limits' | 'forward' | 'attribution' | 'rmu' | 'gdiff' | 'npo' | 'endtoend';
  readonly model: string;
  readonly forget: string;
  readonly retain: string;
  /** Safetensors file whose tensor "u" is RMU's control vector. */
  readonly control: string;
  readonly backend: 'tensorflow' | 'wasm';
  readonly threads: number;
  /** Passes or steps. */
  readonly repeat: number;
  /** Of attribution: whose best expert is asked for. */
  readonly layer?: number;
  readonly target?: { readonly layer: number; readonly expert: number };
}

/** As in yardstick.py. */
const learningRate = 1e-4;
const steering = { c: 20, retainWeight: 100 };
const limitSeconds = 3;

async function seconds<T>(work: () => Promise<T>): Promise<{ value: T; wall: number; cpu: number }> {
  const [began, used] = [performance.now(), process.cpuUsage()];
  const value = await work();
  const { user, system } = process.cpuUsage(used);
  return { value, wall: (performance.now() - began) / 1000, cpu: (user + system) / 1e6 };
}

/** The method of a measure; passes need none, and end to end is RMU's. */
const methodOf = { limits: 'gdiff', forward: 'gdiff', attribution: 'gdiff', gdiff: 'gdiff', npo: 'npo', rmu: 'rmu', endtoend: 'rmu' } as const;

const recipeOf = ({ measure, model, forget, retain, control, backend, threads, repeat, target }: Job) => ({
  model,
  forget,
  retain,
  target: target ?? 'auto',
  backend,
  threads,
  method: methodOf[measure],
  ...(methodOf[measure] === 'rmu' ? { methodOptions: { ...steering, controlVector: { file: control, tensor: 'u' } } } : {}),
  optimizer: { lr: learningRate },
  batchSize: 'all',
  order: 'sequential',
  steps: repeat,
});

/** What this machine gives at most: GFLOP/s of the backend's products, bytes per second of the checkpoint's disk. */
async function limits({ model, backend, threads }: Job) {
  const opened = unwrap(await openBackend(backend, threads));
  const speed = await gigaflops(limitSeconds);
  const checkpoint = unwrap(await openCheckpoint(model));
  const largest = checkpoint.shards.toSorted((a, b) => b.bytes - a.bytes)[0];
  const disk = unwrap(await readSpeed(largest.path, { bytes: largest.bytes, seconds: limitSeconds }));
  await checkpoint.close();
  return { measure: 'limits', backend: opened.name, threads: opened.threads, gigaflops: speed, disk };
}

async function measure(job: Job) {
  const opened = await seconds(() => openRecipe(recipeOf(job), process.cwd()));
  const { handle, recipe, forget, retain, controlVector } = opened.value;
  const { model } = handle;
  const { name, threads } = backendInUse();
  const wall: number[] = [];
  const cpu: number[] = [];
  const add = <T>({ value, wall: one, cpu: own }: { value: T; wall: number; cpu: number }): T => {
    wall.push(one);
    cpu.push(own);
    return value;
  };
  const common = { measure: job.measure, backend: name, threads, open_s: opened.wall, family: model.family };
  const measured = (tokens: number) => ({
    tokens,
    wall_s: wall,
    cpu_s: cpu,
    bytes_read: model.weights.bytesRead(),
    process_peak_mib: process.resourceUsage().maxRSS / 1024,
  });
  const tokensOf = (sets: readonly (typeof forget)['sequences'][]) => sets.flat().reduce((sum, { ids }) => sum + ids.length, 0);

  if (job.measure === 'forward') {
    const pass = () => measureRows(model, forget.sequences, asStored, recipe.memory);
    let nll = 0;
    for (let i = 0; i < job.repeat; i++) {
      const rows = add(await seconds(pass)).flatMap(({ perToken }) => Array.from(perToken));
      nll = rows.reduce((sum, value) => sum + value, 0) / rows.length;
    }
    // Once more with the counter, which costs a little itself.
    const counted = await seconds(() => withProductTime(pass));
    const { products } = counted.value;
    return { ...common, losses: [nll], products: { ...products, share: products.seconds / counted.wall }, ...measured(tokensOf([forget.sequences])) };
  }
  const attribution = async () => {
    const { record } = await routingOf(model, forget.sequences, asStored, { store: null, blockTokens: Number.POSITIVE_INFINITY }, () => undefined);
    return attributionRecord(model.family, record, 0);
  };
  if (job.measure === 'attribution') {
    let record = null;
    for (let i = 0; i < job.repeat; i++) record = add(await seconds(attribution));
    const within = record?.layers.find(({ layer }) => layer === job.layer)?.experts ?? [];
    const best = within.toSorted((a, b) => b.affinity - a.affinity)[0];
    return { ...common, target: record?.target, inLayer: best && { layer: job.layer, expert: best.expert }, ...measured(tokensOf([forget.sequences])) };
  }
  if (job.measure === 'endtoend') add(await seconds(attribution));
  const expert = job.target ?? refuse('usage', 'A step needs a target.');
  const rows = { forget: forget.sequences, retain: retain?.sequences ?? [] };
  const target = { experts: [expert], train: 'expert+router' as const };
  const prepared = await seconds(() => openTraining({ model, recipe, target, rows, controlVector }));
  const { training, initial } = prepared.value;
  const losses: number[] = [];
  let state = initial;
  for (let i = 0; i < job.repeat; i++) {
    const { record, next } = add(await seconds(() => takeStep(training, state)));
    losses.push(record.total);
    state = next ?? refuse('bad-data', `The step made a loss or a weight that is not finite: ${record.total}.`);
  }
  return { ...common, target: expert, losses, prepare_s: prepared.wall, ...measured(tokensOf([rows.forget, rows.retain])) };
}

const job = JSON.parse(process.argv[2]) as Job;
(job.measure === 'limits' ? limits(job) : measure(job)).then(
  (row) => {
    console.log(JSON.stringify(row));
    // Threads of the backend would keep the process alive.
    process.exit(0);
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
