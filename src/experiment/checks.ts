/** Checks during a run: scores at a step's weights, the stop rules that look at them, and which check is best. Rules are pure functions of the rows. */
import { measurePrepared, type Prefix, type PreparedSet, prepareSet } from '../evaluate/measure';
import { setScore } from '../evaluate/set-score';
import type { Conditions, OpenModel } from '../passes/model';
import type { Activations } from '../passes/original-pass';
import type { ResolvedRecipe } from '../protocol/recipe';
import type { CheckRecord, ExpertId, SetScore } from '../protocol/records';
import type { OpenedRecipe } from './open-recipe';
import { combinedScore } from './role-score';
import { type PreparedRouting, routingChange } from './routing-change';

export interface PreparedCheck {
  readonly routing: { readonly forget: PreparedRouting | null; readonly retain: PreparedRouting | null };
  readonly forget: PreparedSet;
  readonly utility: readonly { readonly name: string; readonly set: PreparedSet }[];
}

/** The layers below the target run once; each check runs the rest. */
export async function prepareChecks(
  model: OpenModel,
  opened: OpenedRecipe,
  routing: PreparedCheck['routing'],
  until: Prefix | null,
  conditions: Conditions,
  activations: Activations,
): Promise<PreparedCheck | null> {
  if (!opened.checks) return null;
  const utility: { name: string; set: PreparedSet }[] = [];
  for (const { file, sequences } of opened.checks.utility)
    utility.push({ name: file, set: await prepareSet(model, sequences, conditions, until, activations) });
  return { routing, forget: await prepareSet(model, opened.checks.forget.sequences, conditions, until, activations), utility };
}

/** Mean NLL of the utility sets, pooled over target tokens per set, mean over sets. */
const meanNll = (sets: readonly SetScore[]): number | null => (sets.length === 0 ? null : sets.reduce((sum, { nll }) => sum + nll, 0) / sets.length);

export async function runCheck(
  model: OpenModel,
  prepared: PreparedCheck,
  step: number,
  recipe: ResolvedRecipe,
  target: readonly ExpertId[],
  conditions: Conditions,
): Promise<CheckRecord> {
  const began = performance.now();
  const { normalise } = recipe.scoring;
  const forget = setScore('forget', await measurePrepared(model, prepared.forget, conditions), normalise);
  const utility: SetScore[] = [];
  for (const { name, set } of prepared.utility) utility.push(setScore(name, await measurePrepared(model, set, conditions), normalise));
  const forgetRouting = prepared.routing.forget ? await routingChange(model, prepared.routing.forget, target, conditions) : null;
  const retainRouting = prepared.routing.retain ? await routingChange(model, prepared.routing.retain, target, conditions) : null;
  return {
    step,
    forget: forget.score.value,
    utility: combinedScore(utility),
    utilityNll: meanNll(utility),
    overlapForget: forgetRouting ? forgetRouting.overlap : null,
    overlapRetain: retainRouting ? retainRouting.overlap : null,
    targetShare: forgetRouting ? forgetRouting.targetShareAfter : null,
    ms: performance.now() - began,
  };
}

/** Whether a check's utility is within the recipe's limits, against the original (the row of step 0). */
export function withinUtility(check: CheckRecord, original: CheckRecord, stop: ResolvedRecipe['stop']): boolean {
  const { utilityDropAtMost, nllRiseAtMost } = stop ?? { utilityDropAtMost: null, nllRiseAtMost: null };
  if (utilityDropAtMost !== null && check.utility !== null && original.utility !== null && original.utility - check.utility > utilityDropAtMost) return false;
  if (nllRiseAtMost !== null && check.utilityNll !== null && original.utilityNll !== null && check.utilityNll - original.utilityNll > nllRiseAtMost)
    return false;
  return true;
}

/** Why the run should end after the last of these checks (step 0 first), in a sentence; null to go on. */
export function stopReason(checks: readonly CheckRecord[], stop: ResolvedRecipe['stop']): string | null {
  if (!stop || checks.length < 2) return null;
  const [original, ...later] = checks;
  const recent = later.slice(-stop.patience);
  if (recent.length < stop.patience) return null;
  const last = recent[recent.length - 1];
  const times = stop.patience === 1 ? '' : ` in ${stop.patience} checks in a row`;
  const limit = stop.forgetAtMost;
  if (limit !== null && recent.every(({ forget }) => forget <= limit)) {
    return `Target reached at step ${last.step}: the forget score ${last.forget.toFixed(3)} is at most ${limit}${times}.`;
  }
  if (recent.every((check) => !withinUtility(check, original, stop))) {
    const drop =
      last.utility !== null && original.utility !== null ? `utility ${original.utility.toFixed(3)} → ${last.utility.toFixed(3)}` : 'the utility sets got worse';
    return `Stopped at step ${last.step}: ${drop} is beyond the limit${times}.`;
  }
  return null;
}

/** The check with the lowest forget score within the utility limits, earliest first; null where none is within. */
export function bestCheck(checks: readonly CheckRecord[], stop: ResolvedRecipe['stop']): CheckRecord | null {
  const [original, ...later] = checks;
  return later
    .filter((check) => withinUtility(check, original, stop))
    .reduce<CheckRecord | null>((best, check) => (best === null || check.forget < best.forget ? check : best), null);
}
