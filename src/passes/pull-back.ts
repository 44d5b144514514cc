/**
 * Backward through layers, part by part: each part is run again on the tape for its own input gradient (a vector-Jacobian
 * product) and forgotten. The choice of experts is the forward's. Weight gradients only where something trains.
 */
import { runAttention } from '../model/attention';
import type { Block, ClosedForm, Moe, Parts, WantedGradients, Weights } from '../model/family';
import { elementCount, type HostTensor, type TensorRef, unitName } from '../protocol/tensors';
import { discard, inScope, read, readInto, uploadMatrix } from '../tensor/host';
import { replaying } from '../tensor/replay';
import { add, grads, mul, slice, sum, type Tensor, type Tensor2D } from '../tensor/tf';
import { addInto, addRows, attentionRows, blockRows, cutSpans, eachBlock, takeRows, workRoom } from './blocks';
import { breathe } from './breath';
import { blockForward, type EachBlock, type ExpertOutputs, eachExpertBlock, gatesAt, type LayerRouting, onSpan, tokensByExpert } from './forward';
import type { KeptForward, KeptLayer } from './kept-forward';
import { attentionPiece, expertPiece, type KeptPiece, type KeptProducts, sharedPiece } from './kept-products';
import type { Conditions, OpenModel } from './model';
import type { PackedBatch } from './packing';

/** Gradients by unit name, summed over everything pulled back so far. */
export type UnitGradients = Map<string, HostTensor>;

/** `values` becomes the gradient's own. */
function addGradient(gradients: UnitGradients, unit: string, shape: readonly number[], values: Float32Array): void {
  const known = gradients.get(unit);
  if (known) addInto(known.values, values);
  else gradients.set(unit, { shape, values });
}

/** The trained units among a piece's parts, and how each part is cut from its unit. */
function trainedParts(
  model: OpenModel,
  parts: Parts,
  trained: ReadonlySet<string>,
): { units: TensorRef[]; weights: (own: readonly Tensor[]) => Record<string, Tensor> } {
  const units = new Map<string, TensorRef>();
  for (const ref of Object.values(parts)) if (trained.has(unitName(ref))) units.set(unitName(ref), model.weights.unitOf(ref));
  const names = [...units.keys()];
  return {
    units: [...units.values()],
    weights: (own) =>
      Object.fromEntries(
        Object.entries(parts)
          .filter(([, ref]) => units.has(unitName(ref)))
          .map(([part, ref]) => {
            const unit = own[names.indexOf(unitName(ref))];
            if (!ref.rows) return [part, unit];
            const [from, to] = ref.rows;
            return [part, slice(unit, [from, ...ref.shape.slice(1).map(() => 0)], [to - from, ...ref.shape.slice(1)])];
          }),
      ),
  };
}

const noParts: WantedGradients = { input: true, parts: new Set() };

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

/** Vector-Jacobian product of a row-wise block: dy `[T, d]` -> dx `[T, d]`. */
async function pullBackBlock(
  model: OpenModel,
  block: Block,
  x: Float32Array,
  dy: Float32Array,
  conditions: Conditions,
  kept?: KeptPiece,
): Promise<Float32Array> {
  const d = model.shape.hiddenSize;
  const dx = new Float32Array(x.length);
  const lease = await model.weights.lease(block.parts, conditions.overlay);
  try {
    await eachBlock(x.length / d, blockRows(block.parts, 3), async (from, to) => {
      const upload = (stream: Float32Array) => uploadMatrix(stream.subarray(from * d, to * d), to - from, d);
      const own = dx.subarray(from * d, to * d);
      const { closed } = block;
      if (closed) {
        withInner(
          closed,
          lease.w,
          () => upload(x),
          from,
          kept,
          (inner) => readInto(closed.pullBack(lease.w, () => upload(x), inner, upload(dy), null, noParts).input as Tensor2D, own),
        );
      } else inScope(() => readInto(grads((rows) => block.run(lease.w, rows as Tensor2D))([upload(x)], upload(dy))[0], own));
      await breathe(conditions.signal);
    });
  } finally {
    lease.release();
  }
  return dx;
}

/** Attention with its residual: dy `[T, d]` at its exit -> dx at its entrance. */
export async function pullBackAttention(
  model: OpenModel,
  layer: number,
  batch: PackedBatch,
  x: Float32Array,
  dy: Float32Array,
  conditions: Conditions,
  kept?: KeptPiece,
): Promise<Float32Array> {
  const d = model.shape.hiddenSize;
  const { attention } = model.layers[layer];
  const dx = new Float32Array(x.length);
  const lease = await model.weights.lease(attention.parts, conditions.overlay);
  try {
    for (const span of cutSpans(batch.spans, attentionRows(attention.parts, 3))) {
      const rows = span.count * span.length;
      const results = kept?.take(span.start);
      onSpan(attention, span, x, d, dx, (own, rotation, mask) => {
        const dOwn = uploadMatrix(dy.subarray(span.start * d, (span.start + rows) * d), rows, d);
        const run = grads((input) => runAttention(attention, lease.w, input as Tensor2D, rotation, mask, span.count));
        return results ? replaying(results, () => run([own], dOwn)[0]) : run([own], dOwn)[0];
      });
      results?.forEach(discard);
      await breathe(conditions.signal);
    }
  } finally {
    lease.release();
  }
  return dx;
}

/** Router: gradients of gates `[T, K]` and scores `[T, E]` back to its inputs u and its trained units. */
async function pullBackRouter(
  model: OpenModel,
  moe: Moe,
  routing: LayerRouting,
  dGates: Float32Array,
  dScores: Float32Array | null,
  trained: ReadonlySet<string>,
  du: Float32Array | null,
  gradients: UnitGradients,
  conditions: Conditions,
): Promise<void> {
  const d = model.shape.hiddenSize;
  const { router, experts } = moe;
  const { topK } = router;
  const own = trainedParts(model, router.parts, trained);
  if (!du && own.units.length === 0) return;
  const forbidden = conditions.forbidden.get(routing.layer) ?? null;
  const lease = await model.weights.lease(router.parts, conditions.overlay);
  const unitLease = await model.weights.lease(Object.fromEntries(own.units.map((unit) => [unitName(unit), unit])), conditions.overlay);
  const units = own.units.map((unit) => unitLease.w[unitName(unit)]);
  try {
    await eachBlock(routing.u.length / d, blockRows(router.parts, 3), (from, to) => {
      const results = inScope(() => {
        const rows = to - from;
        const inputs = uploadMatrix(routing.u.subarray(from * d, to * d), rows, d);
        const gateWeights = uploadMatrix(dGates.subarray(from * topK, to * topK), rows, topK);
        const scoreWeights = dScores ? uploadMatrix(dScores.subarray(from * experts, to * experts), rows, experts) : null;
        const chosen = routing.choice.subarray(from * topK, to * topK);
        const weighted = (u: Tensor2D, trainedUnits: readonly Tensor[]) => {
          const logits = router.logits({ ...lease.w, ...own.weights(trainedUnits) }, u, forbidden);
          const scores = router.scores(logits);
          const fromGates = sum(mul(router.gates(logits, scores, chosen, forbidden), gateWeights));
          return scoreWeights ? add(fromGates, sum(mul(scores, scoreWeights))) : fromGates;
        };
        return du
          ? grads((u, ...rest) => weighted(u as Tensor2D, rest))([inputs, ...units]).map(read)
          : grads((...rest) => weighted(inputs, rest))(units).map(read);
      });
      if (du) addInto(du.subarray(from * d, to * d), results[0]);
      own.units.forEach((unit, i) => {
        addGradient(gradients, unitName(unit), unit.shape, results[du ? i + 1 : i]);
      });
    });
  } finally {
    unitLease.release();
    lease.release();
  }
  await breathe(conditions.signal);
}

/** Adds the gradient of one part to that of the unit it is cut from. */
function addPartGradient(model: OpenModel, gradients: UnitGradients, ref: TensorRef, values: Tensor): void {
  const unit = model.weights.unitOf(ref);
  const own = workRoom(0, values.size);
  readInto(values, own);
  let known = gradients.get(unitName(ref));
  if (!known) {
    known = { shape: unit.shape, values: new Float32Array(elementCount(unit.shape)) };
    gradients.set(unitName(ref), known);
  }
  const first = (ref.rows?.[0] ?? 0) * (values.size / ref.shape[0]);
  addInto(known.values.subarray(first, first + values.size), own);
}

/** One expert on its tokens, by its closed form: gradients of its gates, its inputs and its trained units. */
async function pullBackClosed(
  model: OpenModel,
  block: Block,
  closed: ClosedForm,
  routing: LayerRouting,
  list: { rows: Int32Array; slots: Int32Array },
  dy: Float32Array,
  trained: ReadonlySet<string>,
  dGates: Float32Array,
  du: Float32Array | null,
  gradients: UnitGradients,
  conditions: Conditions,
  kept: KeptPiece | undefined,
): Promise<void> {
  const d = model.shape.hiddenSize;
  const parts = new Set(Object.entries(block.parts).flatMap(([part, ref]) => (trained.has(unitName(ref)) ? [part] : [])));
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
        for (const [part, values] of result.parts) addPartGradient(model, gradients, block.parts[part], values);
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
  trained: ReadonlySet<string>,
  dGates: Float32Array,
  du: Float32Array | null,
  gradients: UnitGradients,
  conditions: Conditions,
): Promise<void> {
  const d = model.shape.hiddenSize;
  const own = trainedParts(model, block.parts, trained);
  const lease = await model.weights.lease(block.parts, conditions.overlay);
  const unitLease = await model.weights.lease(Object.fromEntries(own.units.map((unit) => [unitName(unit), unit])), conditions.overlay);
  const units = own.units.map((unit) => unitLease.w[unitName(unit)]);
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
        const output = (x: Tensor2D, gate: Tensor, trainedUnits: readonly Tensor[]) => mul(block.run({ ...lease.w, ...own.weights(trainedUnits) }, x), gate);
        const results = du
          ? grads((gate, x, ...rest) => output(x as Tensor2D, gate, rest))([gates, inputs, ...units], dOut)
          : grads((gate, ...rest) => output(inputs, gate, rest))([gates, ...units], dOut);
        read(results[0]).forEach((value, i) => {
          dGates[slots[i]] = value;
        });
        if (du) {
          const dInputs = workRoom(0, size);
          readInto(results[1], dInputs);
          addRows(du, rows, dInputs, d);
        }
        own.units.forEach((unit, i) => {
          addGradient(gradients, unitName(unit), unit.shape, read(results[(du ? 2 : 1) + i]));
        });
      });
      await breathe(conditions.signal);
    }
  } finally {
    unitLease.release();
    lease.release();
  }
}

/** Inner product of d values of a from `i` on with those of b from `j` on. */
function rowProduct(a: Float32Array, i: number, b: Float32Array, j: number, d: number): number {
  let sum = 0;
  for (let k = 0; k < d; k++) sum += a[i + k] * b[j + k];
  return sum;
}

export interface FeedPullBack {
  readonly trained: ReadonlySet<string>;
  readonly gradients: UnitGradients;
  /** Gradient with respect to the affinities `[T, E]` (anchor), added at the router. */
  readonly dScores?: Float32Array;
  /** What is leased after it. */
  readonly next?: readonly Parts[];
  /** Also the gradient at the feed-forward's entrance; false at the lowest target layer. */
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
  const { trained, gradients, wantInput } = options;
  const entrance = () => {
    if (!kept.feedEntrance) throw new Error(`The entrance of layer ${kept.layer}'s feed-forward was not kept.`);
    return kept.feedEntrance;
  };
  if (feed.kind === 'dense') {
    if (!wantInput) return null;
    model.weights.ahead([feed.norm.parts, feed.block.parts, ...(options.next ?? [])], conditions.overlay);
    const u = await blockForward(model.weights, feed.norm, entrance(), d, conditions);
    const du = await pullBackBlock(model, feed.block, u, dy, conditions, options.products?.piece(sharedPiece));
    const dx = await pullBackBlock(model, feed.norm, entrance(), du, conditions);
    addInto(dx, dy);
    return dx;
  }
  const routing = kept.routing;
  if (!routing) throw new Error(`No routing was kept for layer ${kept.layer}.`);
  const du = wantInput ? new Float32Array(routing.u.length) : null;
  const dGates = new Float32Array(routing.gates.length);
  const routerTrains = Object.values(feed.router.parts).some((ref) => trained.has(unitName(ref)));
  const lists = tokensByExpert(routing.choice, feed.router.topK, feed.experts);
  if (wantInput) {
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
    const expertTrains = Object.values(block.parts).some((ref) => trained.has(unitName(ref)));
    if (wantInput || expertTrains) {
      const kept = options.products?.piece(expertPiece(e));
      if (block.closed) await pullBackClosed(model, block, block.closed, routing, list, dy, trained, dGates, du, gradients, conditions, kept);
      else await pullBackExpert(model, block, routing, list, dy, trained, dGates, du, gradients, conditions);
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
  await pullBackRouter(model, feed, routing, dGates, options.dScores ?? null, trained, du, gradients, conditions);
  if (!du) return null;
  if (feed.shared) addInto(du, await pullBackBlock(model, feed.shared, routing.u, dy, conditions, options.products?.piece(sharedPiece)));
  const dx = await pullBackBlock(model, feed.norm, entrance(), du, conditions);
  addInto(dx, dy);
  return dx;
}

export interface PullBackOptions {
  readonly trained: ReadonlySet<string>;
  readonly gradients: UnitGradients;
  /** Anchors: gradient with respect to the affinities of a layer. */
  readonly dScores: ReadonlyMap<number, Float32Array>;
  /** Kept outputs of frozen experts of the lowest layer. */
  readonly outputs?: ExpertOutputs;
  /** A gradient that enters at the exit of one kept layer (RMU). */
  readonly dAfter?: { readonly layer: number; readonly gradient: Float32Array };
  /** Counts layer executions, for tests that pin what a step runs. */
  readonly ran?: (layer: number, part: 'attention' | 'feed') => void;
}

/** From dy at the exit of the highest kept layer down to the feed-forward of the lowest: fills `gradients`. `kept` and `dy` are used up. */
export async function pullBack(
  model: OpenModel,
  batch: PackedBatch,
  kept: KeptForward,
  dy: Float32Array,
  conditions: Conditions,
  options: PullBackOptions,
): Promise<void> {
  let gradient = dy;
  for (let own = await kept.pop(); own; own = await kept.pop()) {
    if (options.dAfter?.layer === own.layer) addInto(gradient, options.dAfter.gradient);
    const lowest = kept.size() === 0;
    options.ran?.(own.layer, 'feed');
    const atFeed = await pullBackFeed(model, own, gradient, conditions, {
      trained: options.trained,
      gradients: options.gradients,
      dScores: options.dScores.get(own.layer),
      wantInput: !lowest,
      next: [model.layers[own.layer].attention.parts],
      products: own.products,
      outputs: lowest ? options.outputs : undefined,
    });
    if (lowest || !atFeed) return;
    if (!own.entrance) throw new Error(`The entrance of layer ${own.layer} was not kept.`);
    options.ran?.(own.layer, 'attention');
    gradient = await pullBackAttention(model, own.layer, batch, own.entrance, atFeed, conditions, own.products?.piece(attentionPiece));
  }
}
