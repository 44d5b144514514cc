/** The recipe `*.uoe.json` as zod 4 schemas (DESIGN 4.2): what a person may write, and every type made from it. */
import { z } from 'zod';
import { choiceKinds, type TrainChoice } from './train-choice';

const path = z.string().min(1);
const whole = z.int().min(0);
const count = z.int().min(1);
const weight = z.number().min(0);
const positive = z.number().positive();
const share = z.number().min(0).max(1);

export const expertSchema = z.strictObject({ layer: whole, expert: whole });

const targetSchema = z.union([
  z.literal('auto'),
  expertSchema,
  z.strictObject({ experts: z.array(expertSchema).min(1) }),
  z.strictObject({ random: whole }),
  z.strictObject({ esft: path }),
]);

const componentSchema = z.strictObject({ kind: z.enum(choiceKinds), layers: z.array(whole).min(1).optional(), experts: z.array(whole).min(1).optional() });

export const trainSchema = z.union([
  z.enum(['expert+router', 'expert', 'router', 'full']),
  z.strictObject({ lora: z.strictObject({ rank: count.optional(), alpha: positive.optional() }) }),
  z.strictObject({ components: z.array(componentSchema).min(1) }),
]);

const steeringSchema = z.union([positive, z.strictObject({ timesHiddenNorm: positive })]);
const controlVectorSchema = z.union([z.literal('seed'), z.strictObject({ file: path, tensor: z.string().min(1) })]);

/** Options of each forget loss. Adding a loss adds its line here and its file in the unlearn room. */
export const methodOptionSchemas = {
  npo: z.strictObject({ beta: positive }),
  gdiff: z.strictObject({}),
  ga: z.strictObject({}),
  simnpo: z.strictObject({ beta: positive, delta: z.number() }),
  rmu: z.strictObject({ c: steeringSchema, retainWeight: weight, controlVector: controlVectorSchema }),
};

export type MethodId = keyof typeof methodOptionSchemas;
export const methodIds = Object.keys(methodOptionSchemas) as MethodId[];
/** The options of each method, all filled. */
export type MethodOptions = { readonly [M in MethodId]: Readonly<z.infer<(typeof methodOptionSchemas)[M]>> };
/** A method with its own options. */
export type MethodChoice = { readonly [M in MethodId]: { readonly method: M; readonly methodOptions: MethodOptions[M] } }[MethodId];

const anyMethodOptions = z
  .strictObject({ beta: positive, delta: z.number(), c: steeringSchema, retainWeight: weight, controlVector: controlVectorSchema })
  .partial();

export const recipeSchema = z.strictObject({
  model: path.describe('Checkpoint folder.'),
  forget: path.describe('Data file with what to forget.'),
  retain: path.optional().describe('Data file with what to keep.'),
  target: targetSchema.optional().describe('Which expert: the best by affinity, a named one, several, a random one of another layer, or an ESFT expert list.'),
  train: trainSchema
    .optional()
    .describe('Which parameters move: parts of the target, all of them, LoRA adapters, or whole kinds of components, of some layers or all.'),
  method: z.enum(['npo', 'gdiff', 'ga', 'simnpo', 'rmu']).optional().describe('Forget loss.'),
  methodOptions: anyMethodOptions
    .optional()
    .describe('Options of the method. npo: beta; simnpo: beta, delta; rmu: c, retainWeight, controlVector; ga and gdiff: none.'),
  anchor: z
    .strictObject({ weight: weight.optional(), form: z.enum(['paper', 'released']).optional() })
    .optional()
    .describe('Router anchor on the forget tokens (paper, Eq. 4).'),
  retainLoss: z
    .strictObject({ kind: z.enum(['nll', 'kl', 'none']).optional(), weight: weight.optional() })
    .optional()
    .describe('Loss on the retain set.'),
  routerProjection: z.boolean().optional().describe('Keep the routing of retain inputs fixed by projecting the router update (GRIP).'),
  optimizer: z
    .strictObject({
      lr: positive,
      beta1: z.number().min(0).lt(1),
      beta2: z.number().min(0).lt(1),
      eps: positive,
      weightDecay: weight,
      schedule: z.enum(['constant', 'cosine', 'linear']),
      warmup: whole,
      clipNorm: positive,
    })
    .partial()
    .optional()
    .describe('AdamW.'),
  steps: count.optional().describe('Updates.'),
  batchSize: z
    .union([count, z.literal('all')])
    .optional()
    .describe('Forget rows and retain rows of a step, each.'),
  accumulate: count.optional().describe('Cuts a batch into this many micro-batches; the step stays the same.'),
  order: z.enum(['shuffled', 'sequential']).optional().describe('Order of the rows.'),
  maxLength: z.int().min(2).optional().describe('Tokens kept of a row.'),
  addDocumentStart: z.boolean().optional().describe('Document-start token before each row; left out: what the tokenizer itself does.'),
  chat: z.enum(['auto', 'never']).optional().describe('Render prompts through the chat template where there is one.'),
  seed: whole.optional().describe('Seed of the order of rows and of the control vector.'),
  checks: z
    .strictObject({ everySteps: count.optional(), forget: path, utility: z.array(path).optional() })
    .optional()
    .describe('Measurements during the run.'),
  stop: z
    .strictObject({ forgetAtMost: share, utilityDropAtMost: share, nllRiseAtMost: weight, patience: count })
    .partial()
    .optional()
    .describe('Rules that end the run at a check.'),
  keep: z.enum(['last', 'best']).optional().describe('Which weights are the result.'),
  evaluate: z
    .strictObject({ forget: path, near: path, utility: z.array(path) })
    .partial()
    .optional()
    .describe('Sets measured before and after.'),
  scoring: z
    .strictObject({ options: z.enum(['likelihood', 'lettered']), normalise: z.enum(['none', 'tokens', 'bytes', 'characters']) })
    .partial()
    .optional()
    .describe('How multiple choice is scored.'),
  memory: z
    .union([z.string().min(1), count])
    .optional()
    .describe('Memory budget, such as "8GB", "512MB" or "1.5GiB"; a bare number is bytes.'),
  backend: z.enum(['auto', 'tensorflow', 'webgpu', 'wasm', 'cpu']).optional().describe('What computes.'),
  threads: z
    .union([z.literal('auto'), count])
    .optional()
    .describe('Threads of the backend.'),
  precision: z.enum(['exact', 'fast']).optional().describe('fast: frozen weights may be multiplied in bf16.'),
  fingerprints: z.record(z.string(), z.string()).optional().describe('Written by a run; when read back, a mismatch is an error.'),
});

/** A recipe as a person writes it: all optional but model and forget; null has been taken out. */
export type Recipe = Readonly<z.infer<typeof recipeSchema>>;
export type TargetChoice = NonNullable<Recipe['target']>;

/** Everything but the method, all filled. */
export interface ResolvedCommon {
  readonly model: string;
  readonly forget: string;
  readonly retain: string | null;
  readonly target: TargetChoice;
  readonly train: TrainChoice;
  readonly anchor: { readonly weight: number; readonly form: 'paper' | 'released' };
  readonly retainLoss: { readonly kind: 'nll' | 'kl' | 'none'; readonly weight: number };
  readonly routerProjection: boolean;
  readonly optimizer: {
    readonly lr: number;
    readonly beta1: number;
    readonly beta2: number;
    readonly eps: number;
    readonly weightDecay: number;
    readonly schedule: 'constant' | 'cosine' | 'linear';
    readonly warmup: number;
    /** Largest global norm of the gradient; null: not clipped. */
    readonly clipNorm: number | null;
  };
  readonly steps: number;
  readonly batchSize: number | 'all';
  readonly accumulate: number;
  readonly order: 'shuffled' | 'sequential';
  readonly maxLength: number;
  /** null: what the tokenizer itself puts before an empty text. */
  readonly addDocumentStart: boolean | null;
  readonly chat: 'auto' | 'never';
  readonly seed: number;
  readonly checks: { readonly everySteps: number; readonly forget: string; readonly utility: readonly string[] } | null;
  /** A rule that is null is off. */
  readonly stop: {
    readonly forgetAtMost: number | null;
    readonly utilityDropAtMost: number | null;
    readonly nllRiseAtMost: number | null;
    readonly patience: number;
  } | null;
  readonly keep: 'last' | 'best';
  readonly evaluate: { readonly forget: string | null; readonly near: string | null; readonly utility: readonly string[] } | null;
  readonly scoring: { readonly options: 'likelihood' | 'lettered'; readonly normalise: 'none' | 'tokens' | 'bytes' | 'characters' };
  /** Bytes. */
  readonly memory: number;
  readonly backend: 'auto' | 'tensorflow' | 'webgpu' | 'wasm' | 'cpu';
  readonly threads: 'auto' | number;
  readonly precision: 'exact' | 'fast';
  readonly fingerprints: Readonly<Record<string, string>> | null;
}

/** All defaults filled. It is itself a valid recipe, and resolves to itself. */
export type ResolvedRecipe = ResolvedCommon & MethodChoice;
