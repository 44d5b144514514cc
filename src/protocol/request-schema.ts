/** The form of every request's parameters, checked where they enter the engine's process. */
import { z } from 'zod';
import { type Fault, fail } from './fault';
import type { RequestName } from './rpc';

const text = z.string();
const whole = z.int().min(0);
const source = z.union([
  z.looseObject({ kind: z.literal('file'), path: text }),
  z.looseObject({ kind: z.literal('text'), text, origin: text, line: z.number() }),
]);
const sources = z.array(source);
const experts = z.array(z.looseObject({ layer: whole, expert: whole }));

const reading = { maxLength: z.number().optional(), documentStart: z.enum(['auto', 'yes', 'no']).optional(), chat: z.enum(['auto', 'never']).optional() };
const scoring = { options: z.enum(['likelihood', 'lettered']).optional(), normalise: z.enum(['none', 'tokens', 'bytes', 'characters']).optional() };
const applied = { run: text.optional(), patch: text.optional(), workspace: text.optional() };
const variant = { ...applied, forbid: experts.optional(), forbidBy: z.enum(['score', 'logit']).optional() };
const ofRun = { run: text, workspace: text };
const recipe = { recipe: z.unknown(), folder: text };
const map = {
  ...reading,
  ...scoring,
  ...applied,
  model: text,
  forget: sources,
  retain: sources.optional(),
  prompts: sources.optional(),
  layers: z.array(whole).optional(),
  by: z.enum(['zero', 'forbid']).optional(),
  rows: z.number().optional(),
};
const layers = z.array(z.looseObject({ layer: whole, experts: z.array(z.looseObject({ expert: whole, affinity: z.number(), share: z.number() })) }));

const shard = z.looseObject({ index: whole.min(1), count: whole.min(1), to: text }).optional();

const forms: Readonly<Record<RequestName, z.ZodRawShape>> = {
  handshake: {
    backend: z.enum(['auto', 'tensorflow', 'webgpu', 'wasm', 'cpu']).optional(),
    threads: z.union([z.number(), z.literal('auto')]).optional(),
    memory: text.optional(),
  },
  openModel: { path: text },
  closeModel: { path: text },
  preview: {
    ...reading,
    model: text,
    forget: sources.optional(),
    retain: sources.optional(),
    others: z.array(z.looseObject({ name: text, data: sources })).optional(),
  },
  chosenRows: { sources, rows: z.array(z.looseObject({ source: whole, line: whole })) },
  attribute: { ...reading, ...variant, model: text, prompts: sources, against: sources.optional(), seed: z.number().optional(), trace: text.optional(), shard },
  tokenGates: { ...reading, ...variant, model: text, source, id: text },
  resolveRecipe: recipe,
  planRun: { ...recipe, time: z.boolean().optional() },
  startRun: {
    ...recipe,
    workspace: text,
    resume: text.optional(),
    trace: text.optional(),
    sweep: z.looseObject({ name: text, task: text }).optional(),
  },
  steerRun: { action: z.enum(['pause', 'continue', 'keep', 'discard']) },
  runs: { workspace: text },
  readRun: ofRun,
  answers: { ...ofRun, model: text, before: text.optional(), limit: z.number().optional() },
  exportRun: { ...ofRun, to: text, form: z.enum(['checkpoint', 'patch']), link: z.boolean().optional() },
  runChanges: ofRun,
  verifyExport: { ...ofRun, folder: text },
  applyRun: ofRun,
  restoreModel: { model: text },
  score: { ...reading, ...variant, ...scoring, model: text, data: sources, logits: text.optional(), routing: text.optional(), shard },
  generate: { ...reading, ...variant, model: text, data: sources, maxNewTokens: z.number(), ignoreEos: z.boolean().optional() },
  gradients: { ...recipe, ...applied, to: text },
  evaluate: {
    ...reading,
    ...variant,
    ...scoring,
    model: text,
    sets: z.array(z.looseObject({ name: text, data: source })),
    maxNewTokens: z.number().optional(),
    holdout: source.optional(),
    reference: text.optional(),
    truth: z.enum(['forget', 'other']).optional(),
  },
  audit: {
    ...ofRun,
    audits: z.array(text).optional(),
    again: z.boolean().optional(),
    steps: z.number().optional(),
    paraphrases: text.optional(),
  },
  planMap: map,
  measureMap: { ...map, again: z.boolean().optional(), known: z.boolean().optional() },
  compare: { runs: z.array(text).optional(), workspace: text, model: text.optional() },
  report: { ...ofRun, form: z.enum(['markdown', 'html']), filesOnly: z.boolean().optional() },
  expertSet: { record: z.looseObject({ layers }), score: z.enum(['affinity', 'share']), p: z.number() },
  doctor: { folder: text, model: text.optional(), quick: z.boolean().optional() },
  planNative: { gpu: z.boolean().optional() },
  setUpNative: { gpu: z.boolean().optional() },
  removeNative: {},
};

const made = new Map<RequestName, z.ZodType>();

/** Parameters that are none of this request, as a fault; null where they are. */
export function paramsFault(name: RequestName, params: unknown): Fault | null {
  const schema = made.get(name) ?? z.looseObject(forms[name]);
  made.set(name, schema);
  const parsed = schema.safeParse(params);
  if (parsed.success) return null;
  const [issue] = parsed.error.issues;
  const field = issue.path.length === 0 ? 'what it asks' : `"${issue.path.join('.')}"`;
  return fail('usage', `The request ${name} can't be answered: ${field} is missing or not of the expected form.`, 'Send what the protocol says.').fault;
}
