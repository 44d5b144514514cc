/** A run: recipe -> attribution -> target -> steps with checks -> patch -> before and after -> report; every stage written as it happens. */
import path from 'node:path';
import { recordOf, routingSummary } from '../attribution/affinity';
import { chooseTarget, needsAttribution } from '../attribution/target';
import { writePatch } from '../checkpoint/patch-file';
import { roundPatch } from '../checkpoint/round-patch';
import { writeAtomic, writeJson } from '../files/atomic-write';
import { removeFile } from '../files/folder';
import { takeLock } from '../files/lock';
import { removeUnfinished } from '../files/unfinished';
import { memoryIsEnforced, memoryPeak, startPeak } from '../passes/memory-watch';
import { asStored, parameterCounts } from '../passes/model';
import { type Activations, originalPass, originalPassBytes } from '../passes/original-pass';
import type { RunOutcome } from '../protocol/engine';
import { FaultError, faultOf, refuse, sentence, unwrap } from '../protocol/fault';
import type { AttributionRecord, EvaluationRecord, ExpertId, RunRecord, RunStatus, RunSummary, Target } from '../protocol/records';
import type { Patch } from '../protocol/tensors';
import { backendInUse } from '../tensor/backend';
import { withPrecision } from '../tensor/precision';
import { parameterCount } from '../unlearn/parametrisation';
import type { Training } from '../unlearn/step';
import { lastWanted, rowsUsed, type StepRange, stepWindow } from '../unlearn/training-set';
import { readSince } from '../weights/store';
import { isWorthKeeping, openActivations } from './activations';
import { cutAt, writeAttribution } from './attribution-files';
import { evaluateRun } from './evaluation';
import { readRunFolder } from './history';
import { type OpenedRecipe, openRecipe } from './open-recipe';
import { plannedPeak, plannedTime, tooLarge } from './plan-run';
import { reportMarkdown } from './report';
import { dropState, type KeptWeights } from './resume';
import { combinedScore, type Moment, type Role, setsOf } from './role-score';
import { spreadRows } from './routing-change';
import { createRunFolder } from './run-folder';
import type { RunHooks } from './run-hooks';
import { diskReader } from './run-reader';
import { timed } from './timed';
import { type Found, overlayOf, type Trained, train } from './train';

export type { RunHooks, Steering } from './run-hooks';

/** Starts a run in `<workspace>/.uoe/runs/<id>/`. Throws FaultError; what was reached by then is in the folder. */
export async function startRun(json: unknown, folder: string, workspace: string, hooks: RunHooks = {}): Promise<RunOutcome> {
  hooks.progress?.('Reading the recipe', 0, 1, 'recipe');
  const opened = await openRecipe(json, folder, { signal: hooks.signal, open: hooks.open });
  try {
    const fault = memoryIsEnforced() ? tooLarge(opened, process.memoryUsage.rss()) : null;
    if (fault) throw new FaultError(fault);
    hooks.signal?.throwIfAborted();
    const { run, record } = await createRunFolder(opened, workspace, hooks.sweep);
    return await locked(run, hooks, (own) => withPrecision(opened.recipe.precision, () => carryOut(run, record, opened, own)));
  } finally {
    await opened.release();
  }
}

/** Goes on with a run that was cancelled, interrupted or killed; the same bits as if it had not been. */
export const resumeRun = (run: string, caller: RunHooks = {}): Promise<RunOutcome> =>
  // Read under the lock: the run may be coming to its end in another process.
  locked(run, caller, async (hooks) => {
    const { record, recipe } = unwrap(await readRunFolder(diskReader, run));
    const again = 'Start it again from its recipe.json for a new run.';
    if (record.status === 'done' || record.status === 'stopped')
      refuse('conflict', `Run ${record.id} is finished (${record.status}); there is nothing to resume.`, again);
    if (record.discarded) refuse('conflict', `Run ${record.id} was discarded; there is nothing to resume.`, again);
    const { name, threads } = record.backend;
    const opened = await openRecipe({ ...recipe, backend: name, threads }, run, { signal: hooks.signal, open: hooks.open });
    try {
      const now = backendInUse();
      if (now.name !== name || now.threads !== threads) {
        hooks.warn?.(
          `The run began on ${name} with ${threads} threads and goes on on ${now.name} with ${now.threads}: its last bits may differ from those of one run.`,
        );
      }
      const again: RunRecord = { ...record, status: 'running', reason: undefined, endedAt: undefined };
      return await withPrecision(opened.recipe.precision, () => carryOut(run, again, opened, hooks));
    } finally {
      await opened.release();
    }
  });

/** Works while nobody else may change the run; what a killed process left unfinished goes first. */
async function locked<T>(run: string, hooks: RunHooks, work: (hooks: RunHooks) => Promise<T>): Promise<T> {
  const lock = unwrap(await takeLock(path.join(run, '.lock'), `Run ${path.basename(run)}`));
  try {
    for (const folder of [run, path.join(run, 'resume')]) unwrap(await removeUnfinished(folder));
    return await work({ ...hooks, held: lock.check });
  } finally {
    await lock.release();
  }
}

async function carryOut(run: string, initial: RunRecord, opened: OpenedRecipe, hooks: RunHooks): Promise<RunOutcome> {
  const seconds: Record<string, number> = { ...initial.seconds };
  let record = initial;
  let planned: number | null = null;
  let readBefore = opened.handle.model.weights.readSoFar();
  const write = async (changes: Partial<RunRecord>) => {
    const memory = planned === null ? record.memory : { budget: opened.recipe.memory, planned, peak: Math.max(record.memory?.peak ?? 0, memoryPeak()) };
    const weights = readSince(readBefore, opened.handle.model.weights.readSoFar());
    // A run that is another process's by now is not written to.
    await hooks.held?.();
    const next = { ...record, ...changes, weights, ...(memory ? { memory } : {}), seconds: { ...seconds } };
    unwrap(await writeJson(path.join(run, 'run.json'), next));
    record = next;
  };
  let activations: Activations | null = null;
  const discard = async (reason: string): Promise<RunOutcome> => {
    await hooks.held?.();
    unwrap(await removeFile(path.join(run, 'patch.safetensors')));
    unwrap(await removeFile(path.join(run, 'evaluation.json')));
    await write({ status: 'cancelled', reason, discarded: true, keptStep: 0, endedAt: new Date().toISOString() });
    await dropState(run).catch(() => undefined);
    return { folder: run, record, evaluation: null };
  };
  const rows = [...opened.forget.sequences, ...(opened.retain?.sequences ?? [])];
  const plan = async (target?: readonly ExpertId[]): Promise<Partial<RunRecord>> => {
    if (!hooks.time || initial.plannedSeconds) return {};
    const { phases } = await plannedTime(opened, isWorthKeeping(opened.handle, rows, hooks.worthKeeping), hooks.signal, target);
    return { plannedSeconds: Object.fromEntries(phases.map(({ name, seconds: own }) => [name, Math.round(own * 1000) / 1000])) };
  };
  try {
    // Before the sample, whose weights the plan counts already.
    const held = process.memoryUsage.rss();
    const first = await plan();
    readBefore = opened.handle.model.weights.readSoFar();
    await write(first);
    hooks.started?.(run, record);
    for (const warning of opened.warnings) hooks.warn?.(warning);
    activations = await openActivations(path.dirname(path.dirname(run)), opened.handle, rows, opened.recipe.memory, hooks.worthKeeping);
    const { store, blockTokens } = activations;
    startPeak();
    planned = plannedPeak(opened, held);
    await write({ blockTokens });
    const found = await timed(seconds, 'attribution', () => findTarget(run, opened, { store, blockTokens }, hooks));
    // Before the target was known the worst was planned for.
    planned = plannedPeak(opened, held, found.target.experts);
    await write({ target: found.target, ...(await plan(found.target.experts)) });
    const trained = await train(run, opened, found, hooks, seconds, (steps) => {
      record = { ...record, steps };
    });
    if (trained.discarded) return await discard(trained.reason ?? 'Discarded.');
    await write({ steps: trained.steps, keptStep: trained.kept?.step ?? 0 });
    const end = (): Partial<RunRecord> => ({ status: trained.status, reason: trained.reason, endedAt: new Date().toISOString() });
    if (!trained.kept) {
      await write(end());
      return { folder: run, record, evaluation: null };
    }
    const kept = trained.kept;
    const evaluation = await timed(seconds, 'evaluation', () => finish(run, opened, found.target, trained, kept, found.activations, hooks));
    if (hooks.steering?.() === 'discard') return await discard('Stopped and discarded.');
    const last = { ...end(), summary: summaryOf(opened, evaluation.record, trained.training, evaluation.lost) };
    const stored = unwrap(await readRunFolder(diskReader, run));
    await hooks.held?.();
    unwrap(await writeAtomic(path.join(run, 'report.md'), reportMarkdown({ ...stored, record: { ...record, ...last, seconds } }, run)));
    await write(last);
    // The result is there: state that could not be removed is no fault of the run.
    await dropState(run).catch(() => undefined);
    return { folder: run, record, evaluation: evaluation.record };
  } catch (error) {
    const fault = faultOf(error);
    const status: RunStatus = fault.code === 'cancelled' ? 'cancelled' : 'failed';
    const reason = fault.code === 'cancelled' ? 'Cancelled; "uoe unlearn --resume" goes on from its last saved step.' : sentence(fault);
    // The disk may be what failed: the first fault is the one to tell.
    await write({ status, reason, endedAt: new Date().toISOString() }).catch(() => undefined);
    throw error;
  } finally {
    await activations?.store?.close();
  }
}

/** Part of the memory budget for the streams of the attribution pass, where they stay in memory. */
const passShare = 0.25;

/** The target experts; where the recipe leaves them to affinity, a pass over all rows finds them and its attribution is written. */
async function findTarget(run: string, opened: OpenedRecipe, activations: Activations, hooks: RunHooks): Promise<Found> {
  const { recipe, handle } = opened;
  const { model } = handle;
  const { moeLayers, experts, topK } = model.shape;
  const target = (best: AttributionRecord | null): Target => ({
    experts: unwrap(chooseTarget(recipe.target, model.shape, best?.target ?? null, opened.esft)),
    train: recipe.train,
  });
  if (!needsAttribution(recipe.target)) return { target: target(null), pass: null, activations, attributed: false };
  const sets = { forget: opened.forget.sequences, retain: opened.retain?.sequences ?? [] };
  const { store } = activations;
  // All forget rows name the expert; of the retain rows, those that the first steps use are enough to show the contrast. What is kept on disk
  // serves all steps and the comparison of routing, so that no weight is read twice.
  const steps: StepRange = store ? { from: 1, to: recipe.steps } : stepWindow(model, recipe, sets, 1);
  const used = rowsUsed(recipe, sets, steps).retain;
  const compared = store ? spreadRows(sets.retain.length) : [];
  const rows = { forget: sets.forget.map((_, row) => row), retain: [...new Set([...used, ...compared])].sort((a, b) => a - b) };
  const passed = [...sets.forget, ...rows.retain.map((row) => sets.retain[row])];
  const tokens = passed.reduce((sum, { ids }) => sum + ids.length, 0);
  const fits = store === null && originalPassBytes(model, tokens) <= recipe.memory * passShare;
  const summary = routingSummary(moeLayers, experts, topK);
  const all = { layers: moeLayers, routed: moeLayers, summary: summary.width };
  const stored = (await store?.fits(tokens, passed.length, all)) ?? false;
  const pass = await originalPass(
    model,
    sets,
    rows,
    { ...asStored, signal: hooks.signal },
    {
      keep: new Set(fits || stored ? moeLayers : []),
      last: fits ? lastWanted(recipe) : new Set(),
      summary,
      activations,
      progress: (done, total) => hooks.progress?.('Finding the expert', done, total, 'layers'),
    },
  );
  const record = recordOf(
    pass.summaries,
    passed.map(({ ids }) => ids.length),
    moeLayers,
    experts,
    topK,
  );
  await hooks.held?.();
  const attribution = await writeAttribution(run, model.family, { ...cutAt(record, sets.forget.length), rows: rows.forget }, recipe.seed);
  return { target: target(attribution), pass: fits ? pass : null, activations, attributed: true };
}

/** Writes the patch and measures before and after on weights rounded as they will be exported. */
async function finish(
  run: string,
  opened: OpenedRecipe,
  target: Target,
  trained: Trained,
  kept: KeptWeights,
  activations: Activations,
  hooks: RunHooks,
): Promise<{ record: EvaluationRecord; lost: number }> {
  const { recipe, handle } = opened;
  const base = unwrap(await handle.checkpoint.fingerprint(hooks.signal));
  const patch: Patch = {
    units: overlayOf(trained.training, kept.params),
    base,
    metadata: { step: String(kept.step), method: recipe.method },
  };
  await hooks.held?.();
  unwrap(await writePatch(path.join(run, 'patch.safetensors'), patch));
  const { patch: exported, lost } = unwrap(await roundPatch(patch, handle.checkpoint));
  const progress = (done: number, total: number) => hooks.progress?.('Measuring', done, total, 'sets');
  const record = await evaluateRun(handle.model, recipe, target, opened.evaluate, trained.routing, exported.units, activations, hooks.signal, progress);
  await hooks.held?.();
  unwrap(await writeJson(path.join(run, 'evaluation.json'), record));
  return { record, lost };
}

function summaryOf(opened: OpenedRecipe, evaluation: EvaluationRecord, training: Training, lost: number): RunSummary {
  const change = (role: Role, from: Moment, to: Moment) => {
    const [before, after] = [combinedScore(setsOf(evaluation, role, from)), combinedScore(setsOf(evaluation, role, to))];
    return before === null || after === null ? undefined : { before, after };
  };
  const trainedParameters = parameterCount(training.parametrisation);
  const { routing } = evaluation;
  return {
    forget: change('forget', 'before', 'after'),
    near: change('near', 'before', 'after'),
    utility: change('utility', 'before', 'after'),
    forbidden: change('forget', 'forbiddenBefore', 'forbiddenAfter'),
    overlapForget: routing?.overlapForget,
    overlapRetain: routing?.overlapRetain ?? undefined,
    targetShare: routing ? { before: routing.targetShareBefore, after: routing.targetShareAfter } : undefined,
    roundingLoss: lost,
    trainedParameters,
    trainedShare: trainedParameters / parameterCounts(opened.handle.model).total,
  };
}
