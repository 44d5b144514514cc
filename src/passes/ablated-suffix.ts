/**
 * Passes in which the output of one component is left out, from the original's own streams: layers below it never run again, above it only the rows
 * that it can change and that a target can see. Where a row's bits don't depend on the rows beside it (wasm, cpu), the result is that of a whole
 * pass, bit for bit.
 */
import type { Parts } from '../model/family';
import type { TokenSequence } from '../protocol/sequences';
import { addRow, takeRows } from './blocks';
import { attentionForward, blockForward, eachExpertBlock, feedForward, type LayerRouting, moeBase, routerForward, tokensByExpert } from './forward';
import { scoreTargets } from './head';
import { type Conditions, forbidding, type OpenModel } from './model';
import { liveStreams } from './original-pass';
import { type PackedBatch, pack, predictingRow, type Targets, targetsOf } from './packing';
import { start, sweep, type Taps } from './sweep';

/** What can be left out. Attention and shared experts stand for the whole of their layer. */
export type Component =
  | { readonly kind: 'attention' | 'shared' | 'dense'; readonly layer: number }
  | { readonly kind: 'expert'; readonly layer: number; readonly expert: number };

/** All components in the order of a forward. */
export const componentsOf = ({ layers }: Pick<OpenModel, 'layers'>): Component[] =>
  layers.flatMap(({ feed }, layer): Component[] => [
    { kind: 'attention', layer },
    ...(feed.kind === 'dense'
      ? [{ kind: 'dense' as const, layer }]
      : [
          ...(feed.shared ? [{ kind: 'shared' as const, layer }] : []),
          ...Array.from({ length: feed.experts }, (_, expert) => ({ kind: 'expert' as const, layer, expert })),
        ]),
  ]);

/** A stretch of a sequence whose tokens see those before them in it, and the first stretch: the text, or a question and each of its options. */
interface Stretch {
  readonly from: number;
  /** After the last token that some target can see. */
  readonly to: number;
}

/** What of a sequence its targets can see, trunk first. */
export function seenStretches(sequence: TokenSequence): Stretch[] {
  const { ids, branches = [], targetMask } = sequence;
  const starts = [0, ...branches];
  const ends = [...branches, ids.length];
  const to = starts.slice();
  const stretchOf = (row: number) => starts.findLastIndex((from) => from <= row);
  targetMask.forEach((isTarget, t) => {
    if (!isTarget) return;
    const row = predictingRow(sequence, t);
    const own = stretchOf(row);
    to[own] = Math.max(to[own], row + 1);
    if (own > 0) to[0] = ends[0];
  });
  return starts.map((from, i) => ({ from, to: to[i] }));
}

/** Tokens that are seen by a target and see, or are, one of those at which something changes. */
export function changedTokens(stretches: readonly Stretch[], changes: (token: number) => boolean): number[] {
  const first = ({ from, to }: Stretch): number => {
    for (let t = from; t < to; t++) if (changes(t)) return t;
    return to;
  };
  const [trunk] = stretches;
  const inTrunk = first(trunk);
  return stretches.flatMap((stretch, i) => {
    const from = i === 0 ? inTrunk : inTrunk < trunk.to ? stretch.from : first(stretch);
    return Array.from({ length: stretch.to - from }, (_, n) => from + n);
  });
}

/** A block of sequences as the original model sees them. */
export interface OriginalBlock {
  readonly batch: PackedBatch;
  /** Entrance of each layer's attention, then the stream after the last layer: `[layers + 1][T, d]`. */
  readonly streams: readonly Float32Array[];
  /** Chosen experts `[T, K]` of each MoE layer. */
  readonly choices: ReadonlyMap<number, Int32Array>;
  readonly targets: Targets;
  /** Log-probability of each target. */
  readonly logp: Float64Array;
  /** Targets of each sequence, as indices into `targets`. */
  readonly owned: readonly (readonly number[])[];
  readonly stretches: readonly (readonly Stretch[])[];
}

/** One pass that keeps what the suffixes start from. */
export async function originalBlock(model: OpenModel, sequences: readonly TokenSequence[], conditions: Conditions): Promise<OriginalBlock> {
  const batch = pack(sequences);
  const streams: Float32Array[] = [];
  const choices = new Map<number, Int32Array>();
  const last = await sweep(model, batch, await start(model, batch, conditions), conditions, undefined, {
    entrance: (layer, x) => {
      streams[layer] = x;
    },
    routing: ({ layer, choice }) => choices.set(layer, choice),
  });
  const targets = targetsOf(batch);
  const { logp } = await scoreTargets(model, last.x, targets.rows, targets.ids, conditions);
  const owned: number[][] = sequences.map(() => []);
  targets.sequence.forEach((z, n) => {
    owned[z].push(n);
  });
  return { batch, streams, choices, targets, logp, owned, stretches: sequences.map(seenStretches) };
}

/** One sequence without one component: what has to be computed anew. */
export interface Job {
  readonly component: Component;
  /** Index into the block's sequences. */
  readonly sequence: number;
  /** Tokens of the sequence that change. */
  readonly tokens: readonly number[];
}

/** What a component changes: nothing in sequences that it leaves alone, and these have no job. */
export function jobsOf({ batch, choices, stretches }: Pick<OriginalBlock, 'batch' | 'choices' | 'stretches'>, component: Component): Job[] {
  const choice = component.kind === 'expert' ? choices.get(component.layer) : undefined;
  const topK = choice && batch.tokens > 0 ? choice.length / batch.tokens : 0;
  return batch.sequences.flatMap((_, z) => {
    const first = batch.offsets[z];
    const changes = (t: number): boolean =>
      component.kind !== 'expert' || (choice?.subarray((first + t) * topK, (first + t + 1) * topK).includes(component.expert) ?? false);
    const tokens = changedTokens(stretches[z], changes);
    return tokens.length > 0 ? [{ component, sequence: z, tokens }] : [];
  });
}

/** The layer whose attention or feed-forward runs first after the component. Layer = number of layers: none. */
export const suffixStart = ({ kind, layer }: Component): { layer: number; at: 'attention' | 'feed' } =>
  kind === 'attention' ? { layer, at: 'feed' } : { layer: layer + 1, at: 'attention' };

/** Rows times layers that a job's suffix computes. */
export const rowPasses = ({ shape }: Pick<OpenModel, 'shape'>, { component, tokens }: Job): number =>
  tokens.length * (shape.layers - suffixStart(component).layer);

/** How a component is knocked out: its output is zero and all gates stay, or (experts) it may not be chosen and the next-best takes its place. */
export type Knockout = 'zero' | 'forbid';

/** A layer of the original taken to pieces: what its ablated outputs are put together from. */
interface Pieces {
  /** Entrance of the feed-forward `[T, d]`. */
  readonly h: Float32Array;
  /** Where the layer is MoE and its pieces are wanted. */
  readonly moe: {
    /** h + shared experts `[T, d]`. */
    readonly base: Float32Array;
    readonly routing: LayerRouting;
    readonly topK: number;
    /** Of each slot of the choice, `[T * K, d]`. */
    readonly outputs: Float32Array;
  } | null;
}

async function piecesOf(model: OpenModel, layer: number, { batch, streams }: OriginalBlock, conditions: Conditions, wantExperts: boolean): Promise<Pieces> {
  const d = model.shape.hiddenSize;
  const { feed } = model.layers[layer];
  const h = await attentionForward(model, layer, batch, streams[layer], conditions);
  if (feed.kind === 'dense' || !wantExperts) return { h, moe: null };
  const { topK } = feed.router;
  const u = await blockForward(model.weights, feed.norm, h, d, conditions);
  const routing = await routerForward(model, layer, feed, u, conditions);
  const base = await moeBase(model, feed, h, u, conditions);
  const outputs = new Float32Array(routing.choice.length * d);
  for (const [e, { rows, slots }] of tokensByExpert(routing.choice, topK, feed.experts).entries()) {
    if (rows.length === 0) continue;
    await eachExpertBlock(model.weights, feed.expert(e), u, rows, d, conditions.overlay, conditions.signal, (values, from, to) => {
      for (let i = from; i < to; i++) outputs.set(values.subarray((i - from) * d, (i - from + 1) * d), slots[i] * d);
    });
  }
  return { h, moe: { base, routing, topK, outputs } };
}

/** Adds the outputs of a row's chosen experts but one, lowest expert first as a forward does. */
function addExperts(y: Float32Array, at: number, row: number, { routing, topK, outputs }: NonNullable<Pieces['moe']>, d: number, without: number | null): void {
  const { choice, gates } = routing;
  const slots = Array.from({ length: topK }, (_, k) => row * topK + k).sort((a, b) => choice[a] - choice[b]);
  for (const slot of slots) if (choice[slot] !== without) addRow(y, at, outputs, slot * d, d, gates[slot]);
}

/** The stream after the component, without its output, at the given rows `[rows, d]`. */
async function ablated(
  model: OpenModel,
  component: Component,
  rows: Int32Array,
  { streams }: OriginalBlock,
  { h, moe }: Pieces,
  conditions: Conditions,
  by: Knockout,
): Promise<Float32Array> {
  const d = model.shape.hiddenSize;
  const { layer } = component;
  if (component.kind === 'attention') return takeRows(streams[layer], rows, d);
  if (component.kind === 'dense') return takeRows(h, rows, d);
  if (!moe) throw new Error(`The experts of layer ${layer} were not run.`);
  if (component.kind !== 'expert') {
    const y = takeRows(h, rows, d);
    for (let i = 0; i < rows.length; i++) addExperts(y, i, rows[i], moe, d, null);
    return y;
  }
  const { expert } = component;
  const { routing, topK, base } = moe;
  const y = takeRows(streams[layer + 1], rows, d);
  const own = Array.from(rows.keys()).filter((i) => routing.choice.subarray(rows[i] * topK, (rows[i] + 1) * topK).includes(expert));
  if (by === 'zero') {
    for (const i of own) {
      y.set(base.subarray(rows[i] * d, (rows[i] + 1) * d), i * d);
      addExperts(y, i, rows[i], moe, d, expert);
    }
    return y;
  }
  const without: Conditions = { ...conditions, forbidden: new Map([...conditions.forbidden, ...forbidding([component], 'score')]) };
  const inputs = takeRows(
    h,
    own.map((i) => rows[i]),
    d,
  );
  const next = await feedForward(model, layer, inputs, without);
  own.forEach((i, n) => {
    y.set(next.y.subarray(n * d, (n + 1) * d), i * d);
  });
  return y;
}

/** Log-probabilities of the targets that a job changes: `targets` are indices into the block's. */
export interface JobResult {
  readonly job: Job;
  readonly targets: readonly number[];
  readonly logp: Float64Array;
}

export interface AblationOptions {
  readonly by: Knockout;
  /** Most tokens whose suffixes run at once. */
  readonly poolTokens: number;
  /** Counts layer executions, for tests that pin what a pass runs. */
  readonly ran?: Taps['ran'];
  /** Row passes done since the last call (`rowPasses`). */
  readonly did?: (rowPasses: number) => void;
}

/** Runs the suffixes of jobs that start at one place, all at once; `x` `[rows of all jobs, d]` is the stream there. */
async function suffixes(
  model: OpenModel,
  original: OriginalBlock,
  jobs: readonly Job[],
  x: Float32Array,
  conditions: Conditions,
  { ran, did }: AblationOptions,
): Promise<JobResult[]> {
  const { batch, streams, targets, owned } = original;
  const { layers, hiddenSize: d } = model.shape;
  const own = pack(jobs.map(({ sequence }) => batch.sequences[sequence]));
  const rows = Int32Array.from(jobs.flatMap(({ tokens }, j) => tokens.map((t) => own.offsets[j] + t)));
  // A target's row in the original, and which of these rows it is in each job.
  const predicting = jobs.flatMap((job, j) => {
    const first = batch.offsets[job.sequence];
    const placed = new Set(job.tokens.map((t) => own.offsets[j] + t));
    return owned[job.sequence].flatMap((n) => {
      const row = targets.rows[n] - first + own.offsets[j];
      return placed.has(row) ? [{ j, n, row }] : [];
    });
  });
  const lastRows = Int32Array.from([...new Set(predicting.map(({ row }) => row))].sort((a, b) => a - b));
  let at = suffixStart(jobs[0].component);
  /** Rows that `values` hold. */
  let held: Int32Array = rows;
  let values = x;
  const cutTo = (wanted: Int32Array) => {
    const places = new Map(Array.from(held, (row, i) => [row, i]));
    values = takeRows(
      values,
      Array.from(wanted, (row) => places.get(row) as number),
      d,
    );
    held = wanted;
  };
  const approach = (layer: number): Parts[] => {
    if (layer >= layers) return [];
    const { attention, feed } = model.layers[layer];
    return [attention.parts, feed.norm.parts, ...(feed.kind === 'moe' ? [feed.router.parts] : [])];
  };
  const ahead = (parts: readonly Parts[]) => model.weights.ahead(parts, conditions.overlay);
  ahead(at.at === 'attention' ? approach(at.layer) : approach(at.layer).slice(1));
  try {
    while (at.layer < layers) {
      const { layer } = at;
      if (at.at === 'attention') {
        ran?.(layer, 'attention');
        const entrance = new Float32Array(own.tokens * d);
        jobs.forEach(({ sequence }, j) => {
          const first = batch.offsets[sequence] * d;
          entrance.set(streams[layer].subarray(first, first + batch.sequences[sequence].ids.length * d), own.offsets[j] * d);
        });
        for (let i = 0; i < held.length; i++) entrance.set(values.subarray(i * d, (i + 1) * d), held[i] * d);
        const next = await attentionForward(model, layer, own, entrance, conditions);
        held = layer === layers - 1 ? lastRows : rows;
        values = takeRows(next, held, d);
      } else if (layer === layers - 1) cutTo(lastRows);
      ran?.(layer, 'feed');
      values = (await feedForward(model, layer, values, conditions, { announce: () => ahead(approach(layer + 1)) })).y;
      did?.(rows.length);
      at = { layer: layer + 1, at: 'attention' };
    }
  } finally {
    model.weights.forgetAhead();
  }
  if (held !== lastRows) cutTo(lastRows);
  const places = new Map(Array.from(lastRows, (row, i) => [row, i]));
  const scores = await scoreTargets(
    model,
    values,
    Int32Array.from(predicting, ({ row }) => places.get(row) as number),
    Int32Array.from(predicting, ({ n }) => targets.ids[n]),
    conditions,
  );
  const results = jobs.map((job) => ({ job, targets: [] as number[], values: [] as number[] }));
  predicting.forEach(({ j, n }, i) => {
    results[j].targets.push(n);
    results[j].values.push(scores.logp[i]);
  });
  return results.map(({ job, targets: changed, values: own }) => ({ job, targets: changed, logp: Float64Array.from(own) }));
}

/** Consecutive jobs of at most `most` tokens together, or a single longer one. */
function pools(jobs: readonly Job[], lengthOf: (job: Job) => number, most: number): Job[][] {
  const list: Job[][] = [];
  let tokens = 0;
  for (const job of jobs) {
    const own = lengthOf(job);
    if (list.length === 0 || tokens + own > most) {
      list.push([]);
      tokens = 0;
    }
    list[list.length - 1].push(job);
    tokens += own;
  }
  return list;
}

/** Every job's changed targets, layer by layer from the lowest. Jobs that start at one place run together, whatever their component. */
export async function ablate(
  model: OpenModel,
  original: OriginalBlock,
  jobs: readonly Job[],
  conditions: Conditions,
  options: AblationOptions,
  each: (result: JobResult) => void,
): Promise<void> {
  const { batch } = original;
  const d = model.shape.hiddenSize;
  const layers = [...new Set(jobs.map(({ component }) => component.layer))].sort((a, b) => a - b);
  for (const layer of layers) {
    const own = jobs.filter(({ component }) => component.layer === layer);
    const ofAttention = own.filter(({ component }) => component.kind === 'attention');
    const ofFeed = own.filter(({ component }) => component.kind !== 'attention');
    // Attention's stream without it is the layer's own entrance: nothing of the layer has to run for it.
    const pieces: Pieces =
      ofFeed.length === 0
        ? { h: new Float32Array(0), moe: null }
        : await piecesOf(
            model,
            layer,
            original,
            conditions,
            ofFeed.some(({ component }) => component.kind !== 'dense'),
          );
    for (const together of [ofAttention, ofFeed]) {
      for (const pool of pools(together, ({ sequence }) => batch.sequences[sequence].ids.length, options.poolTokens)) {
        const x = new Float32Array(pool.reduce((sum, { tokens }) => sum + tokens.length, 0) * d);
        let at = 0;
        for (const [component, members] of byComponent(pool)) {
          const rows = Int32Array.from(members.flatMap(({ sequence, tokens }) => tokens.map((t) => batch.offsets[sequence] + t)));
          x.set(await ablated(model, component, rows, original, pieces, conditions, options.by), at);
          at += rows.length * d;
        }
        for (const result of await suffixes(model, original, pool, x, conditions, options)) each(result);
      }
    }
  }
}

/** Jobs of a component lie one behind the other. */
function byComponent(jobs: readonly Job[]): Map<Component, Job[]> {
  const groups = new Map<Component, Job[]>();
  for (const job of jobs) groups.set(job.component, [...(groups.get(job.component) ?? []), job]);
  return groups;
}

/** Below this a block is no batch. */
const fewestTokens = 512;

/** Tokens of a block of prompts: its streams of all layers, and the pieces of one, take a sixth of the budget. `memory`: bytes of the process's budget. */
export function ablationTokens({ shape }: Pick<OpenModel, 'shape'>, memory: number): number {
  const { layers, hiddenSize, topK } = shape;
  const streams = layers + 1 + topK + liveStreams;
  return Math.max(fewestTokens, Math.floor(memory / 6 / (streams * hiddenSize * 4)));
}
