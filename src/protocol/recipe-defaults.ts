/** Every default of the recipe with where it comes from: a paper's table, released code, or our own measurement. */

export interface Sourced<T> {
  readonly value: T;
  readonly source: string;
}

export interface RecipeDefault extends Sourced<unknown> {
  /** Field as written in a recipe, dots between levels. */
  readonly field: string;
  /** When this default holds, if not always. */
  readonly when?: string;
}

const given = <T>(value: T, source: string): Sourced<T> => ({ value, source });

const paper = 'UOE paper (arXiv 2411.18797)';
const ours = 'Our measurement on the demo model';
const torch = 'torch.optim.AdamW, default argument';
const trainer = 'Hugging Face TrainingArguments, default';

/** Defaults that don't depend on another field. */
export const defaults = {
  target: given('auto' as const, `${paper}, Insight 4: the one expert with the highest affinity of all layers`),
  train: given('expert+router' as const, `${paper}, Algorithm 1, step 4`),
  method: given('npo' as const, `${ours}: of the four methods NPO leaves the neighbouring topic most intact`),
  anchorForm: given('paper' as const, `${paper}, Eq. 4`),
  routerProjection: given(false as boolean, `${paper}: not part of its method (it is GRIP's, arXiv 2601.16905)`),
  lora: {
    rank: given(
      8,
      `${paper}, Table 3: of its three models rank 8 on every projection is 0.89, 0.92 and 0.26 %, where its LoRA rows name 0.87, 0.92 and 0.26 %; PEFT, default r`,
    ),
    alphaTimesRank: given(2, 'Common practice: alpha is twice the rank'),
  },
  optimizer: {
    lr: given(1e-4, `${paper}, hyper-parameters of the single-expert runs`),
    beta1: given(0.9, torch),
    beta2: given(0.999, torch),
    eps: given(1e-8, torch),
    weightDecay: given(0, `${trainer} weight_decay; also used in all our demo runs`),
    schedule: given('constant' as const, "The authors' released configuration"),
    warmup: given(0, `${trainer} warmup_steps`),
    clipNorm: given(null, `${paper}: names no clipping`),
  },
  steps: given(100, `${ours}: every method that reaches its goal does so within 100 steps`),
  batchSize: given(16, `${paper}, hyper-parameters of the single-expert runs`),
  accumulate: given(1, 'The undivided batch; any other value gives the same step'),
  order: given('shuffled' as const, 'torch.utils.data with a random sampler, as in Hugging Face Trainer; our demo runs too'),
  maxLength: given(512, 'RMU, released code (WMDP): 512 tokens for its biology corpus'),
  addDocumentStart: given(null, 'What the tokenizer itself puts before a text'),
  chat: given('auto' as const, 'open-unlearning: prompts are rendered through the chat template of an instruction-tuned model'),
  seed: given(0, 'Convention'),
  checksEverySteps: given(10, `${ours}: the runs were checked every 10 steps`),
  checksUtility: given([] as readonly string[], 'Nothing is measured that was not asked for'),
  stopPatience: given(1, `${ours}: runs ended at the first check that reached the goal`),
  keep: given('last' as const, `${paper} and released code: the weights after the last step`),
  scoring: {
    options: given('likelihood' as const, `${ours}: small models can't answer with a letter; option likelihood also works for large ones`),
    normalise: given('none' as const, 'lm-evaluation-harness: metric acc'),
  },
  memory: given('8GB', 'Half of a laptop with 16 GB'),
  backend: given('auto' as const, 'The fastest backend that this machine has'),
  threads: given('auto' as const, 'As many as the machine has cores for'),
  precision: given('exact' as const, 'Numbers that equal the reference'),
};

/** Options of each forget loss. */
export const methodDefaults = {
  npo: { beta: given(0.1, 'open-unlearning, NPO trainer configuration (the UOE paper uses 0.001)') },
  gdiff: {},
  ga: {},
  simnpo: { beta: given(4.5, 'SimNPO (arXiv 2410.07163)'), delta: given(0, 'SimNPO (arXiv 2410.07163)') },
  rmu: {
    c: given(300, 'RMU, released code (WMDP): its command for Mixtral-8x7B, steering_coeffs 300'),
    retainWeight: given(100, 'RMU, released code (WMDP): alpha 100, default argument'),
    controlVector: given('seed' as const, 'RMU (arXiv 2403.03218): uniform [0, 1), normalised, drawn once'),
  },
};

/** Defaults that follow from the method, from what trains, or from whether there is a retain set. */
export const conditionalDefaults = {
  anchorWeight: given(1, `${paper}, Table 6: best of 0, 1, 100, 1000`),
  anchorWeightRouterFrozen: given(0, 'The routing of a frozen router over fixed inputs can not move; the baselines of the paper have no anchor'),
  retainKind: given('nll' as const, `${paper}, Eq. 3 with the retain term of GDIFF`),
  retainWeight: given(1, `${paper}, hyper-parameters: lambda 1`),
  retainKindNone: given('none' as const, 'GA has no retain term by definition, RMU has its own'),
  retainKindWithoutRetain: given('none' as const, 'There is no retain set to take it from'),
};

const isSourced = (value: unknown): value is Sourced<unknown> => typeof value === 'object' && value !== null && 'source' in value;

function flatten(table: Readonly<Record<string, unknown>>, prefix: string, when?: string): RecipeDefault[] {
  return Object.entries(table).flatMap(([name, entry]) => {
    if (!isSourced(entry)) return flatten(entry as Readonly<Record<string, unknown>>, `${prefix}${name}.`, when);
    return [{ field: prefix + name, value: entry.value, source: entry.source, ...(when === undefined ? {} : { when }) }];
  });
}

const { anchorForm, lora, checksEverySteps, checksUtility, stopPatience, ...plain } = defaults;
const withoutRetain = 'without retain';
const off = 'A rule that is not written does not stop the run';

/** All defaults as rows: for the documentation, the interface and the JSON Schema. */
export const recipeDefaults: readonly RecipeDefault[] = [
  ...flatten(plain, ''),
  { field: 'anchor.form', ...anchorForm },
  { field: 'train.lora.rank', ...lora.rank, when: 'train is lora' },
  { field: 'train.lora.alpha', value: 'twice the rank', source: lora.alphaTimesRank.source, when: 'train is lora' },
  { field: 'anchor.weight', ...conditionalDefaults.anchorWeight, when: 'the router trains' },
  {
    field: 'anchor.weight',
    ...conditionalDefaults.anchorWeightRouterFrozen,
    when: 'the router of the target does not train, or all parameters or LoRA adapters do',
  },
  { field: 'retainLoss.kind', ...conditionalDefaults.retainKind, when: 'method is npo, gdiff or simnpo' },
  { field: 'retainLoss.kind', ...conditionalDefaults.retainKindNone, when: 'method is ga or rmu' },
  { field: 'retainLoss.kind', ...conditionalDefaults.retainKindWithoutRetain, when: withoutRetain },
  { field: 'retainLoss.weight', ...conditionalDefaults.retainWeight },
  { field: 'checks.everySteps', ...checksEverySteps },
  { field: 'checks.utility', ...checksUtility },
  { field: 'stop.forgetAtMost', value: null, source: off },
  { field: 'stop.utilityDropAtMost', value: null, source: off },
  { field: 'stop.nllRiseAtMost', value: null, source: off },
  { field: 'stop.patience', ...stopPatience },
  ...Object.entries(methodDefaults).flatMap(([method, options]) => flatten(options, 'methodOptions.', `method is ${method}`)),
  { field: 'methodOptions.retainWeight', value: 0, source: 'There is no retain set to take it from', when: `method is rmu, ${withoutRetain}` },
];
