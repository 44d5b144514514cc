/** Forward through one layer for a packed batch, part by part. Streams `[T, d]` live in JavaScript memory between parts. */
import { runAttention } from '../model/attention';
import type { Attention, Block, Dense, Forbidden, Moe, Rotation, Weights } from '../model/family';
import { spread } from '../model/rope';
import type { TensorRef } from '../protocol/tensors';
import { inScope, readInto, upload, uploadMatrix } from '../tensor/host';
import { exactProducts } from '../tensor/precision';
import { recording } from '../tensor/replay';
import type { Tensor, Tensor2D } from '../tensor/tf';
import type { Overlay, WeightStore } from '../weights/store';
import { addInto, addRow, addRows, attentionRows, blockRows, cutSpans, eachBlock, takeRows, workRoom } from './blocks';
import { breathe } from './breath';
import { expertPiece, type KeptPiece, type KeptProducts, sharedPiece } from './kept-products';
import type { Conditions, OpenModel } from './model';
import { type PackedBatch, type Span, spanMask } from './packing';

/** Routing of one MoE layer for T tokens. */
export interface LayerRouting {
  readonly layer: number;
  /** Router inputs u = norm(x) `[T, d]`. */
  readonly u: Float32Array;
  /** Affinities of all experts `[T, E]`. */
  readonly scores: Float32Array;
  /** Chosen experts `[T, K]`, largest score first. */
  readonly choice: Int32Array;
  /** What multiplies their outputs `[T, K]`. */
  readonly gates: Float32Array;
}

/** Rotary tables of rows as tensors `[rows, 1, dim]`. */
export function rotationOf(attention: Attention, positions: Int32Array): Rotation {
  const { dim } = attention.rope;
  const { cos, sin } = attention.rope.rows(positions);
  const tensor = (table: Float32Array) => upload(spread(table, dim, attention.ropeLayout), [positions.length, 1, dim]);
  return { cos: tensor(cos), sin: tensor(sin) };
}

/** Runs `body(x, rotation, mask)` on one span's rows as tensors and puts its values into the same rows of `out`. */
export function onSpan(
  attention: Attention,
  span: Span,
  x: Float32Array,
  d: number,
  out: Float32Array,
  body: (x: Tensor2D, rotation: Rotation, mask: Tensor) => Tensor,
): void {
  inScope(() => {
    const rows = span.count * span.length;
    const own = [span.start * d, (span.start + rows) * d] as const;
    const mask = spanMask(span, attention.window);
    readInto(body(uploadMatrix(x.subarray(...own), rows, d), rotationOf(attention, span.positions), upload(mask.values, mask.shape)), out.subarray(...own));
  });
}

/** Attention with its residual, span by span: x `[T, d]` -> `[T, d]`, a new stream. */
export async function attentionForward(
  model: OpenModel,
  layer: number,
  batch: PackedBatch,
  x: Float32Array,
  conditions: Conditions,
  kept?: KeptPiece,
): Promise<Float32Array> {
  const d = model.shape.hiddenSize;
  const { attention } = model.layers[layer];
  const after = new Float32Array(x.length);
  const lease = await model.weights.lease(attention.parts, conditions.overlay);
  try {
    for (const span of cutSpans(batch.spans, attentionRows(attention.parts, kept ? 3 : 1))) {
      onSpan(attention, span, x, d, after, (rows, rotation, mask) => {
        const run = () => runAttention(attention, lease.w, rows, rotation, mask, span.count);
        if (!kept) return run();
        const results: Tensor[] = [];
        const y = recording((made) => void results.push(made), run);
        kept.put(span.start, results);
        return y;
      });
      await breathe(conditions.signal);
    }
  } finally {
    lease.release();
  }
  return after;
}

/** Runs a block on rows from `from` on; products that its pull-back needs are kept where somebody keeps them. */
function runBlock(block: Block, w: Weights, x: Tensor2D, from: number, kept: KeptPiece | undefined): Tensor2D {
  if (!kept || !block.closed) return block.run(w, x);
  const inner = block.closed.inner(w, x);
  kept.put(from, inner);
  return block.closed.output(w, inner);
}

/** Rows at once, the same in the forward that keeps products as in the pull-back that takes them. */
const runRows = (block: Block, kept: KeptPiece | undefined): number => blockRows(block.parts, kept && block.closed ? 3 : 1);

/** A row-wise block over a whole stream `[T, d]`: its values as a new stream, or added to `sum`. */
export async function blockForward(
  weights: WeightStore,
  block: Block,
  x: Float32Array,
  d: number,
  conditions: Conditions,
  sum?: Float32Array,
  kept?: KeptPiece,
): Promise<Float32Array> {
  const out = sum ?? new Float32Array(x.length);
  const lease = await weights.lease(block.parts, conditions.overlay);
  try {
    await eachBlock(x.length / d, runRows(block, kept), async (from, to) => {
      const rows = out.subarray(from * d, to * d);
      const into = sum ? workRoom(0, rows.length) : rows;
      inScope(() => readInto(runBlock(block, lease.w, uploadMatrix(x.subarray(from * d, to * d), to - from, d), from, kept), into));
      if (sum) addInto(rows, into);
      await breathe(conditions.signal);
    });
  } finally {
    lease.release();
  }
  return out;
}

/** Router: scores, choice and gates for router inputs u `[T, d]`. */
export async function routerForward(model: OpenModel, layer: number, moe: Moe, u: Float32Array, conditions: Conditions): Promise<LayerRouting> {
  const d = model.shape.hiddenSize;
  const { router, experts } = moe;
  const tokens = u.length / d;
  const forbidden: Forbidden | null = conditions.forbidden.get(layer) ?? null;
  const scores = new Float32Array(tokens * experts);
  const choice = new Int32Array(tokens * router.topK);
  const gates = new Float32Array(tokens * router.topK);
  const bias = router.selectionBias ? await model.weights.values(router.selectionBias, conditions.overlay) : null;
  const lease = await model.weights.lease(router.parts, conditions.overlay);
  try {
    await eachBlock(tokens, blockRows(router.parts), (from, to) =>
      inScope(() => {
        const logits = exactProducts(() => router.logits(lease.w, uploadMatrix(u.subarray(from * d, to * d), to - from, d), forbidden));
        const own = router.scores(logits);
        const values = scores.subarray(from * experts, to * experts);
        readInto(own, values);
        const chosen = router.choose(values, bias, forbidden);
        choice.set(chosen, from * router.topK);
        readInto(router.gates(logits, own, chosen, forbidden), gates.subarray(from * router.topK, to * router.topK));
      }),
    );
  } finally {
    lease.release();
  }
  await breathe(conditions.signal);
  return { layer, u, scores, choice, gates };
}

/** Tokens that chose each expert, and their slots (position in `choice`), ascending. */
export function tokensByExpert(choice: Int32Array, topK: number, experts: number): { rows: Int32Array; slots: Int32Array }[] {
  const counts = new Int32Array(experts);
  for (const e of choice) counts[e]++;
  const lists = Array.from(counts, (count) => ({ rows: new Int32Array(count), slots: new Int32Array(count) }));
  counts.fill(0);
  choice.forEach((e, slot) => {
    lists[e].rows[counts[e]] = Math.floor(slot / topK);
    lists[e].slots[counts[e]++] = slot;
  });
  return lists;
}

/** Gets the outputs `[to - from, d]` of rows[from..to), block by block, and may not keep them. */
export type EachBlock = (outputs: Float32Array, from: number, to: number) => void;

/** One expert on rows of u, block by block. */
export async function eachExpertBlock(
  weights: WeightStore,
  block: Block,
  u: Float32Array,
  rows: Int32Array,
  d: number,
  overlay: Overlay,
  signal: AbortSignal | undefined,
  each: EachBlock,
  kept?: KeptPiece,
): Promise<void> {
  const lease = await weights.lease(block.parts, overlay);
  try {
    await eachBlock(rows.length, runRows(block, kept), async (from, to) => {
      const size = (to - from) * d;
      const outputs = workRoom(1, size);
      inScope(() => {
        const inputs = uploadMatrix(takeRows(u, rows.subarray(from, to), d, workRoom(0, size)), to - from, d);
        readInto(runBlock(block, lease.w, inputs, from, kept), outputs);
      });
      each(outputs, from, to);
      await breathe(signal);
    });
  } finally {
    lease.release();
  }
}

/** Gates at the given slots. */
export function gatesAt({ gates }: LayerRouting, slots: Int32Array): Float32Array {
  const own = new Float32Array(slots.length);
  for (let i = 0; i < slots.length; i++) own[i] = gates[slots[i]];
  return own;
}

/**
 * Where expert outputs come from: computed, or (training) kept from earlier. `each(i, values, at)` is called once for every row, in any order:
 * the output for rows[i] is values[at .. at + d), and may not be kept.
 */
export type ExpertOutputs = (
  expert: number,
  rows: Int32Array,
  compute: (rows: Int32Array, each: EachBlock) => Promise<void>,
  each: (i: number, values: Float32Array, at: number) => void,
) => Promise<void>;

interface FeedOptions {
  /** Keeps products for the pull-back. */
  readonly products?: KeptProducts;
  /** Called when all that this feed-forward leases has been announced: what comes after it may follow. */
  readonly announce?: () => void;
}

/** x + shared(u) `[T, d]`: what does not depend on routing. */
export async function moeBase(model: OpenModel, moe: Moe, x: Float32Array, u: Float32Array, conditions: Conditions, kept?: KeptPiece): Promise<Float32Array> {
  const base = x.slice();
  if (moe.shared) await blockForward(model.weights, moe.shared, u, model.shape.hiddenSize, conditions, base, kept);
  return base;
}

/** Routing alone of an MoE layer, for x `[T, d]` at the entrance of its feed-forward. */
export async function route(model: OpenModel, layer: number, x: Float32Array, conditions: Conditions): Promise<LayerRouting> {
  const { feed } = model.layers[layer];
  if (feed.kind !== 'moe') throw new Error(`Layer ${layer} is not MoE.`);
  return routerForward(model, layer, feed, await blockForward(model.weights, feed.norm, x, model.shape.hiddenSize, conditions), conditions);
}

/**
 * Router and chosen experts of an MoE layer for router inputs u `[T, d]`; their outputs are added to `base`, which gives x + shared experts.
 * `outputs`: where they are kept, else all are computed. `fresh`: nothing is kept there yet.
 */
export async function moeForward(
  model: OpenModel,
  layer: number,
  u: Float32Array,
  base: () => Promise<Float32Array>,
  conditions: Conditions,
  options: FeedOptions & { readonly outputs?: ExpertOutputs; readonly fresh?: boolean } = {},
): Promise<{ y: Float32Array; routing: LayerRouting }> {
  const d = model.shape.hiddenSize;
  const { feed } = model.layers[layer];
  if (feed.kind !== 'moe') throw new Error(`Layer ${layer} is not MoE.`);
  const routing = await routerForward(model, layer, feed, u, conditions);
  const lists = tokensByExpert(routing.choice, feed.router.topK, feed.experts);
  // Kept outputs may need no expert at all.
  if (!options.outputs || options.fresh) {
    const chosen = lists.flatMap(({ rows }, e) => (rows.length > 0 ? [feed.expert(e).parts] : []));
    model.weights.ahead(chosen, conditions.overlay);
  }
  options.announce?.();
  const y = await base();
  for (let e = 0; e < feed.experts; e++) {
    const { rows, slots } = lists[e];
    if (rows.length === 0) continue;
    const gates = gatesAt(routing, slots);
    const compute = (own: Int32Array, each: EachBlock) =>
      eachExpertBlock(model.weights, feed.expert(e), u, own, d, conditions.overlay, conditions.signal, each, options.products?.piece(expertPiece(e)));
    if (options.outputs) await options.outputs(e, rows, compute, (i, values, at) => addRow(y, rows[i], values, at, d, gates[i]));
    else await compute(rows, (outputs, from, to) => addRows(y, rows.subarray(from, to), outputs, d, gates.subarray(from, to)));
  }
  return { y, routing };
}

/** The feed-forward of a layer with its residual: x `[T, d]` (its entrance) -> `[T, d]`, a new stream, and the routing where it is MoE. */
export async function feedForward(
  model: OpenModel,
  layer: number,
  x: Float32Array,
  conditions: Conditions,
  options: FeedOptions = {},
): Promise<{ y: Float32Array; routing: LayerRouting | null }> {
  const { feed } = model.layers[layer];
  const u = await blockForward(model.weights, feed.norm, x, model.shape.hiddenSize, conditions);
  const shared = options.products?.piece(sharedPiece);
  if (feed.kind === 'dense') {
    model.weights.ahead([feed.block.parts], conditions.overlay);
    options.announce?.();
    return { y: await denseForward(model, feed, x, u, conditions, shared), routing: null };
  }
  if (feed.shared) model.weights.ahead([feed.shared.parts], conditions.overlay);
  return moeForward(model, layer, u, () => moeBase(model, feed, x, u, conditions, shared), conditions, options);
}

const denseForward = (model: OpenModel, feed: Dense, x: Float32Array, u: Float32Array, conditions: Conditions, kept?: KeptPiece): Promise<Float32Array> =>
  blockForward(model.weights, feed.block, u, model.shape.hiddenSize, conditions, x.slice(), kept);

/** Whole tables up to this size are read at once; larger ones row by row. */
const wholeTableBytes = 2 ** 26;

/** Embedding rows of all tokens `[T, d]`. */
export async function embed(model: OpenModel, ids: Int32Array, conditions: Conditions): Promise<Float32Array> {
  const { embedding } = model.ends;
  const [vocabulary, d] = embedding.shape;
  const out = new Float32Array(ids.length * d);
  if (vocabulary * d * 4 <= wholeTableBytes) {
    const table = await model.weights.values(embedding, conditions.overlay);
    ids.forEach((id, row) => {
      out.set(table.subarray(id * d, (id + 1) * d), row * d);
    });
    return out;
  }
  const rows = new Map<number, Float32Array>();
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row];
    let own = rows.get(id);
    if (!own) {
      const ref: TensorRef = { name: embedding.name, rows: [id, id + 1], shape: [1, d] };
      own = await model.weights.values(ref, conditions.overlay);
      rows.set(id, own);
      await breathe(conditions.signal);
    }
    out.set(own, row * d);
  }
  return out;
}
