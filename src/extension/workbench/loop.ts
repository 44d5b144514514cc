/**
 * The loop Model → Find expert → Unlearn → Compare → Export: what each step does, on the engine and on the one state that tree and
 * webview show. No vscode here: dialogs, notifications and files come in as Surroundings.
 */

import path from 'node:path';
import { diskReader } from '../../experiment/run-reader';
import { runsFolder } from '../../experiment/runs-folder';
import { savedStep } from '../../experiment/saved-step';
import type { Catalogue } from '../../protocol/catalogue';
import type { ModelInfo, RunOutcome } from '../../protocol/engine';
import { type Fault, fail, ok, type Result } from '../../protocol/fault';
import { mostSteps, withRow } from '../../protocol/kept-steps';
import type { Recipe } from '../../protocol/recipe';
import { resolveRecipe } from '../../protocol/recipe-resolve';
import type { CheckRecord, ExpertId, RunRecord, StepRecord } from '../../protocol/records';
import type { DataRole, PlanSettings, PlanView, ProblemView, RunRow, RunView, WorkbenchState, WorkbenchStep } from '../../protocol/workbench';
import type { EngineClient, EngineStatus } from '../engine/client';
import { type Comparison, type ComparisonFigures, createComparison } from './comparison';
import { createEffects, type Effects, type EffectsFigures } from './effects';
import { backendInWords, faultInWords, inWords } from './engine-words';
import type { Jobs } from './job';
import { endedRun, startedRun, withCheck, withStep, withTarget } from './live-run';
import { measuredStep } from './measured-step';
import { completedPaths, withoutNeutral } from './neutral';
import { openingProblem } from './opening-problem';
import { changedSettings, defaultPreset, ownPreset, type Preset, presetOf, recipeOf, settingsOf, settingsOfRun, settingsRows } from './plan';
import { answerOf, planViewOf } from './plan-view';
import { createPreview, doctorView } from './preview';
import { createPrompts, type PromptFigures, type Prompts, type Unticked } from './prompts';
import { noSources, pathsOf, type Source, type Sources, sameSources, savedSources, viewsOf } from './sources';
import { stoppedProblem } from './stopped-problem';
import type { Store } from './store';
import { targetsView } from './targets';
import { t } from './text';

export interface Figures extends PromptFigures, ComparisonFigures, EffectsFigures {
  readonly steps: { readonly run: string; readonly rows: readonly StepRecord[] };
}

export interface Surroundings {
  readonly engine: EngineClient;
  readonly store: Store<WorkbenchState>;
  readonly figures: Store<Figures>;
  readonly jobs: Jobs;
  /** Folder whose .uoe/ holds runs and selections. */
  readonly workspace: () => string;
  readonly saveSelection: (text: string) => Promise<Result<string>>;
  /** A copy in the workspace of a file that comes with the extension. */
  readonly keepFile: (path: string, name: string) => Promise<Result<string>>;
  /** A fault that the workbench has no better place for. */
  readonly report: (fault: Fault) => void;
  readonly inform: (text: string, runId: string) => void;
}

/** What survives a window reload. */
export interface Memento {
  readonly model: string | null;
  readonly name: string;
  readonly preset: Preset;
  readonly sources: Sources;
  readonly settings: PlanSettings | null;
  /** Absent in mementos of before there was a choice. */
  readonly presetId?: string;
  readonly target: ExpertId | null;
  readonly unticked?: Unticked | null;
  readonly step: WorkbenchStep;
  readonly run: string | null;
  /** The run it is compared with; the original without one. */
  readonly before?: string | null;
}

export interface Loop {
  openModel(path: string, name: string, preset?: Preset, sources?: Partial<Sources>): Promise<void>;
  /** Tries once more what could not be opened. */
  openAgain(): Promise<void>;
  /** Restores the original of the checkpoint that could not be opened, then opens it. */
  restoreTried(): Promise<void>;
  triedName(): string;
  setData(role: DataRole, sources: readonly Source[]): void;
  /** Forget prompts besides those there are: shown as out of date until they are read. */
  addPrompts(sources: readonly Source[]): void;
  removePrompts(source: number): void;
  forgetSources(): readonly Source[];
  /** Those that the prompts shown were read from. */
  readSources(): readonly Source[];
  tick(prompts: readonly number[], ticked: boolean): void;
  showTokens(prompt: number): Promise<void>;
  testEngine(): Promise<void>;
  read(): Promise<void>;
  setTarget(target: ExpertId): void;
  changeSettings(patch: Partial<PlanSettings>): void;
  /** What the plan on the screen would carry out. */
  recipe(): Promise<Result<Recipe>>;
  resetSettings(): void;
  choosePreset(id: string): void;
  start(resume?: string): Promise<void>;
  /** For agents: a run of this recipe, or the rest of an old one; it is shown as any other. */
  startRecipe(recipe: Recipe | null, resume?: string): Promise<Result<RunOutcome>>;
  /** Cancels the run that is under way; it can be resumed. */
  cancelRun(): void;
  /** The plan again, with the settings of the run that is shown and a change of them. */
  newPlan(patch?: Partial<PlanSettings>): void;
  /** Looks for a run that was cut off; `elsewhere` when another process is at a run of this workspace; `cut` has a sentence for each export that was. */
  lookForInterrupted(): Promise<{ readonly elsewhere: boolean; readonly cut: readonly string[] }>;
  dismissInterrupted(): void;
  steer(action: 'pause' | 'continue' | 'keep' | 'discard'): Promise<void>;
  showRun(id: string, before?: string | null): Promise<void>;
  /** The same recipe, seed and data once more. */
  runAgain(id: string): Promise<void>;
  readonly comparison: Comparison;
  readonly effects: Effects;
  refreshRuns(): Promise<void>;
  /** The history as it was read last. */
  records(): readonly RunRecord[];
  /** The run's folder is gone: nothing shows it any more. */
  forgetRun(id: string): Promise<void>;
  discard(discarded: boolean): void;
  show(step: WorkbenchStep): void;
  engineChanged(status: EngineStatus): void;
  restartEngine(): Promise<void>;
  memento(): Memento;
  restore(memento: Memento): Promise<void>;
  dispose(): void;
}

// Both check what they read with zod, whose loading a window's start does not wait for.
const history = () => import('../../experiment/history');
const interruptedRuns = () => import('./interrupted');

interface Beginning {
  readonly recipe: Recipe;
  readonly settings: RunView['settings'];
  readonly plan: PlanSettings | null;
  readonly checks: readonly CheckRecord[];
  readonly steps: readonly StepRecord[];
}

const isActive = (run: RunView | null): run is RunView => run !== null && ['running', 'paused', 'stopping'].includes(run.status);

function viewOf(info: ModelInfo, name: string): WorkbenchState['model'] {
  const { path: _path, backend: _backend, ...rest } = info;
  return { ...rest, notes: rest.notes?.map(inWords), name };
}

const runRow = ({ id, number, method, status, reason, summary }: RunRecord): RunRow => ({
  id,
  number,
  method,
  status,
  reason: reason && inWords(reason),
  forget: summary?.forget ? summary.forget.after - summary.forget.before : null,
  utility: summary?.utility ? summary.utility.after - summary.utility.before : null,
});

export function createLoop(around: Surroundings): Loop {
  const { engine, store, figures, jobs } = around;
  let model: string | null = null;
  let records: readonly RunRecord[] = [];
  let preset: Preset = defaultPreset;
  let sources: Sources = noSources;
  let settings: PlanSettings | null = null;
  let presetId = ownPreset;
  let catalogue: Catalogue | null = null;
  let planned = 0;
  let current: Beginning | null = null;
  let stopRequest: (() => void) | undefined;
  let startedAt = 0;
  let tried: () => Promise<void> = async () => undefined;
  let triedFolder: string | null = null;
  /** Commands that took the person to another place on the page. */
  let moves = 0;

  const comparison = createComparison(around);
  const state = () => store.get();
  const set = (change: Partial<WorkbenchState>) => store.set(change);
  const preview = createPreview({ engine, store });
  const prompts: Prompts = createPrompts({ engine, store, figures, onChange: () => schedulePlan() });

  function failed(title: string, fault: Fault, actions: ProblemView['actions'] = [], kind?: ProblemView['kind']): void {
    if (fault.code === 'cancelled') return;
    // The crash has its own problem view, made when the process ended.
    if (state().engine.status === 'stopped') return;
    // Too little memory is said in full: the log has no more, and five buttons don't fit a narrow page.
    const log = kind === 'memory' ? [] : [{ id: 'showLog' as const, label: t('Show log') }];
    set({ problem: { title, text: faultInWords(fault), kind, actions: [...actions, ...log] } });
  }

  /** How rows are turned into tokens: the same for attribution, preview and the run. */
  const reading = () => {
    const { addDocumentStart, maxLength, chat } = preset.recipe;
    return { maxLength, chat, documentStart: addDocumentStart === undefined ? ('auto' as const) : addDocumentStart ? ('yes' as const) : ('no' as const) };
  };
  const dataOf = (role: DataRole) => sources[role].map((source) => source.data);

  const effects = createEffects({
    engine,
    store,
    figures,
    jobs,
    failed: (title, fault) => failed(title, fault),
    /** Questions where there are any: their score is what a run is judged by. */
    subject: () => {
      if (model === null || sources.forget.length === 0) return null;
      const [forget, retain] = [
        sources.evaluateForget.length > 0 ? sources.evaluateForget : sources.forget,
        sources.evaluateUtility.length > 0 ? sources.evaluateUtility : sources.retain,
      ];
      const { options, normalise } = preset.recipe.scoring ?? {};
      return { model, forget, retain, prompts: sources.forget, how: { ...reading(), options, normalise, workspace: around.workspace() } };
    },
  });

  function showData(): void {
    effects.lookUp();
    set({ data: viewsOf(sources) });
    void preview.refresh(model, sources, reading());
  }

  function clearResults(): void {
    prompts.clear();
    effects.clear();
    set({ doctor: null, preview: null, plan: null, run: null, comparison: null, exported: null, problem: null });
  }

  /** Data, target and model belong to the run while it goes on. */
  function refusedWhileRunning(): boolean {
    if (!isActive(state().run)) return false;
    around.report(fail('conflict', t('A run is going on.'), t('Stop it first.')).fault);
    return true;
  }

  async function openModel(path: string, name: string, newPreset: Preset = defaultPreset, newSources: Partial<Sources> = {}): Promise<void> {
    if (refusedWhileRunning()) return;
    moves++;
    const selected = sources.forget.filter((source) => source.view.kind === 'selection');
    const given = model === null ? Object.fromEntries(Object.entries(sources).filter(([, list]) => list.length > 0)) : {};
    set({ problem: null });
    const info = await jobs.run(t('Opening {0}', name), (options) => engine.request('openModel', { path }, options));
    if (!info.ok) {
      tried = () => openModel(path, name, newPreset, newSources);
      triedFolder = path;
      const { title, actions, kind } = openingProblem(info.fault);
      return failed(title, info.fault, actions, kind);
    }
    if (model !== null && model !== path) await engine.request('closeModel', { path: model });
    model = path;
    preset = newPreset;
    presetId = ownPreset;
    // What the user selected in an editor stays, and what was chosen before any model was open; other files belonged to the checkpoint before.
    const fitting = info.value.tokenizer === null ? withoutNeutral(newSources) : newSources;
    sources = { ...noSources, ...fitting, ...given, ...(selected.length > 0 ? { forget: selected } : {}) };
    settings = settingsOf(preset);
    clearResults();
    set({
      engine: { ...state().engine, backend: backendInWords(info.value.backend) },
      model: viewOf(info.value, name),
      data: viewsOf(sources),
      step: sources.forget.length > 0 ? 'find' : 'model',
    });
    await refreshRuns();
    if (sources.forget.length > 0) await read();
    else void preview.refresh(path, sources, reading());
  }

  function changePrompts(forget: readonly Source[]): void {
    if (refusedWhileRunning()) return;
    sources = { ...sources, forget };
    showData();
    if (forget.length === 0) prompts.clear();
    else prompts.outdate();
    schedulePlan();
  }

  async function read(): Promise<void> {
    const path = model;
    if (path === null || sources.forget.length === 0) return;
    set({ problem: null });
    const against = dataOf('retain');
    const read = sources;
    void preview.refresh(path, sources, reading());
    const result = await jobs.run(t('Reading forget prompts'), (options) =>
      engine.request('attribute', { model: path, prompts: dataOf('forget'), ...(against.length > 0 ? { against } : {}), ...reading() }, options),
    );
    if (!result.ok) return failed(t('The prompts could not be read'), result.fault);
    prompts.take(result.value, read.forget);
    effects.lookUp();
    // What was chosen while the pass went on is not in it.
    if (!sameSources(read.forget, sources.forget) || !sameSources(read.retain, sources.retain)) prompts.outdate();
  }

  function setTarget(id: ExpertId): void {
    if (refusedWhileRunning() || !prompts.pick(id)) return;
    if (settings) settings = { ...settings, target: 'one' };
    schedulePlan();
  }

  function show(step: WorkbenchStep): void {
    moves++;
    set({ step });
    schedulePlan();
  }

  // ---- plan

  function planView(answer: PlanView['answer'], refusal: string | null, isUpdating = false): void {
    if (!settings) return;
    const { model: shown, attribution } = state();
    const known = { model: shown, heatmap: figures.get().heatmap, best: attribution?.best ?? null, listed: answer?.target ?? [] };
    const targets = targetsView(presetOf(preset, presetId).recipe, known);
    set({ plan: planViewOf({ own: preset, presetId, settings, methods: catalogue?.methods ?? [], targets }, answer, refusal, isUpdating) });
  }

  /** What a run of the plan on the screen trains. */
  function plannedTarget(): readonly ExpertId[] {
    const { plan: shown, target } = state();
    if (shown?.targets && shown.settings.target === 'recipe') return shown.targets.experts.map(({ layer, expert }) => ({ layer, expert }));
    return target ? [target] : [];
  }

  /** Only the ticked prompts are forgotten: all of one source as they are, else the chosen rows as a file. */
  const forgetFiles = () =>
    prompts.files(around.saveSelection, async () => {
      const saved = await savedSources({ ...noSources, forget: sources.forget }, around.saveSelection);
      if (!saved.ok) return saved;
      sources = { ...sources, forget: saved.value.forget };
      return ok(pathsOf(saved.value).forget);
    });

  /** The recipe for what is on the screen; saves a selection, so it is called only once the user looks at the plan. */
  async function currentRecipe(): Promise<Result<Recipe>> {
    const { target } = state();
    if (model === null || !settings) return fail('usage', t('No model is open.'));
    if (!target) return fail('usage', t('No target expert yet.'), t('Find the expert first.'));
    const forget = await forgetFiles();
    if (!forget.ok) return forget;
    const saved = await savedSources({ ...sources, forget: [] }, around.saveSelection, around.keepFile);
    if (!saved.ok) return saved;
    sources = { ...saved.value, forget: sources.forget };
    const paths = completedPaths({ ...pathsOf(sources), forget: forget.value }, state().attribution?.sequences ?? 0);
    return { ok: true, value: recipeOf(presetOf(preset, presetId), settings, model, target, paths) };
  }

  function schedulePlan(): void {
    if (state().step !== 'unlearn' || isActive(state().run)) return;
    const turn = ++planned;
    planView(state().plan?.answer ?? null, state().plan?.refusal ?? null, true);
    setTimeout(() => {
      if (turn === planned) void plan(turn);
    }, 150);
  }

  async function readFolder(id: string) {
    const folder = await engine.request('readRun', { run: id, workspace: around.workspace(), mostSteps });
    return folder.ok ? folder.value : null;
  }

  async function plan(turn: number): Promise<void> {
    const recipe = await currentRecipe();
    if (!recipe.ok) return planView(null, faultInWords(recipe.fault));
    const asked = { recipe: recipe.value, folder: around.workspace() };
    const answer = await engine.request('planRun', asked);
    if (turn !== planned) return;
    if (!answer.ok) return planView(null, faultInWords(answer.fault));
    const step = await measuredStep(recipe.value, state().runs, readFolder, state().engine.backend?.name);
    const steps = state().plan?.settings.steps ?? 0;
    if (turn === planned) planView(answerOf(answer.value, step, steps), null);
    // Seconds take a sample, which the rest doesn't wait for.
    const timed = turn === planned ? await engine.request('planRun', { ...asked, time: true }) : null;
    if (turn === planned && timed?.ok) planView(answerOf(timed.value, step, steps), null);
  }

  // ---- run

  /** What a run starts from: the plan on the screen, or, to resume one, that run's own recipe and journal. */
  async function beginning(resume: string | undefined, again: string | undefined): Promise<Result<Beginning>> {
    const from = resume ?? again;
    if (from === undefined) {
      const recipe = await currentRecipe();
      if (!recipe.ok) return recipe;
      return { ok: true, value: { recipe: recipe.value, settings: settingsRows(recipe.value, plannedTarget()), plan: settings, steps: [], checks: [] } };
    }
    const folder = await engine.request('readRun', { run: from, workspace: around.workspace(), mostSteps });
    if (!folder.ok) return folder;
    const { recipe, record } = folder.value;
    const { steps, checks } = resume === undefined ? { steps: [], checks: [] } : folder.value;
    return { ok: true, value: { recipe, steps, checks, plan: settingsOfRun(recipe), settings: settingsRows(recipe, record.target.experts) } };
  }

  async function start(resume?: string, again?: string): Promise<void> {
    if (isActive(state().run)) return;
    const begun = await beginning(resume, again);
    if (!begun.ok) return failed(t('The run can not start'), begun.fault);
    await carryOut(begun.value, resume);
  }

  /** The same for a recipe that was not made on the page. */
  async function startRecipe(recipe: Recipe | null, resume?: string): Promise<Result<RunOutcome>> {
    if (isActive(state().run)) return fail('conflict', t('A run is going on in this window.'), t('Wait for its end, or stop it first.'));
    if (recipe === null) {
      const begun = await beginning(resume, undefined);
      return begun.ok ? carryOut(begun.value, resume) : begun;
    }
    const resolved = resolveRecipe(recipe);
    if (!resolved.ok) return resolved;
    return carryOut({ recipe, settings: settingsRows(recipe, []), plan: settingsOfRun(recipe), steps: [], checks: [] }, undefined);
  }

  async function carryOut(begun: Beginning, resume: string | undefined): Promise<Result<RunOutcome>> {
    // A window that has just opened has no model yet.
    if (model === null) await openModel(begun.recipe.model, path.basename(begun.recipe.model));
    current = begun;
    const { recipe } = begun;
    startedAt = Date.now();
    set({ problem: null, comparison: null, exported: null, run: null, interrupted: null });
    figures.set({ steps: { run: '', rows: [] } });
    const stop = new AbortController();
    stopRequest = () => stop.abort();
    const result = await jobs.run(t('Unlearning'), ({ signal, onProgress }) =>
      engine.request(
        'startRun',
        { recipe, folder: around.workspace(), workspace: around.workspace(), ...(resume === undefined ? {} : { resume }) },
        { signal: AbortSignal.any([signal, stop.signal]), onProgress },
      ),
    );
    const endedAt = place();
    // A request would start a new engine and hide that this one ended.
    const crashed = !result.ok && state().engine.status === 'stopped';
    if (!crashed) await refreshRuns();
    const { run } = state();
    if (!result.ok) {
      const status = result.fault.code === 'cancelled' ? 'cancelled' : crashed ? 'interrupted' : 'failed';
      if (run) set({ run: { ...run, status, reason: faultInWords(result.fault), resumable: status !== 'failed', savedStep: await stepSaved(run.id) } });
      failed(t('The run ended'), result.fault);
      return result;
    }
    const { record, evaluation } = result.value;
    if (run) set({ run: endedRun(run, record, recipe) });
    if (record.status === 'cancelled') return result;
    await showRun(record.id, null, endedAt);
    if (evaluation) around.inform(t('Run {0}: {1}.', record.number, state().comparison?.headline ?? record.status), record.id);
    return result;
  }

  async function steer(action: 'pause' | 'continue' | 'keep' | 'discard'): Promise<void> {
    const { run } = state();
    if (!isActive(run)) return;
    const answer = await engine.request('steerRun', { action });
    if (!answer.ok) return around.report(answer.fault);
    const status = action === 'pause' ? 'paused' : action === 'continue' ? 'running' : 'stopping';
    const now = state().run;
    if (isActive(now)) set({ run: { ...now, status } });
  }

  /** Where the person is: a command given since then has moved on, and the page stays with it. */
  const place = () => `${state().step} ${moves}`;

  async function showRun(id: string, before: string | null = null, asked: string = place()): Promise<void> {
    if (asked !== place()) return;
    const isSame = state().comparison?.run === id;
    if (await comparison.show(id, before))
      set({ ...(asked === place() ? { step: 'compare' as const, sweep: null } : {}), ...(isSame ? {} : { exported: null }) });
  }

  async function refreshRuns(): Promise<void> {
    const { readHistory } = await history();
    const { runs } = await readHistory(diskReader, around.workspace());
    const newestFirst = runs.map(({ record }) => record).sort((a, b) => b.number - a.number);
    records = runs.map(({ record }) => record);
    set({ runs: newestFirst.map(runRow) });
  }

  // ---- events of the engine

  const stopListening = [
    engine.listen('runStarted', ({ record }) => {
      figures.set({ steps: { run: record.id, rows: current?.steps ?? [] } });
      const begun = withTarget(startedRun(record, current?.settings ?? [], current?.plan ?? null), plannedTarget());
      set({ step: 'unlearn', run: (current?.checks ?? []).reduce(withCheck, begun) });
    }),
    engine.listen('step', ({ record, memoryBytes }) => {
      const { steps } = figures.get();
      const rows = withRow(steps.rows, record);
      figures.set({ steps: { run: steps.run, rows } });
      const { run } = state();
      if (run) set({ run: withStep(run, rows, (Date.now() - startedAt) / 1000, memoryBytes) });
    }),
    engine.listen('check', ({ record }) => {
      const { run } = state();
      if (run) set({ run: withCheck(run, record) });
    }),
  ];

  /** Last saved step of a run, from its folder: the engine may be gone. */
  async function stepSaved(id: string): Promise<number | null> {
    return savedStep(path.join(runsFolder(around.workspace()), id));
  }

  function engineChanged(status: EngineStatus): void {
    if (status.status === 'ready') {
      catalogue = status.answer.catalogue;
      set({ engine: { status: 'ready', backend: backendInWords(status.answer.backend) } });
    } else if (status.status === 'starting') {
      set({ engine: { status: 'starting' } });
    } else if (status.requested) {
      set({ engine: { status: 'off' } });
    } else {
      const shown = state().run;
      const run = isActive(shown) ? shown : null;
      const done = figures.get().steps.rows.at(-1)?.step ?? 0;
      const problem = stoppedProblem(status.reason, run, done);
      set({ engine: { status: 'stopped' }, problem });
      if (run)
        void stepSaved(run.id).then((saved) => {
          if (state().problem === problem) set({ problem: stoppedProblem(status.reason, run, done, saved) });
        });
    }
  }

  async function restartEngine(): Promise<void> {
    // A change of the setting restarts the engine: then there may be enough.
    const hadNoMemory = state().problem?.kind === 'memory';
    jobs.cancelAll();
    engine.stop();
    set({ problem: null });
    const path = model;
    if (path === null) return hadNoMemory ? tried() : undefined;
    const info = await jobs.run(t('Opening the checkpoint again'), (options) => engine.request('openModel', { path }, options));
    if (!info.ok) {
      tried = restartEngine;
      triedFolder = path;
      const { title, actions, kind } = openingProblem(info.fault);
      return failed(title, info.fault, actions, kind);
    }
    set({ engine: { ...state().engine, backend: backendInWords(info.value.backend) } });
    await refreshRuns();
  }

  return {
    openModel,
    openAgain: () => tried(),
    triedName: () => (triedFolder === null ? '' : (triedFolder.split(/[\\/]/).at(-1) ?? '')),
    async restoreTried() {
      const path = triedFolder;
      if (path === null) return;
      const result = await jobs.run(t('Restoring the original'), (options) => engine.request('restoreModel', { model: path }, options));
      if (!result.ok) return failed(t('The original was not restored'), result.fault);
      await tried();
    },
    setData(role, list) {
      if (refusedWhileRunning()) return;
      sources = { ...sources, [role]: list };
      showData();
      if (role === 'forget') {
        set({ comparison: null });
        prompts.clear();
      } else if (role === 'retain') prompts.outdate();
      schedulePlan();
    },
    addPrompts: (list) => changePrompts([...sources.forget, ...list]),
    removePrompts: (source) => changePrompts(sources.forget.filter((_, index) => index !== source)),
    forgetSources: () => sources.forget,
    readSources: () => prompts.sources(),
    tick(list, ticked) {
      if (!refusedWhileRunning()) prompts.tick(list, ticked);
    },
    async showTokens(prompt) {
      const path = model;
      if (path === null) return;
      const shown = await jobs.run(t('Reading one prompt'), (options) => prompts.showTokens(path, prompt, reading(), options));
      if (!shown.ok) around.report(shown.fault);
    },
    async testEngine() {
      const report = await jobs.run(t('Testing the engine'), (options) =>
        engine.request('doctor', { folder: around.workspace(), ...(model === null ? {} : { model }) }, options),
      );
      if (report.ok) set({ doctor: doctorView(report.value) });
      else failed(t('The engine could not be tested'), report.fault);
    },
    read,
    setTarget,
    changeSettings(patch) {
      if (!settings) return;
      settings = changedSettings(presetOf(preset, presetId), settings, patch);
      schedulePlan();
    },
    recipe: currentRecipe,
    resetSettings() {
      settings = settingsOf(presetOf(preset, presetId));
      schedulePlan();
    },
    choosePreset(id) {
      presetId = id;
      settings = settingsOf(presetOf(preset, id));
      schedulePlan();
    },
    start,
    startRecipe,
    cancelRun: () => stopRequest?.(),
    newPlan(patch = {}) {
      if (isActive(state().run)) return;
      settings = state().run?.plan ?? settings;
      // What the run trains may stand in its own recipe alone.
      if (settings?.target === 'recipe' && current) preset = { ...preset, recipe: { ...preset.recipe, target: current.recipe.target } };
      if (settings) settings = changedSettings(presetOf(preset, presetId), settings, patch);
      set({ run: null, problem: null });
      show('unlearn');
    },
    steer,
    showRun,
    runAgain: (id) => start(undefined, id),
    comparison,
    effects,
    refreshRuns,
    records: () => records,
    async forgetRun(id) {
      const { comparison: shown, run, step } = state();
      if (shown?.run === id) set({ comparison: null, exported: null, step: step === 'compare' || step === 'export' ? 'unlearn' : step });
      if (run?.id === id && !isActive(run)) set({ run: null });
      await refreshRuns();
    },
    discard(discarded) {
      const { comparison } = state();
      if (comparison) set({ comparison: { ...comparison, discarded }, exported: null });
    },
    show,
    engineChanged,
    restartEngine,
    async lookForInterrupted() {
      const { findInterrupted } = await interruptedRuns();
      const { interrupted, elsewhere, cut } = await findInterrupted(around.workspace());
      if (state().run === null) set({ interrupted });
      return { elsewhere, cut: cut.map(inWords) };
    },
    dismissInterrupted: () => set({ interrupted: null }),
    memento: () => ({
      model,
      name: state().model?.name ?? '',
      preset,
      sources,
      settings,
      presetId,
      target: state().target,
      unticked: prompts.unticked(),
      step: state().step,
      run: state().comparison?.run ?? null,
      before: state().comparison?.before.run ?? null,
    }),
    async restore(memento) {
      if (memento.model === null) return;
      prompts.restore(memento.unticked ?? null);
      const moved = moves + 1;
      await openModel(memento.model, memento.name, memento.preset, memento.sources);
      if (model === null || moved !== moves) return;
      presetId = memento.presetId ?? ownPreset;
      if (memento.target) setTarget(memento.target);
      settings = { ...settingsOf(presetOf(preset, presetId)), ...memento.settings };
      if (memento.run !== null) await comparison.show(memento.run, memento.before ?? null);
      if (moved === moves) show(memento.step);
    },
    dispose() {
      // A run that goes on is cut off, not cancelled: the next window offers to go on with it.
      for (const stop of stopListening) stop();
      engine.stop();
    },
  };
}
