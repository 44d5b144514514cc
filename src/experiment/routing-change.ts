/** How an edit moves routing: overlap with the original's choices, and share of tokens that choose the target. The original runs once. */
import { type RoutingRecord, routingCollector } from '../attribution/affinity';
import { expertSlots, keptSlots } from '../attribution/routing';
import type { LayerRouting } from '../passes/forward';
import type { Conditions, OpenModel } from '../passes/model';
import { type PackedBatch, pack } from '../passes/packing';
import { lastRouting, type Stream, start, sweep } from '../passes/sweep';
import type { ExpertId } from '../protocol/records';
import type { TokenSequence } from '../protocol/sequences';

/** Most rows of the forget and of the retain set on which routing is compared. */
const routingRows = 128;

/** Row numbers spread evenly over a set, all of a small one: files are often sorted by topic. */
export const spreadRows = (count: number, most = routingRows): number[] =>
  Array.from({ length: Math.min(count, most) }, (_, i) => (count <= most ? i : Math.floor((i * count) / most)));

type Choices = ReadonlyMap<number, Int32Array>;

export interface PreparedRouting {
  readonly batch: PackedBatch;
  readonly prefix: Stream;
  readonly original: Choices;
  /** The original's routing of every sequence of the batch. */
  readonly record: RoutingRecord;
  /** Their row numbers in the set. */
  readonly rows: readonly number[];
}

async function choicesFrom(
  model: OpenModel,
  batch: PackedBatch,
  prefix: Stream,
  conditions: Conditions,
  seen?: (routing: LayerRouting) => void,
): Promise<Choices> {
  const layers = new Map<number, Int32Array>();
  const routing = (own: LayerRouting) => {
    layers.set(own.layer, own.choice);
    seen?.(own);
  };
  await sweep(model, batch, prefix, conditions, lastRouting(model), { routing });
  return layers;
}

/** Null where there are no sequences. `lowest`: the lowest layer the edit touches. */
export async function prepareRouting(
  model: OpenModel,
  sequences: readonly TokenSequence[],
  lowest: number,
  original: Conditions,
): Promise<PreparedRouting | null> {
  if (sequences.length === 0) return null;
  const rows = spreadRows(sequences.length);
  const batch = pack(rows.map((row) => sequences[row]));
  const { moeLayers, experts, topK } = model.shape;
  const { record, add } = routingCollector(batch, moeLayers, experts, topK);
  const prefix = await sweep(model, batch, await start(model, batch, original), original, { layer: lowest, at: 'feed' }, { routing: add });
  return { batch, prefix, original: await choicesFrom(model, batch, prefix, original, add), record, rows };
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
