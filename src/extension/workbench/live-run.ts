/** A run as it goes on: what the engine's events make of the view. */
import { gentlerRate } from '../../experiment/gentler-rate';
import type { Recipe } from '../../protocol/recipe';
import type { CheckRecord, ExpertId, RunRecord, StepRecord } from '../../protocol/records';
import type { PlanSettings, RunView } from '../../protocol/workbench';
import { inWords } from './engine-words';

/** Lowest forget score among the checks after the original; null before the first. */
export function lowestForget(checks: readonly CheckRecord[]): number | null {
  const later = checks.filter((check) => check.step > 0);
  if (later.length === 0) return null;
  return later.reduce((best, check) => (check.forget < best.forget ? check : best)).step;
}

export const startedRun = (record: RunRecord, settings: RunView['settings'], plan: PlanSettings | null = null): RunView => ({
  id: record.id,
  number: record.number,
  method: record.method,
  target: record.target.experts,
  status: record.status,
  settings,
  plan,
  plannedSteps: record.plannedSteps,
  ...(record.plannedSeconds ? { plannedSeconds: Object.values(record.plannedSeconds).reduce((sum, seconds) => sum + seconds, 0) } : {}),
  savedStep: null,
  memoryBytes: null,
  gentlerRate: null,
  stoppedByRule: false,
  resumable: false,
  checks: [],
  bestStep: null,
  elapsedSeconds: 0,
  secondsPerStep: null,
});

/** A run that has just begun may not have recorded its target yet. */
export const withTarget = (run: RunView, target: readonly ExpertId[]): RunView => (run.target.length > 0 ? run : { ...run, target });

export function withStep(run: RunView, steps: readonly StepRecord[], elapsedSeconds: number, memoryBytes: number | null = null): RunView {
  const milliseconds = steps.reduce((sum, step) => sum + step.ms, 0);
  return { ...run, elapsedSeconds, memoryBytes, secondsPerStep: steps.length > 0 ? milliseconds / steps.length / 1000 : null };
}

export function withCheck(run: RunView, check: CheckRecord): RunView {
  const checks = [...run.checks.filter((other) => other.step !== check.step), check];
  return { ...run, checks, bestStep: lowestForget(checks) };
}

const notFinite = /NaN or infinit/;
const byYou = /^Stopped by you/;

export function endedRun(run: RunView, record: RunRecord, recipe: Recipe | null = null): RunView {
  const reason = record.reason ?? '';
  const lr = recipe?.optimizer?.lr ?? run.plan?.lr;
  const diverged = notFinite.test(reason);
  return {
    ...run,
    status: record.status,
    reason: record.reason && inWords(record.reason),
    bestStep: record.keptStep > 0 ? record.keptStep : null,
    gentlerRate: diverged && lr !== undefined ? gentlerRate(lr) : null,
    stoppedByRule: record.status === 'stopped' && !diverged && !byYou.test(reason),
  };
}
