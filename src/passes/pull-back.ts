/**
 * Backward through layers, part by part: each part is run again on the tape for its own input gradient (a vector-Jacobian
 * product) and forgotten. The choice of experts is the forward's. Weight gradients only where something trains.
 */
import { runAttention } from '../model/attention';
import type { Block, ClosedForm, Moe, Parts, Weights } from '../model/family';
import { unitName } from '../protocol/tensors';
import { discard, inScope, read, readInto, uploadMatrix } from '../tensor/host';
import { exactProducts } from '../tensor/precision';
import { replaying } from '../tensor/replay';
import { add, grads, mul, sum, type Tensor, type Tensor2D } from '../tensor/tf';
import { addInto, addRows, attentionRows, blockRows, cutSpans, eachBlock, takeRows, workRoom } from './blocks';
import { breathe } from './breath';
import { changedFrom, isBelow, type Place } from './components';
import { blockForward, type EachBlock, type ExpertOutputs, eachExpertBlock, gatesAt, type LayerRouting, onSpan, tokensByExpert } from './forward';
import type { KeptForward, KeptLayer } from './kept-forward';
import { attentionPiece, expertPiece, type KeptPiece, type KeptProducts, sharedPiece } from './kept-products';
import type { Conditions, OpenModel } from './model';
import type { PackedBatch } from './packing';
import { addPartGradient, gradientOf, namesOfTrained, partsTrain, unitsOnTape, type WeightGradients } from './weight-gradients';

/** Runs `body` with what a block's closed gradient needs of its forward: kept since then, or computed again. */
function withInner(
  closed: ClosedForm,
  w: Weights,
  x: () => Tensor2D,
  from: number,
  kept: KeptPiece | undefined,
  body: (inner: readonly Tensor2D[]) => void,
): void {
  const own = kept?.take(from);
  inScope(() => body(own ? (own as readonly Tensor2D[]) : closed.inner(w, x())));
  own?.forEach(discard);
}

/** Vector-Jacobian product of a row-wise block: dy `[T, d]` -> dx `[T, d]`, null where only the weights' gradients are wanted. */
async function pullBackBlock(
  model: OpenModel,
  block: Block,
  x: Float32Array,
  dy: Float32Array,
  conditions: Conditions,
  weights: WeightGradients,
  wantInput: boolean,
  kept?: KeptPiece,
): Promise<Float32Array | null> {
  const d = model.shape.hiddenSize;
  const dx = wantInput ? new Float32Array(x.length) : null;
  const parts = namesOfTrained(block.parts, weights.trained);
  if (!dx && parts.size === 0) return null;
  const { closed } = block;
  const lease = await model.weights.lease(block.parts, conditions.overlay);
  const units = closed ? null : await unitsOnTape(model, block.parts, weights, conditions.overlay);
  try {
    await eachBlock(x.length / d, blockRows(block.parts, 3), async (from, to) => {
      const upload = (stream: Float32Array) => uploadMatrix(stream.subarray(from * d, to * d), to - from, d);
      const into = (result: Tensor) => {
        if (dx) readInto(result, dx.subarray(from * d, to * d));
      };
      if (closed) {
        let inputs: Tensor2D | null = null;
        const rows = () => {
          inputs ??= upload(x);
          return inputs;
        };
        withInner(closed, lease.w, rows, from, kept, (inner) => {
          const result = closed.pullBack(lease.w, rows, inner, upload(dy), null, { input: wantInput, parts });
          if (dx) into(result.input as Tensor2D);
          for (const [part, values] of result.parts) addPartGradient(model, weights.gradients, block.parts[part], values);
        });
      } else if (units) {
        inScope(() => {
          const run = (rows: Tensor2D, own: readonly Tensor[]) => block.run({ ...lease.w, ...units.parts(own) }, rows);
          const rows = upload(x);
          if (dx) {
            const [dRows, ...own] = grads((first, ...rest) => run(first as Tensor2D, rest))([rows, ...units.tensors], upload(dy));
            into(dRows);
            units.add(own);
          } else units.add(grads((...own) => run(rows, own))([...units.tensors], upload(dy)));
        });
      }
      await breathe(conditions.signal);
    });
  } finally {
    units?.release();
    lease.release();
  }
  return dx;
}

/** Attention with its residual: dy `[T, d]` at its exit -> dx at its entrance. Kept results stand for its operations only where none of its weights train. */
export async function pullBackAttention(
  model: OpenModel,
  layer: number,
  batch: PackedBatch,
  x: Float32Array,
  dy: Float32Array,
  conditions: Conditions,
  weights: WeightGradients,
  kept?: KeptPiece,
): Promise<Float32Array> {
  const d = model.shape.hiddenSize;
  const { attention } = model.layers[layer];
  const dx = new Float32Array(x.length);
  const trains = partsTrain(attention.parts, weights.trained);
  const lease = await model.weights.lease(attention.parts, conditions.overlay);
  const units = trains ? await unitsOnTape(model, attention.parts, weights, conditions.overlay) : null;
  try {
    for (const span of cutSpans(batch.spans, attentionRows(attention.parts, 3))) {
      const rows = span.count * span.length;
      const results = kept?.take(span.start);
      onSpan(attention, span, x, d, dx, (own, rotation, mask) => {
        const dOwn = uploadMatrix(dy.subarray(span.start * d, (span.start + rows) * d), rows, d);
        const run = grads((input, ...trained) =>
          runAttention(attention, units ? { ...lease.w, ...units.parts(trained) } : lease.w, input as Tensor2D, rotation, mask, span.count),
        );
        if (units) {
          const [dInput, ...dUnits] = run([own, ...units.tensors], dOwn);
          units.add(dUnits);
          return dInput;
        }
        return results ? replaying(results, () => run([own], dOwn)[0]) : run([own], dOwn)[0];
      });
      results?.forEach(discard);
      await breathe(conditions.signal);
    }
  } finally {
    units?.release();
    lease.release();
  }
  return dx;
}

/** A router's products, whatever the precision. */
const exactInScope = (body: () => void): void => exactProducts(() => inScope(body));

/** Router: gradients of gates `[T, K]` and scores `[T, E]` back to its inputs u and its trained units. */
async function pullBackRouter(
  model: OpenModel,
  moe: Moe,
  routing: LayerRouting,
  dGates: Float32Array,
  dScores: Float32Array | null,
  du: Float32Array | null,
  weights: WeightGradients,
  conditions: Conditions,
): Promise<void> {
  const d = model.shape.hiddenSize;
  const { router, experts } = moe;
  const { topK } = router;
  if (!du && !partsTrain(router.parts, weights.trained)) return;
  const forbidden = conditions.forbidden.get(routing.layer) ?? null;
  const lease = await model.weights.lease(router.parts, conditions.overlay);
  const units = await unitsOnTape(model, router.parts, weights, conditions.overlay);
  try {
    await eachBlock(routing.u.length / d, blockRows(router.parts, 3), (from, to) => {
      exactInScope(() => {
        const rows = to - from;
        const inputs = uploadMatrix(routing.u.subarray(from * d, to * d), rows, d);
        const gateWeights = uploadMatrix(dGates.subarray(from * topK, to * topK), rows, topK);
        const scoreWeights = dScores ? uploadMatrix(dScores.subarray(from * experts, to * experts), rows, experts) : null;
        const chosen = routing.choice.subarray(from * topK, to * topK);
        const weighted = (u: Tensor2D, trainedUnits: readonly Tensor[]) => {
          const logits = router.logits({ ...lease.w, ...units.parts(trainedUnits) }, u, forbidden);
          const scores = router.scores(logits);
          const fromGates = sum(mul(router.gates(logits, scores, chosen, forbidden), gateWeights));
          return scoreWeights ? add(fromGates, sum(mul(scores, scoreWeights))) : fromGates;
        };
        if (!du) return units.add(grads((...rest) => weighted(inputs, rest))([...units.tensors]));
        const [dInputs, ...dUnits] = grads((u, ...rest) => weighted(u as Tensor2D, rest))([inputs, ...units.tensors]);
        addInto(du.subarray(from * d, to * d), read(dInputs));
        units.add(dUnits);
      });
    });
  } finally {
    units.release();
    lease.release();
  }
  await breathe(conditions.signal);
}

/** One expert on its tokens, by its closed form: gradients of its gates, its inputs and its trained units. */
async function pullBackClosed(
  model: OpenModel,
  block: Block,
  closed: ClosedForm,
  routing: LayerRouting,
  list: { rows: Int32Array; slots: Int32Array },
  dy: Float32Array,
  dGates: Float32Array,
  du: Float32Array | null,
  weights: WeightGradients,
  conditions: Conditions,
  kept: KeptPiece | undefined,
): Promise<void> {
  const d = model.shape.hiddenSize;
  const parts = namesOfTrained(block.parts, weights.trained);
  const lease = await model.weights.lease(block.parts, conditions.overlay);
  try {
    await eachBlock(list.rows.length, blockRows(block.parts, 3), async (from, to) => {
      const rows = list.rows.subarray(from, to);
      const slots = list.slots.subarray(from, to);
      const size = rows.length * d;
      const taken = (stream: Float32Array, place: 0 | 1) => uploadMatrix(takeRows(stream, rows, d, workRoom(place, size)), rows.length, d);
      let inputs: Tensor2D | null = null;
      const x = () => {
        inputs ??= taken(routing.u, 0);
        return inputs;
      };
      withInner(closed, lease.w, x, from, kept, (inner) => {
        const gates = uploadMatrix(gatesAt(routing, slots), rows.length, 1);
        const result = closed.pullBack(lease.w, x, inner, taken(dy, 1), gates, { input: du !== null, parts });
        read(result.scale as Tensor2D).forEach((value, i) => {
          dGates[slots[i]] = value;
        });
        if (du) {
          const dInputs = workRoom(0, size);
          readInto(result.input as Tensor2D, dInputs);
          addRows(du, rows, dInputs, d);
        }
        for (const [part, values] of result.parts) addPartGradient(model, weights.gradients, block.parts[part], values);
      });
      await breathe(conditions.signal);
    });
  } finally {
    lease.release();
  }
}

/** The same on the tape, for blocks without a closed form. */
async function pullBackExpert(
  model: OpenModel,
  block: Block,
  routing: LayerRouting,
  list: { rows: Int32Array; slots: Int32Array },
  dy: Float32Array,
  dGates: Float32Array,
  du: Float32Array | null,
  weights: WeightGradients,
  conditions: Conditions,
): Promise<void> {
  const d = model.shape.hiddenSize;
  const lease = await model.weights.lease(block.parts, conditions.overlay);
  const units = await unitsOnTape(model, block.parts, weights, conditions.overlay);
  try {
    const most = blockRows(block.parts, 3);
    for (let from = 0; from < list.rows.length; from += most) {
      const rows = list.rows.subarray(from, from + most);
      const slots = list.slots.subarray(from, from + most);
      const size = rows.length * d;
      inScope(() => {
        const inputs = uploadMatrix(takeRows(routing.u, rows, d, workRoom(0, size)), rows.length, d);
        const gates = uploadMatrix(gatesAt(routing, slots), rows.length, 1);
        const dOut = uploadMatrix(takeRows(dy, rows, d, workRoom(1, size)), rows.length, d);
        const output = (x: Tensor2D, gate: Tensor, trainedUnits: readonly Tensor[]) => mul(block.run({ ...lease.w, ...units.parts(trainedUnits) }, x), gate);
        const results = du
          ? grads((gate, x, ...rest) => output(x as Tensor2D, gate, rest))([gates, inputs, ...units.tensors], dOut)
          : grads((gate, ...rest) => output(inputs, gate, rest))([gates, ...units.tensors], dOut);
        read(results[0]).forEach((value, i) => {
          dGates[slots[i]] = value;
        });
        if (du) {
          const dInputs = workRoom(0, size);
          readInto(results[1], dInputs);
          addRows(du, rows, dInputs, d);
        }
        units.add(results.slice(du ? 2 : 1));
      });
      await breathe(conditions.signal);
    }
  } finally {
    units.release();
    lease.release();
  }
}

/** Inner product of d values of a from `i` on with those of b from `j` on. */
function rowProduct(a: Float32Array, i: number, b: Float32Array, j: number, d: number): number {
  let sum = 0;
  for (let k = 0; k < d; k++) sum += a[i + k] * b[j + k];
  return sum;
}

export interface FeedPullBack extends WeightGradients {
  /** Gradient with respect to the affinities `[T, E]` (anchor), added at the router. */
  readonly dScores?: Float32Array;
  /** What is leased after it. */
  readonly next?: readonly Parts[];
  /** Also the gradient at the feed-forward's entrance; false where nothing below it trains. */
  readonly wantInput: boolean;
  /** Products that the layer's forward kept. */
  readonly products?: KeptProducts;
  /** Outputs of frozen experts, where they are kept: enough for the gates' gradient when the input's is not wanted. */
  readonly outputs?: ExpertOutputs;
}

/** Feed-forward with its residual: dy `[T, d]` at its exit -> dx at its entrance (null if not wanted). */
export async function pullBackFeed(
  model: OpenModel,
  kept: KeptLayer,
  dy: Float32Array,
  conditions: Conditions,
  options: FeedPullBack,
): Promise<Float32Array | null> {
  const d = model.shape.hiddenSize;
  const { feed } = model.layers[kept.layer];
  const { trained, wantInput } = options;
  const entrance = () => {
    if (!kept.feedEntrance) throw new Error(`The entrance of layer ${kept.layer}'s feed-forward was not kept.`);
    return kept.feedEntrance;
  };
  // The norm's own gradient comes from that of what it gives.
  const wantNormed = wantInput || partsTrain(feed.norm.parts, trained);
  const throughNorm = async (du: Float32Array): Promise<Float32Array | null> => {
    const dx = await pullBackBlock(model, feed.norm, entrance(), du, conditions, options, wantInput);
    if (dx) addInto(dx, dy);
    return dx;
  };
  const shared = options.products?.piece(sharedPiece);
  if (feed.kind === 'dense') {
    if (!wantNormed && !partsTrain(feed.block.parts, trained)) return null;
    model.weights.ahead([feed.norm.parts, feed.block.parts, ...(options.next ?? [])], conditions.overlay);
    const u = await blockForward(model.weights, feed.norm, entrance(), d, conditions);
    const du = await pullBackBlock(model, feed.block, u, dy, conditions, options, wantNormed, shared);
    return du && throughNorm(du);
  }
  const routing = kept.routing;
  if (!routing) throw new Error(`No routing was kept for layer ${kept.layer}.`);
  const du = wantNormed ? new Float32Array(routing.u.length) : null;
  const dGates = new Float32Array(routing.gates.length);
  const routerTrains = partsTrain(feed.router.parts, trained);
  const lists = tokensByExpert(routing.choice, feed.router.topK, feed.experts);
  if (du) {
    const chosen = lists.flatMap(({ rows }, e) => (rows.length > 0 ? [feed.expert(e).parts] : []));
    model.weights.ahead(
      [...chosen, feed.router.parts, ...(feed.shared ? [feed.shared.parts] : []), feed.norm.parts, ...(options.next ?? [])],
      conditions.overlay,
    );
  }
  for (let e = 0; e < feed.experts; e++) {
    const list = lists[e];
    if (list.rows.length === 0) continue;
    const block = feed.expert(e);
    if (du || partsTrain(block.parts, trained)) {
      const kept = options.products?.piece(expertPiece(e));
      if (block.closed) await pullBackClosed(model, block, block.closed, routing, list, dy, dGates, du, options, conditions, kept);
      else await pullBackExpert(model, block, routing, list, dy, dGates, du, options, conditions);
    } else if (routerTrains) {
      const each = (i: number, values: Float32Array, at: number) => {
        dGates[list.slots[i]] = rowProduct(dy, list.rows[i] * d, values, at, d);
      };
      const compute = (rows: Int32Array, own: EachBlock) =>
        eachExpertBlock(model.weights, block, routing.u, rows, d, conditions.overlay, conditions.signal, own);
      if (options.outputs) await options.outputs(e, list.rows, compute, each);
      else
        await compute(list.rows, (values, from, to) => {
          for (let i = from; i < to; i++) each(i, values, (i - from) * d);
        });
    }
  }
  await pullBackRouter(model, feed, routing, dGates, options.dScores ?? null, du, options, conditions);
  const dShared = feed.shared && (await pullBackBlock(model, feed.shared, routing.u, dy, conditions, options, du !== null, shared));
  if (!du) return null;
  if (dShared) addInto(du, dShared);
  return throughNorm(du);
}

/** Gradient at the tokens' embeddings `[T, d]`, added to the rows they were taken from. */
function pullBackEmbedding(model: OpenModel, { ids }: PackedBatch, dx: Float32Array, gradients: WeightGradients['gradients']): void {
  const { embedding } = model.ends;
  addRows(gradientOf(model, gradients, embedding), ids, dx, model.shape.hiddenSize);
}

export interface PullBackOptions extends WeightGradients {
  /** The entrance of the lowest piece that trains; found where left out. */
  readonly from?: Place;
  /** Anchors: gradient with respect to the affinities of a layer. */
  readonly dScores: ReadonlyMap<number, Float32Array>;
  /** Kept outputs of frozen experts of the lowest layer. */
  readonly outputs?: ExpertOutputs;
  /** A gradient that enters at the exit of one kept layer (RMU). */
  readonly dAfter?: { readonly layer: number; readonly gradient: Float32Array };
  /** Counts layer executions, for tests that pin what a step runs. */
  readonly ran?: (layer: number, part: 'attention' | 'feed') => void;
}

/** From dy at the exit of the highest kept layer down to the lowest piece that trains: fills `gradients`. `kept` and `dy` are used up. */
export async function pullBack(
  model: OpenModel,
  batch: PackedBatch,
  kept: KeptForward,
  dy: Float32Array,
  conditions: Conditions,
  options: PullBackOptions,
): Promise<void> {
  const { trained, gradients } = options;
  const end = options.from ?? changedFrom(model, trained);
  let gradient = dy;
  for (let own = await kept.pop(); own; own = await kept.pop()) {
    const { layer, products } = own;
    if (isBelow({ layer, at: 'feed' }, end)) return;
    if (options.dAfter?.layer === layer) addInto(gradient, options.dAfter.gradient);
    options.ran?.(layer, 'feed');
    const atFeed = await pullBackFeed(model, own, gradient, conditions, {
      trained,
      gradients,
      dScores: options.dScores.get(layer),
      wantInput: isBelow(end, { layer, at: 'feed' }),
      next: [model.layers[layer].attention.parts],
      products,
      outputs: kept.size() === 0 ? options.outputs : undefined,
    });
    if (!atFeed) return;
    if (!own.entrance) throw new Error(`The entrance of layer ${layer} was not kept.`);
    options.ran?.(layer, 'attention');
    gradient = await pullBackAttention(model, layer, batch, own.entrance, atFeed, conditions, options, products?.piece(attentionPiece));
    if (!isBelow(end, { layer, at: 'attention' })) return;
  }
  if (trained.has(unitName(model.ends.embedding))) pullBackEmbedding(model, batch, gradient, gradients);
}
