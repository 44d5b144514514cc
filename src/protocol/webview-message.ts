/** Messages from the webview, checked before the host acts on any of them: the webview is a browser page and is not trusted. */
import { z } from 'zod';
import { figureForms } from './comparison-view';
import { dataRoles, exportForms, problemActions, resultActions, stepNames } from './workbench';

const index = z.number().int().min(0);
/** As many as a data file has rows; checked in one loop, since a look at each by zod would hold the host up. */
const mostTicks = 1_000_000;
const ticks = z.custom<number[]>(
  (value) => Array.isArray(value) && value.length <= mostTicks && value.every((prompt) => Number.isSafeInteger(prompt) && prompt >= 0),
);
/** A file's name without its ending: nothing that could lead to another folder. */
const figureName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9 _-]{0,79}$/);
/** What a run's folder is called: no path. */
const runName = z
  .string()
  .max(200)
  .regex(/^[^./\\][^/\\]*$/);
/** A task of a sweep: no path. */
const taskName = z
  .string()
  .max(64)
  .regex(/^[\w-]+$/);
/** A heatmap of 94 × 128 as SVG is below 2 MB. */
const mostFigureCharacters = 16_000_000;
const settingsPatch = z
  .object({
    target: z.enum(['one', 'recipe']),
    method: z.string().max(64),
    train: z.enum(['expert+router', 'expert', 'router', 'full', 'recipe']),
    lr: z.number().positive().max(10),
    steps: z.number().int().min(1).max(1_000_000),
    batchSize: z.union([z.number().int().min(1).max(1_000_000), z.literal('all')]),
    anchorWeight: z.number().min(0).max(1000),
    seed: z.number().int().min(0).max(4_294_967_295),
    anchorForm: z.enum(['paper', 'released']),
    retainWeight: z.number().min(0).max(1e6),
    steering: z.number().positive().max(1e9),
    steeringUnit: z.enum(['absolute', 'hiddenNorm']),
    beta: z.number().positive().max(1e6),
    delta: z.number().min(-1e6).max(1e6),
    schedule: z.enum(['constant', 'cosine', 'linear']),
    warmup: z.number().int().min(0).max(1_000_000),
    maxLength: z.number().int().min(2).max(1_000_000),
    accumulate: z.number().int().min(1).max(1_000_000),
    everySteps: z.number().int().min(1).max(1_000_000),
    keep: z.enum(['last', 'best']),
    forgetAtMost: z.number().min(0).max(1).nullable(),
    utilityDropAtMost: z.number().min(0).max(1).nullable(),
    nllRiseAtMost: z.number().min(0).max(1e6).nullable(),
    patience: z.number().int().min(1).max(1000),
  })
  .partial()
  .strict();

/** Everything the webview can ask for. Nothing in it names a path: files are chosen in the host's own dialogs. */
export const webviewMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }).strict(),
  z.object({ type: z.literal('step'), step: z.enum(stepNames) }).strict(),
  z.object({ type: z.literal('problem'), action: z.enum(problemActions) }).strict(),
  z.object({ type: z.literal('chooseData'), role: z.enum(dataRoles) }).strict(),
  z.object({ type: z.literal('clearData'), role: z.enum(dataRoles) }).strict(),
  z.object({ type: z.literal('read') }).strict(),
  z.object({ type: z.literal('useSelection') }).strict(),
  z.object({ type: z.literal('tick'), prompts: ticks, ticked: z.boolean() }).strict(),
  z.object({ type: z.literal('tokens'), prompt: index }).strict(),
  z.object({ type: z.literal('doctor') }).strict(),
  z.object({ type: z.literal('target'), layer: index, expert: index }).strict(),
  z.object({ type: z.literal('chooseTarget') }).strict(),
  z.object({ type: z.literal('effects'), action: z.enum(['plan', 'measure', 'dismiss']) }).strict(),
  z.object({ type: z.literal('settings'), patch: settingsPatch }).strict(),
  z.object({ type: z.literal('resetSettings') }).strict(),
  z.object({ type: z.literal('saveRecipe') }).strict(),
  z.object({ type: z.literal('start') }).strict(),
  z.object({ type: z.literal('newPlan'), patch: settingsPatch.optional() }).strict(),
  z.object({ type: z.literal('preset'), id: z.string().max(64) }).strict(),
  z.object({ type: z.literal('dismissInterrupted') }).strict(),
  z.object({ type: z.literal('steer'), action: z.enum(['pause', 'continue', 'keep', 'discard']) }).strict(),
  z.object({ type: z.literal('cancel'), id: index.optional() }).strict(),
  z.object({ type: z.literal('sweep'), action: z.enum(['close', 'goOn', 'runFailed', 'cancel']) }).strict(),
  z.object({ type: z.literal('taskLog'), task: taskName }).strict(),
  z.object({ type: z.literal('showRun'), run: runName }).strict(),
  z.object({ type: z.literal('compare'), before: runName.nullable(), after: runName }).strict(),
  z.object({ type: z.literal('readRouting'), prompts: z.enum(['forget', 'retain']) }).strict(),
  z.object({ type: z.literal('askAnswers') }).strict(),
  z.object({ type: z.literal('compareAnswers') }).strict(),
  z.object({ type: z.literal('audit'), audit: z.string().max(64) }).strict(),
  z.object({ type: z.literal('runAgain'), run: runName }).strict(),
  z.object({ type: z.literal('saveFigure'), name: figureName, form: z.enum(figureForms), content: z.string().min(1).max(mostFigureCharacters) }).strict(),
  z.object({ type: z.literal('export'), form: z.enum(exportForms) }).strict(),
  z.object({ type: z.literal('result'), action: z.enum(resultActions) }).strict(),
  z.object({ type: z.literal('discard'), discarded: z.boolean() }).strict(),
]);
export type WebviewMessage = z.infer<typeof webviewMessage>;
