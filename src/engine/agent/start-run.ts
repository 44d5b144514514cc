import path from 'node:path';
import { z } from 'zod';
import { refuse, unwrap } from '../../protocol/fault';
import { applyPreset, methodIds, parseRecipe, presets, type Recipe } from '../../protocol/recipe';
import { expertSchema } from '../../protocol/recipe-schema';
import { requireRuns } from './grants';
import { type AgentHost, modelOf, tool } from './tool';

const presetIds = presets.map(({ id }) => id);

export const input = z.strictObject({
  model: z.string().min(1).optional().describe('Checkpoint folder; the open model when left out.'),
  forget: z.string().min(1).optional().describe('Data file with what to forget.'),
  retain: z.string().min(1).optional().describe('Data file with what to keep.'),
  preset: z
    .enum(presetIds as [string, ...string[]])
    .optional()
    .describe('Named set of values; fields given here win over it.'),
  method: z
    .enum(methodIds as [string, ...string[]])
    .optional()
    .describe('Forget loss.'),
  target: expertSchema.optional().describe('The expert to edit; the best by affinity when left out.'),
  steps: z.int().min(1).optional().describe('Updates.'),
  batchSize: z.int().min(1).optional().describe('Rows of a step.'),
  lr: z.number().positive().optional().describe('Learning rate.'),
  anchorWeight: z.number().min(0).optional().describe('Weight of the router anchor.'),
  seed: z.int().min(0).optional().describe('Seed of the order of rows.'),
  recipe: z.record(z.string(), z.unknown()).optional().describe('Further fields of a recipe, as in *.uoe.json: checks, stop, evaluate, methodOptions, ...'),
  resume: z.string().min(1).optional().describe('Id or number of a run that was cut off: goes on with it, and nothing else is needed.'),
});

const withoutUndefined = (fields: object) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

/** The recipe with absolute model; its data files are found from the workspace. */
export function recipeOf(given: z.infer<typeof input>, host: AgentHost): Recipe {
  const { preset, lr, anchorWeight, recipe = {}, model, resume: _resume, ...plain } = given;
  const forget = plain.forget ?? recipe.forget ?? refuse('usage', 'Nothing was named to forget.', 'Give "forget": a data file.');
  const named = typeof recipe.model === 'string' ? recipe.model : undefined;
  const base = unwrap(parseRecipe({ ...recipe, ...withoutUndefined(plain), forget, model: path.resolve(host.workspace, modelOf(host, model ?? named)) }));
  const start = preset === undefined ? base : unwrap(applyPreset(base, preset));
  return unwrap(
    parseRecipe({
      ...start,
      ...withoutUndefined(plain),
      ...(lr === undefined ? {} : { optimizer: { ...start.optimizer, lr } }),
      ...(anchorWeight === undefined ? {} : { anchor: { ...start.anchor, weight: anchorWeight } }),
    }),
  );
}

/** Runs to its end; the answer holds the summary that the run folder holds. */
export const startRun = tool({
  name: 'start_run',
  title: 'Start an unlearning run',
  description:
    'Trains one expert (and its router) of a Mixture-of-Experts model to forget what a data file shows, and measures before and after. Takes minutes; can be cancelled and resumed. Writes only into .uoe/runs of the workspace; the checkpoint itself is not changed.',
  input,
  readOnly: false,
  async run(given, host) {
    const resume = await requireRuns(host.grants, host.workspace, given.resume);
    const { record, folder } = await host.startRun(resume === undefined ? recipeOf(given, host) : null, resume);
    const { id, number, status, reason, method, target, steps, plannedSteps, keptStep, summary } = record;
    return {
      run: id,
      number,
      folder,
      status,
      ...(reason === undefined ? {} : { reason }),
      method,
      target: target.experts,
      steps,
      plannedSteps,
      keptStep,
      summary: summary ?? null,
    };
  },
});
