/**
 * What each phase of a run computes and reads, counted from shapes, rows and settings alone: floating-point operations of its matrix products
 * (two for a multiplication and its sum), calls, values the optimizer updates, bytes. No measure of any machine is in here.
 */
import type { Attention, Block, Layer, Moe, Parts } from '../model/family';
import { blockRows } from '../passes/blocks';
import { isBelow, type Place } from '../passes/components';
import { keepsLogits } from '../passes/head';
import { allParts, type OpenModel } from '../passes/model';
import { partsTrain } from '../passes/weight-gradients';
import { bytesPerElement, type Dtype, elementCount, type TensorRef, unitName } from '../protocol/tensors';

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
  /** Backward through pieces of which something trains: the gradients of their weights too. */
  readonly trained: Readonly<Record<Piece, Arithmetic>>;
  /** Values that the optimizer updates, over all updates. */
  readonly updated: number;
  /** Values of weights times the rank of what LoRA adds to them, over all updates: it is multiplied outside the backend. */
  readonly adapted: number;
  /** Bytes of changed weights that are put into the backend as they are leased. */
  readonly laid: number;
  /** Bytes of weights, as stored. */
  readonly bytes: number;
}

const nothing: Arithmetic = { calls: 0, flops: 0 };
const noPieces = { attention: nothing, router: nothing, feed: nothing, head: nothing };
export const noWork: Work = { forward: noPieces, back: noPieces, trained: noPieces, updated: 0, adapted: 0, laid: 0, bytes: 0 };

const plus = (a: Arithmetic, b: Arithmetic): Arithmetic => ({ calls: a.calls + b.calls, flops: a.flops + b.flops });
const joined = (a: Work['forward'], b: Work['forward']): Work['forward'] => ({
  attention: plus(a.attention, b.attention),
  router: plus(a.router, b.router),
  feed: plus(a.feed, b.feed),
  head: plus(a.head, b.head),
});

export const addWork = (...list: readonly Work[]): Work =>
  list.reduce(
    (a, b) => ({
      forward: joined(a.forward, b.forward),
      back: joined(a.back, b.back),
      trained: joined(a.trained, b.trained),
      updated: a.updated + b.updated,
      adapted: a.adapted + b.adapted,
      laid: a.laid + b.laid,
      bytes: a.bytes + b.bytes,
    }),
    noWork,
  );

export const timesWork = (work: Work, times: number): Work => {
  const scaled = (pieces: Work['forward']) =>
    Object.fromEntries(Object.entries(pieces).map(([piece, { calls, flops }]) => [piece, { calls: calls * times, flops: flops * times }])) as Work['forward'];
  return {
    forward: scaled(work.forward),
    back: scaled(work.back),
    trained: scaled(work.trained),
    updated: work.updated * times,
    adapted: work.adapted * times,
    laid: work.laid * times,
    bytes: work.bytes * times,
  };
};

/** All floating-point operations of matrix products. */
export const flopsOf = ({ forward, back, trained }: Work): number =>
  pieceNames.reduce((sum, piece) => sum + forward[piece].flops + back[piece].flops + trained[piece].flops, 0);

const forwardOf = (piece: Piece, own: Arithmetic): Work => ({ ...noWork, forward: { ...noPieces, [piece]: own } });
const backOf = (piece: Piece, own: Arithmetic, trains = false): Work => ({ ...noWork, [trains ? 'trained' : 'back']: { ...noPieces, [piece]: own } });

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
export function attentionFlops(
  { parts, heads, kvHeads, keyWidth, valueWidth, rope }: Attention,
  lengths: readonly number[],
): { rows: number; rotations: number; pairs: number } {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const rotations = 2 * tokens * (heads + (parts.kvA ? 1 : kvHeads)) * rope.dim ** 2;
  const pairs = lengths.reduce((sum, length) => sum + scoredPairs(length), 0);
  return { rows: 2 * tokens * matrixElements(parts) + rotations, rotations, pairs: 2 * pairs * heads * (keyWidth + valueWidth) };
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

/** Bytes of the parts of a model by what is leased together. */
interface PieceBytes {
  attention(layer: number): number;
  /** Norm and router. */
  router(layer: number): number;
  /** Experts, shared or dense: a pass over many tokens leases them all. */
  feed(layer: number): number;
  readonly head: number;
  /** Rows of the embedding, and whole tables that are read at once. */
  embedding(tokens: number): number;
}

/** Bytes of parts as stored, without those that other weights stand in for; these as f32 are `laid`. */
export interface StoredBytes extends PieceBytes {
  readonly total: number;
  readonly laid: PieceBytes;
}

/** Embeddings up to this size are read at once (passes/forward.ts). */
const wholeTableBytes = 2 ** 26;

const unchanged: ReadonlySet<string> = new Set();

/** `changed`: units that other weights stand in for. */
export function storedBytes(model: OpenModel, changed: ReadonlySet<string> = unchanged): StoredBytes {
  const { checkpoint } = model.weights;
  const { embedding, head } = model.ends;
  const [vocabulary, d] = embedding.shape;
  const piecesOf = (sizeOf: (ref: TensorRef) => number): PieceBytes & { readonly total: number } => {
    const by = new Map<string, number>();
    let total = 0;
    for (const { layer, kind, ref } of allParts(model)) {
      const group = kind === 'norm' ? 'router' : kind === 'expert' || kind === 'shared' || kind === 'dense' ? 'feed' : kind;
      const key = `${layer ?? ''} ${group}`;
      const size = sizeOf(ref);
      by.set(key, (by.get(key) ?? 0) + size);
      total += size;
    }
    const of = (group: string) => (layer: number) => by.get(`${layer} ${group}`) ?? 0;
    return {
      total,
      attention: of('attention'),
      router: of('router'),
      feed: of('feed'),
      head: sizeOf(head),
      embedding: (tokens) => (vocabulary * d * 4 <= wholeTableBytes ? 1 : Math.min(tokens, vocabulary) / vocabulary) * sizeOf(embedding),
    };
  };
  const isChanged = (ref: TensorRef) => changed.has(unitName(ref));
  return {
    ...piecesOf((ref) => (isChanged(ref) ? 0 : elementCount(ref.shape) * (bytesPerElement[checkpoint.tensors.get(ref.name)?.dtype as Dtype] ?? 4))),
    laid: piecesOf((ref) => (isChanged(ref) ? elementCount(ref.shape) * 4 : 0)),
  };
}

/** A lease of pieces. */
const leased = (bytes: StoredBytes, size: (of: PieceBytes) => number): Work => ({ ...noWork, bytes: size(bytes), laid: size(bytes.laid) });

const place = ({ layer, at }: At) => layer * 2 + (at === 'attention' ? 0 : 1);

/** The stream of `rows` from one place to another, all layers in between. From the first layer on it begins with the embedding. */
export function passWork(model: OpenModel, bytes: StoredBytes, rows: Rows, from: At, to: At): Work {
  const tokens = tokensOf(rows);
  if (tokens === 0) return noWork;
  const [first, end] = [place(from), place(to)];
  let work = first === 0 ? leased(bytes, (of) => of.embedding(tokens)) : noWork;
  model.layers.forEach(({ attention, feed }, layer) => {
    if (2 * layer >= first && 2 * layer < end)
      work = addWork(
        work,
        forwardOf('attention', attentionWork(attention, rows, 1)),
        leased(bytes, (of) => of.attention(layer)),
      );
    if (2 * layer + 1 >= first && 2 * layer + 1 < end)
      work = addWork(
        work,
        feedWork(feed, tokens),
        leased(bytes, (of) => of.router(layer) + of.feed(layer)),
      );
  });
  if (to.at !== 'routed') return work;
  return addWork(
    work,
    forwardOf('router', routerWork(model.layers[to.layer].feed, tokens)),
    leased(bytes, (of) => of.router(to.layer)),
  );
}

/** Rows of the head that one product takes (passes/head.ts). */
const headRows = 1024;

/** Log-probabilities at rows of the last stream. `products`: with the whole vocabulary, 1 for the logits alone. */
export const headWork = (model: OpenModel, bytes: StoredBytes, targets: number, products = 1): Work =>
  targets === 0
    ? noWork
    : addWork(
        forwardOf('head', { calls: products * Math.ceil(targets / headRows), flops: 2 * products * targets * elementCount(model.ends.head.shape) }),
        leased(bytes, (of) => products * of.head),
      );

/** Its gradient: `products` with the whole vocabulary, and one more for the head's own where it trains. */
function headBackWork(model: OpenModel, bytes: StoredBytes, targets: number, products: number, trained: ReadonlySet<string>): Work {
  if (targets === 0) return noWork;
  const { head } = model.ends;
  const trains = trained.has(unitName(head));
  const calls = Math.ceil(targets / headRows);
  return addWork(
    backOf('head', { calls, flops: 2 * (products + (trains ? 1 : 0)) * targets * elementCount(head.shape) }, trains),
    leased(bytes, (of) => of.head),
  );
}

/** Elements of the matrices among the parts that train. */
const trainedElements = (parts: Parts, trained: ReadonlySet<string>): number =>
  matrixElements(Object.fromEntries(Object.entries(parts).filter(([, ref]) => trained.has(unitName(ref)))));

interface Back {
  /** Products of the layer's forward are at hand. */
  readonly kept: boolean;
  readonly wantInput: boolean;
  readonly trained: ReadonlySet<string>;
}

/** Backward through a gated block on `tokens` rows of each of `count` blocks like it: the first two of its products again where they were not kept, then one for what is between, two for the input, and one for each weight that trains. */
function blockBack(block: Pick<Block, 'parts'>, tokens: number, count: number, { kept, wantInput, trained }: Back): Work {
  const trains = partsTrain(block.parts, trained);
  if (tokens === 0 || count === 0 || !(wantInput || trains)) return noWork;
  const thirds = (kept ? 0 : 2) + 1 + (wantInput ? 2 : 0);
  const elements = (thirds / 3) * matrixElements(block.parts) + trainedElements(block.parts, trained);
  return backOf('feed', { calls: count * Math.ceil(tokens / blockRows(block.parts, 3)), flops: 2 * tokens * count * elements }, trains);
}

const expertsThatTrain = (moe: Moe, trained: ReadonlySet<string>): number[] =>
  Array.from({ length: moe.experts }, (_, e) => e).filter((e) => partsTrain(moe.expert(e).parts, trained));

/** `isRouted`: outputs of frozen experts are kept, and nothing but experts and router trains. */
function feedBack(model: OpenModel, bytes: StoredBytes, layer: number, tokens: number, isRouted: boolean, back: Back): Work {
  const { feed } = model.layers[layer];
  const { trained } = back;
  const own = { ...back, wantInput: back.wantInput || partsTrain(feed.norm.parts, trained) };
  if (feed.kind === 'dense')
    return addWork(
      blockBack(feed.block, tokens, 1, own),
      leased(bytes, (of) => of.router(layer) + of.feed(layer)),
    );
  const slots = tokens * feed.router.topK;
  const chosen = Math.min(feed.experts, slots);
  const training = expertsThatTrain(feed, trained);
  const share = training.length / feed.experts;
  const routerTrains = partsTrain(feed.router.parts, trained);
  const router = routerWork(feed, tokens);
  const again = !own.wantInput && !isRouted && routerTrains;
  return addWork(
    own.wantInput ? blockBack(feed.expert(0), slots / chosen, chosen * (1 - share), { ...own, trained: unchanged }) : noWork,
    training.length > 0 ? blockBack(feed.expert(training[0]), slots / chosen, chosen * share, own) : noWork,
    // A gate's gradient takes the output of its expert.
    again ? forwardOf('feed', expertsWork(feed, slots * (1 - share))) : noWork,
    own.wantInput || routerTrains
      ? backOf('router', { calls: router.calls, flops: (1 + (own.wantInput ? 1 : 0) + (routerTrains ? 1 : 0)) * router.flops }, routerTrains)
      : noWork,
    feed.shared ? blockBack(feed.shared, tokens, 1, own) : noWork,
    own.wantInput || again ? leased(bytes, (of) => of.router(layer) + of.feed(layer)) : { ...noWork, laid: bytes.laid.router(layer) + bytes.laid.feed(layer) },
  );
}

/** Always down to its input: what it computes is run again on the tape, but for what its forward kept; an attention in training keeps nothing. */
function attentionBack(model: OpenModel, bytes: StoredBytes, layer: number, rows: Rows, { kept, trained }: Back): Work {
  const { attention } = model.layers[layer];
  const trains = partsTrain(attention.parts, trained);
  const forward = attentionWork(attention, rows, 3);
  const own = attentionFlops(attention, rows.lengths);
  const again = kept && !trains ? own.rotations : forward.flops;
  const flops = own.rows + 2 * own.pairs + again + 2 * tokensOf(rows) * trainedElements(attention.parts, trained);
  return addWork(
    backOf('attention', { calls: forward.calls, flops }, trains),
    // What trains is leased once more, whole, for the tape.
    leased(bytes, (of) => of.attention(layer)),
    { ...noWork, laid: bytes.laid.attention(layer) },
  );
}

export interface StepShape {
  /** Rows of a micro-batch; `targets`: of all its rows, where log-probabilities are in the loss. */
  readonly rows: Rows;
  /** Rows of its retain part whose whole distribution is compared. */
  readonly compared: number;
  readonly microBatches: number;
  /** Where the forward begins, the last layer it runs, and where the pull-back ends (unlearn/training-set.ts). */
  readonly start: Place;
  readonly last: number;
  readonly from: Place;
  /** It begins at a feed-forward of which experts and router alone may train: outputs of the others are at hand. */
  readonly isRouted: boolean;
  /** Units that train. */
  readonly trained: ReadonlySet<string>;
  /** Values that the optimizer moves. */
  readonly trainedValues: number;
  readonly adapted: number;
  readonly keepsProducts: (layer: number) => boolean;
}

/** From the exit of the last layer down to the lowest piece that trains. */
function pullBackWork(model: OpenModel, bytes: StoredBytes, shape: StepShape): Work {
  const { rows, start, last, from, isRouted, trained } = shape;
  let work = noWork;
  for (let layer = last; layer >= start.layer; layer--) {
    if (isBelow({ layer, at: 'feed' }, from)) break;
    const back: Back = { kept: shape.keepsProducts(layer), wantInput: isBelow(from, { layer, at: 'feed' }), trained };
    work = addWork(work, feedBack(model, bytes, layer, tokensOf(rows), isRouted && layer === start.layer, back));
    if (!back.wantInput) break;
    work = addWork(work, attentionBack(model, bytes, layer, rows, back));
  }
  return work;
}

/** The lowest layer of a step that begins at its experts: router, and the experts that train on their share of the rows. */
function routedWork(model: OpenModel, bytes: StoredBytes, layer: number, tokens: number, trained: ReadonlySet<string>): Work {
  const { feed } = model.layers[layer];
  if (feed.kind !== 'moe') throw new Error(`Layer ${layer} is not MoE.`);
  const count = expertsThatTrain(feed, trained).length;
  const slots = (tokens * feed.router.topK * count) / feed.experts;
  return addWork(forwardOf('router', routerWork(feed, tokens)), count > 0 ? forwardOf('feed', expertsWork({ ...feed, experts: count }, slots, 3)) : noWork, {
    ...noWork,
    laid: bytes.laid.router(layer) + bytes.laid.feed(layer),
  });
}

/** One update where outputs of frozen experts are at hand. */
export function stepWork(model: OpenModel, bytes: StoredBytes, shape: StepShape): Work {
  const { rows, compared, start, last, trained } = shape;
  const begin: At = shape.isRouted ? { layer: start.layer + 1, at: 'attention' } : { layer: start.layer, at: start.at === 'feed' ? 'feed' : 'attention' };
  const { targets } = rows;
  const micro = addWork(
    shape.isRouted ? routedWork(model, bytes, start.layer, tokensOf(rows), trained) : noWork,
    passWork(model, bytes, rows, begin, { layer: last + 1, at: 'attention' }),
    pullBackWork(model, bytes, shape),
    headWork(model, bytes, targets),
    headBackWork(model, bytes, targets, keepsLogits(model, targets) ? 1 : 2, trained),
    // KL: logits of both models twice, and once more on the way back.
    headWork(model, bytes, compared, 4),
    headBackWork(model, bytes, compared, 3, trained),
  );
  return addWork(timesWork(micro, shape.microBatches), { ...noWork, updated: shape.trainedValues, adapted: shape.adapted });
}

/** Outputs of a layer's frozen experts for rows that are new. */
export const frozenWork = (model: OpenModel, bytes: StoredBytes, layer: number, tokens: number): Work => {
  const { feed } = model.layers[layer];
  if (feed.kind !== 'moe' || tokens === 0) return noWork;
  return addWork(
    forwardOf('feed', expertsWork(feed, tokens * feed.router.topK)),
    leased(bytes, (of) => of.feed(layer)),
  );
};

/** Shared experts of a layer, which are the same in every step. */
export const sharedWork = (model: OpenModel, layer: number, tokens: number): Work => {
  const { feed } = model.layers[layer];
  return feed.kind === 'moe' && feed.shared && tokens > 0 ? forwardOf('feed', blockWork(feed.shared, tokens)) : noWork;
};
