/** Routing of many sequences, in blocks whose streams stay within a share of the budget. */
import { type RoutingRecord, relativeCollector } from '../attribution/affinity';
import { recordRouting } from '../attribution/attribute';
import type { Conditions, OpenModel } from '../passes/model';
import { pack } from '../passes/packing';
import type { TokenSequence } from '../protocol/sequences';

/** Part of the budget for the streams of a pass, and how many live at once. */
const streamShare = 0.1;
const liveStreams = 4;

/** Whether a token's scores add up to one in every layer. */
const isNormalised = (model: OpenModel): boolean => model.layers.every(({ feed }) => feed.kind !== 'moe' || feed.router.scoring === 'softmax');

export interface SequenceRouting {
  readonly record: RoutingRecord;
  /** `[Z, layers, E]`: affinity with each token's scores made to add up to one; null where they do. For display only. */
  readonly relative: Float64Array | null;
}

/** Routing of every sequence, in their order. One pass where the budget allows it. */
export async function routingOf(
  model: OpenModel,
  sequences: readonly TokenSequence[],
  conditions: Conditions,
  memory: number,
  progress: (done: number, total: number) => void,
): Promise<SequenceRouting> {
  const limit = Math.max(8192, Math.floor((memory * streamShare) / (model.shape.hiddenSize * 4 * liveStreams)));
  const blocks: TokenSequence[][] = [];
  let tokens = limit;
  for (const sequence of sequences) {
    if (tokens + sequence.ids.length > limit) {
      blocks.push([]);
      tokens = 0;
    }
    blocks[blocks.length - 1].push(sequence);
    tokens += sequence.ids.length;
  }
  const { moeLayers, experts, topK } = model.shape;
  const records: RoutingRecord[] = [];
  const shares: Float64Array[] = [];
  for (const block of blocks) {
    const done = records.length;
    const own = isNormalised(model) ? null : relativeCollector(pack(block), moeLayers, experts, topK);
    const { record } = await recordRouting(model, block, conditions, {
      progress: (layer, layers) => progress(done * layers + layer, blocks.length * layers),
      ...(own ? { routing: own.add } : {}),
    });
    records.push(record);
    if (own) shares.push(own.relative);
  }
  return { record: joined(records), relative: shares.length === 0 ? null : concatenated(shares) };
}

function concatenated(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const values of parts) {
    all.set(values, at);
    at += values.length;
  }
  return all;
}

/** Records of several blocks as one. */
function joined(records: readonly RoutingRecord[]): RoutingRecord {
  const [first] = records;
  if (records.length === 1) return first;
  return {
    ...first,
    lengths: laid(
      Int32Array,
      records.map(({ lengths }) => lengths),
    ),
    affinity: laid(
      Float64Array,
      records.map(({ affinity }) => affinity),
    ),
    slots: laid(
      Int32Array,
      records.map(({ slots }) => slots),
    ),
  };
}

/** Arrays laid end to end. */
function laid<A extends Int32Array | Float64Array>(kind: new (length: number) => A, parts: readonly A[]): A {
  const all = new kind(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The sequences `from..to` of a record. */
export function part(record: RoutingRecord, from: number, to: number): RoutingRecord {
  const width = record.layers.length * record.experts;
  return {
    ...record,
    lengths: record.lengths.slice(from, to),
    affinity: record.affinity.slice(from * width, to * width),
    slots: record.slots.slice(from * width, to * width),
  };
}
