/** The attribution pass: all prompts through all layers once; routing of every MoE layer. */

import type { Conditions, OpenModel } from '../passes/model';
import { type PackedBatch, pack } from '../passes/packing';
import { lastRouting, sweepAll, type Taps } from '../passes/sweep';
import type { AttributionRecord } from '../protocol/records';
import type { TokenSequence } from '../protocol/sequences';
import { aggregate, layerList, type RoutingRecord, ranking, routingCollector } from './affinity';
import { stability } from './stability';

/** Routing of every MoE layer for the given sequences; `taps` sees the same pass. */
export async function recordRouting(
  model: OpenModel,
  sequences: readonly TokenSequence[],
  conditions: Conditions,
  taps: Taps = {},
): Promise<{ record: RoutingRecord; batch: PackedBatch }> {
  const batch = pack(sequences);
  const { moeLayers, experts, topK } = model.shape;
  const collector = routingCollector(batch, moeLayers, experts, topK);
  const seen: Taps = {
    ...taps,
    routing: (routing) => {
      collector.add(routing);
      taps.routing?.(routing);
    },
  };
  await sweepAll(model, batch, conditions, seen, lastRouting(model));
  return { record: collector.record, batch };
}

/** Experts named in the ranking of attribution.json. */
const ranked = 32;

/** The record of DESIGN 4.4 from routing of the forget prompts, and of a second set where given. */
export function attributionRecord(family: string, record: RoutingRecord, seed: number, against?: RoutingRecord): AttributionRecord {
  const whole = aggregate(record);
  const order = ranking(record, whole);
  const other = against ? aggregate(against) : null;
  return {
    family,
    sequences: whole.sequences,
    tokens: whole.tokens,
    topK: record.topK,
    layers: layerList(record, whole),
    ranking: order.slice(0, ranked),
    target: order[0],
    stability: stability(record, seed),
    ...(against && other ? { against: { sequences: other.sequences, tokens: other.tokens, layers: layerList(against, other) } } : {}),
  };
}
