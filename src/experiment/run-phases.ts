/** The phases of a run and what each of them computes and reads, from its recipe and the lengths of its rows. */
import { needsAttribution } from '../attribution/target';
import { layersToKeep, productShare, stepSize } from '../passes/kept-products';
import type { OpenModel } from '../passes/model';
import { blockTokens, originalPassBytes } from '../passes/original-pass';
import type { ResolvedRecipe } from '../protocol/recipe';
import type { Target } from '../protocol/records';
import { lastWanted, rowsUsed, usesRetain } from '../unlearn/training-set';
import { spreadRows } from './routing-change';
import { addWork, bothRows, frozenWork, headWork, noWork, passWork, type Rows, sharedWork, stepWork, storedBytes, timesWork, type Work } from './work-plan';

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
  const bytes = storedBytes(model);
  const start = { layer: 0, at: 'attention' } as const;
  const end = { layer: layers, at: 'attention' } as const;
  const lastRouter = { layer: moeLayers[moeLayers.length - 1], at: 'routed' } as const;
  const onLayers = target.experts.map(({ layer }) => layer);
  const [lowest, highest] = [Math.min(...onLayers), Math.max(...onLayers)];
  const feed = { layer: lowest, at: 'feed' } as const;
  const hiddenMethod = recipe.method === 'rmu';
  const hidden = hiddenMethod && recipe.retainLoss.kind === 'none';
  const most = blockTokens(model, recipe.memory);
  /** In blocks of prompts: each reads the weights. */
  const pass = (rows: Rows, from: typeof start | typeof feed, to: typeof end | typeof feed | typeof lastRouter | { layer: number; at: 'feed' }): Work => {
    const work = passWork(model, bytes, rows, from, to);
    return { ...work, bytes: work.bytes * Math.max(1, Math.ceil(total(rows.lengths) / most)) };
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
  const fromLast = (rows: Rows) => (total(rows.lengths) > 0 ? pass(rows, { layer: lastRouter.layer, at: 'feed' } as typeof feed, end) : noWork);
  const attribution = found ? addWork(pass(passed, start, lastRouter), kept ? fromLast(lastRows) : noWork) : noWork;

  // Preparation: what training, checks and evaluation begin with.
  const measured = [...sets.checks, ...sets.evaluate].map(all);
  const prefixes = total(measured.map(({ lengths }) => total(lengths))) > 0 ? pass(without(bothRows(...measured)), start, feed) : noWork;
  const eachPrefix = (list: readonly Rows[]) => addWork(...list.map((rows) => pass(without(rows), start, feed)));
  const logits = !hiddenMethod || recipe.retainLoss.kind !== 'none';
  const original = kept || (found && stored) ? noWork : pass(usedRows, start, logits ? lastRouter : { layer: highest, at: 'feed' });
  const lastPass = kept ? noWork : fromLast(lastRows);
  const reference = recipe.method === 'npo' ? headWork(model, bytes, chosen(sets.forget, used.forget).targets) : noWork;
  const usedTokens = total(usedRows.lengths);
  const frozenBytes = usedTokens * topK * (d * 4 + 96);
  const keepsFrozen = frozenBytes <= recipe.memory * frozenShare;
  const frozen = frozenWork(model, bytes, lowest, usedTokens);
  const frozenFirst = !model.weights.staysWidened && keepsFrozen;
  const routings = found && stored ? noWork : addWork(...compared.map((rows) => pass(without(rows), start, lastRouter)));
  const preparation = addWork(
    stored ? prefixes : eachPrefix(sets.checks.map(all)),
    original,
    lastPass,
    sharedWork(model, lowest, usedTokens),
    reference,
    hiddenMethod ? pass(without(usedRows), { layer: highest, at: 'feed' } as typeof feed, { layer: highest + 1, at: 'attention' } as typeof end) : noWork,
    frozenFirst ? frozen : noWork,
    routings,
  );

  // Steps.
  const count = (set: SetRows): number => (recipe.batchSize === 'all' ? set.lengths.length : recipe.batchSize);
  const micro = Math.min(recipe.accumulate, Math.max(1, count(sets.forget)));
  const forgetRows = typical(sets.forget, Math.max(1, Math.round(count(sets.forget) / micro)));
  const retainRows = usesRetain(recipe) ? typical(sets.retain, Math.round(count(sets.retain) / micro)) : noRows;
  const stepRows = bothRows(forgetRows, recipe.retainLoss.kind === 'nll' || hiddenMethod ? retainRows : { ...retainRows, targets: 0 });
  const trainedHere = target.experts.filter(({ layer }) => layer === lowest);
  const last = hidden ? highest : layers - 1;
  const keeping = new Set(
    layersToKeep(model.layers, lowest, last, new Set(trainedHere.map(({ expert }) => expert)), stepSize(stepRows.lengths), recipe.memory * productShare).layers,
  );
  const step = stepWork(model, bytes, {
    rows: stepRows,
    compared: recipe.retainLoss.kind === 'kl' && recipe.retainLoss.weight > 0 ? total(retainRows.lengths) : 0,
    microBatches: micro,
    lowest,
    highest,
    hidden,
    trains: { expert: target.train !== 'router', router: target.train !== 'expert' },
    experts: Math.max(1, trainedHere.length),
    trainedValues,
    keepsProducts: (layer) => keeping.has(layer),
  });
  const cold = frozenFirst ? noWork : keepsFrozen ? frozen : frozenWork(model, bytes, lowest, recipe.steps * micro * total(stepRows.lengths));
  const training = addWork(timesWork(step, recipe.steps), cold);

  // Checks and evaluation: from the target on, to the end or to the last router.
  const scored = (rows: Rows) => addWork(pass(rows, feed, end), headWork(model, bytes, rows.targets));
  const routed = addWork(...compared.map((rows) => pass(without(rows), feed, lastRouter)));
  const check = addWork(...sets.checks.map((set) => scored(all(set))), routed);
  const evaluation = addWork(
    stored ? noWork : eachPrefix(sets.evaluate.map(all)),
    ...sets.evaluate.map((set) => timesWork(scored(all(set)), set.role === 'forget' ? 4 : 2)),
    routed,
  );
  const phases = { attribution, preparation, training, checks: timesWork(check, checkCount(recipe)), evaluation };
  return model.weights.staysWidened ? firstTimeOnly(phases, bytes.total) : phases;
}

const noRows: Rows = { lengths: [], targets: 0 };
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
