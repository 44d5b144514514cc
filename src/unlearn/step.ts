/** One training step: forward from the target layer on, losses, pull back, AdamW. The rest of the model is constants. */
import { expertSlots, keptSlots } from '../attribution/routing';
import { addInto, addRows, takeRows } from '../passes/blocks';
import { attentionForward, embed, feedForward, type LayerRouting, moeForward } from '../passes/forward';
import type { FrozenOutputs } from '../passes/frozen-outputs';
import { klDivergence, pullBackTargets, scoreTargets } from '../passes/head';
import { type KeptForward, type KeptLayer, keptForward, keptShare } from '../passes/kept-forward';
import { attentionPiece, expertPiece, type KeptProducts, keptProducts, layersToKeep, productRoom, stepSize } from '../passes/kept-products';
import { asStored, type Conditions, type OpenModel } from '../passes/model';
import { type PackedBatch, pack, targetsOf } from '../passes/packing';
import { pullBack } from '../passes/pull-back';
import { partsTrain, type UnitGradients } from '../passes/weight-gradients';
import type { ResolvedRecipe } from '../protocol/recipe';
import type { StepRecord, Target } from '../protocol/records';
import { type HostTensor, type TensorRef, unitName } from '../protocol/tensors';
import type { Overlay } from '../weights/store';
import { clipped, type OptimizerState, update } from './adamw';
import { anchor } from './anchor';
import { batchAt, microBatches } from './batches';
import type { BatchTotals, SequenceBatch } from './loss';
import { forgetLoss } from './methods';
import type { Parametrisation, Params } from './parametrisation';
import { retainNll } from './retain';
import { rmu } from './rmu';
import { learningRate } from './schedule';
import { expertsByLayer, type StepRange, streamsOf, type TrainingRows, type TrainingSet, usesRetain } from './training-set';

/** What moves during a run. `step` counts updates made. */
export interface TrainState {
  readonly step: number;
  readonly params: ReadonlyMap<string, Float32Array>;
  readonly optimizer: OptimizerState;
}

/** Everything a step needs that does not move. */
export interface Training {
  readonly model: OpenModel;
  readonly recipe: ResolvedRecipe;
  readonly target: Target;
  readonly rows: TrainingRows;
  /** Steps whose rows `set` holds. */
  readonly steps: StepRange;
  readonly set: TrainingSet;
  /** Weights of the checkpoint that move. */
  readonly units: readonly TensorRef[];
  /** What the optimizer moves, and how it makes those weights. */
  readonly parametrisation: Parametrisation;
  /** GRIP: what stands for updated parameters, so that retain inputs are routed as before; null where nothing is held. */
  readonly holdRouting: ((params: Params) => Map<string, Float32Array>) | null;
  /** Experts of the lowest layer that train. */
  readonly trainedHere: ReadonlySet<number>;
  /** RMU's c * u `[d]`, else null. */
  readonly control: Float32Array | null;
  readonly frozen: FrozenOutputs;
  /** What the run starts from besides the checkpoint; untrained units of it stay. */
  readonly overlay: Overlay;
  readonly ran?: (layer: number, part: 'attention' | 'feed') => void;
  /** Bytes for products that a step keeps from its forward for its pull-back; by the memory budget where left out. No number depends on it. */
  readonly productRoom?: number;
  /** Where streams of a step go that its memory has no room for; they stay in memory where left out. */
  readonly spillFolder?: string;
  /** Bytes of streams that stay in memory; by the memory budget where left out. No number depends on it. */
  readonly streamRoom?: number;
}

/** Parts of the loss, each with its weight; `gradients` asks which of them to pull back together. */
export type LossPart = 'forget' | 'retain' | 'anchor';
const allParts: readonly LossPart[] = ['forget', 'retain', 'anchor'];

export interface Evaluation {
  readonly forget: number;
  readonly retain: number;
  readonly anchor: number;
  /** Gradients of the sum of the wanted parts, by unit. */
  readonly gradients: UnitGradients;
  readonly targetShare: number;
  readonly overlapForget: number | null;
  readonly overlapRetain: number | null;
}

/** Counts over the whole batch, so that micro-batches add up. */
interface Totals {
  readonly forget: BatchTotals & { readonly all: number };
  readonly retain: BatchTotals & { readonly all: number };
}

const overlayOf = (training: Training, params: ReadonlyMap<string, Float32Array>): Overlay => {
  const overlay = new Map<string, HostTensor>(training.overlay);
  for (const [unit, values] of training.parametrisation.overlay(params)) overlay.set(unit, values);
  return overlay;
};

function totalsOf(set: TrainingSet, members: { forget: readonly number[]; retain: readonly number[] }): Totals {
  const count = (positions: readonly number[]) =>
    positions.reduce(
      (sum, z) => {
        const { ids, targetMask } = set.batch.sequences[z];
        return { tokens: sum.tokens + targetMask.reduce((targets, one) => targets + one, 0), sequences: sum.sequences + 1, all: sum.all + ids.length };
      },
      { tokens: 0, sequences: 0, all: 0 },
    );
  return { forget: count(members.forget), retain: count(members.retain) };
}

/** Rows of the sequences `from..to` of a batch, in their order. */
function rowsOf(batch: PackedBatch, from: number, to: number): Int32Array {
  const rows: number[] = [];
  for (let z = from; z < to; z++) for (let t = 0; t < batch.sequences[z].ids.length; t++) rows.push(batch.offsets[z] + t);
  return Int32Array.from(rows);
}

interface RoutingCounts {
  kept: { forget: number; retain: number };
  slots: { forget: number; retain: number };
  target: number;
}

/** Pieces of a layer whose products its pull-back takes: of the lowest the experts that train, elsewhere all but an attention in training. */
function piecesToKeep({ model, set, trainedHere }: Training, layer: number, trained: ReadonlySet<string>): (piece: string) => boolean {
  if (set.routed && layer === set.lowest) {
    const own = new Set([...trainedHere].map(expertPiece));
    return (piece) => own.has(piece);
  }
  const attentionTrains = partsTrain(model.layers[layer].attention.parts, trained);
  return (piece) => !(attentionTrains && piece === attentionPiece);
}

/** Forward, losses and gradients of one micro-batch. `members`: positions in the training set. `products`, `kept`: what it keeps, for the caller to release. */
async function microStep(
  training: Training,
  conditions: Conditions,
  members: { forget: readonly number[]; retain: readonly number[] },
  totals: Totals,
  parts: readonly LossPart[],
  gradients: UnitGradients,
  counts: Map<number, RoutingCounts>,
  products: Map<number, KeptProducts>,
  kept: KeptForward,
): Promise<{ forget: number; retain: number; anchor: number }> {
  const { model, recipe, set, target } = training;
  const d = model.shape.hiddenSize;
  const { topK, experts } = model.shape;
  const positions = [...members.forget, ...members.retain];
  const batch = pack(positions.map((z) => set.batch.sequences[z]));
  const storeRow = new Int32Array(batch.tokens);
  positions.forEach((z, i) => {
    for (let t = 0; t < set.batch.sequences[z].ids.length; t++) storeRow[batch.offsets[i] + t] = set.batch.offsets[z] + t;
  });
  const forgetRows = rowsOf(batch, 0, members.forget.length);
  const retainRows = rowsOf(batch, members.forget.length, positions.length);
  const targets = expertsByLayer(target.experts);

  const { routed } = set;
  const trained = new Set(training.units.map(unitName));
  const trainedHere = routed ? training.trainedHere : null;
  const outputs = routed ? training.frozen.forBatch((row) => storeRow[row], training.trainedHere) : undefined;
  const last = recipe.method === 'rmu' && recipe.retainLoss.kind === 'none' ? set.highest : model.shape.layers - 1;
  const keeping = layersToKeep(
    model.layers,
    set.lowest,
    last,
    trainedHere,
    stepSize(batch.sequences.map(({ ids }) => ids.length)),
    training.productRoom ?? productRoom(recipe.memory),
  );
  for (const layer of keeping.layers) products.set(layer, keptProducts(piecesToKeep(training, layer, trained)));
  const anchored: Pick<LayerRouting, 'layer' | 'scores' | 'choice'>[] = [];
  let afterTarget: Float32Array | null = null;
  let x: Float32Array = new Float32Array(0);
  if (!routed) x = set.entrance ? takeRows(set.entrance, storeRow, d) : await embed(model, batch.ids, conditions);
  for (let layer = set.lowest; layer <= last; layer++) {
    let known: Pick<KeptLayer, 'entrance' | 'feedEntrance'> = {};
    if (layer === set.lowest && set.start.at === 'feed') {
      if (!routed) known = { feedEntrance: x };
    } else {
      training.ran?.(layer, 'attention');
      known = { entrance: x, feedEntrance: await attentionForward(model, layer, batch, x, conditions, products.get(layer)?.piece(attentionPiece)) };
    }
    training.ran?.(layer, 'feed');
    const { y, routing } =
      routed && !known.feedEntrance
        ? await moeForward(model, layer, takeRows(routed.u, storeRow, d), async () => takeRows(routed.base, storeRow, d), conditions, {
            outputs,
            products: products.get(layer),
          })
        : await feedForward(model, layer, known.feedEntrance as Float32Array, conditions, { products: products.get(layer) });
    await kept.push({ layer, ...known, routing, products: products.get(layer) });
    x = y;
    if (layer === set.highest) afterTarget = y;
    if (routing && targets.has(layer)) anchored.push({ layer, scores: routing.scores, choice: routing.choice });
    if (routing) countRouting(counts, routing, set, storeRow, { forget: forgetRows, retain: retainRows }, topK, targets.get(layer) ?? []);
  }

  // Anchor: closed form on the affinities of the forget tokens.
  let anchorValue = 0;
  const dScores = new Map<number, Float32Array>();
  if (recipe.anchor.weight > 0 && forgetRows.length > 0) {
    for (const routing of anchored) {
      const own = targets.get(routing.layer) as number[];
      const probs = takeRows(routing.scores, forgetRows, experts);
      const chosen = Int32Array.from(
        { length: forgetRows.length * topK },
        (_, slot) => routing.choice[forgetRows[Math.floor(slot / topK)] * topK + (slot % topK)],
      );
      const term = anchor({ probs, chosen, experts, topK }, own, {
        form: recipe.anchor.form,
        weight: recipe.anchor.weight,
        totalTokens: totals.forget.all,
        layers: targets.size,
      });
      anchorValue += term.value;
      if (!parts.includes('anchor')) continue;
      const spread = new Float32Array(routing.scores.length);
      addRows(spread, forgetRows, term.dProbs, experts);
      dScores.set(routing.layer, spread);
    }
  }

  // Losses on log-probabilities: the coefficient of a sequence is that of each of its target tokens.
  const loss = forgetLoss(recipe);
  const nll = recipe.retainLoss.kind === 'nll' && recipe.retainLoss.weight > 0;
  let forgetValue = 0;
  let retainValue = 0;
  const dLast = new Float32Array(last === model.shape.layers - 1 ? x.length : 0);
  if (loss || nll) {
    const all = targetsOf(batch);
    const scores = await scoreTargets(model, x, all.rows, all.ids, conditions, { logits: true });
    const perSequence = (from: number, to: number): SequenceBatch => {
      const logp = new Float64Array(to - from);
      const count = new Int32Array(to - from);
      all.sequence.forEach((z, n) => {
        if (z < from || z >= to) return;
        logp[z - from] += scores.logp[n];
        count[z - from]++;
      });
      const reference = set.reference ? Float64Array.from({ length: to - from }, (_, i) => (set.reference as Float64Array)[positions[from + i]]) : null;
      return { logp, count, reference };
    };
    const coefficients = new Float64Array(positions.length);
    const split = members.forget.length;
    if (loss && split > 0) {
      const own = loss(perSequence(0, split), totals.forget);
      forgetValue = own.value;
      if (parts.includes('forget')) coefficients.set(own.dLogp);
    }
    if (nll && positions.length > split) {
      const own = retainNll(perSequence(split, positions.length), totals.retain, recipe.retainLoss.weight);
      retainValue += own.value;
      if (parts.includes('retain')) coefficients.set(own.dLogp, split);
    }
    const perTarget = Float64Array.from(all.sequence, (z) => coefficients[z]);
    addInto(dLast, await pullBackTargets(model, x, all.rows, all.ids, perTarget, scores.logSumExp, conditions, scores.logits, { trained, gradients }));
  }
  if (recipe.retainLoss.kind === 'kl' && recipe.retainLoss.weight > 0 && set.original.last && retainRows.length > 0) {
    const kl = await klDivergence(model, x, takeRows(set.original.last, storeRow, d), retainRows, recipe.retainLoss.weight / totals.retain.all, conditions);
    retainValue += kl.value;
    if (parts.includes('retain')) addInto(dLast, await kl.pullBack({ trained, gradients }));
  }

  // RMU: closed form on the hidden state after the highest target layer.
  let dAfterTarget: Float32Array | null = null;
  if (recipe.method === 'rmu' && afterTarget && set.original.afterTarget && training.control) {
    dAfterTarget = new Float32Array(afterTarget.length);
    if (forgetRows.length > 0) {
      const own = rmu.forgetValue(takeRows(afterTarget, forgetRows, d), training.control, totals.forget.all);
      forgetValue += own.value;
      if (parts.includes('forget')) addRows(dAfterTarget, forgetRows, own.dHidden, d);
    }
    const weight = recipe.methodOptions.retainWeight;
    if (weight > 0 && retainRows.length > 0) {
      const originalRows = takeRows(
        set.original.afterTarget,
        Array.from(retainRows, (row) => storeRow[row]),
        d,
      );
      const own = rmu.retainValue(takeRows(afterTarget, retainRows, d), originalRows, d, weight, totals.retain.all);
      retainValue += own.value;
      if (parts.includes('retain')) addRows(dAfterTarget, retainRows, own.dHidden, d);
    }
  }

  await pullBack(model, batch, kept, dLast.length > 0 ? dLast : new Float32Array(x.length), conditions, {
    trained,
    gradients,
    from: set.from,
    dScores,
    outputs,
    dAfter: dAfterTarget ? { layer: set.highest, gradient: dAfterTarget } : undefined,
    ran: training.ran,
  });
  return { forget: forgetValue, retain: retainValue, anchor: anchorValue };
}

function countRouting(
  counts: Map<number, RoutingCounts>,
  routing: LayerRouting,
  set: TrainingSet,
  storeRow: Int32Array,
  rows: { forget: Int32Array; retain: Int32Array },
  topK: number,
  targets: readonly number[],
): void {
  const own = counts.get(routing.layer) ?? { kept: { forget: 0, retain: 0 }, slots: { forget: 0, retain: 0 }, target: 0 };
  const original = set.choices.get(routing.layer);
  for (const name of ['forget', 'retain'] as const) {
    own.slots[name] += rows[name].length * topK;
    for (const row of rows[name]) {
      const now = routing.choice.subarray(row * topK, (row + 1) * topK);
      if (original) own.kept[name] += keptSlots(original.subarray(storeRow[row] * topK, (storeRow[row] + 1) * topK), now, topK);
      if (name === 'forget') for (const expert of targets) own.target += expertSlots(now, expert);
    }
  }
  counts.set(routing.layer, own);
}

/**
 * Overlap with the checkpoint's own choices, pooled over tokens per layer, mean over all MoE layers: those below the target choose as the
 * checkpoint does.
 */
function meanOverlap(counts: ReadonlyMap<number, RoutingCounts>, moeLayers: readonly number[], name: 'forget' | 'retain'): number | null {
  const values = moeLayers.map((layer) => {
    const own = counts.get(layer);
    return own ? (own.slots[name] > 0 ? own.kept[name] / own.slots[name] : Number.NaN) : 1;
  });
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Number.isNaN(mean) ? null : mean;
}

/** Losses at `params` on the batch of `step`, and gradients of the wanted parts. */
export async function evaluateStep(
  training: Training,
  params: ReadonlyMap<string, Float32Array>,
  step: number,
  parts: readonly LossPart[] = allParts,
  signal?: AbortSignal,
): Promise<Evaluation> {
  const { model, recipe, set, target } = training;
  if (step < training.steps.from || step > training.steps.to) throw new Error(`Step ${step} is not prepared.`);
  const streams = streamsOf(recipe, training.rows);
  const conditions: Conditions = { ...asStored, overlay: overlayOf(training, params), signal };
  const positionsOf = (name: 'forget' | 'retain') => batchAt(streams[name], step).map((row) => set.position[name].get(row) as number);
  const members = { forget: positionsOf('forget'), retain: usesRetain(recipe) ? positionsOf('retain') : [] };
  const totals = totalsOf(set, members);
  const cut = { forget: microBatches(members.forget, recipe.accumulate), retain: microBatches(members.retain, recipe.accumulate) };
  const gradients: UnitGradients = new Map();
  const counts = new Map<number, RoutingCounts>();
  const sums = { forget: 0, retain: 0, anchor: 0 };
  for (let i = 0; i < Math.max(cut.forget.length, cut.retain.length); i++) {
    const products = new Map<number, KeptProducts>();
    const kept = keptForward(training.streamRoom ?? recipe.memory * keptShare, training.spillFolder ?? null);
    const own = await microStep(
      training,
      conditions,
      { forget: cut.forget[i] ?? [], retain: cut.retain[i] ?? [] },
      totals,
      parts,
      gradients,
      counts,
      products,
      kept,
    ).finally(async () => {
      for (const layer of products.values()) layer.release();
      await kept.close();
    });
    sums.forget += own.forget;
    sums.retain += own.retain;
    sums.anchor += own.anchor;
  }
  const hidden = recipe.method === 'rmu';
  // What else a patch starts with may lie below the target, in layers that no step runs.
  const trained = new Set(training.units.map(unitName));
  const isUnknown = hidden || [...training.overlay.keys()].some((unit) => !trained.has(unit));
  const targetSlots = [...expertsByLayer(target.experts).keys()].reduce((sum, layer) => sum + (counts.get(layer)?.target ?? 0), 0);
  return {
    ...sums,
    gradients: training.parametrisation.gradients(gradients, params),
    targetShare: targetSlots / target.experts.length / totals.forget.all,
    overlapForget: isUnknown ? null : meanOverlap(counts, model.shape.moeLayers, 'forget'),
    overlapRetain: isUnknown || members.retain.length === 0 ? null : meanOverlap(counts, model.shape.moeLayers, 'retain'),
  };
}

/** A loop of its own: a call for each of millions of weights is what the update itself costs. */
export function isFiniteAll(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

const allFinite = (params: ReadonlyMap<string, Float32Array>): boolean => [...params.values()].every(isFiniteAll);

/** A step's record, and the state after its update; null where a loss, the gradient or an updated weight is not finite: then the old state holds. */
export async function takeStep(training: Training, state: TrainState, signal?: AbortSignal): Promise<{ record: StepRecord; next: TrainState | null }> {
  const began = performance.now();
  const step = state.step + 1;
  const { optimizer, steps } = training.recipe;
  const result = await evaluateStep(training, state.params, step, allParts, signal);
  const { grads, norm } = clipped(new Map([...result.gradients].map(([name, { values }]) => [name, values])), optimizer.clipNorm);
  const lr = learningRate(step, steps, optimizer);
  const total = result.forget + result.retain + result.anchor;
  const finite = Number.isFinite(total) && Number.isFinite(norm);
  const free = finite ? update(state.params, grads, state.optimizer, { ...optimizer, lr }) : null;
  const updated = free && { ...free, params: training.holdRouting && allFinite(free.params) ? training.holdRouting(free.params) : free.params };
  return {
    record: {
      step,
      forget: result.forget,
      retain: result.retain,
      anchor: result.anchor,
      total,
      gradNorm: norm,
      lr,
      targetShare: result.targetShare,
      overlapForget: result.overlapForget,
      overlapRetain: result.overlapRetain,
      ms: performance.now() - began,
    },
    next: updated && allFinite(updated.params) ? { step, params: updated.params, optimizer: updated.state } : null,
  };
}
