/** Before and after, on the weights as they will be exported; forget sets also with the target experts forbidden. Prefixes run once. */
import { measurePrepared, prepareSet } from '../evaluate/measure';
import { setScore } from '../evaluate/set-score';
import { changedFrom, prefixBefore } from '../passes/components';
import { asStored, type Conditions, forbidding, type OpenModel } from '../passes/model';
import type { Activations } from '../passes/original-pass';
import type { ResolvedRecipe } from '../protocol/recipe';
import type { EvaluationRecord, SetScore, Target } from '../protocol/records';
import { expertsByLayer } from '../unlearn/training-set';
import type { Overlay } from '../weights/store';
import type { EvaluationSets, ReadSet } from './open-recipe';
import { pairedScores } from './paired-scores';
import { type PreparedRouting, routingChange } from './routing-change';

export async function evaluateRun(
  model: OpenModel,
  recipe: ResolvedRecipe,
  target: Target,
  sets: EvaluationSets | null,
  routing: { readonly forget: PreparedRouting | null; readonly retain: PreparedRouting | null },
  overlay: Overlay,
  activations: Activations,
  signal?: AbortSignal,
  progress?: (done: number, total: number) => void,
): Promise<EvaluationRecord> {
  const before: Conditions = { ...asStored, signal };
  const after: Conditions = { ...before, overlay };
  const forbidden = forbidding(target.experts, 'score');
  const byLayer = expertsByLayer(target.experts);
  const prefix = prefixBefore(changedFrom(model, overlay.keys(), target.experts));
  // A token needs K experts to choose from.
  const canForbid = [...byLayer.values()].every((own) => model.shape.experts - own.length >= model.shape.topK);
  const { normalise } = recipe.scoring;
  const list: { role: 'forget' | 'near' | 'utility'; set: ReadSet }[] = [
    ...(sets?.forget ? [{ role: 'forget' as const, set: sets.forget }] : []),
    ...(sets?.near ? [{ role: 'near' as const, set: sets.near }] : []),
    ...(sets?.utility ?? []).map((set) => ({ role: 'utility' as const, set })),
  ];
  const measured: EvaluationRecord['sets'][number][] = [];
  const total = list.length + 1;
  for (const { role, set } of list) {
    const prepared = await prepareSet(model, set.sequences, before, prefix, activations);
    // First choices matter only where there are no options to choose from.
    const wantArgmax = set.sequences.every(({ answer }) => answer === undefined);
    const score = async (conditions: Conditions): Promise<SetScore> =>
      setScore(set.file, await measurePrepared(model, prepared, conditions, { wantArgmax }), normalise);
    const [was, is] = [await score(before), await score(after)];
    const change = pairedScores([was], [is]);
    measured.push({
      role,
      before: was,
      after: is,
      ...(change ? { change } : {}),
      ...(role === 'forget' && canForbid
        ? { forbiddenBefore: await score({ ...before, forbidden }), forbiddenAfter: await score({ ...after, forbidden }) }
        : {}),
    });
    progress?.(measured.length, total);
  }
  const forget = routing.forget ? await routingChange(model, routing.forget, target.experts, after) : null;
  const retain = routing.retain ? await routingChange(model, routing.retain, target.experts, after) : null;
  progress?.(total, total);
  return {
    sets: measured,
    ...(forget
      ? {
          routing: {
            overlapForget: forget.overlap,
            overlapRetain: retain ? retain.overlap : null,
            targetShareBefore: forget.targetShareBefore,
            targetShareAfter: forget.targetShareAfter,
          },
        }
      : {}),
  };
}
