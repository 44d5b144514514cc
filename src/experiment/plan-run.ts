/** What a recipe will do, before it is done: target, trained parameters, memory, what is measured and what can't be. No pass is made. */

import os from 'node:os';
import path from 'node:path';
import { chooseTarget, needsAttribution } from '../attribution/target';
import { freeBytes } from '../files/disk-fault';
import { readableSize } from '../files/readable-size';
import { parameterCounts } from '../passes/model';
import type { RunPlan, TimePlan } from '../protocol/engine';
import { type Fault, unwrap } from '../protocol/fault';
import type { ResolvedRecipe } from '../protocol/recipe';
import { defaults } from '../protocol/recipe-defaults';
import type { ExpertId, Target } from '../protocol/records';
import { isOfTarget } from '../protocol/train-choice';
import { expertsByLayer, trainedSizes } from '../unlearn/training-set';
import { activationBytes, isWorthKeeping } from './activations';
import { runMemory } from './memory-plan';
import { type OpenedRecipe, type OpenOptions, openRecipe, type ReadSet } from './open-recipe';
import { spreadRows } from './routing-change';
import { planTime } from './time-plan';

export interface PlanOptions extends OpenOptions {
  /** Bytes the process holds already; measured when left out. */
  readonly processBytes?: number;
  /** Measures a sample of the model, which takes about a second, to plan seconds too. */
  readonly time?: boolean;
}

/** Below this many prompts, halves of them have fewer sequences than the experts they are compared by (attribution/stability.ts: 6). */
const fewPrompts = 12;

const rowsOf = (count: number, what: string): string => `${count} ${what} row${count === 1 ? '' : 's'}`;
/** Of a million rows a spread into Math.max would not fit the stack. */
const longestOf = (lists: readonly (readonly number[])[]): number =>
  lists.reduce((longest, list) => list.reduce((most, length) => Math.max(most, length), longest), 2);
const lengths = (set: ReadSet | null): number[] => set?.sequences.map(({ ids }) => ids.length) ?? [];

/** The plan of a recipe as written. Throws the FaultError that a run of it would begin with. */
export async function planRun(json: unknown, folder: string, options: PlanOptions = {}): Promise<RunPlan> {
  const opened = await openRecipe(json, folder, options);
  try {
    return await planOf(opened, options.processBytes ?? process.memoryUsage.rss(), folder, options);
  } finally {
    await opened.release();
  }
}

/** f32 copies of the trained values on disk: weights, two moments, those of two checks. The patch is one of the weights that change. */
const storedCopies = 5;

/** As a recipe that leaves rank and alpha out has it. */
const usualLora = { lora: { rank: defaults.lora.rank.value, alpha: defaults.lora.rank.value * defaults.lora.alphaTimesRank.value } };

/** Changes of the recipe that need less memory; only such that do. */
function waysOut(recipe: ResolvedRecipe, rows: number, longest: number, peakOf: (change: Partial<ResolvedRecipe>) => number): RunPlan['waysOut'] {
  const { batchSize, accumulate, maxLength } = recipe;
  const whole = batchSize === 'all' ? rows : batchSize;
  const halves = (from: number, least: number) => {
    const list: number[] = [];
    for (let value = Math.floor(from / 2); value >= least; value = Math.floor(value / 2)) list.push(value);
    return list;
  };
  const before = peakOf({});
  const fits = (change: Partial<ResolvedRecipe>) => peakOf(change) <= recipe.memory;
  /** The first that fits, else the last. */
  const enough = <T extends Partial<ResolvedRecipe>>(changes: readonly T[]): T | undefined => changes.find(fits) ?? changes.at(-1);
  const pieces = Array.from({ length: Math.ceil(Math.log2(Math.max(1, whole))) }, (_, i) => accumulate * 2 ** (i + 1)).filter((n) => n <= whole);
  const { train } = recipe;
  const changes = [
    ...(isOfTarget(train) ? [] : [{ train: 'expert+router' as const }]),
    ...(isOfTarget(train) || (typeof train === 'object' && 'lora' in train) ? [] : [{ train: usualLora }]),
    enough(pieces.map((n) => ({ accumulate: n }))),
    enough(halves(whole, 1).map((n) => ({ batchSize: n }))),
    enough(halves(Math.min(maxLength, longest), 8).map((n) => ({ maxLength: n }))),
  ];
  return changes.flatMap((change) => (change && peakOf(change) < before ? [{ change, peakBytes: peakOf(change) }] : []));
}

/** Free memory is told truthfully on Linux and Windows; macOS counts what it could give back as used. */
const availableMemory = (processBytes: number): number | null => (process.platform === 'darwin' ? null : os.freemem() + processBytes);

/** What a run of the recipe holds at its largest, in bytes of the whole process. `target`: what attribution has found by now. */
export const plannedPeak = (opened: OpenedRecipe, processBytes: number, target?: readonly ExpertId[]): number =>
  needs(opened, processBytes, target).needed({}).peakBytes;

/** Target and trained parameters as far as they are known before a pass, and the memory of the recipe with a change. */
function needs(opened: OpenedRecipe, processBytes: number, target?: readonly ExpertId[]) {
  const { recipe, handle, forget, retain, checks } = opened;
  const { model } = handle;
  const found = needsAttribution(recipe.target);
  const named = found ? [] : unwrap(chooseTarget(recipe.target, model.shape, null, opened.esft));
  const { moeLayers } = model.shape;
  // All MoE layers are of one shape, and a target in the lowest needs most; but where RMU trains all that lies below its target, one in the highest does.
  const worst = recipe.method === 'rmu' && !isOfTarget(recipe.train) ? moeLayers[moeLayers.length - 1] : moeLayers[0];
  const counted: Target = { experts: target ?? (found ? [{ layer: worst, expert: 0 }] : named), train: recipe.train };
  const trained = trainedSizes(model, recipe, counted);
  const trainedParameters = trained.parameters;
  const sets = {
    forget: lengths(forget),
    retain: lengths(retain),
    checks: checks ? [checks.forget, ...checks.utility].map(lengths) : [],
    evaluate: evaluationSets(opened).map(({ role, set }) => ({ role, rows: lengths(set) })),
  };
  const stored = isWorthKeeping(handle, sequencesOf(opened));
  const needed = (change: Partial<ResolvedRecipe>) => {
    const cut = (list: readonly number[]) => list.map((length) => Math.min(length, change.maxLength ?? length));
    const changed = {
      forget: cut(sets.forget),
      retain: cut(sets.retain),
      checks: sets.checks.map(cut),
      evaluate: sets.evaluate.map(({ role, rows }) => ({ role, rows: cut(rows) })),
    };
    const changedRecipe = { ...recipe, ...change } as ResolvedRecipe;
    const changedTarget = { ...counted, train: changedRecipe.train };
    return runMemory(handle, changedRecipe, changed, changedTarget, found, stored, trainedSizes(model, changedRecipe, changedTarget), processBytes);
  };
  return { named, counted, trained, trainedParameters, sets, needed };
}

/** Plans are within this share of what is then held. */
const planTolerance = 0.15;

const changeInWords = ({ change, peakBytes }: RunPlan['waysOut'][number]): string => {
  const [[field, value]] = Object.entries(change);
  return `"${field}": ${JSON.stringify(value)} needs about ${readableSize(peakBytes)}`;
};

/** The fault of a run that would not fit its budget, with changes of the recipe that would; null where it may. */
export function tooLarge(opened: OpenedRecipe, processBytes: number): Fault | null {
  const { recipe } = opened;
  const { sets, needed } = needs(opened, processBytes);
  const { peakBytes } = needed({});
  if (peakBytes <= recipe.memory * (1 + planTolerance)) return null;
  const ways = waysOut(recipe, sets.forget.length, longestOf([sets.forget, sets.retain]), (change) => needed(change).peakBytes);
  const fitting = ways.filter((way) => way.peakBytes <= recipe.memory).map(changeInWords);
  return {
    code: 'no-memory',
    message: `The run needs about ${readableSize(peakBytes)} of memory, and its budget is ${readableSize(recipe.memory)}.`,
    remedy: `Set "memory" to ${Math.ceil(peakBytes / 1e8) / 10}GB${fitting.length > 0 ? `, or make it smaller: ${fitting.slice(0, 2).join(', ')}` : ', or give fewer or shorter rows'}.`,
  };
}

const sequencesOf = ({ forget, retain }: OpenedRecipe) => [...forget.sequences, ...(retain?.sequences ?? [])];

/** Seconds of a run by phase. `stored`: its passes of the original are kept on disk. `found`: what attribution has found by now. */
export async function plannedTime(opened: OpenedRecipe, stored: boolean, signal?: AbortSignal, found?: readonly ExpertId[]): Promise<TimePlan> {
  const { counted, trainedParameters } = needs(opened, 0, found);
  // Half way up, where the target is not known: an expert is as likely below as above.
  const { moeLayers } = opened.handle.model.shape;
  const { recipe } = opened;
  const isOpen = needsAttribution(recipe.target) && !found && (recipe.method !== 'rmu' || isOfTarget(recipe.train));
  const target = isOpen ? { ...counted, experts: [{ layer: moeLayers[moeLayers.length >> 1], expert: 0 }] } : counted;
  return planTime(opened, { target, trainedValues: trainedParameters, stored }, os.freemem(), signal);
}

/** Bytes of the activations that a run leaves for later ones. */
function storedActivations(opened: OpenedRecipe): number {
  const { handle, recipe, checks, evaluate } = opened;
  const rows = sequencesOf(opened);
  if (!isWorthKeeping(handle, rows)) return 0;
  const tokens = (sets: readonly (ReadSet | null | undefined)[]) => sum(sets.flatMap((set) => lengths(set ?? null)));
  const measured = [checks?.forget, ...(checks?.utility ?? []), evaluate?.forget, evaluate?.near, ...(evaluate?.utility ?? [])];
  const { moeLayers } = handle.model.shape;
  const layers = needsAttribution(recipe.target) ? moeLayers.length : Math.min(2, moeLayers.length);
  return activationBytes(handle.model, sum(rows.map(({ ids }) => ids.length)), layers) + activationBytes(handle.model, tokens(measured), 1);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

async function planOf(opened: OpenedRecipe, processBytes: number, folder: string, { time = false, signal }: PlanOptions): Promise<RunPlan> {
  const { recipe, handle, forget, retain, checks, evaluate } = opened;
  const { model } = handle;
  const { named, counted, trained, trainedParameters, sets, needed } = needs(opened, processBytes);
  const { parts, ...memory } = needed({});
  const { measured, notMeasured } = measurements(opened, counted, evaluate);
  const over = `The run needs about ${readableSize(memory.peakBytes)} of memory, more than its budget of ${readableSize(memory.budgetBytes)}: shorten the rows, give fewer, or raise "memory".`;
  return {
    target: named,
    trainedParameters,
    trainedShare: trainedParameters / parameterCounts(model).total,
    forgetRows: forget.sequences.length,
    retainRows: retain?.sequences.length ?? 0,
    checkRows: checks?.forget.sequences.length ?? 0,
    memory,
    memoryParts: parts,
    availableBytes: availableMemory(processBytes),
    disk: {
      bytes: 4 * (trained.parameters * storedCopies + (trained.merged || trained.parameters)),
      free: await freeBytes(folder),
      activations: storedActivations(opened),
      exported: handle.checkpoint.totalBytes,
    },
    time: time ? await plannedTime(opened, isWorthKeeping(handle, sequencesOf(opened)), signal) : null,
    waysOut: waysOut(recipe, sets.forget.length, longestOf([sets.forget, sets.retain]), (change) => needed(change).peakBytes),
    measured,
    notMeasured,
    warnings: [...opened.warnings, ...dataWarnings(opened), ...(memory.peakBytes > memory.budgetBytes ? [over] : [])],
  };
}

type Role = 'forget' | 'near' | 'utility';

const evaluationSets = ({ evaluate }: OpenedRecipe): { readonly role: Role; readonly set: ReadSet }[] => [
  ...(evaluate?.forget ? [{ role: 'forget' as const, set: evaluate.forget }] : []),
  ...(evaluate?.near ? [{ role: 'near' as const, set: evaluate.near }] : []),
  ...(evaluate?.utility ?? []).map((set) => ({ role: 'utility' as const, set })),
];

const titles: Readonly<Record<Role, string>> = { forget: 'Forgetting', near: 'Neighbouring knowledge', utility: 'Utility' };
const absent: Readonly<Record<Role, string>> = {
  forget: 'Forgetting: no evaluation set of what to forget is given, so only the training loss shows it, not other wordings.',
  near: 'Neighbouring knowledge: no evaluation set near the forget topic is given.',
  utility: 'Utility: no evaluation set of what the model should keep is given.',
};

function measurements(opened: OpenedRecipe, target: Target, evaluate: OpenedRecipe['evaluate']): Pick<RunPlan, 'measured' | 'notMeasured'> {
  const { recipe, forget, retain, checks, handle } = opened;
  const { experts, topK } = handle.model.shape;
  const measured: string[] = [];
  const notMeasured: string[] = [];
  const list = evaluationSets(opened);
  for (const role of ['forget', 'near', 'utility'] as const) {
    const own = list.filter((each) => each.role === role);
    if (own.length === 0) notMeasured.push(absent[role]);
    for (const { set } of own) {
      const questions = set.sequences.filter(({ answer }) => answer !== undefined).length;
      if (questions > 0) {
        measured.push(`${titles[role]}: accuracy on ${questions} questions, before and after.`);
      } else {
        measured.push(`${titles[role]}: NLL, probability and extraction strength of ${rowsOf(set.sequences.length, 'text')}, before and after.`);
        notMeasured.push(`${titles[role]} as accuracy: ${path.basename(set.file)} has no questions with options.`);
      }
    }
  }
  if (evaluate?.forget) {
    const spare = [...expertsByLayer(target.experts).values()].every((own) => experts - own.length >= topK);
    if (spare) measured.push('Forgetting with the target experts forbidden, before and after: whether others would tell.');
    else notMeasured.push(`Forgetting with the target experts forbidden: a token needs ${topK} experts, and too few of a layer would be left.`);
  }
  const compared = (set: ReadSet): string => {
    const all = set.sequences.length;
    const some = spreadRows(all).length;
    return some === all ? `all ${all}` : `${some} of ${all}`;
  };
  measured.push(`Routing of ${compared(forget)} forget rows: how many chosen experts stay, and the share of the target.`);
  if (retain) measured.push(`Routing of ${compared(retain)} retain rows: how many chosen experts stay.`);
  else notMeasured.push('Routing of what the model should keep: there is no retain set.');
  const prompts = needsAttribution(recipe.target) ? forget.sequences.length : spreadRows(forget.sequences.length).length;
  measured.push(`Affinity of every expert on ${rowsOf(prompts, 'forget')}.`);
  if (prompts < 2) notMeasured.push('Stability of the affinities: too few prompts, one has no halves.');
  else measured.push(`Stability of the affinities over random halves of ${prompts} prompts.`);
  if (prompts >= 2 && prompts < fewPrompts)
    notMeasured.push(`Whether other prompts would name the same target: too few prompts (${prompts} of at least ${fewPrompts}).`);
  if (checks) {
    const utility = checks.utility.length === 0 ? '' : `, and utility on ${checks.utility.length} set${checks.utility.length === 1 ? '' : 's'}`;
    measured.push(`Every ${recipe.checks?.everySteps} steps: the forget score on ${rowsOf(checks.forget.sequences.length, 'check')}${utility}.`);
  } else {
    notMeasured.push('Scores during the run: the recipe has no checks, so the losses alone show how far it is.');
  }
  return { measured, notMeasured };
}

function dataWarnings({ recipe, forget, retain, checks, evaluate }: OpenedRecipe): string[] {
  const warnings: string[] = [];
  const all = [forget, retain, checks?.forget, ...(checks?.utility ?? []), evaluate?.forget, evaluate?.near, ...(evaluate?.utility ?? [])];
  const files = new Map(all.flatMap((set) => (set ? [[set.file, set] as const] : [])));
  for (const { file, skipped, truncated } of files.values()) {
    if (skipped > 0) warnings.push(`${skipped} row${skipped === 1 ? '' : 's'} of ${file} without a target ${skipped === 1 ? 'is' : 'are'} skipped.`);
    if (truncated > 0)
      warnings.push(`${truncated} row${truncated === 1 ? '' : 's'} of ${file} ${truncated === 1 ? 'is' : 'are'} cut to ${recipe.maxLength} tokens.`);
  }
  const prompts = forget.sequences.length;
  if (needsAttribution(recipe.target) && prompts < fewPrompts) {
    warnings.push(`The target is chosen from only ${rowsOf(prompts, 'forget')}: other wordings may name another expert.`);
  }
  if (recipe.batchSize !== 'all') {
    const read = recipe.steps * recipe.batchSize;
    if (recipe.batchSize > prompts) warnings.push(`A batch of ${recipe.batchSize} holds the ${rowsOf(prompts, 'forget')} more than once.`);
    else if (read < prompts) warnings.push(`${recipe.steps} steps of ${recipe.batchSize} rows train on ${read} of ${prompts} forget rows.`);
  }
  return warnings;
}
