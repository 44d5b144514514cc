import { attributionRecord } from '../../attribution/attribute';
import { chooseTarget, needsAttribution } from '../../attribution/target';
import { bytesOf, type TensorToWrite, writeSafetensors } from '../../checkpoint/safetensors';
import { type OpenedRecipe, openRecipe } from '../../experiment/open-recipe';
import { asStored } from '../../passes/model';
import { blockTokens } from '../../passes/original-pass';
import { unwrap } from '../../protocol/fault';
import type { Target } from '../../protocol/records';
import type { HostTensor } from '../../protocol/tensors';
import { evaluateStep, type LossPart } from '../../unlearn/step';
import { openTraining } from '../../unlearn/training';
import type { Call, Handler } from '../call';
import type { OpenedModel } from '../opened-models';
import { routingOf } from '../routing';
import { overlayFor } from '../variant';

const parts: readonly LossPart[] = ['forget', 'retain', 'anchor'];

/** What the recipe's target names; found by affinity on the original where it is left open, as a run does. */
async function targetOf({ recipe, forget, esft }: OpenedRecipe, { model }: OpenedModel, call: Call): Promise<Target> {
  const best = needsAttribution(recipe.target)
    ? attributionRecord(
        model.family,
        (
          await routingOf(
            model,
            forget.sequences,
            { ...asStored, signal: call.signal },
            { store: null, blockTokens: blockTokens(model, recipe.memory) },
            (done, total) => call.progress('Finding the expert', done, total, 'layers'),
          )
        ).record,
        recipe.seed,
      ).target
    : null;
  return { experts: unwrap(chooseTarget(recipe.target, model.shape, best, esft)), train: recipe.train };
}

/** Every part of the loss and its gradients on the recipe's first batch, as tensors `loss.{part}.{unit}`, zeros written out. */
export const gradients: Handler<'gradients'> = async (session, params, call) => {
  const { signal } = call;
  let opened: OpenedModel | undefined;
  const read = await openRecipe(params.recipe, params.folder, {
    signal,
    open: async (folder, memory) => {
      opened = await session.models.open(folder, memory, signal);
      return opened;
    },
  });
  if (!opened) throw new Error('The recipe opened no model.');
  for (const message of read.warnings) session.emit('log', { level: 'warn', message });
  const overlay = await overlayFor(session, opened, params, 'as it is', signal);
  const target = await targetOf(read, opened, call);
  const { training, initial } = await openTraining({
    model: opened.model,
    recipe: read.recipe,
    target,
    rows: { forget: read.forget.sequences, retain: read.retain?.sequences ?? [] },
    steps: { from: 1, to: 1 },
    controlVector: read.controlVector,
    overlay,
    signal,
    progress: (done, total) => call.progress('Preparing', done, total, 'layers'),
  });
  const losses = { forget: 0, retain: 0, anchor: 0, total: 0 };
  const totals = new Map<string, HostTensor>();
  const tensors: TensorToWrite[] = [];
  for (const [at, part] of parts.entries()) {
    const result = await evaluateStep(training, initial.params, 1, [part], signal);
    losses[part] = result[part];
    for (const [unit, gradient] of result.gradients) {
      tensors.push({ name: `loss.${part}.${unit}`, dtype: 'F32', shape: gradient.shape, bytes: bytesOf(gradient.values) });
      const total = totals.get(unit) ?? { shape: gradient.shape, values: new Float32Array(gradient.values.length) };
      gradient.values.forEach((value, i) => {
        total.values[i] += value;
      });
      totals.set(unit, total);
    }
    call.progress('Pulling back', at + 1, parts.length, 'loss parts');
  }
  losses.total = losses.forget + losses.retain + losses.anchor;
  for (const [unit, { shape, values }] of totals) tensors.push({ name: `loss.total.${unit}`, dtype: 'F32', shape, bytes: bytesOf(values) });
  unwrap(await writeSafetensors(params.to, tensors, { losses: JSON.stringify(losses) }));
  return { file: params.to, losses, units: [...totals.keys()] };
};
