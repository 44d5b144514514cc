/** What training reads instead of the layers below the target: streams, constants and references of the original model, made once. */

import { changedFrom, type Place, prefixBefore } from '../passes/components';
import { blockForward, feedForward, moeBase } from '../passes/forward';
import { scoreTargets } from '../passes/head';
import { asStored, type Conditions, type OpenModel } from '../passes/model';
import { type Activations, type OriginalPass, originalPass, type SetName } from '../passes/original-pass';
import { type PackedBatch, targetsOf } from '../passes/packing';
import { start, sweep, type Taps } from '../passes/sweep';
import { partsTrain } from '../passes/weight-gradients';
import type { ResolvedRecipe } from '../protocol/recipe';
import type { ExpertId, Target } from '../protocol/records';
import type { TokenSequence } from '../protocol/sequences';
import { elementCount, unitName } from '../protocol/tensors';
import type { Overlay } from '../weights/store';
import { rowsBetween, type Stream } from './batches';
import { loraCount } from './lora';
import { adaptedParts, highestTarget, trainedUnits } from './trained-units';

/** Everything fixed before the first step. Row r of the streams is row r of `batch`. */
export interface TrainingSet {
  readonly batch: PackedBatch;
  /** Sequences before this one are forget rows, the others retain rows. */
  readonly forgetCount: number;
  /** Position in `batch.sequences` of each forget and retain row that a step uses. */
  readonly position: { readonly forget: ReadonlyMap<number, number>; readonly retain: ReadonlyMap<number, number> };
  /** Where a step begins: at or below all that trains and all that holds target experts. */
  readonly start: Place;
  /** The layer of `start`, and the highest that holds a target expert. */
  readonly lowest: number;
  readonly highest: number;
  /** The entrance of the lowest piece that trains, where the pull-back ends. */
  readonly from: Place;
  /** Of a start at a feed-forward of which experts and router alone may train: its router inputs `[S, d]`, and the stream at its entrance plus its shared experts. */
  readonly routed: { readonly u: Float32Array; readonly base: Float32Array } | null;
  /** Of another start: the stream `[S, d]` there; null where a step begins at the tokens. */
  readonly entrance: Float32Array | null;
  /** The original's choices `[S, K]` for MoE layers from the lowest on; empty for methods of hidden states. */
  readonly choices: ReadonlyMap<number, Uint16Array>;
  /** The original's log-probability of each sequence's targets `[Z]`; null where no loss needs it. */
  readonly reference: Float64Array | null;
  /** The original's stream `[S, d]` after the highest target layer (RMU) and after the last layer (KL); null where no loss needs it. */
  readonly original: { readonly afterTarget: Float32Array | null; readonly last: Float32Array | null };
  /** Mean norm of the original's hidden state after the highest target layer over the forget tokens; 0 where not asked for. */
  readonly hiddenNorm: number;
}

export const expertsByLayer = (experts: readonly ExpertId[]): Map<number, number[]> => {
  const layers = new Map<number, number[]>();
  for (const { layer, expert } of [...experts].sort((a, b) => a.layer - b.layer || a.expert - b.expert))
    layers.set(layer, [...(layers.get(layer) ?? []), expert]);
  return layers;
};

export interface TrainingRows {
  readonly forget: readonly TokenSequence[];
  readonly retain: readonly TokenSequence[];
}

export const streamsOf = (recipe: ResolvedRecipe, rows: TrainingRows): { forget: Stream; retain: Stream } => {
  const { batchSize, order, seed } = recipe;
  return {
    forget: { set: 'forget', rows: rows.forget.length, batchSize, order, seed },
    retain: { set: 'retain', rows: rows.retain.length, batchSize, order, seed },
  };
};

/** Whether the recipe's loss reads retain rows at all. */
export const usesRetain = (recipe: ResolvedRecipe): boolean =>
  (recipe.retainLoss.kind !== 'none' && recipe.retainLoss.weight > 0) || (recipe.method === 'rmu' && recipe.methodOptions.retainWeight > 0);

/** Consecutive steps, both ends included; the first step is 1. */
export interface StepRange {
  readonly from: number;
  readonly to: number;
}

/** Rows that some step of the range reads, ascending. */
function usedRows(stream: Stream, { from, to }: StepRange, all: boolean): number[] {
  if (all || stream.batchSize === 'all') return Array.from({ length: stream.rows }, (_, row) => row);
  // Twice as many positions as rows hold a whole pass.
  const most = Math.min(to * stream.batchSize, (from - 1) * stream.batchSize + 2 * stream.rows);
  return [...new Set(rowsBetween(stream, (from - 1) * stream.batchSize, most))].sort((a, b) => a - b);
}

/** Rows of each set that these steps of the recipe read; all forget rows where RMU's c is measured on them. */
export function rowsUsed(recipe: ResolvedRecipe, sets: TrainingRows, steps: StepRange): { forget: number[]; retain: number[] } {
  const streams = streamsOf(recipe, sets);
  const wantsNorm = recipe.method === 'rmu' && typeof recipe.methodOptions.c === 'object';
  const readsRetain = usesRetain(recipe) || (recipe.routerProjection && sets.retain.length > 0);
  return { forget: usedRows(streams.forget, steps, wantsNorm), retain: readsRetain ? usedRows(streams.retain, steps, false) : [] };
}

/** Rows of a set that are prepared at once: every expert still sees large blocks, and the first step, or a stop rule, comes soon. */
const windowRows = 768;

/**
 * The steps that are prepared together with `step`: all of them where the weights are read anew for each pass, or where that is little
 * more work than a window of them. `stored`: the original's activations come from disk, so that a window costs no pass.
 */
export function stepWindow(model: OpenModel, recipe: ResolvedRecipe, sets: TrainingRows, step: number, stored = false): StepRange {
  const whole: StepRange = { from: 1, to: recipe.steps };
  // What holds the routing is made of all retain rows at once.
  if (recipe.batchSize === 'all' || recipe.routerProjection || !(stored || model.weights.staysWidened)) return whole;
  const length = Math.ceil(windowRows / recipe.batchSize);
  const from = Math.floor((Math.max(1, step) - 1) / length) * length + 1;
  const window: StepRange = { from, to: Math.min(recipe.steps, from + length - 1) };
  const count = (steps: StepRange) => {
    const { forget, retain } = rowsUsed(recipe, sets, steps);
    return forget.length + retain.length;
  };
  return count(whole) <= 1.5 * count({ from: 1, to: Math.min(recipe.steps, length) }) ? whole : window;
}

/** Sets whose stream after the last layer training compares with. */
export function lastWanted(recipe: ResolvedRecipe): ReadonlySet<SetName> {
  const kl = recipe.retainLoss.kind === 'kl' && recipe.retainLoss.weight > 0;
  return new Set<SetName>([...(recipe.method === 'npo' ? (['forget'] as const) : []), ...(kl ? (['retain'] as const) : [])]);
}

/** Where steps of a recipe begin, and where their pull-back ends. */
export function placesOf(
  model: OpenModel,
  recipe: ResolvedRecipe,
  target: Target,
): { readonly start: Place; readonly from: Place; readonly isRouted: boolean } {
  const trained = new Set(trainedUnits(model, target, recipe.method === 'rmu').map(unitName));
  const from = changedFrom(model, trained);
  // Steps tell how the target is chosen, whatever trains.
  const start = changedFrom(model, trained, target.experts);
  const { feed } = model.layers[start.layer];
  const isRouted =
    start.at === 'feed' && feed.kind === 'moe' && !partsTrain(feed.norm.parts, trained) && !(feed.shared && partsTrain(feed.shared.parts, trained));
  return { start, from, isRouted };
}

/** What a recipe trains, by size. */
export interface TrainedSizes {
  /** Numbers that the optimizer moves. */
  readonly parameters: number;
  /** Of the weights that they make, where these are held beside them (LoRA); else 0. */
  readonly merged: number;
}

export function trainedSizes(model: OpenModel, recipe: ResolvedRecipe, target: Target): TrainedSizes {
  const hidden = recipe.method === 'rmu';
  const { train } = target;
  const values = trainedUnits(model, target, hidden).reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (typeof train === 'string' || 'components' in train) return { parameters: values, merged: 0 };
  return { parameters: loraCount(adaptedParts(model, target, hidden), train.lora.rank), merged: values };
}

/** The stream at a place for the rows of a pass, from the nearest entrance that it kept; null where steps begin at the tokens. */
async function streamAt(
  model: OpenModel,
  made: OriginalPass,
  place: Place,
  isKept: (layer: number) => boolean,
  conditions: Conditions,
): Promise<Float32Array | null> {
  const { layer, at } = place;
  const prefix = prefixBefore(place);
  if (!prefix || at === 'tokens') return null;
  const from = isKept(prefix.layer) ? { ...prefix, x: await made.entrance(prefix.layer) } : await start(model, made.batch, conditions);
  return (await sweep(model, made.batch, from, conditions, { layer, at })).x;
}

/**
 * What these steps need of the original: from `pass` where one was made over their rows (attribution), else from a pass of its own. `overlay` is what the run starts from besides the checkpoint (usually nothing).
 */
export async function prepareTraining(
  model: OpenModel,
  recipe: ResolvedRecipe,
  target: Target,
  sets: TrainingRows,
  steps: StepRange,
  overlay: Overlay,
  pass: OriginalPass | null,
  activations?: Activations,
  signal?: AbortSignal,
  progress?: Taps['progress'],
): Promise<TrainingSet> {
  const hidden = recipe.method === 'rmu';
  const wantsNorm = hidden && typeof recipe.methodOptions.c === 'object';
  const { start: begin, from, isRouted } = placesOf(model, recipe, target);
  const lowest = begin.layer;
  const highest = highestTarget(target.experts);
  const d = model.shape.hiddenSize;
  const prefix = prefixBefore(begin);
  const kl = lastWanted(recipe).has('retain') && sets.retain.length > 0;
  const original: Conditions = { ...asStored, signal };
  const current: Conditions = { ...original, overlay };
  const logits = !hidden || recipe.retainLoss.kind !== 'none';

  const made =
    pass ??
    (await originalPass(model, sets, rowsUsed(recipe, sets, steps), original, {
      keep: new Set([...(prefix ? [prefix.layer] : []), highest]),
      until: logits ? undefined : { layer: highest, at: 'feed' },
      last: lastWanted(recipe),
      progress,
      activations,
    }));
  const { batch, rows } = made;
  const forgetCount = rows.forget.length;
  // A pass that attribution made keeps the layers with experts; one over other weights keeps none of these.
  const isKept = (layer: number) => overlay.size === 0 && (pass === null || model.shape.moeLayers.includes(layer));
  const entrance = await streamAt(model, made, begin, isKept, current);
  const { feed } = model.layers[lowest];
  let routed: TrainingSet['routed'] = null;
  if (isRouted && entrance && feed.kind === 'moe') {
    const u = await blockForward(model.weights, feed.norm, entrance, d, current);
    routed = { u, base: await moeBase(model, feed, entrance, u, current) };
  }

  let reference: Float64Array | null = null;
  if (recipe.method === 'npo') {
    const all = targetsOf(batch);
    const own = Array.from(all.sequence, (z, n) => (z < forgetCount ? n : -1)).filter((n) => n >= 0);
    const scores = await scoreTargets(
      model,
      lastOf(made),
      Int32Array.from(own, (n) => all.rows[n]),
      Int32Array.from(own, (n) => all.ids[n]),
      original,
    );
    const sums = new Float64Array(batch.sequences.length);
    own.forEach((n, i) => {
      sums[all.sequence[n]] += scores.logp[i];
    });
    reference = sums;
  }
  const afterTarget = hidden ? (await feedForward(model, highest, await made.entrance(highest), original)).y : null;
  return {
    batch,
    forgetCount,
    position: { forget: new Map(rows.forget.map((row, i) => [row, i])), retain: new Map(rows.retain.map((row, i) => [row, forgetCount + i])) },
    start: begin,
    from,
    lowest,
    highest,
    routed,
    entrance: routed ? null : entrance,
    choices: hidden ? new Map() : await made.choices(lowest),
    reference,
    original: { afterTarget, last: kl ? lastOf(made) : null },
    hiddenNorm: wantsNorm && afterTarget ? meanNorm(afterTarget, batch, forgetCount, d) : 0,
  };
}

function lastOf({ last }: OriginalPass): Float32Array {
  if (!last) throw new Error('The pass ended below the last layer.');
  return last;
}

/** Mean L2 norm of rows that belong to forget sequences. */
function meanNorm(stream: Float32Array, batch: PackedBatch, forgetCount: number, d: number): number {
  let total = 0;
  let tokens = 0;
  for (let z = 0; z < forgetCount; z++) {
    for (let t = 0; t < batch.sequences[z].ids.length; t++) {
      const row = stream.subarray((batch.offsets[z] + t) * d, (batch.offsets[z] + t + 1) * d);
      total += Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
      tokens++;
    }
  }
  return tokens > 0 ? total / tokens : 0;
}
