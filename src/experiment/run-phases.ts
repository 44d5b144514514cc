/** The phases of a run and what each of them computes and reads, from its recipe and the lengths of its rows. */
import { needsAttribution } from '../attribution/target';
import { prefixBefore } from '../passes/components';
import { layersToKeep, productShare, stepSize } from '../passes/kept-products';
import type { OpenModel } from '../passes/model';
import { blockTokens, originalPassBytes } from '../passes/original-pass';
import { partsTrain } from '../passes/weight-gradients';
import type { ResolvedRecipe } from '../protocol/recipe';
import type { Target } from '../protocol/records';
import { elementCount, unitName } from '../protocol/tensors';
import { adaptedParts, highestTarget, trainedUnits } from '../unlearn/trained-units';
import { lastWanted, placesOf, rowsUsed, usesRetain } from '../unlearn/training-set';
import { spreadRows } from './routing-change';
import {
  type At,
  addWork,
  bothRows,
  frozenWork,
  headWork,
  noWork,
  passWork,
  type Rows,
  type StoredBytes,
  sharedWork,
  stepWork,
  storedBytes,
  timesWork,
  type Work,
} from './work-plan';

/** As run.json names them. */
export const phaseNames = ['attribution', 'preparation', 'training', 'checks', 'evaluation'] as const;
export type PhaseName = (typeof phaseNames)[number];

/** A set: tokens of each row, and how many of them are predicted. */
export interface SetRows {
  readonly lengths: readonly number[];
  readonly targets: readonly number[];
}

export interface PhaseSets {
  readonly forget: SetRows;
  readonly retain: SetRows;
  readonly checks: readonly SetRows[];
  readonly evaluate: readonly (SetRows & { readonly role: 'forget' | 'near' | 'utility' })[];
}

/** What is at hand besides the recipe. */
export interface PhaseConditions {
  readonly target: Target;
  readonly trainedValues: number;
  /** Passes of the original are kept on disk. */
  readonly stored: boolean;
}

/** As the run divides its budget: streams of the attribution pass; outputs of frozen experts. */
const passShare = 0.25;
const frozenShare = 0.15;

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
const all = ({ lengths, targets }: SetRows): Rows => ({ lengths, targets: total(targets) });
const chosen = ({ lengths, targets }: SetRows, rows: readonly number[]): Rows => ({
  lengths: rows.map((row) => lengths[row]),
  targets: total(rows.map((row) => targets[row])),
});
/** `count` rows of the set's mean length and number of targets. */
function typical({ lengths, targets }: SetRows, count: number): Rows {
  if (lengths.length === 0 || count === 0) return { lengths: [], targets: 0 };
  const sorted = [...lengths].sort((a, b) => a - b);
  // Spread over the set, so that lengths differ as they do in it.
  const spread = Array.from({ length: count }, (_, i) => sorted[Math.floor(((i + 0.5) * sorted.length) / count)]);
  return { lengths: spread, targets: (count * total(targets)) / targets.length };
}
const without = ({ lengths }: Rows): Rows => ({ lengths, targets: 0 });

/** Checks of a run: before the first step, every so many, and after the last. */
export const checkCount = ({ checks, steps }: ResolvedRecipe): number =>
  checks === null ? 0 : 1 + Math.floor(steps / checks.everySteps) + (steps % checks.everySteps === 0 ? 0 : 1);

export function phasesOf(
  model: OpenModel,
  recipe: ResolvedRecipe,
  sets: PhaseSets,
  { target, trainedValues, stored }: PhaseConditions,
): Record<PhaseName, Work> {
  const { layers, moeLayers, topK, hiddenSize: d } = model.shape;
  const hiddenMethod = recipe.method === 'rmu';
  const hidden = hiddenMethod && recipe.retainLoss.kind === 'none';
  const trained = new Set(trainedUnits(model, target, hiddenMethod).map(unitName));
  const { start, from, isRouted } = placesOf(model, recipe, target);
  const { layer: lowest } = start;
  const highest = highestTarget(target.experts);
  const last = hidden ? highest : layers - 1;
  const bytes = storedBytes(model);
  /** Of the edited model: what trains is laid over the checkpoint. */
  const edited = storedBytes(model, trained);
  const tokensIn = { layer: 0, at: 'attention' } as const;
  const end = { layer: layers, at: 'attention' } as const;
  const lastRouter = { layer: moeLayers[moeLayers.length - 1], at: 'routed' } as const;
  const prefix = prefixBefore(start);
  const begins: At = { layer: lowest, at: start.at === 'feed' ? 'feed' : 'attention' };
  const most = blockTokens(model, recipe.memory);
  /** In blocks of prompts: each reads the weights. */
  const pass = (rows: Rows, begin: At, to: At, of: StoredBytes = bytes): Work => {
    const work = passWork(model, of, rows, begin, to);
    const blocks = Math.max(1, Math.ceil(total(rows.lengths) / most));
    return { ...work, bytes: work.bytes * blocks, laid: work.laid * blocks };
  };

  const found = needsAttribution(recipe.target);
  const lines = (set: SetRows) => set.lengths.map((_, row) => row);
  const used = rowsUsed(recipe, { forget: sets.forget.lengths.map(fake), retain: sets.retain.lengths.map(fake) }, { from: 1, to: recipe.steps });
  const compared = [chosen(sets.forget, spreadRows(sets.forget.lengths.length)), chosen(sets.retain, spreadRows(sets.retain.lengths.length))];
  const usedRows = bothRows(chosen(sets.forget, used.forget), chosen(sets.retain, used.retain));
  const wanted = lastWanted(recipe);
  const lastRows = bothRows(wanted.has('forget') ? chosen(sets.forget, used.forget) : noRows, wanted.has('retain') ? chosen(sets.retain, used.retain) : noRows);

  // Attribution: all forget rows, and the retain rows of the steps.
  const passed = bothRows(
    all(sets.forget),
    stored ? bothRows(chosen(sets.retain, [...new Set([...used.retain, ...spreadRows(lines(sets.retain).length)])])) : chosen(sets.retain, used.retain),
  );
  const kept = found && !stored && originalPassBytes(model, total(passed.lengths)) <= recipe.memory * passShare;
  const fromLast = (rows: Rows) => (total(rows.lengths) > 0 ? pass(rows, { layer: lastRouter.layer, at: 'feed' }, end) : noWork);
  const attribution = found ? addWork(pass(passed, tokensIn, lastRouter), kept ? fromLast(lastRows) : noWork) : noWork;

  // Preparation: what training, checks and evaluation begin with.
  const measured = [...sets.checks, ...sets.evaluate].map(all);
  /** What no edit changes of them; nothing where it changes from the tokens on. */
  const before = (rows: Rows) => (prefix && total(rows.lengths) > 0 ? pass(without(rows), tokensIn, prefix) : noWork);
  const eachPrefix = (list: readonly Rows[]) => addWork(...list.map(before));
  const routings = stored ? noWork : addWork(...compared.map((rows) => pass(without(rows), tokensIn, lastRouter)));
  const ofSteps = (rows: Rows) => (total(rows.lengths) > 0 ? pass(rows, tokensIn, hidden ? { layer: highest, at: 'feed' } : lastRouter) : noWork);
  const rest = (set: SetRows, own: readonly number[]) => {
    const known = new Set(spreadRows(set.lengths.length));
    return chosen(
      set,
      own.filter((row) => !known.has(row)),
    );
  };
  const restRows = bothRows(rest(sets.forget, used.forget), rest(sets.retain, used.retain));
  const comparedRows = bothRows(compared[0], compared[1]);
  // With a store one pass serves the steps and the comparison of routing; a loss that ends at the target needs the other rows no further.
  const together = hidden ? addWork(pass(comparedRows, tokensIn, lastRouter), ofSteps(restRows)) : pass(bothRows(comparedRows, restRows), tokensIn, lastRouter);
  const original = kept || (found && stored) ? noWork : stored ? together : ofSteps(usedRows);
  // From the entrance of a feed-forward, where a pass keeps streams, to where steps begin.
  const entrance = prefix && start.at === 'attention' ? pass(without(usedRows), prefix, begins) : noWork;
  const lastPass = kept ? noWork : fromLast(lastRows);
  const reference = recipe.method === 'npo' ? headWork(model, bytes, chosen(sets.forget, used.forget).targets) : noWork;
  const usedTokens = total(usedRows.lengths);
  const frozenBytes = usedTokens * topK * (d * 4 + 96);
  const keepsFrozen = frozenBytes <= recipe.memory * frozenShare;
  const frozenOf = (tokens: number) => (isRouted ? frozenWork(model, bytes, lowest, tokens) : noWork);
  const frozen = frozenOf(usedTokens);
  const frozenFirst = !model.weights.staysWidened && keepsFrozen;
  // What holds the routing of retain rows looks at the inputs of all routers that train.
  const routersThatTrain = moeLayers.filter((layer) => {
    const { feed } = model.layers[layer];
    return feed.kind === 'moe' && partsTrain(feed.router.parts, trained);
  });
  const held =
    recipe.routerProjection && routersThatTrain.length > 0
      ? pass(without(chosen(sets.retain, used.retain)), tokensIn, { layer: Math.max(...routersThatTrain), at: 'routed' })
      : noWork;
  const preparation = addWork(
    stored ? before(bothRows(...measured)) : eachPrefix(sets.checks.map(all)),
    original,
    entrance,
    lastPass,
    isRouted ? sharedWork(model, lowest, usedTokens) : noWork,
    reference,
    hiddenMethod ? pass(without(usedRows), { layer: highest, at: 'feed' }, { layer: highest + 1, at: 'attention' }) : noWork,
    frozenFirst ? frozen : noWork,
    routings,
    held,
  );

  // Steps.
  const count = (set: SetRows): number => (recipe.batchSize === 'all' ? set.lengths.length : recipe.batchSize);
  const micro = Math.min(recipe.accumulate, Math.max(1, count(sets.forget)));
  const forgetRows = typical(sets.forget, Math.max(1, Math.round(count(sets.forget) / micro)));
  const retainRows = usesRetain(recipe) ? typical(sets.retain, Math.round(count(sets.retain) / micro)) : noRows;
  const { kind, weight } = recipe.retainLoss;
  // Where a loss is one of log-probabilities, those of every row of the batch are made.
  const scores = !hiddenMethod || (kind === 'nll' && weight > 0);
  const batchRows = bothRows(forgetRows, retainRows);
  const stepRows = scores ? batchRows : without(batchRows);
  const { feed } = model.layers[lowest];
  const trainedHere = feed.kind === 'moe' ? Array.from({ length: feed.experts }, (_, e) => e).filter((e) => partsTrain(feed.expert(e).parts, trained)) : [];
  const size = stepSize(stepRows.lengths);
  const keeping = new Set(layersToKeep(model.layers, lowest, last, isRouted ? new Set(trainedHere) : null, size, recipe.memory * productShare).layers);
  const adapted = adaptedValues(model, target, hiddenMethod);
  const step = stepWork(model, edited, {
    rows: stepRows,
    compared: kind === 'kl' && weight > 0 ? total(retainRows.lengths) : 0,
    microBatches: micro,
    start,
    last,
    from,
    isRouted,
    trained,
    trainedValues,
    adapted,
    keepsProducts: (layer) => keeping.has(layer),
  });
  const cold = frozenFirst ? noWork : keepsFrozen ? frozen : frozenOf(recipe.steps * micro * total(stepRows.lengths));
  const training = addWork(timesWork(step, recipe.steps), cold);

  // Checks and evaluation: from what may change on, to the end or to the last router.
  const changing: At = prefix ?? tokensIn;
  const scored = (rows: Rows, of: StoredBytes) => addWork(pass(rows, changing, end, of), headWork(model, of, rows.targets));
  const routed = addWork(...compared.map((rows) => pass(without(rows), changing, lastRouter, edited)));
  // Of what LoRA does in a step, a third makes its weights.
  const merged = { ...noWork, adapted: adapted / 3 };
  const check = addWork(...sets.checks.map((set) => scored(all(set), edited)), routed, merged);
  const evaluation = addWork(
    stored ? noWork : eachPrefix(sets.evaluate.map(all)),
    ...sets.evaluate.map((set) => timesWork(addWork(scored(all(set), bytes), scored(all(set), edited)), set.role === 'forget' ? 2 : 1)),
    routed,
    merged,
  );
  const phases = { attribution, preparation, training, checks: timesWork(check, checkCount(recipe)), evaluation };
  return model.weights.staysWidened ? firstTimeOnly(phases, bytes.total) : phases;
}

const noRows: Rows = { lengths: [], targets: 0 };

/** Values that LoRA adds to in an update, times its rank; 0 for other choices. */
function adaptedValues(model: OpenModel, target: Target, hiddenMethod: boolean): number {
  const { train } = target;
  if (typeof train === 'string' || !('lora' in train)) return 0;
  return train.lora.rank * adaptedParts(model, target, hiddenMethod).reduce((sum, { ref }) => sum + elementCount(ref.shape), 0);
}
/** Rows are chosen by their numbers alone. */
const fake = () => ({}) as never;

/** All weights stay in memory: each byte is read once, by the first phases that want it. */
function firstTimeOnly(phases: Record<PhaseName, Work>, most: number): Record<PhaseName, Work> {
  let left = most;
  const result = { ...phases };
  for (const name of phaseNames) {
    const bytes = Math.min(left, phases[name].bytes);
    left -= bytes;
    result[name] = { ...phases[name], bytes };
  }
  return result;
}
