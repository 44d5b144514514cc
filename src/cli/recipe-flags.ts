/** A recipe from a file, from flags, or from a file with flags written over it. */
import path from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { readJson } from '../files/read';
import { refuse, unwrap } from '../protocol/fault';
import { applyPreset, methodIds, moveRecipePaths, parseRecipe, presets, type Recipe } from '../protocol/recipe';
import type { ComponentKind } from '../protocol/train-choice';
import { type CommonOptions, expertList, numberAbove, readingOptions, scoringOptions, whole } from './options';

export interface RecipeFlags {
  readonly model?: string;
  readonly forget?: string;
  readonly retain?: string;
  readonly method?: string;
  readonly target?: unknown;
  readonly train?: unknown;
  readonly preset?: string;
  readonly steps?: number;
  readonly batchSize?: number | 'all';
  readonly lr?: number;
}

/** All parts of a kind, as a flag names them. */
const wholeKinds: ReadonlyMap<string, ComponentKind> = new Map([
  ['routers', 'router'],
  ['experts', 'expert'],
  ['shared', 'shared'],
  ['attention', 'attention'],
  ['dense', 'dense'],
  ['norms', 'norm'],
  ['embedding', 'embedding'],
  ['head', 'head'],
]);

/** `auto`, `random:7`, `esft:FILE` or LAYER:EXPERT[,LAYER:EXPERT]. */
function targetOf(text: string): unknown {
  if (text === 'auto') return text;
  const random = /^random:(\d+)$/.exec(text);
  if (random) return { random: Number(random[1]) };
  const esft = /^esft:(.+)$/.exec(text);
  if (esft) return { esft: path.resolve(esft[1]) };
  const experts = expertList(text);
  return experts.length === 1 ? experts[0] : { experts };
}

const trainForms = `expert+router, expert, router, full, lora, lora:RANK, or a list of ${[...wholeKinds.keys()].join(', ')}`;

/** `lora:16`, `routers`, `experts,shared`; null where it is none of the forms. */
export function trainOf(text: string): unknown {
  if (text === 'expert+router' || text === 'expert' || text === 'router' || text === 'full') return text;
  const lora = /^lora(?::([1-9]\d*))?$/.exec(text);
  if (lora) return { lora: lora[1] === undefined ? {} : { rank: Number(lora[1]) } };
  const kinds = text.split(',').map((name) => wholeKinds.get(name.trim()));
  return kinds.every((kind) => kind !== undefined) ? { components: kinds.map((kind) => ({ kind })) } : null;
}

function batchSize(text: string): number | 'all' {
  return text === 'all' ? text : whole(1)(text);
}

export const recipeOptions = (): Option[] => [
  new Option('--model <folder>', 'checkpoint folder'),
  new Option('--forget <file>', 'data file with what to forget'),
  new Option('--retain <file>', 'data file with what to keep'),
  new Option('--method <name>', 'forget loss').choices([...methodIds]),
  new Option('--target <experts>', 'auto, LAYER:EXPERT[,LAYER:EXPERT], random:SEED or esft:FILE').argParser((text) => {
    try {
      return targetOf(text);
    } catch {
      throw new InvalidArgumentError('It is auto, LAYER:EXPERT[,LAYER:EXPERT], random:SEED or esft:FILE.');
    }
  }),
  new Option('--train <what>', 'what moves: expert+router, expert, router, full, lora[:RANK], or kinds such as routers or experts,shared').argParser((text) => {
    const train = trainOf(text);
    if (train === null) throw new InvalidArgumentError(`It is ${trainForms}.`);
    return train;
  }),
  new Option('--preset <name>', 'named set of values').choices(presets.map(({ id }) => id)),
  new Option('--steps <n>', 'updates').argParser((text) => whole(1)(text)),
  new Option('--batch-size <rows>', 'forget rows and retain rows of a step, each; or all').argParser(batchSize),
  new Option('--lr <rate>', 'learning rate').argParser((text) => numberAbove(0)(text)),
  ...scoringOptions(),
  ...readingOptions(),
];

/** Fields that are not undefined. */
const given = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

const absolute = (file: string | undefined): string | undefined => (file === undefined ? undefined : path.resolve(file));

/** What the flags say, in the recipe's words; paths against the current folder. */
function fieldsOf(flags: RecipeFlags & CommonOptions): {
  readonly plain: Record<string, unknown>;
  readonly nested: Readonly<Record<'optimizer' | 'scoring', Record<string, unknown>>>;
} {
  const { documentStart } = flags;
  return {
    plain: given({
      model: absolute(flags.model),
      forget: absolute(flags.forget),
      retain: absolute(flags.retain),
      method: flags.method,
      target: flags.target,
      train: flags.train,
      steps: flags.steps,
      batchSize: flags.batchSize,
      maxLength: flags.maxLength,
      // null is the tokenizer's own way, also where the file says otherwise.
      addDocumentStart: documentStart === undefined ? undefined : documentStart === 'auto' ? null : documentStart === 'yes',
      chat: flags.chat,
      seed: flags.seed,
      memory: flags.memory,
      threads: flags.threads,
      backend: flags.backend,
    }),
    nested: { optimizer: given({ lr: flags.lr }), scoring: given({ options: flags.scoring, normalise: flags.normalise }) },
  };
}

/** The recipe of a file with absolute paths, or an empty one. */
async function written(file: string | undefined): Promise<Record<string, unknown>> {
  if (file === undefined) return {};
  const json = unwrap(await readJson(file));
  const recipe = parseRecipe(json);
  if (!recipe.ok) refuse(recipe.fault.code, `${file}: ${recipe.fault.message}`, recipe.fault.remedy);
  const folder = path.dirname(path.resolve(file));
  return { ...moveRecipePaths(unwrap(recipe), (at) => path.resolve(folder, at)) };
}

/** The recipe to run, all paths absolute. Flags win over the file; a preset's values come between the two. */
export async function recipeOf(file: string | undefined, flags: RecipeFlags & CommonOptions): Promise<Recipe> {
  const base = await written(file);
  const { plain, nested } = fieldsOf(flags);
  if (file === undefined && (flags.model === undefined || flags.forget === undefined)) {
    refuse('usage', 'Neither a recipe nor --model and --forget are given.', 'Give a recipe file, or both flags.');
  }
  // Options, the anchor's weight and fingerprints belong to what they were written for.
  const changedMethod = flags.method !== undefined && flags.method !== base.method;
  const trainsOther = base.anchor !== undefined && flags.train !== undefined && JSON.stringify(flags.train) !== JSON.stringify(base.train);
  const start: Record<string, unknown> = {
    ...base,
    ...(changedMethod ? { methodOptions: undefined } : {}),
    ...(trainsOther ? { anchor: given({ ...(base.anchor as object), weight: undefined }) } : {}),
    ...given({ model: plain.model, forget: plain.forget, retain: plain.retain }),
  };
  const moved = ['model', 'forget', 'retain'].filter((field) => plain[field] !== undefined);
  if (moved.length > 0 && typeof base.fingerprints === 'object') {
    start.fingerprints = Object.fromEntries(Object.entries(base.fingerprints as object).filter(([field]) => !moved.includes(field)));
  }
  const preset = flags.preset === undefined ? start : { ...unwrap(applyPreset(unwrap(parseRecipe(given(start))), flags.preset)) };
  const merged: Record<string, unknown> = { ...given(preset), ...plain };
  for (const [field, values] of Object.entries(nested)) {
    if (Object.keys(values).length > 0) merged[field] = { ...(merged[field] as object | undefined), ...values };
  }
  return unwrap(parseRecipe(merged));
}
