/** What the phases of a run need, from shapes alone: bytes read from disk, and the largest peak. */

import { frozenRowBytes } from '../passes/frozen-outputs';
import { keptShare, keptStreams } from '../passes/kept-forward';
import { layersToKeep, productShare, stepSize } from '../passes/kept-products';
import { allParts, weightLimits } from '../passes/model';
import { liveStreams, originalPassBytes } from '../passes/original-pass';
import type { PhasePlan, RunPlan } from '../protocol/engine';
import type { ResolvedRecipe } from '../protocol/recipe';
import type { Target } from '../protocol/records';
import { bytesPerElement, type Dtype, elementCount, unitName } from '../protocol/tensors';
import { backendInUse } from '../tensor/backend';
import { lastWanted, placesOf, rowsUsed, stepWindow, type TrainedSizes } from '../unlearn/training-set';
import type { ModelHandle } from './open-recipe';
import { spreadRows } from './routing-change';

/** As the run divides it: streams of the attribution pass, outputs of frozen experts. */
const passShare = 0.25;
const frozenShare = 0.15;
/** Up to here a fingerprint reads the whole checkpoint (checkpoint/fingerprint.ts). */
const wholeFingerprint = 2 * 2 ** 30;
/** f32 copies of the trained values at the end of a step: weights, gradient and two moments, the next three, and those of two checks. */
const copiesOfTrained = 9;

/** f32 copies of weights that LoRA makes: the checkpoint's, those merged for a step or a check, and their gradient; measured. */
const copiesOfMerged = 3;

/** Logits of a block of rows, their probabilities, and what is made of them (passes/head.ts). */
const headRows = 1024;
const headSlice = 2 ** 14;
const headCopies = 4;

/** What arithmetic holds besides what it works on: temporaries, garbage, freed blocks; measured. TensorFlow's heap is trimmed after each quarter GiB of growth. */
const workingOf = { tensorflow: 220e6, webgpu: 220e6, wasm: 40e6, cpu: 40e6 } as const;
const workingBytes = (): number => workingOf[backendInUse().name];

interface Weights {
  /** Bytes of all parts as stored, of those below a layer's feed-forward, and from there on. */
  readonly total: number;
  below(layer: number): number;
  /** Bytes of one lease as f32, the largest. */
  readonly lease: number;
  /** Bytes that are read ahead at once: no more than a layer. */
  readonly ahead: number;
  /** Bytes kept as f32 where a part of so many stored bytes comes up again and again; and whether all of the weights are kept. */
  kept(stored: number): number;
  readonly all: boolean;
}

function weightsOf({ checkpoint, model }: Pick<ModelHandle, 'checkpoint' | 'model'>, budget: number): Weights {
  const byLayer = new Map<number | null, { before: number; feed: number; elements: number }>();
  const leases = new Map<string, number>();
  let elements = 0;
  let total = 0;
  for (const { layer, kind, ref } of allParts(model)) {
    const count = elementCount(ref.shape);
    const bytes = count * (bytesPerElement[checkpoint.tensors.get(ref.name)?.dtype as Dtype] ?? 4);
    const own = byLayer.get(layer) ?? { before: 0, feed: 0, elements: 0 };
    if (kind === 'attention') own.before += bytes;
    else own.feed += bytes;
    own.elements += count;
    byLayer.set(layer, own);
    elements += count;
    total += bytes;
    // Experts are leased one at a time, other parts of a layer together; embedding and head in slices.
    const key = kind === 'expert' ? `${layer}:${unitName(ref).replace(/[^.]*\.weight$/, '')}` : `${layer}:${kind}`;
    if (layer !== null) leases.set(key, (leases.get(key) ?? 0) + count * 4);
  }
  const limits = weightLimits(checkpoint, budget);
  const widened = elements * 4 <= limits.widenedBytes;
  return {
    total,
    below: (layer) => {
      let sum = model.ends.embedding.shape[0] * model.shape.hiddenSize * (bytesPerElement[checkpoint.dtype as Dtype] ?? 4);
      for (let l = 0; l <= layer; l++) sum += (byLayer.get(l)?.before ?? 0) + (l < layer ? (byLayer.get(l)?.feed ?? 0) : 0);
      return sum;
    },
    lease: Math.max(...leases.values()),
    kept: (stored) => Math.min(limits.widenedBytes, widened ? elements * 4 : (stored / total) * elements * 4),
    ahead: Math.min(limits.aheadBytes, 4 * Math.max(...[...byLayer].map(([layer, { elements: own }]) => (layer === null ? 0 : own)))),
    all: widened,
  };
}

/** One pass of `tokens` tokens through all layers, as attribution makes it. `processBytes`: what the process holds already. */
export function passPlan(handle: Pick<ModelHandle, 'checkpoint' | 'model'>, tokens: number, budget: number, processBytes: number): PhasePlan {
  const weights = weightsOf(handle, budget);
  const streams = liveStreams * tokens * handle.model.shape.hiddenSize * 4;
  return {
    bytesToRead: weights.total,
    peakBytes: Math.round(processBytes + weights.kept(0) + weights.ahead + weights.lease + streams + workingBytes()),
    budgetBytes: budget,
  };
}

/** What the peak of a run is made of, in bytes. */
export type MemoryParts = RunPlan['memoryParts'];

/** Tokens of each row of the sets that a run reads. */
export interface PlannedSets {
  readonly forget: readonly number[];
  readonly retain: readonly number[];
  readonly checks: readonly (readonly number[])[];
  readonly evaluate: readonly { readonly role: 'forget' | 'near' | 'utility'; readonly rows: readonly number[] }[];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const longest = (rows: readonly number[], count: number): number => sum([...rows].sort((a, b) => b - a).slice(0, count));
/** Rows are chosen by their numbers alone. */
const fake = () => ({}) as never;

/**
 * A whole run. `found`: whether a pass over all rows looks for the target; then `target` stands for it and its lowest layer is the worst case.
 * `stored`: passes of the original are kept on disk.
 * Every expert is taken to be read by every pass, every batch to hold the longest rows.
 */
export function runMemory(
  handle: Pick<ModelHandle, 'checkpoint' | 'model'>,
  recipe: ResolvedRecipe,
  sets: PlannedSets,
  target: Target,
  found: boolean,
  stored: boolean,
  trainedValues: TrainedSizes,
  processBytes: number,
): PhasePlan & { readonly parts: MemoryParts } {
  const { model, checkpoint } = handle;
  const { hiddenSize: d, layers, moeLayers, experts } = model.shape;
  const budget = recipe.memory;
  const weights = weightsOf(handle, budget);
  const row = d * 4;
  const { start, isRouted } = placesOf(model, recipe, target);
  const lowest = start.layer;
  const suffix = weights.total - weights.below(lowest);
  const hidden = recipe.method === 'rmu' && recipe.retainLoss.kind === 'none';

  // Steps are prepared a window at a time; attribution passes over all forget rows and the retain rows of the first (experiment/run.ts).
  const { topK } = model.shape;
  const rows = { forget: sets.forget.map(fake), retain: sets.retain.map(fake) };
  const window = stepWindow(model, recipe, rows, 1, stored);
  const used = rowsUsed(recipe, rows, window);
  const tokensOf = (set: 'forget' | 'retain') => sum(used[set].map((line) => sets[set][line]));
  const setTokens = tokensOf('forget') + tokensOf('retain');
  const passTokens = found ? sum(sets.forget) + (stored ? sum(sets.retain) : tokensOf('retain')) : setTokens;
  // What a pass of attribution keeps stays to the end of the run: the entrances of layers with experts, the last stream where it is compared with, and choices.
  const ofPass = passTokens * ((moeLayers.length + (lastWanted(recipe).size > 0 ? 1 : 0)) * row + moeLayers.length * topK * 2);
  const kept = found && !stored && originalPassBytes(model, passTokens) <= budget * passShare ? ofPass : 0;
  const finding = kept + liveStreams * passTokens * row;

  const compared = [sets.forget, sets.retain].map((lengths) => longest(lengths, spreadRows(lengths.length).length));
  // The stream that comparisons begin with, the original's choices, and those of a comparison.
  const routing = sum(compared) * (row + moeLayers.length * topK * 6 + experts * 4);
  const checked = sets.checks.map(sum);
  // A token's outputs of the experts it chooses; a router in training adds few.
  const frozen = isRouted ? Math.min(budget * frozenShare, setTokens * topK * frozenRowBytes(d)) : 0;
  // Router inputs and what they are added to, or the entrance; the original's stream that RMU or KL compares with; choices. While a window is prepared, that of the steps before is there.
  const hiddenMethod = recipe.method === 'rmu';
  const entrance = isRouted ? 2 : start.at === 'tokens' ? 0 : 1;
  const compares = (hiddenMethod ? 1 : 0) + (kept === 0 && lastWanted(recipe).has('retain') ? 1 : 0);
  const windows = window.to < recipe.steps ? 2 : 1;
  const constants = windows * setTokens * ((entrance + compares) * row + (hiddenMethod ? 0 : moeLayers.length * topK * 2)) + frozen;
  const trained = 4 * (trainedValues.parameters * copiesOfTrained + trainedValues.merged * copiesOfMerged);
  const batch = (rows: readonly number[]) => (recipe.batchSize === 'all' ? sum(rows) : longest(rows, Math.min(rows.length, recipe.batchSize)));
  const longestRows = (rows: readonly number[]) =>
    [...rows]
      .sort((a, b) => b - a)
      .slice(0, Math.ceil((recipe.batchSize === 'all' ? rows.length : Math.min(rows.length, recipe.batchSize)) / recipe.accumulate));
  const lastLayer = hidden ? Math.max(...target.experts.map(({ layer }) => layer)) : layers - 1;
  const own = target.train === 'router' ? [] : target.experts.filter(({ layer }) => layer === lowest).map(({ expert }) => expert);
  const trainedHere = isRouted ? new Set(own) : null;
  const stepRows = stepSize([...longestRows(sets.forget), ...longestRows(sets.retain)]);
  const products = layersToKeep(model.layers, lowest, lastLayer, trainedHere, stepRows, budget * productShare).bytes;
  const stepTokens = Math.ceil((batch(sets.forget) + batch(sets.retain)) / recipe.accumulate);
  // Streams that a step keeps go to disk where they take more than their share; those of one layer stay.
  const ofLayer = stepTokens * row * keptStreams;
  const keptOfStep = Math.min(ofLayer * (lastLayer + 1 - lowest), Math.max(ofLayer, budget * keptShare));
  const step = stepTokens * row * liveStreams + keptOfStep;
  const cache = kept + constants + routing + sum(checked) * row;
  const largestSet = Math.max(0, ...sets.evaluate.map(({ rows }) => sum(rows)));
  // A set that is measured has the stream it begins with besides those of a pass.
  const measuring =
    Math.max(0, largestSet * (liveStreams + 1), ...checked.map((tokens) => tokens * liveStreams), ...compared.map((tokens) => tokens * liveStreams)) * row;
  // Preparation passes over the rows of a window, where attribution has not.
  // With a store the rows whose routing is compared go with them.
  const preparing = kept > 0 ? 0 : (setTokens + (stored && !found ? sum(compared) : 0)) * row * (liveStreams + 2);

  const perStep = hidden ? 0 : 2 * suffix * recipe.accumulate;
  const checks = recipe.checks ? Math.floor(recipe.steps / recipe.checks.everySteps) + 2 : 0;
  const routedSets = sets.retain.length > 0 ? 2 : 1;
  const moments = sum(sets.evaluate.map(({ role }) => (role === 'forget' ? 4 : 2)));
  const passes =
    weights.total * (stored ? 1 : 1 + routedSets) +
    recipe.steps * perStep +
    checked.length * weights.below(lowest) +
    checks * (checked.length + routedSets) * suffix +
    sets.evaluate.length * weights.below(lowest) +
    (moments + routedSets) * suffix;
  const fingerprint = checkpoint.totalBytes <= wholeFingerprint ? checkpoint.totalBytes : 0;
  const [vocabulary] = model.ends.head.shape;
  const logits = headCopies * Math.min(headRows, Math.max(stepTokens, largestSet)) * Math.min(vocabulary, headSlice) * 4;
  const working = Math.max(step + products + (hidden ? 0 : logits), measuring + (largestSet > 0 ? logits : 0), preparing) + workingBytes();
  const training = { cache: Math.round(cache), optimizer: trained, activations: Math.round(working) };
  const search = { cache: Math.round(kept), optimizer: 0, activations: Math.round(finding - kept + workingBytes()) };
  const parts = {
    process: Math.round(processBytes),
    weights: Math.round(weights.kept(suffix) + weights.ahead + weights.lease),
    ...(finding > cache + trained + working ? search : training),
  };
  return {
    bytesToRead: Math.round(fingerprint + (weights.all ? weights.total : passes)),
    peakBytes: sum(Object.values(parts)),
    budgetBytes: budget,
    parts,
  };
}
