/** The steps of a run with its checks, stop rules, journals and saved state. */
import path from 'node:path';
import { routingSummary } from '../attribution/affinity';
import type { Prefix } from '../evaluate/measure';
import { openJournal, readJournal, truncateJournal } from '../files/journal';
import { prefixBefore } from '../passes/components';
import { asStored, type Conditions } from '../passes/model';
import { type Activations, type OriginalPass, storeOriginal } from '../passes/original-pass';
import { type Fault, FaultError, refuse, unwrap } from '../protocol/fault';
import type { CheckRecord, RunStatus, StepRecord, Target } from '../protocol/records';
import type { HostTensor } from '../protocol/tensors';
import { type Training, type TrainState, takeStep } from '../unlearn/step';
import { highestTarget } from '../unlearn/trained-units';
import { openTraining } from '../unlearn/training';
import { lastWanted, placesOf, rowsUsed, stepWindow, type TrainingRows } from '../unlearn/training-set';
import { writeAttribution } from './attribution-files';
import { bestCheck, type PreparedCheck, prepareChecks, runCheck, stopReason } from './checks';
import { gentlerRate } from './gentler-rate';
import type { OpenedRecipe } from './open-recipe';
import { type KeptWeights, loadState, saveState } from './resume';
import { prepareRouting, spreadRows } from './routing-change';
import type { RunHooks, Steering } from './run-hooks';
import { timed } from './timed';

/** Seconds between two saves of the resume state, so that large experts do not fill the disk's time. */
const saveEverySeconds = 2;

/** 9 significant digits, as all journals carry. */
const nine = (value: number): number => Number(value.toPrecision(9));
const rounded = <T extends StepRecord | CheckRecord>(record: T): T =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, typeof value === 'number' ? nine(value) : value])) as unknown as T;

export interface Trained {
  readonly status: RunStatus;
  readonly reason: string | undefined;
  readonly steps: number;
  /** The result; null where nothing is kept. */
  readonly kept: KeptWeights | null;
  /** The user wants nothing of it. */
  readonly discarded: boolean;
  readonly training: Training;
  readonly routing: PreparedCheck['routing'];
}

export interface Found {
  readonly target: Target;
  /** The attribution's pass over the rows of the first steps, where its streams fit the budget: training starts from it. */
  readonly pass: OriginalPass | null;
  readonly activations: Activations;
  /** Whether the attribution is written; else it is written from the rows whose routing is compared, which costs no further pass. */
  readonly attributed: boolean;
}

/** Weights of a step by unit, to lay over the checkpoint's. */
export const overlayOf = (training: Training, params: ReadonlyMap<string, Float32Array>): Map<string, HostTensor> => training.parametrisation.overlay(params);

const rowsOf = (opened: OpenedRecipe): TrainingRows => ({ forget: opened.forget.sequences, retain: opened.retain?.sequences ?? [] });

/** What the steps around `step` need; `pass` holds it for the first ones. */
function openSteps(run: string, opened: OpenedRecipe, { target, pass, activations }: Found, step: number, hooks: RunHooks): ReturnType<typeof openTraining> {
  const { recipe, handle, controlVector } = opened;
  const { model } = handle;
  const rows = rowsOf(opened);
  const steps = stepWindow(model, recipe, rows, step, activations.store !== null);
  const progress = (done: number, total: number) => hooks.progress?.('Preparing', done, total, 'layers');
  const first = steps.from === 1 ? pass : null;
  return openTraining({ model, recipe, target, rows, steps, pass: first, activations, spillFolder: run, controlVector, signal: hooks.signal, progress });
}

/** With a store: one pass up to the lowest layer that changes for all that is checked and evaluated, in place of one for each set. */
async function keepPrefixes(
  { handle, checks, evaluate }: OpenedRecipe,
  activations: Activations,
  until: Prefix | null,
  { signal, progress }: RunHooks,
): Promise<void> {
  if (!activations.store || !until) return;
  const sets = [checks?.forget, ...(checks?.utility ?? []), evaluate?.forget, evaluate?.near, ...(evaluate?.utility ?? [])];
  const sequences = sets.flatMap((set) => set?.sequences ?? []);
  if (sequences.length === 0) return;
  const rows = { forget: sequences.map((_, row) => row), retain: [] };
  await storeOriginal(
    handle.model,
    { forget: sequences, retain: [] },
    rows,
    { ...asStored, signal },
    {
      keep: new Set([until.layer]),
      until,
      last: new Set(),
      activations,
      progress: (done, total) => progress?.('Preparing', done, total, 'layers'),
    },
  );
}

/**
 * With a store and a target that needed no attribution: one pass for the rows of the steps and those whose routing is compared, in place of one for each.
 * Where the loss ends at the target, other rows of the steps need no more than the layers up to it.
 */
async function keepOriginals(opened: OpenedRecipe, { target, activations, attributed }: Found, until: Prefix | null, hooks: RunHooks): Promise<void> {
  if (attributed || !activations.store) return;
  const { recipe, handle } = opened;
  const { model } = handle;
  const { moeLayers, experts, topK } = model.shape;
  const sets = rowsOf(opened);
  const isShort = recipe.method === 'rmu' && recipe.retainLoss.kind === 'none';
  const used = isShort ? { forget: [], retain: [] } : rowsUsed(recipe, sets, { from: 1, to: recipe.steps });
  const both = (own: readonly number[], compared: readonly number[]) => [...new Set([...own, ...compared])].sort((a, b) => a - b);
  const rows = { forget: both(used.forget, spreadRows(sets.forget.length)), retain: both(used.retain, spreadRows(sets.retain.length)) };
  await storeOriginal(
    model,
    sets,
    rows,
    { ...asStored, signal: hooks.signal },
    {
      keep: new Set([...(until ? [until.layer] : []), highestTarget(target.experts)]),
      last: lastWanted(recipe),
      summary: routingSummary(moeLayers, experts, topK),
      activations,
      progress: (done, total) => hooks.progress?.('Preparing', done, total, 'layers'),
    },
  );
}

async function prepare(run: string, opened: OpenedRecipe, found: Found, hooks: RunHooks) {
  const { target, attributed } = found;
  const { recipe, handle } = opened;
  const { model } = handle;
  const { signal } = hooks;
  const original: Conditions = { ...asStored, signal };
  const rows = rowsOf(opened);
  const place = placesOf(model, recipe, target).start;
  const prefix = prefixBefore(place);
  await keepOriginals(opened, found, prefix, hooks);
  await keepPrefixes(opened, found.activations, prefix, hooks);
  const made = await openSteps(run, opened, found, 1, hooks);
  const routing: PreparedCheck['routing'] = {
    forget: await prepareRouting(model, rows.forget, prefix, original, found.activations),
    retain: await prepareRouting(model, rows.retain, prefix, original, found.activations),
  };
  if (!attributed && routing.forget)
    await writeAttribution(
      run,
      model.family,
      { forget: routing.forget.record, retain: routing.retain?.record ?? null, rows: routing.forget.rows },
      recipe.seed,
    );
  return { ...made, routing, prepared: await prepareChecks(model, opened, routing, prefix, original, found.activations) };
}

/** Journals and state as they were at the last save: what came after it is done again. */
async function openJournals(run: string, training: Training) {
  const stepsFile = path.join(run, 'steps.jsonl');
  const checksFile = path.join(run, 'checks.jsonl');
  const saved = await loadState(run, training.parametrisation.parameters);
  unwrap(await truncateJournal(stepsFile, saved?.state.step ?? 0));
  // A later check than the weights kept of it is made again: those weights are needed.
  const upTo = saved === null ? -1 : (saved.lastGood?.step ?? 0);
  const checks = (unwrap(await readJournal(checksFile)).rows as unknown as CheckRecord[]).filter(({ step }) => step <= upTo);
  unwrap(await truncateJournal(checksFile, checks.length));
  const steps = unwrap(await openJournal(stepsFile));
  const opened = await openJournal(checksFile);
  if (!opened.ok) await steps.close();
  return { saved, checks, steps, checksJournal: unwrap(opened) };
}

/** Trains to the end of the recipe, to a stop rule, to a loss that is not finite, or until the caller says so. `reached` hears of every step. */
export async function train(
  run: string,
  opened: OpenedRecipe,
  found: Found,
  hooks: RunHooks,
  seconds: Record<string, number>,
  reached: (step: number) => void,
): Promise<Trained> {
  const { recipe, handle } = opened;
  const { model } = handle;
  const { signal } = hooks;
  const { target } = found;
  const first = await timed(seconds, 'preparation', () => prepare(run, opened, found, hooks));
  const { initial, routing, prepared } = first;
  let { training } = first;
  const { saved, checks, steps, checksJournal } = await openJournals(run, training);
  let state: TrainState = saved?.state ?? initial;
  let best: KeptWeights | null = saved?.best ?? null;
  let lastGood: KeptWeights | null = saved?.lastGood ?? null;
  let lastSave = performance.now();
  reached(state.step);
  const save = async () => {
    await hooks.held?.();
    await saveState(run, { state, best, lastGood }, training.parametrisation.parameters);
    lastSave = performance.now();
  };
  const due = (step: number) => step === 0 || (recipe.checks !== null && (step % recipe.checks.everySteps === 0 || step === recipe.steps));
  const check = async (sets: PreparedCheck): Promise<void> => {
    const edited: Conditions = { ...asStored, signal, overlay: overlayOf(training, state.params) };
    const row = rounded(await timed(seconds, 'checks', () => runCheck(model, sets, state.step, recipe, target.experts, edited)));
    await hooks.held?.();
    unwrap(await checksJournal.append({ ...row }));
    checks.push(row);
    hooks.check?.(row);
    if (row.step === 0) return;
    lastGood = { step: state.step, params: state.params };
    if (bestCheck(checks, recipe.stop)?.step === row.step) best = lastGood;
    await save();
  };
  const result = (status: RunStatus, reason: string | undefined, kept: KeptWeights | null, discarded = false): Trained => {
    const beyond = kept !== null && recipe.keep === 'best' && checks.length > 1 && best === null;
    const note = beyond ? `No check was within the utility limit; the weights of step ${kept.step} are kept.` : undefined;
    return { status, reason: [reason, note].filter(Boolean).join(' ') || undefined, steps: state.step, kept, discarded, training, routing };
  };
  const current = (): KeptWeights => ({ step: state.step, params: state.params });
  const chosen = (): KeptWeights => (recipe.keep === 'best' && best ? best : current());
  const diverged = (what: string): Trained => {
    const kept = recipe.keep === 'best' && best ? best : lastGood;
    const which = kept === best && kept !== lastGood ? 'the best check' : 'the last good check';
    const left = kept ? `Step ${kept.step}, ${which}, is kept.` : 'There was no good check before it, so nothing is kept.';
    const remedy = `Try a learning rate of ${gentlerRate(recipe.optimizer.lr)}.`;
    return result(kept ? 'stopped' : 'failed', `${what} ${left} ${remedy}`, kept);
  };

  try {
    for (;;) {
      if (prepared && due(state.step) && (checks.at(-1)?.step ?? -1) < state.step) {
        const fault = await notFinite(() => check(prepared));
        if (fault && state.step === 0) throw new FaultError(fault);
        if (fault) return diverged(`Stopped after step ${state.step} of ${recipe.steps}, whose check gave NaN or infinity.`);
      } else if (performance.now() - lastSave > saveEverySeconds * 1000) {
        await save();
      }
      const wish = await steered(hooks);
      if (wish === 'discard') return result('cancelled', 'Stopped and discarded.', null, true);
      const reason = stopReason(checks, recipe.stop);
      if (reason) return result('stopped', reason, chosen());
      if (state.step >= recipe.steps) return result('done', undefined, chosen());
      if (wish === 'keep') return result('stopped', `Stopped by you at step ${state.step}.`, best ?? current());
      const before = state;
      if (state.step + 1 < training.steps.from || state.step + 1 > training.steps.to) {
        training = (await timed(seconds, 'preparation', () => openSteps(run, opened, found, before.step + 1, hooks))).training;
      }
      const { record, next } = await timed(seconds, 'training', () => takeStep(training, before, signal));
      if (!next) return diverged(`Stopped at step ${record.step} of ${recipe.steps}: a loss or its gradient became NaN or infinite.`);
      const row = rounded(record);
      await hooks.held?.();
      unwrap(await steps.append({ ...row }));
      state = next;
      reached(state.step);
      hooks.step?.(row);
      hooks.progress?.('Training', state.step, recipe.steps, 'steps');
    }
  } catch (error) {
    // Whatever ended it, what was reached is kept for --resume.
    await save().catch(() => undefined);
    throw error;
  } finally {
    await steps.close();
    await checksJournal.close();
  }
}

/** The fault of work that met a value that is not finite; null where it did not. */
async function notFinite(work: () => Promise<void>): Promise<Fault | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (error instanceof FaultError && error.fault.code === 'not-finite') return error.fault;
    throw error;
  }
}

async function steered(hooks: RunHooks): Promise<Steering> {
  let wish = hooks.steering?.() ?? 'go';
  while (wish === 'pause') {
    if (hooks.signal?.aborted) refuse('cancelled', 'Cancelled.');
    await new Promise((resume) => setTimeout(resume, 50));
    wish = hooks.steering?.() ?? 'go';
  }
  return wish;
}
