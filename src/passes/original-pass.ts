/** What later stages need of the original model on some sequences: from the activation store where it is there, else from a pass, in blocks of prompts. */
import { FaultError } from '../protocol/fault';
import type { TokenSequence } from '../protocol/sequences';
import type { ActivationStore, BlockWriter, Needed } from './activation-store';
import type { LayerRouting } from './forward';
import type { Conditions, OpenModel } from './model';
import { type PackedBatch, pack } from './packing';
import { lastRouting, type Stream, start, sweep, type Taps, type Until } from './sweep';

export interface OriginalPass {
  /** Forget sequences first, then retain sequences. */
  readonly batch: PackedBatch;
  /** Row number in its set of every sequence, in the order of `batch.sequences`. */
  readonly rows: { readonly forget: readonly number[]; readonly retain: readonly number[] };
  /** Stream `[T, d]` at the entrance of a kept layer's feed-forward. */
  entrance(layer: number): Promise<Float32Array>;
  /** Chosen experts `[T, K]` of every MoE layer that ran, from `lowest` on. */
  choices(lowest: number): Promise<ReadonlyMap<number, Uint16Array>>;
  /** Stream `[T, d]` after the last layer, zeros for sets that it was not wanted of; null where it was wanted of none. */
  readonly last: Float32Array | null;
  /** `[Z, width]` in the order of `batch.sequences`; empty where none was asked for. */
  readonly summaries: Float64Array;
}

export type SetName = 'forget' | 'retain';

/** Numbers that stand for the routing of a sequence. They are kept with its activations, so they depend on nothing else. */
export interface SequenceSummary {
  readonly width: number;
  open(batch: PackedBatch): { add(routing: LayerRouting): void /** `[Z, width]` */; values(): Float64Array };
}

/** Two summaries of one pass, a sequence's numbers of the first before those of the second. */
export const bothSummaries = (first: SequenceSummary, second: SequenceSummary): SequenceSummary => ({
  width: first.width + second.width,
  open(batch) {
    const width = first.width + second.width;
    const [a, b] = [first.open(batch), second.open(batch)];
    return {
      add(routing) {
        a.add(routing);
        b.add(routing);
      },
      values() {
        const [own, other] = [a.values(), b.values()];
        const all = new Float64Array(own.length + other.length);
        batch.sequences.forEach((_, z) => {
          all.set(own.subarray(z * first.width, (z + 1) * first.width), z * width);
          all.set(other.subarray(z * second.width, (z + 1) * second.width), z * width + first.width);
        });
        return all;
      },
    };
  },
});

/** The inverse of `bothSummaries`. */
export function apart(summaries: Float64Array, first: number, second: number): [Float64Array, Float64Array] {
  const count = summaries.length / (first + second);
  const [a, b] = [new Float64Array(count * first), new Float64Array(count * second)];
  for (let z = 0; z < count; z++) {
    const at = z * (first + second);
    a.set(summaries.subarray(at, at + first), z * first);
    b.set(summaries.subarray(at + first, at + first + second), z * second);
  }
  return [a, b];
}

/** Where a pass may keep what it makes, and find what another made. */
export interface Activations {
  readonly store: ActivationStore | null;
  /** Most tokens of a block of prompts: a pass over more of them reads the weights once for each block. */
  readonly blockTokens: number;
}

export interface OriginalPassOptions {
  readonly keep: ReadonlySet<number>;
  /** Routing and kept layers end here; by default at the last router. */
  readonly until?: Until;
  /** Sets whose stream after the last layer is wanted. */
  readonly last: ReadonlySet<SetName>;
  readonly summary?: SequenceSummary;
  readonly progress?: Taps['progress'];
  readonly activations?: Activations;
}

/** Streams `[T, d]` of a pass that live at once: entrance, after attention, router inputs, output. */
export const liveStreams = 4;
const streamShare = 0.1;
const fewestTokens = 8192;

/** Tokens of a block of prompts whose streams take a tenth of the budget. `memory`: bytes of the process's budget. */
export const blockTokens = ({ shape }: Pick<OpenModel, 'shape'>, memory: number): number =>
  Math.max(fewestTokens, Math.floor((memory * streamShare) / (shape.hiddenSize * 4 * liveStreams)));

/** Consecutive sequences of at most `most` tokens together, or a single longer one. */
export function inBlocks(sequences: readonly TokenSequence[], most: number): TokenSequence[][] {
  const blocks: TokenSequence[][] = [];
  let tokens = 0;
  for (const sequence of sequences) {
    if (blocks.length === 0 || tokens + sequence.ids.length > most) {
      blocks.push([]);
      tokens = 0;
    }
    blocks[blocks.length - 1].push(sequence);
    tokens += sequence.ids.length;
  }
  return blocks;
}

const none: SequenceSummary = { width: 0, open: () => ({ add: () => undefined, values: () => new Float64Array(0) }) };

interface Sequences {
  readonly forget: readonly TokenSequence[];
  readonly retain: readonly TokenSequence[];
}

const batchOf = (sets: Sequences, rows: OriginalPass['rows']): PackedBatch =>
  pack([...rows.forget.map((row) => sets.forget[row]), ...rows.retain.map((row) => sets.retain[row])]);

function neededOf(model: OpenModel, until: Until, { keep, last, summary }: OriginalPassOptions): Needed {
  // The stream after the last layer starts from where routing ended.
  const layers = new Set([...keep, ...(last.size > 0 ? [until.layer] : [])]);
  return {
    layers: [...layers].sort((a, b) => a - b),
    routed: model.shape.moeLayers.filter((layer) => layer < until.layer || (layer === until.layer && until.at === 'routed')),
    summary: summary?.width ?? 0,
  };
}

/** Puts into the store what is not there yet, for later passes to find; nothing where there is no store or no room in it. */
export async function storeOriginal(
  model: OpenModel,
  sets: Sequences,
  rows: OriginalPass['rows'],
  conditions: Conditions,
  options: OriginalPassOptions,
): Promise<void> {
  const until = options.until ?? lastRouting(model);
  await fromStore(model, batchOf(sets, rows), conditions, until, neededOf(model, until, options), options);
}

export async function originalPass(
  model: OpenModel,
  sets: Sequences,
  rows: OriginalPass['rows'],
  conditions: Conditions,
  options: OriginalPassOptions,
): Promise<OriginalPass> {
  const batch = batchOf(sets, rows);
  const until = options.until ?? lastRouting(model);
  const needed = neededOf(model, until, options);
  const made = (await fromStore(model, batch, conditions, until, needed, options)) ?? (await inMemory(model, batch, conditions, until, needed, options));
  return {
    batch,
    rows,
    entrance: made.entrance,
    choices: async (lowest) => {
      const layers = new Map<number, Uint16Array>();
      for (const layer of needed.routed) if (layer >= lowest) layers.set(layer, await made.choice(layer));
      return layers;
    },
    last:
      options.last.size === 0
        ? null
        : await lastStream(model, batch, rows.forget.length, { layer: until.layer, at: 'feed', x: await made.entrance(until.layer) }, conditions, options.last),
    summaries: made.summaries,
  };
}

interface Made {
  entrance(layer: number): Promise<Float32Array>;
  choice(layer: number): Promise<Uint16Array>;
  readonly summaries: Float64Array;
}

/** Progress of one block as that of all. */
const blockProgress =
  (progress: Taps['progress'], block: number, blocks: number): Taps['progress'] =>
  (done, total) =>
    progress?.(block * total + done, blocks * total);

/** By way of the store; null where there is none or it has no room. A damaged block is made again, once. */
async function fromStore(
  model: OpenModel,
  batch: PackedBatch,
  conditions: Conditions,
  until: Until,
  needed: Needed,
  { activations, summary = none, progress }: OriginalPassOptions,
): Promise<Made | null> {
  const store = activations?.store;
  if (!store) return null;
  /** Makes what is missing; false where it can't be kept. */
  const fill = async (): Promise<boolean> => {
    const missing = store.missing(batch.sequences, needed);
    const tokens = missing.reduce((sum, { ids }) => sum + ids.length, 0);
    if (missing.length > 0 && !(await store.fits(tokens, missing.length, needed))) return false;
    const blocks = inBlocks(missing, activations.blockTokens);
    for (const [i, sequences] of blocks.entries()) {
      const block = pack(sequences);
      const pass = async (writer: BlockWriter) => {
        const own = summary.open(block);
        await sweep(model, block, await start(model, block, conditions), conditions, until, {
          feedEntrance: (layer, x) => (needed.layers.includes(layer) ? writer.entrance(layer, x) : undefined),
          routing: async (routing) => {
            own.add(routing);
            await writer.choice(routing.layer, routing.choice);
          },
          progress: blockProgress(progress, i, blocks.length),
        });
        return own.values();
      };
      try {
        await store.write(block, needed, pass);
      } catch (error) {
        // The store saves time, nothing else: a disk that is full is no reason to fail.
        if (error instanceof FaultError && error.fault.code === 'io') return false;
        throw error;
      }
    }
    return true;
  };
  /** What is damaged is gone from the store, and made again once. */
  const healed = async <A>(read: () => Promise<A>): Promise<A> => {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof FaultError) || !(await fill())) throw error;
      return read();
    }
  };
  if (!(await fill())) return null;
  return {
    entrance: (layer) => healed(() => store.entrance(batch, layer)),
    choice: (layer) => healed(() => store.choice(batch, layer)),
    summaries: await healed(() => store.summaries(batch.sequences, needed.summary)),
  };
}

/** A pass whose results stay in memory. */
async function inMemory(
  model: OpenModel,
  batch: PackedBatch,
  conditions: Conditions,
  until: Until,
  needed: Needed,
  { activations, summary = none, progress }: OriginalPassOptions,
): Promise<Made> {
  const { hiddenSize: d, topK } = model.shape;
  const entrances = new Map<number, Float32Array>();
  const choices = new Map<number, Uint16Array>();
  const summaries = new Float64Array(batch.sequences.length * summary.width);
  const blocks = inBlocks(batch.sequences, activations?.blockTokens ?? Number.POSITIVE_INFINITY);
  let first = 0;
  for (const [i, sequences] of blocks.entries()) {
    const whole = blocks.length === 1;
    const block = whole ? batch : pack(sequences);
    const own = summary.open(block);
    const from = first;
    /** Puts a block's rows where they lie in the whole. */
    const spread = <A extends Float32Array | Uint16Array>(known: A | undefined, values: A, width: number, make: (length: number) => A): A => {
      if (whole) return values;
      const into = known ?? make(batch.tokens * width);
      sequences.forEach(({ ids }, z) => {
        const at = block.offsets[z] * width;
        into.set(values.subarray(at, at + ids.length * width), batch.offsets[from + z] * width);
      });
      return into;
    };
    await sweep(model, block, await start(model, block, conditions), conditions, until, {
      feedEntrance: (layer, x) => {
        if (needed.layers.includes(layer))
          entrances.set(
            layer,
            spread(entrances.get(layer), x, d, (length) => new Float32Array(length)),
          );
      },
      routing: (routing) => {
        own.add(routing);
        choices.set(
          routing.layer,
          spread(choices.get(routing.layer), Uint16Array.from(routing.choice), topK, (length) => new Uint16Array(length)),
        );
      },
      progress: blockProgress(progress, i, blocks.length),
    });
    summaries.set(own.values(), from * summary.width);
    first += sequences.length;
  }
  const known = <A>(values: A | undefined, layer: number): A => {
    if (values === undefined) throw new Error(`The pass did not keep layer ${layer}.`);
    return values;
  };
  return {
    entrance: async (layer) => known(entrances.get(layer), layer),
    choice: async (layer) => known(choices.get(layer), layer),
    summaries,
  };
}

/** Goes on from a stream with the sequences of the wanted sets alone. */
async function lastStream(
  model: OpenModel,
  batch: PackedBatch,
  forgetCount: number,
  from: Stream,
  conditions: Conditions,
  wanted: ReadonlySet<SetName>,
): Promise<Float32Array | null> {
  const members = batch.sequences.map((_, z) => z).filter((z) => wanted.has(z < forgetCount ? 'forget' : 'retain'));
  if (members.length === 0) return null;
  const d = model.shape.hiddenSize;
  const own = pack(members.map((z) => batch.sequences[z]));
  const x = new Float32Array(own.tokens * d);
  const last = new Float32Array(batch.tokens * d);
  const eachSequence = (body: (ownRow: number, row: number, rows: number) => void) =>
    members.forEach((z, i) => {
      body(own.offsets[i] * d, batch.offsets[z] * d, batch.sequences[z].ids.length * d);
    });
  eachSequence((ownRow, row, rows) => x.set(from.x.subarray(row, row + rows), ownRow));
  const end = await sweep(model, own, { ...from, x }, conditions);
  eachSequence((ownRow, row, rows) => last.set(end.x.subarray(ownRow, ownRow + rows), row));
  return last;
}

/** Bytes a pass over `tokens` keeps when it keeps every MoE layer's entrance. */
export const originalPassBytes = (model: OpenModel, tokens: number): number => {
  const { hiddenSize: d, moeLayers, topK } = model.shape;
  return tokens * ((moeLayers.length + 2) * d * 4 + moeLayers.length * topK * 2);
};
