/** Settings of the plan form and the recipe made from them. */

import { expertName, setting } from '../../protocol/numbers';
// Not through recipe.ts, whose schemas a window's start would wait for.
import type { MethodId, Recipe, ResolvedRecipe } from '../../protocol/recipe';
import { methodDefaults } from '../../protocol/recipe-defaults';
import { presets } from '../../protocol/recipe-presets';
import { resolveRecipe } from '../../protocol/recipe-resolve';
import type { ExpertId } from '../../protocol/records';
import { methodName } from '../../protocol/run-table';
import { trainName } from '../../protocol/train-choice';
import type { DataRole, PlanSettings, PresetChoice } from '../../protocol/workbench';
import { recipeTarget } from './targets';
import { t } from './text';

/** Values a plan starts from: the demo's recipe, or nothing (the defaults of every field). Data fields in it don't count. */
export interface Preset {
  readonly name: string;
  readonly recipe: Partial<Recipe>;
  /** Where its values come from; the plan's own words where left out. */
  readonly about?: { readonly help: string; readonly source: string };
}

export const defaultPreset: Preset = { name: 'Defaults', recipe: {} };

/** Name of the preset that comes with the demo. */
export const demoPreset = 'Demo recipe';

/** The preset that came with the model. */
export const ownPreset = 'own';

/** Absolute path of every data file, by role. */
export type DataPaths = Readonly<Record<DataRole, readonly string[]>>;

/** What a preset is called on the page; a file's is the name of the file. */
export function presetName({ name }: Preset): string {
  if (name === defaultPreset.name) return t('Defaults');
  return name === demoPreset ? t('Demo recipe') : name;
}

/** What the form offers: the model's own values first, then those of the catalogue; the demo's only for the demo. */
export function presetChoices(own: Preset): readonly PresetChoice[] {
  const isDemo = own.name === demoPreset;
  const isFile = own.recipe.model !== undefined;
  const first = isDemo
    ? { help: t('What the recipe beside the model says.'), source: t('recipe.uoe.json of the demo; our measurement, not the paper’s') }
    : isFile
      ? { help: t('What the recipe file says.'), source: own.name }
      : (own.about ?? {
          help: t('The default of every field.'),
          source: t('UOE paper (arXiv 2411.18797) and released code, field by field; see the documentation'),
        });
  return [
    { id: ownPreset, label: presetName(own), ...first },
    ...presets.filter(({ id }) => isDemo || !id.startsWith('demo-')).map(({ id, label, help, source }) => ({ id, label, help, source })),
  ];
}

/** The preset `id` over how the model's own one reads its data and what it trains; the own one where there is no such preset. */
export function presetOf(own: Preset, id: string): Preset {
  const chosen = presets.find((preset) => preset.id === id);
  if (!chosen) return own;
  const { addDocumentStart, chat, maxLength, scoring, checks, stop, target } = own.recipe;
  return { name: chosen.label, recipe: { addDocumentStart, chat, maxLength, scoring, checks, stop, ...chosen.recipe, target } };
}

/** Every default filled in. They depend on whether there is a retain set, never on which files these are. */
function filled(recipe: Partial<Recipe>): ResolvedRecipe {
  const stop = recipe.checks ? recipe.stop : undefined;
  const resolved = resolveRecipe({ ...recipe, stop, model: '.', forget: '.', retain: recipe.retain ?? '.' });
  if (!resolved.ok) throw new Error(`The preset is not a recipe: ${resolved.fault.message}`);
  return resolved.value.recipe;
}

/** The preset's own options hold for the preset's method only. */
function methodFields(preset: Partial<Recipe>, method: string): Partial<Recipe> {
  if ((preset.method ?? 'npo') === method) return { methodOptions: preset.methodOptions, retainLoss: preset.retainLoss };
  return { methodOptions: undefined, retainLoss: undefined };
}

const isMethod = (id: string): id is MethodId => Object.hasOwn(methodDefaults, id);

type MethodSettings = Pick<PlanSettings, 'retainWeight' | 'steering' | 'steeringUnit' | 'beta' | 'delta'>;

/** What a method's own fields start from: the preset's where it is the preset's method, else the defaults. */
export function methodSettings({ recipe }: Preset, method: string): MethodSettings {
  const choice = filled({ ...recipe, ...methodFields(recipe, method), method: isMethod(method) ? method : undefined });
  const npo = choice.method === 'npo' ? choice.methodOptions : null;
  const simnpo = choice.method === 'simnpo' ? choice.methodOptions : null;
  const rmu = choice.method === 'rmu' ? choice.methodOptions : null;
  const c = rmu?.c ?? 1;
  return {
    retainWeight: rmu ? rmu.retainWeight : choice.retainLoss.kind === 'none' ? 0 : choice.retainLoss.weight,
    steering: typeof c === 'number' ? c : c.timesHiddenNorm,
    steeringUnit: typeof c === 'number' ? 'absolute' : 'hiddenNorm',
    beta: (npo ?? simnpo)?.beta ?? 1,
    delta: simnpo?.delta ?? 0,
  };
}

/** The preset's values with every default filled in. */
export function settingsOf(preset: Preset): PlanSettings {
  const { method, train, optimizer, steps, batchSize, accumulate, anchor, seed, maxLength, keep } = filled(preset.recipe);
  const { checks, stop = {} } = preset.recipe;
  return {
    target: recipeTarget(preset.recipe) ? 'recipe' : 'one',
    method,
    train: typeof train === 'string' ? train : 'recipe',
    lr: optimizer.lr,
    steps,
    batchSize,
    anchorWeight: anchor.weight,
    seed,
    anchorForm: anchor.form,
    ...methodSettings(preset, method),
    schedule: optimizer.schedule,
    warmup: optimizer.warmup,
    maxLength,
    accumulate,
    everySteps: checks?.everySteps ?? 10,
    keep,
    forgetAtMost: stop.forgetAtMost ?? null,
    utilityDropAtMost: stop.utilityDropAtMost ?? null,
    nllRiseAtMost: stop.nllRiseAtMost ?? null,
    patience: stop.patience ?? 1,
  };
}

/** The settings with a change; another method brings its own options. */
export function changedSettings(preset: Preset, settings: PlanSettings, patch: Partial<PlanSettings>): PlanSettings {
  const { method, train } = patch;
  // The anchor is part of training the target's router; all parameters train without it.
  const isFull = train === 'full';
  const anchor = train !== undefined && isFull !== (settings.train === 'full') ? { anchorWeight: isFull ? 0 : 1 } : {};
  if (method === undefined || method === settings.method || !isMethod(method)) return { ...settings, ...anchor, ...patch };
  return { ...settings, ...methodSettings(preset, method), ...anchor, ...patch };
}

function methodOptions(preset: Partial<Recipe>, settings: PlanSettings): Recipe['methodOptions'] {
  const { method, beta, delta, steering, steeringUnit, retainWeight } = settings;
  const vector = methodFields(preset, method).methodOptions?.controlVector;
  if (method === 'npo') return { beta };
  if (method === 'simnpo') return { beta, delta };
  if (method !== 'rmu') return undefined;
  const c = steeringUnit === 'absolute' ? steering : { timesHiddenNorm: steering };
  return { c, retainWeight, ...(vector === undefined ? {} : { controlVector: vector }) };
}

/** RMU has its own retain term, GA none by definition; a weight of 0 is no retain loss. */
function retainLoss(preset: Partial<Recipe>, { method, retainWeight }: PlanSettings): Recipe['retainLoss'] {
  if (method === 'rmu' || method === 'ga' || retainWeight === 0) return { kind: 'none' };
  const kind = methodFields(preset, method).retainLoss?.kind;
  return { kind: kind === 'kl' ? 'kl' : 'nll', weight: retainWeight };
}

const withoutUndefined = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined && entry !== null)) as T;

/** Checks and the rules that look at them: only where there is a set to check on. */
function checkFields(settings: PlanSettings, paths: DataPaths): Pick<Recipe, 'checks' | 'stop'> {
  const [forget] = paths.stopForget;
  if (forget === undefined) return {};
  const { everySteps, forgetAtMost, utilityDropAtMost, nllRiseAtMost, patience } = settings;
  const hasUtility = paths.stopUtility.length > 0;
  const rules = withoutUndefined({ forgetAtMost, ...(hasUtility ? { utilityDropAtMost, nllRiseAtMost } : {}) }) as NonNullable<Recipe['stop']>;
  return {
    checks: { everySteps, forget, utility: [...paths.stopUtility] },
    ...(Object.keys(rules).length > 0 ? { stop: { ...rules, patience } } : {}),
  };
}

/** The recipe of a run: what the form says, over the preset, with absolute paths. `target` is the expert chosen in step 2. */
export function recipeOf(preset: Preset, settings: PlanSettings, model: string, target: ExpertId, paths: DataPaths): Recipe {
  const { checks: _checks, stop: _stop, evaluate: _evaluate, ...recipe } = preset.recipe;
  const [forget, retain] = [paths.forget[0], paths.retain[0]];
  const [evaluateForget, near] = [paths.evaluateForget[0], paths.evaluateNear[0]];
  const measured = evaluateForget !== undefined || near !== undefined || paths.evaluateUtility.length > 0;
  return withoutUndefined({
    ...recipe,
    ...checkFields(settings, paths),
    evaluate: measured ? withoutUndefined({ forget: evaluateForget, near, utility: [...paths.evaluateUtility] }) : undefined,
    retain,
    // A retain loss without a retain set is an error; without either the run has none.
    retainLoss: retain === undefined ? undefined : retainLoss(recipe, settings),
    methodOptions: methodOptions(recipe, settings),
    model,
    forget,
    target: (settings.target === 'recipe' && recipeTarget(recipe)) || { layer: target.layer, expert: target.expert },
    // Only a recipe that says so offers 'recipe'.
    train: settings.train === 'recipe' ? recipe.train : settings.train,
    method: settings.method as Recipe['method'],
    anchor: { weight: settings.anchorWeight, form: settings.anchorForm },
    optimizer: { ...recipe.optimizer, lr: settings.lr, schedule: settings.schedule, warmup: settings.warmup },
    steps: settings.steps,
    batchSize: settings.batchSize,
    accumulate: settings.accumulate,
    maxLength: settings.maxLength,
    keep: settings.keep,
    seed: settings.seed,
  });
}

function trainedWords(train: ResolvedRecipe['train']): string {
  if (typeof train !== 'string') return trainName(train);
  return { 'expert+router': t('expert and router'), expert: t('expert'), router: t('router'), full: t('all parameters') }[train];
}

type SettingsRow = readonly [name: string, value: string, note?: string];

const stopRows = ({ stop, checks }: ResolvedRecipe): readonly SettingsRow[] => {
  const rules = [
    ...(stop?.forgetAtMost == null ? [] : [t('forget at most {0}', setting(stop.forgetAtMost))]),
    ...(stop?.utilityDropAtMost == null ? [] : [t('utility drop above {0}', setting(stop.utilityDropAtMost))]),
    ...(stop?.nllRiseAtMost == null ? [] : [t('utility NLL rise above {0}', setting(stop.nllRiseAtMost))]),
  ];
  if (!checks) return [[t('Stops at'), t('its last step'), t('no stop set')]];
  const every = t('checked every {0} steps', setting(checks.everySteps));
  if (!stop || rules.length === 0) return [[t('Stops at'), t('its last step'), every]];
  return [[t('Stops at'), rules.join(', '), stop.patience === 1 ? every : t('{0}, {1} in a row', every, setting(stop.patience))]];
};

/** The settings of a run as rows of a list, from the recipe it carries out. */
export function settingsRows(recipe: Recipe, target: readonly ExpertId[]): readonly SettingsRow[] {
  const resolved = resolveRecipe(recipe);
  if (!resolved.ok) return [];
  const run = resolved.value.recipe;
  const c = run.method === 'rmu' ? run.methodOptions.c : null;
  const beta = run.method === 'npo' || run.method === 'simnpo' ? run.methodOptions.beta : null;
  const retain = run.method === 'rmu' ? run.methodOptions.retainWeight : run.retainLoss.kind === 'none' ? null : run.retainLoss.weight;
  return [
    [t('Target'), target.length > 0 ? target.map(expertName).join(', ') : t('highest affinity')],
    [t('Method'), methodName(run.method)],
    [t('Anchor weight α'), setting(run.anchor.weight), t('{0} form', run.anchor.form)],
    [t('Retain weight λ'), retain === null ? t('none') : setting(retain), run.method === 'rmu' ? t('RMU’s own term') : run.retainLoss.kind.toUpperCase()],
    ...(c === null ? [] : [[t('Steering c'), typeof c === 'number' ? setting(c) : t('{0} × hidden norm', setting(c.timesHiddenNorm))] as const]),
    ...(beta === null ? [] : [['β', setting(beta)] as const]),
    [t('Trains'), trainedWords(run.train)],
    [
      t('Learning rate'),
      setting(run.optimizer.lr),
      run.optimizer.warmup > 0 ? t('{0}, warm-up {1}', run.optimizer.schedule, run.optimizer.warmup) : run.optimizer.schedule,
    ],
    [
      t('Batch'),
      run.batchSize === 'all' ? t('all rows') : t('{0} rows', run.batchSize),
      run.accumulate > 1 ? t('at most {0} tokens each, in {1} parts', run.maxLength, run.accumulate) : t('at most {0} tokens each', run.maxLength),
    ],
    [t('Steps'), setting(run.steps)],
    [t('Seed'), setting(run.seed)],
    [t('Keeps'), run.keep === 'best' ? t('the best check') : t('the last step')],
    ...stopRows(run),
  ];
}

/** The form's values of a run's recipe, for "Use as new plan". */
export function settingsOfRun(recipe: Recipe): PlanSettings {
  const { stop, checks, ...rest } = recipe;
  return settingsOf({ name: '', recipe: { ...rest, ...(checks ? { checks, ...(stop ? { stop } : {}) } : {}) } });
}
