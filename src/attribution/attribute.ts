/** The attribution record: every expert's affinity and share, their ranking, its target and stability. */
import type { AttributionRecord } from '../protocol/records';
import { aggregate, layerList, type RoutingRecord, ranking } from './affinity';
import { stability } from './stability';

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
