/** One pass of the original model over training rows, with what later stages need of it: the activation store. */
import type { TokenSequence } from '../protocol/sequences';
import type { Conditions, OpenModel } from './model';
import { type PackedBatch, pack } from './packing';
import { lastRouting, type Stream, start, sweep, type Taps, type Until } from './sweep';

export interface OriginalPass {
  /** Forget sequences first, then retain sequences. */
  readonly batch: PackedBatch;
  /** Row number in its set of every sequence, in the order of `batch.sequences`. */
  readonly rows: { readonly forget: readonly number[]; readonly retain: readonly number[] };
  /** Stream `[T, d]` at the entrance of kept layers' feed-forwards. */
  readonly feedEntrance: ReadonlyMap<number, Float32Array>;
  /** Chosen experts `[T, K]` of every MoE layer that ran. */
  readonly choices: ReadonlyMap<number, Uint16Array>;
  /** Stream `[T, d]` after the last layer, zeros for sets that it was not wanted of; null where it was wanted of none. */
  readonly last: Float32Array | null;
}

export type SetName = 'forget' | 'retain';

export interface OriginalPassOptions {
  readonly keep: ReadonlySet<number>;
  /** Routing and kept layers end here; by default at the last router. */
  readonly until?: Until;
  /** Sets whose stream after the last layer is wanted. */
  readonly last: ReadonlySet<SetName>;
  readonly taps?: Taps;
}

export async function originalPass(
  model: OpenModel,
  sets: { readonly forget: readonly TokenSequence[]; readonly retain: readonly TokenSequence[] },
  rows: OriginalPass['rows'],
  conditions: Conditions,
  options: OriginalPassOptions,
): Promise<OriginalPass> {
  const batch = pack([...rows.forget.map((row) => sets.forget[row]), ...rows.retain.map((row) => sets.retain[row])]);
  const feedEntrance = new Map<number, Float32Array>();
  const choices = new Map<number, Uint16Array>();
  const { taps } = options;
  const end = await sweep(model, batch, await start(model, batch, conditions), conditions, options.until ?? lastRouting(model), {
    ...taps,
    feedEntrance: (layer, x) => {
      if (options.keep.has(layer)) feedEntrance.set(layer, x);
      taps?.feedEntrance?.(layer, x);
    },
    routing: (routing) => {
      choices.set(routing.layer, Uint16Array.from(routing.choice));
      taps?.routing?.(routing);
    },
  });
  return { batch, rows, feedEntrance, choices, last: await lastStream(model, batch, rows.forget.length, end, conditions, options.last) };
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
