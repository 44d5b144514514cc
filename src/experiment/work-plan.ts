/**
 * What each phase of a run computes and reads, counted from shapes, rows and settings alone: floating-point operations of its matrix products
 * (two for a multiplication and its sum), calls, values the optimizer updates, bytes. No measure of any machine is in here.
 */
import type { Attention, Block, Layer, Moe } from '../model/family';
import { blockRows } from '../passes/blocks';
import { allParts, type OpenModel } from '../passes/model';
import { bytesPerElement, type Dtype, elementCount, type TensorRef } from '../protocol/tensors';

/** Kinds of arithmetic that run at speeds of their own. */
export const pieceNames = ['attention', 'router', 'feed', 'head'] as const;
export type Piece = (typeof pieceNames)[number];

export interface Arithmetic {
  /** Times a piece is started on a block of rows. */
  readonly calls: number;
  readonly flops: number;
}

export interface Work {
  readonly forward: Readonly<Record<Piece, Arithmetic>>;
  readonly back: Readonly<Record<Piece, Arithmetic>>;
  /** Values that the optimizer updates, over all updates. */
  readonly updated: number;
  /** Bytes of weights, as stored. */
  readonly bytes: number;
}

const nothing: Arithmetic = { calls: 0, flops: 0 };
const noPieces = { attention: nothing, router: nothing, feed: nothing, head: nothing };
export const noWork: Work = { forward: noPieces, back: noPieces, updated: 0, bytes: 0 };

const plus = (a: Arithmetic, b: Arithmetic): Arithmetic => ({ calls: a.calls + b.calls, flops: a.flops + b.flops });
const joined = (a: Work['forward'], b: Work['forward']): Work['forward'] => ({
  attention: plus(a.attention, b.attention),
  router: plus(a.router, b.router),
  feed: plus(a.feed, b.feed),
  head: plus(a.head, b.head),
});

export const addWork = (...list: readonly Work[]): Work =>
  list.reduce(
    (a, b) => ({ forward: joined(a.forward, b.forward), back: joined(a.back, b.back), updated: a.updated + b.updated, bytes: a.bytes + b.bytes }),
    noWork,
  );

export const timesWork = (work: Work, times: number): Work => {
  const scaled = (pieces: Work['forward']) =>
    Object.fromEntries(Object.entries(pieces).map(([piece, { calls, flops }]) => [piece, { calls: calls * times, flops: flops * times }])) as Work['forward'];
  return { forward: scaled(work.forward), back: scaled(work.back), updated: work.updated * times, bytes: work.bytes * times };
};

/** All floating-point operations of matrix products. */
export const flopsOf = ({ forward, back }: Work): number => pieceNames.reduce((sum, piece) => sum + forward[piece].flops + back[piece].flops, 0);

const forwardOf = (piece: Piece, own: Arithmetic): Work => ({ ...noWork, forward: { ...noPieces, [piece]: own } });
const backOf = (piece: Piece, own: Arithmetic): Work => ({ ...noWork, back: { ...noPieces, [piece]: own } });
const bytesOnly = (bytes: number): Work => ({ ...noWork, bytes });

/** Elements of matrices: what a row is multiplied with. */
export const matrixElements = (parts: Readonly<Record<string, TensorRef>>): number =>
  Object.values(parts).reduce((sum, { shape }) => sum + (shape.length === 2 ? elementCount(shape) : 0), 0);

/** Queries that share their keys in attention (model/attention.ts). */
const causalBlock = 256;
/** Pairs of query and key that are multiplied in a sequence. */
function scoredPairs(length: number): number {
  let pairs = 0;
  for (let from = 0; from < length; from += causalBlock) {
    const rows = Math.min(causalBlock, length - from);
    pairs += rows * (from + rows);
  }
  return pairs;
}

/**
 * Operations of attention over sequences: projections, the rotation of queries and keys (a product too, model/rope.ts), scores and values.
 * Latent attention (DeepSeek) rotates one key for all heads.
 */
export function attentionFlops({ parts, heads, kvHeads, keyWidth, valueWidth, rope }: Attention, lengths: readonly number[]): { rows: number; pairs: number } {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const rotated = heads + (parts.kvA ? 1 : kvHeads);
  const pairs = lengths.reduce((sum, length) => sum + scoredPairs(length), 0);
  return { rows: 2 * tokens * (matrixElements(parts) + rotated * rope.dim ** 2), pairs: 2 * pairs * heads * (keyWidth + valueWidth) };
}

/** Rows that one product of attention takes at most (passes/blocks.ts). */
const spanRows = 1024;

/** Sequences that go through a piece of work together. */
export interface Rows {
  readonly lengths: readonly number[];
  /** Rows of the last stream whose logits are made. */
  readonly targets: number;
}

const tokensOf = ({ lengths }: Pick<Rows, 'lengths'>): number => lengths.reduce((sum, length) => sum + length, 0);

export const bothRows = (...list: readonly Rows[]): Rows => ({
  lengths: list.flatMap(({ lengths }) => lengths),
  targets: list.reduce((sum, { targets }) => sum + targets, 0),
});

/** Spans of sequences of equal length. */
function spansOf(lengths: readonly number[], most: number): number {
  const counts = new Map<number, number>();
  for (const length of lengths) counts.set(length, (counts.get(length) ?? 0) + 1);
  let spans = 0;
  for (const [length, count] of counts) if (length > 0) spans += Math.ceil(count / Math.max(1, Math.floor(most / length)));
  return spans;
}

function attentionWork(attention: Attention, { lengths }: Rows, passes: number): Arithmetic {
  const { rows, pairs } = attentionFlops(attention, lengths);
  return { calls: spansOf(lengths, Math.min(spanRows, blockRows(attention.parts, passes))), flops: rows + pairs };
}

const blockWork = ({ parts }: Pick<Block, 'parts'>, tokens: number, passes = 1): Arithmetic => ({
  calls: Math.ceil(tokens / blockRows(parts, passes)),
  flops: 2 * tokens * matrixElements(parts),
});

/** A layer's chosen experts: `slots` rows spread over them. */
function expertsWork(moe: Moe, slots: number, passes = 1): Arithmetic {
  const chosen = Math.min(moe.experts, slots);
  const one = blockWork(moe.expert(0), chosen > 0 ? slots / chosen : 0, passes);
  return { calls: chosen * one.calls, flops: chosen * one.flops };
}

/** A place of the stream: the entrance of a layer's attention, of its feed-forward, or where its router has chosen. */
export interface At {
  readonly layer: number;
  readonly at: 'attention' | 'feed' | 'routed';
}

const routerWork = (feed: Layer['feed'], tokens: number): Arithmetic =>
  feed.kind === 'moe' ? { calls: 1 + Math.ceil(tokens / blockRows(feed.router.parts)), flops: 2 * tokens * matrixElements(feed.router.parts) } : nothing;

function feedWork(feed: Layer['feed'], tokens: number): Work {
  if (feed.kind === 'dense') return forwardOf('feed', blockWork(feed.block, tokens));
  return addWork(
    forwardOf('router', routerWork(feed, tokens)),
    forwardOf('feed', expertsWork(feed, tokens * feed.router.topK)),
    feed.shared ? forwardOf('feed', blockWork(feed.shared, tokens)) : noWork,
  );
}

/** Bytes of parts as stored. */
export interface StoredBytes {
  readonly total: number;
  attention(layer: number): number;
  /** Norm and router. */
  router(layer: number): number;
  /** Experts, shared or dense: a pass over many tokens reads them all. */
  feed(layer: number): number;
  readonly head: number;
  /** Rows of the embedding, and whole tables that are read at once. */
  embedding(tokens: number): number;
}

/** Embeddings up to this size are read at once (passes/forward.ts). */
const wholeTableBytes = 2 ** 26;

export function storedBytes(model: OpenModel): StoredBytes {
  const { checkpoint } = model.weights;
  const sizeOf = (ref: TensorRef) => elementCount(ref.shape) * (bytesPerElement[checkpoint.tensors.get(ref.name)?.dtype as Dtype] ?? 4);
  const by = new Map<string, number>();
  let total = 0;
  for (const { layer, kind, ref } of allParts(model)) {
    const group = kind === 'norm' ? 'router' : kind === 'expert' || kind === 'shared' || kind === 'dense' ? 'feed' : kind;
    const key = `${layer ?? ''} ${group}`;
    by.set(key, (by.get(key) ?? 0) + sizeOf(ref));
    total += sizeOf(ref);
  }
  const of = (group: string) => (layer: number) => by.get(`${layer} ${group}`) ?? 0;
  const { embedding, head } = model.ends;
  const [vocabulary, d] = embedding.shape;
  return {
    total,
    attention: of('attention'),
    router: of('router'),
    feed: of('feed'),
    head: sizeOf(head),
    embedding: (tokens) => (vocabulary * d * 4 <= wholeTableBytes ? sizeOf(embedding) : (Math.min(tokens, vocabulary) / vocabulary) * sizeOf(embedding)),
  };
}

const place = ({ layer, at }: At) => layer * 2 + (at === 'attention' ? 0 : 1);

/** The stream of `rows` from one place to another, all layers in between. From the first layer on it begins with the embedding. */
export function passWork(model: OpenModel, bytes: StoredBytes, rows: Rows, from: At, to: At): Work {
  const tokens = tokensOf(rows);
  if (tokens === 0) return noWork;
  const [first, end] = [place(from), place(to)];
  let work = first === 0 ? bytesOnly(bytes.embedding(tokens)) : noWork;
  model.layers.forEach(({ attention, feed }, layer) => {
    if (2 * layer >= first && 2 * layer < end)
      work = addWork(work, forwardOf('attention', attentionWork(attention, rows, 1)), bytesOnly(bytes.attention(layer)));
    if (2 * layer + 1 >= first && 2 * layer + 1 < end) work = addWork(work, feedWork(feed, tokens), bytesOnly(bytes.router(layer) + bytes.feed(layer)));
  });
  if (to.at !== 'routed') return work;
  return addWork(work, forwardOf('router', routerWork(model.layers[to.layer].feed, tokens)), bytesOnly(bytes.router(to.layer)));
}

/** Rows of the head that one product takes (passes/head.ts). */
const headRows = 1024;

/** Log-probabilities at rows of the last stream. `products`: with the whole vocabulary, 1 for the logits alone. */
export const headWork = (model: OpenModel, bytes: StoredBytes, targets: number, products = 1): Work =>
  targets === 0
    ? noWork
    : addWork(
        forwardOf('head', { calls: products * Math.ceil(targets / headRows), flops: 2 * products * targets * elementCount(model.ends.head.shape) }),
        bytesOnly(products * bytes.head),
      );

const headBackWork = (model: OpenModel, bytes: StoredBytes, targets: number, products: number): Work =>
  targets === 0
    ? noWork
    : addWork(
        backOf('head', { calls: Math.ceil(targets / headRows), flops: 2 * products * targets * elementCount(model.ends.head.shape) }),
        bytesOnly(bytes.head),
      );

/** From the exit of layer `last` down to the entrance of layer `lowest`'s experts, `trainedRows` of which go through experts in training. */
export function pullBackWork(model: OpenModel, bytes: StoredBytes, rows: Rows, lowest: number, last: number, keepsProducts: (layer: number) => boolean): Work {
  const tokens = tokensOf(rows);
  if (tokens === 0) return noWork;
  let work = noWork;
  for (let layer = lowest + 1; layer <= last; layer++) {
    const { attention, feed } = model.layers[layer];
    const kept = keepsProducts(layer);
    const forward = attentionWork(attention, rows, 3);
    const own = attentionFlops(attention, rows.lengths);
    // A gated block's gradient takes three products of its own, and the first two of its forward again where they were not kept.
    const share = kept ? 1 : 5 / 3;
    const blocks = feed.kind === 'dense' ? blockWork(feed.block, tokens, 3) : expertsWork(feed, tokens * feed.router.topK, 3);
    const shared = feed.kind === 'moe' && feed.shared ? blockWork(feed.shared, tokens, 3) : nothing;
    const router = routerWork(feed, tokens);
    work = addWork(
      work,
      backOf('attention', { calls: forward.calls, flops: own.rows + 2 * own.pairs + (kept ? 0 : forward.flops) }),
      backOf('feed', { calls: blocks.calls + shared.calls, flops: share * (blocks.flops + shared.flops) }),
      backOf('router', { calls: router.calls, flops: 2 * router.flops }),
      bytesOnly(bytes.attention(layer) + bytes.router(layer) + bytes.feed(layer)),
    );
  }
  return work;
}

/** What a step trains in its lowest layer: rows through trained experts, gradients of their weights, and of its router. */
function trainedWork(moe: Moe, tokens: number, experts: number, trains: { readonly expert: boolean; readonly router: boolean }): Work {
  const slots = Math.min(tokens * moe.router.topK, (tokens * moe.router.topK * experts) / moe.experts);
  const block = expertsWork({ ...moe, experts }, slots, 3);
  const router = routerWork(moe, tokens);
  return addWork(
    trains.expert
      ? addWork(forwardOf('feed', { calls: experts, flops: block.flops }), backOf('feed', { calls: block.calls, flops: (4 / 3) * block.flops }))
      : noWork,
    trains.router ? backOf('router', { calls: router.calls, flops: 2 * router.flops }) : noWork,
  );
}

export interface StepShape {
  /** Rows of a micro-batch. */
  readonly rows: Rows;
  /** Rows of its retain part whose whole distribution is compared. */
  readonly compared: number;
  readonly microBatches: number;
  readonly lowest: number;
  readonly highest: number;
  /** Hidden states alone are compared: nothing above the highest target layer runs. */
  readonly hidden: boolean;
  readonly trains: { readonly expert: boolean; readonly router: boolean };
  /** Experts of the lowest layer in training. */
  readonly experts: number;
  readonly trainedValues: number;
  readonly keepsProducts: (layer: number) => boolean;
}

/** One update where outputs of frozen experts are at hand. */
export function stepWork(model: OpenModel, bytes: StoredBytes, shape: StepShape): Work {
  const { rows, compared, lowest, highest, hidden } = shape;
  const { layers } = model.shape;
  const { feed } = model.layers[lowest];
  if (feed.kind !== 'moe') throw new Error(`Layer ${lowest} is not MoE.`);
  const last = hidden ? highest : layers - 1;
  const tokens = tokensOf(rows);
  const micro = addWork(
    forwardOf('router', routerWork(feed, tokens)),
    trainedWork(feed, tokens, shape.experts, shape.trains),
    passWork(model, bytes, rows, { layer: lowest + 1, at: 'attention' }, { layer: last + 1, at: 'attention' }),
    pullBackWork(model, bytes, rows, lowest, last, shape.keepsProducts),
    hidden ? noWork : addWork(headWork(model, bytes, rows.targets), headBackWork(model, bytes, rows.targets, 1)),
    // KL: logits of both models twice, and once more on the way back.
    compared > 0 ? addWork(headWork(model, bytes, compared, 4), headBackWork(model, bytes, compared, 3)) : noWork,
  );
  return addWork(timesWork(micro, shape.microBatches), { ...noWork, updated: shape.trainedValues });
}

/** Outputs of a layer's frozen experts for rows that are new. */
export const frozenWork = (model: OpenModel, bytes: StoredBytes, layer: number, tokens: number): Work => {
  const { feed } = model.layers[layer];
  return feed.kind === 'moe' && tokens > 0 ? addWork(forwardOf('feed', expertsWork(feed, tokens * feed.router.topK)), bytesOnly(bytes.feed(layer))) : noWork;
};

/** Shared experts of a layer, which are the same in every step. */
export const sharedWork = (model: OpenModel, layer: number, tokens: number): Work => {
  const { feed } = model.layers[layer];
  return feed.kind === 'moe' && feed.shared && tokens > 0 ? forwardOf('feed', blockWork(feed.shared, tokens)) : noWork;
};
