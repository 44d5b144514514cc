/** Eq. 2: affinity of every expert to a set of sequences, and token share; kept per sequence so that sets re-aggregate without a pass. */
import type { LayerRouting } from '../passes/forward';
import type { SequenceSummary } from '../passes/original-pass';
import type { PackedBatch } from '../passes/packing';
import type { AttributionRecord, RankedExpert } from '../protocol/records';

/** Routing of Z sequences in every MoE layer: mean affinity over a sequence's tokens, and slots, both `[Z, layers, E]`. */
export interface RoutingRecord {
  readonly layers: readonly number[];
  readonly experts: number;
  readonly topK: number;
  readonly lengths: Int32Array;
  readonly affinity: Float64Array | Float32Array;
  readonly slots: Int32Array | Float32Array;
}

/** Collects a pass's routing. `layers` are the MoE layers in order. */
function routingCollector(
  batch: PackedBatch,
  layers: readonly number[],
  experts: number,
  topK: number,
): { record: RoutingRecord; add: (routing: LayerRouting) => void } {
  const Z = batch.sequences.length;
  const record: RoutingRecord = {
    layers,
    experts,
    topK,
    lengths: Int32Array.from(batch.sequences, ({ ids }) => ids.length),
    affinity: new Float64Array(Z * layers.length * experts),
    slots: new Int32Array(Z * layers.length * experts),
  };
  return {
    record,
    /** g = the score where the expert is among the top K, before renormalising and scaling (method.md section 1). */
    add({ layer, scores, choice }) {
      const at = layers.indexOf(layer);
      for (let z = 0; z < Z; z++) {
        const first = batch.offsets[z];
        const { length } = batch.sequences[z].ids;
        const base = (z * layers.length + at) * experts;
        for (let slot = first * topK; slot < (first + length) * topK; slot++) {
          const e = choice[slot];
          record.affinity[base + e] += scores[Math.floor(slot / topK) * experts + e] / length;
          record.slots[base + e]++;
        }
      }
    },
  };
}

/**
 * g over the sum of the token's scores, mean over a sequence's tokens, `[layers, E]`: for display beside an equal share where scores don't add
 * up to one (sigmoid routers). The target is chosen by g itself.
 */
export const relativeSummary = (layers: readonly number[], experts: number, topK: number): SequenceSummary => ({
  width: layers.length * experts,
  open(batch) {
    const relative = new Float64Array(batch.sequences.length * layers.length * experts);
    return {
      values: () => relative,
      add({ layer, scores, choice }) {
        const at = layers.indexOf(layer);
        batch.sequences.forEach(({ ids }, z) => {
          const base = (z * layers.length + at) * experts;
          for (let token = batch.offsets[z]; token < batch.offsets[z] + ids.length; token++) {
            let sum = 0;
            for (let e = 0; e < experts; e++) sum += scores[token * experts + e];
            for (let slot = token * topK; slot < (token + 1) * topK; slot++) {
              const e = choice[slot];
              if (sum > 0) relative[base + e] += scores[token * experts + e] / sum / ids.length;
            }
          }
        });
      },
    };
  },
});

/** The record of sequences `from..to` alone. */
export function recordSlice(record: RoutingRecord, from: number, to: number): RoutingRecord {
  const width = record.layers.length * record.experts;
  return {
    ...record,
    lengths: record.lengths.slice(from, to),
    affinity: record.affinity.slice(from * width, to * width),
    slots: record.slots.slice(from * width, to * width),
  };
}

export interface Aggregate {
  /** `[layers, E]` */
  readonly affinity: Float64Array;
  /** `[layers, E]`: slots of the expert over K * tokens. */
  readonly share: Float64Array;
  readonly sequences: number;
  readonly tokens: number;
}

/** Mean over the sequences in `members` (default: all). */
export function aggregate(record: RoutingRecord, members?: readonly number[]): Aggregate {
  const width = record.layers.length * record.experts;
  const chosen = members ?? Array.from(record.lengths, (_, z) => z);
  const affinity = new Float64Array(width);
  const share = new Float64Array(width);
  let tokens = 0;
  for (const z of chosen) {
    tokens += record.lengths[z];
    for (let i = 0; i < width; i++) {
      affinity[i] += record.affinity[z * width + i];
      share[i] += record.slots[z * width + i];
    }
  }
  const sequences = chosen.length;
  return {
    affinity: affinity.map((total) => (sequences > 0 ? total / sequences : 0)),
    share: share.map((slots) => (tokens > 0 ? slots / (record.topK * tokens) : 0)),
    sequences,
    tokens,
  };
}

/** All experts by affinity, best first; equal affinities keep the lower layer, then the lower expert. */
export function ranking(record: RoutingRecord, { affinity, share }: Aggregate): RankedExpert[] {
  return Array.from(affinity, (value, i) => ({
    layer: record.layers[Math.floor(i / record.experts)],
    expert: i % record.experts,
    affinity: value,
    share: share[i],
  })).sort((a, b) => b.affinity - a.affinity || a.layer - b.layer || a.expert - b.expert);
}

/** `[layers, E]` as the record's list of layers. */
export const layerList = (record: RoutingRecord, { affinity, share }: Aggregate): AttributionRecord['layers'] =>
  record.layers.map((layer, l) => ({
    layer,
    experts: Array.from({ length: record.experts }, (_, e) => ({
      expert: e,
      affinity: affinity[l * record.experts + e],
      share: share[l * record.experts + e],
    })),
  }));

/** Routing of a sequence as the numbers that are kept with its activations: affinity, then slots, both `[layers, E]`. */
export const routingSummary = (layers: readonly number[], experts: number, topK: number): SequenceSummary => {
  const width = layers.length * experts;
  return {
    width: 2 * width,
    open(batch) {
      const { record, add } = routingCollector(batch, layers, experts, topK);
      return {
        add,
        values: () => {
          const all = new Float64Array(batch.sequences.length * 2 * width);
          batch.sequences.forEach((_, z) => {
            all.set(record.affinity.subarray(z * width, (z + 1) * width), z * 2 * width);
            all.set(record.slots.subarray(z * width, (z + 1) * width), (z * 2 + 1) * width);
          });
          return all;
        },
      };
    },
  };
};

/** The record of sequences of these lengths from their summaries. */
export function recordOf(summaries: Float64Array, lengths: readonly number[], layers: readonly number[], experts: number, topK: number): RoutingRecord {
  const width = layers.length * experts;
  const affinity = new Float64Array(lengths.length * width);
  const slots = new Int32Array(lengths.length * width);
  lengths.forEach((_, z) => {
    affinity.set(summaries.subarray(z * 2 * width, (z * 2 + 1) * width), z * width);
    slots.set(summaries.subarray((z * 2 + 1) * width, (z + 1) * 2 * width), z * width);
  });
  return { layers, experts, topK, lengths: Int32Array.from(lengths), affinity, slots };
}
