/** How an edit moves routing: overlap with the original's choices, and share of tokens that choose the target. The original runs once. */
import { type RoutingRecord, recordOf, routingSummary } from '../attribution/affinity';
import { expertSlots, keptSlots } from '../attribution/routing';
import type { Prefix } from '../evaluate/measure';
import type { Conditions, OpenModel } from '../passes/model';
import { type Activations, originalPass } from '../passes/original-pass';
import type { PackedBatch } from '../passes/packing';
import { lastRouting, type Stream, start, sweep } from '../passes/sweep';
import type { ExpertId } from '../protocol/records';
import type { TokenSequence } from '../protocol/sequences';

/** Most rows of the forget and of the retain set on which routing is compared. */
const routingRows = 128;

/** Row numbers spread evenly over a set, all of a small one: files are often sorted by topic. */
export const spreadRows = (count: number, most = routingRows): number[] =>
  Array.from({ length: Math.min(count, most) }, (_, i) => (count <= most ? i : Math.floor((i * count) / most)));

type Choices = ReadonlyMap<number, Int32Array | Uint16Array>;

export interface PreparedRouting {
  readonly batch: PackedBatch;
  /** Where every comparison begins; null: at the tokens. */
  readonly prefix: Stream | null;
  readonly original: Choices;
  /** The original's routing of every sequence of the batch. */
  readonly record: RoutingRecord;
  /** Their row numbers in the set. */
  readonly rows: readonly number[];
}

async function choicesFrom(model: OpenModel, batch: PackedBatch, prefix: Stream | null, conditions: Conditions): Promise<Choices> {
  const layers = new Map<number, Int32Array>();
  await sweep(model, batch, prefix ?? (await start(model, batch, conditions)), conditions, lastRouting(model), {
    routing: ({ layer, choice }) => void layers.set(layer, choice),
  });
  return layers;
}

/** Null where there are no sequences. `until`: what no edit changes; null: it may change the embedding. */
export async function prepareRouting(
  model: OpenModel,
  sequences: readonly TokenSequence[],
  until: Prefix | null,
  original: Conditions,
  activations: Activations,
): Promise<PreparedRouting | null> {
  if (sequences.length === 0) return null;
  const rows = spreadRows(sequences.length);
  const { moeLayers, experts, topK } = model.shape;
  const summary = routingSummary(moeLayers, experts, topK);
  const sets = { forget: sequences, retain: [] };
  const pass = await originalPass(model, sets, { forget: rows, retain: [] }, original, {
    keep: new Set(until ? [until.layer] : []),
    last: new Set(),
    summary,
    activations,
  });
  const lengths = pass.batch.sequences.map(({ ids }) => ids.length);
  return {
    batch: pass.batch,
    prefix: until && { ...until, x: await pass.entrance(until.layer) },
    original: await pass.choices(0),
    record: recordOf(pass.summaries, lengths, moeLayers, experts, topK),
    rows,
  };
}

/** Mean over target experts of the share of tokens that choose them. */
function targetShare(choices: Choices, target: readonly ExpertId[], tokens: number): number {
  return target.reduce((sum, { layer, expert }) => sum + expertSlots(choices.get(layer) ?? [], expert) / tokens, 0) / target.length;
}

export interface RoutingChange {
  /** Pooled over tokens per layer, mean over all MoE layers; layers below the target choose as before. */
  readonly overlap: number;
  readonly targetShareBefore: number;
  readonly targetShareAfter: number;
}

export async function routingChange(model: OpenModel, prepared: PreparedRouting, target: readonly ExpertId[], edited: Conditions): Promise<RoutingChange> {
  const { moeLayers, topK } = model.shape;
  const { batch, prefix, original } = prepared;
  const now = await choicesFrom(model, batch, prefix, edited);
  const overlaps = moeLayers.map((layer) => {
    const [before, after] = [original.get(layer), now.get(layer)];
    return before && after ? keptSlots(before, after, topK) / after.length : 1;
  });
  return {
    overlap: overlaps.reduce((sum, value) => sum + value, 0) / overlaps.length,
    targetShareBefore: targetShare(original, target, batch.tokens),
    targetShareAfter: targetShare(now, target, batch.tokens),
  };
}
