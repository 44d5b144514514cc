/** A sweep file: the product of settings as independent tasks, each a recipe of its own. What to run; where is for an executor. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import * as z from 'zod';
import { fail, ok, type Result, sentence } from '../protocol/fault';
import { moveRecipePaths, parseRecipe, type Recipe, resolveRecipe } from '../protocol/recipe';
import { type SlurmProfile, slurmProfileSchema } from './slurm-profile';

// Descriptions are shown by editors.
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const settingsSchema = z.record(z.string(), z.unknown());
/** `{ "label": "GA", "set": { "method": "ga", "optimizer.lr": 0.001 } }`: several settings that go together. */
export const optionSchema = z.strictObject({
  label: z.string().min(1).describe('What the table calls this option.'),
  set: settingsSchema.describe('Recipe fields and their values, such as "method" or "optimizer.lr".'),
});
export const sweepSchema = z.strictObject({
  recipe: z.union([z.string().min(1), settingsSchema]).describe('The recipe that all runs start from: its file, or the recipe itself.'),
  vary: z
    .record(z.string(), z.array(z.union([optionSchema, scalar, settingsSchema])).min(1))
    .describe(
      'Settings to take the product of: a recipe field such as "method" or "anchor.weight" with its values, or any name with options, each a label and what it sets. Results are averaged over "seed".',
    ),
  workers: z.int().min(1).optional().describe('Runs at a time on this machine; they share its cores and memory. Default: 1.'),
  slurm: slurmProfileSchema
    .optional()
    .describe("What a cluster's site asks of the jobs. Every field is optional, and nothing is asked that isn't set; without a meaning on this machine."),
});

/** One run of a sweep. */
export interface SweepTask {
  /** Follows from the recipe: a task that stands in a changed sweep file again is the same task. */
  readonly id: string;
  /** What tells it from its siblings, one label for each varied setting. */
  readonly labels: Readonly<Record<string, string>>;
  readonly recipe: Recipe;
}

export interface Sweep {
  readonly name: string;
  readonly axes: readonly string[];
  readonly workers: number;
  readonly slurm: SlurmProfile;
  readonly tasks: readonly SweepTask[];
}

/** Repeats of otherwise equal tasks: results are averaged over it. */
export const repeatAxis = 'seed';

type Settings = Readonly<Record<string, unknown>>;
type Choice = { readonly label: string; readonly set: Settings };

const isOption = (value: unknown): value is Choice => optionSchema.safeParse(value).success;
const labelOf = (value: unknown): string => (typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value));

/** Puts `value` at a dotted path; what is an object on the way stays but for that field. */
function withSetting(recipe: Settings, [first, ...rest]: readonly string[], value: unknown): Settings {
  if (rest.length === 0) return { ...recipe, [first]: value };
  const inner = recipe[first];
  return { ...recipe, [first]: withSetting(typeof inner === 'object' && inner !== null ? (inner as Settings) : {}, rest, value) };
}

/** Keys in one order, so that equal recipes read the same. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, own]) => [key, ordered(own)]),
  );
}

/** Threads and memory change no result: a task stays the same with other ones. */
function taskId(recipe: Recipe): Result<string> {
  const resolved = resolveRecipe(recipe);
  if (!resolved.ok) return resolved;
  const { threads: _threads, memory: _memory, ...rest } = resolved.value.recipe;
  return ok(
    createHash('sha256')
      .update(JSON.stringify(ordered(rest)))
      .digest('hex')
      .slice(0, 12),
  );
}

const MOST_TASKS = 10_000;

/** Every combination, the last axis changing fastest. */
const product = (axes: readonly (readonly Choice[])[]): Choice[][] =>
  axes.reduce<Choice[][]>((rows, axis) => rows.flatMap((row) => axis.map((choice) => [...row, choice])), [[]]);

/**
 * The tasks of a sweep file. `json`: its content, `at`: its path. `readRecipe` gives the content of a recipe file named there. Paths of the
 * recipe are against the file they stand in. A recipe that can't be is a fault that names the task.
 */
export async function planSweep(json: unknown, at: string, readRecipe: (file: string) => Promise<Result<unknown>>): Promise<Result<Sweep>> {
  const parsed = sweepSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = issue.path.length === 0 ? 'its content' : `"${issue.path.join('.')}"`;
    return fail(
      'bad-data',
      `${at} is not a sweep: ${field}: ${issue.message}.`,
      'A sweep has "recipe" (a recipe or its file) and "vary" (fields and their values).',
    );
  }
  const { recipe: base, vary, workers = 1, slurm = {} } = parsed.data;
  let [content, folder]: [unknown, string] = [base, path.dirname(at)];
  if (typeof base === 'string') {
    const file = path.resolve(folder, base);
    const read = await readRecipe(file);
    if (!read.ok) return read;
    [content, folder] = [read.value, path.dirname(file)];
  }
  const axes = Object.keys(vary);
  const choices = axes.map((axis) => vary[axis].map((value): Choice => (isOption(value) ? value : { label: labelOf(value), set: { [axis]: value } })));
  const count = choices.reduce((all, own) => all * own.length, 1);
  if (count > MOST_TASKS)
    return fail(
      'bad-data',
      `${at}: ${choices.map((own) => own.length).join(' × ')} tasks are more than ${MOST_TASKS}.`,
      'Vary fewer settings, or cut the sweep into several files.',
    );
  const tasks: SweepTask[] = [];
  const seen = new Map<string, string>();
  for (const row of product(choices)) {
    const labels = Object.fromEntries(axes.map((axis, i) => [axis, row[i].label]));
    const name = axes.map((axis) => `${axis} ${labels[axis]}`).join(', ') || 'the recipe';
    const named = (fault: Parameters<typeof sentence>[0]) => fail('bad-data', `${at}, task "${name}": ${sentence(fault)}`);
    let settings = content as Settings;
    for (const { set } of row) for (const [field, value] of Object.entries(set)) settings = withSetting(settings, field.split('.'), value);
    const recipe = parseRecipe(settings);
    if (!recipe.ok) return named(recipe.fault);
    const moved = moveRecipePaths(recipe.value, (file) => path.resolve(folder, file));
    const id = taskId(moved);
    if (!id.ok) return named(id.fault);
    const twin = seen.get(id.value);
    if (twin !== undefined) return fail('bad-data', `${at}: the tasks "${twin}" and "${name}" are the same run.`, 'Take one of the equal values out.');
    seen.set(id.value, name);
    tasks.push({ id: id.value, labels, recipe: moved });
  }
  return ok({ name: path.basename(at).replace(/(\.sweep)?\.json$/i, ''), axes, workers, slurm, tasks });
}

/** `GA · L1·E9`: a task in a few words. */
export const taskName = ({ labels }: Pick<SweepTask, 'labels'>): string => Object.values(labels).join(' · ') || 'the recipe';
