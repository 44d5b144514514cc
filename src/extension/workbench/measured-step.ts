/** Seconds of one step, from the steps that earlier runs of the same work took. */
import type { RunFolder } from '../../protocol/engine';
import type { Recipe, ResolvedRecipe } from '../../protocol/recipe';
import { resolveRecipe } from '../../protocol/recipe-resolve';
import type { StepRecord } from '../../protocol/records';

export interface MeasuredStep {
  readonly seconds: number;
  /** Number of the run it was measured in. */
  readonly run: number;
}

/** Runs looked at, newest first. */
const lookedAt = 8;

/** Median over the steps; the first, which warms up, counts only where it is alone. */
export function medianStepSeconds(steps: readonly Pick<StepRecord, 'ms'>[]): number | null {
  const times = (steps.length > 1 ? steps.slice(1) : steps).map(({ ms }) => ms).sort((a, b) => a - b);
  if (times.length === 0) return null;
  const middle = times.length >> 1;
  return (times.length % 2 === 1 ? times[middle] : (times[middle - 1] + times[middle]) / 2) / 1000;
}

/** What the time of a step depends on. */
function workOf(recipe: ResolvedRecipe): string {
  const { model, method, train, batchSize, accumulate, maxLength, forget, retain, target } = recipe;
  const retained = recipe.method === 'rmu' ? recipe.methodOptions.retainWeight > 0 : recipe.retainLoss.kind;
  return JSON.stringify([model, method, train, batchSize, accumulate, maxLength, forget, retain, target, retained]);
}

const resolved = (recipe: Recipe): string | null => {
  const answer = resolveRecipe(recipe);
  return answer.ok ? workOf(answer.value.recipe) : null;
};

/** The newest run of the same work that has steps; null where there is none. `read` gives what a run folder holds, `backend` is what computes now. */
export async function measuredStep(
  recipe: Recipe,
  runs: readonly { readonly id: string; readonly number: number; readonly method: string }[],
  read: (id: string) => Promise<RunFolder | null>,
  backend: string | undefined,
): Promise<MeasuredStep | null> {
  const wanted = resolved(recipe);
  const candidates = runs.filter(({ method }) => method === recipe.method).slice(0, lookedAt);
  for (const { id, number } of candidates) {
    const folder = await read(id);
    const seconds = folder && folder.record.backend.name === backend && resolved(folder.recipe) === wanted ? medianStepSeconds(folder.steps) : null;
    if (seconds !== null) return { seconds, run: number };
  }
  return null;
}
