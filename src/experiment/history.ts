import path from 'node:path';
import { z } from 'zod';
import { isOfTheFile } from '../files/disk-fault';
import { parseJson } from '../files/read';
import type { AuditRecord } from '../protocol/audits';
import type { RunFolder } from '../protocol/engine';
import { type Fault, fail, faultOf, ok, type Result, sentence } from '../protocol/fault';
import { thinnedRows } from '../protocol/kept-steps';
import { parseRecipe, type Recipe } from '../protocol/recipe';
import { trainSchema } from '../protocol/recipe-schema';
import type { AttributionRecord, CheckRecord, EvaluationRecord, RunRecord, StepRecord } from '../protocol/records';
import type { RunReader } from './run-reader';
import { runsFolder } from './runs-folder';

/** A run on disk. */
export interface StoredRun {
  readonly folder: string;
  readonly record: RunRecord;
}

export interface History {
  /** By number, then by start. */
  readonly runs: readonly StoredRun[];
  /** Folders that hold no readable run, each with one sentence. */
  readonly broken: readonly { readonly folder: string; readonly why: string }[];
  /** The disk's fault where it, and not what it holds, kept something from being read; null else. */
  readonly unread: Fault | null;
}

export { runsFolder } from './runs-folder';

/** Lines of a journal that are read in one turn of the process. */
const turnLines = 2048;
/** Files read at once. */
const CONCURRENT = 32;

const moment = z.string().refine((text) => !Number.isNaN(Date.parse(text)));
const expertId = z.looseObject({ layer: z.int().min(0), expert: z.int().min(0) });
const beforeAfter = z.looseObject({ before: z.number(), after: z.number() });
const summarySchema = z.looseObject({
  forget: beforeAfter.optional(),
  near: beforeAfter.optional(),
  utility: beforeAfter.optional(),
  forbidden: beforeAfter.optional(),
  overlapForget: z.number().nullish(),
  overlapRetain: z.number().nullish(),
  targetShare: beforeAfter.optional(),
  roundingLoss: z.number().nullish(),
  trainedParameters: z.number().nullish(),
  trainedShare: z.number().nullish(),
});

const runSchema = z.looseObject({
  id: z.string().min(1),
  number: z.int().min(1),
  status: z.enum(['running', 'done', 'stopped', 'cancelled', 'failed', 'interrupted']),
  reason: z.string().optional(),
  method: z.string(),
  model: z.string(),
  target: z.looseObject({ experts: z.array(expertId), train: trainSchema }),
  steps: z.int().min(0),
  plannedSteps: z.int().min(0),
  keptStep: z.int().min(0),
  startedAt: moment,
  endedAt: moment.optional(),
  versions: z.record(z.string(), z.string()),
  backend: z.looseObject({ name: z.string(), threads: z.number() }),
  machine: z.looseObject({ cpu: z.string(), cores: z.number(), memory: z.number() }),
  seconds: z.record(z.string(), z.number()),
  plannedSeconds: z.record(z.string(), z.number()).optional(),
  summary: summarySchema.optional(),
  discarded: z.boolean().optional(),
  blockTokens: z.number().optional(),
  weights: z.looseObject({ bytes: z.number(), reading: z.number(), widening: z.number(), waiting: z.number() }).optional(),
  memory: z.looseObject({ budget: z.number(), planned: z.number(), peak: z.number() }).optional(),
  sweep: z.looseObject({ name: z.string(), task: z.string() }).optional(),
});

const interval = z.tuple([z.number(), z.number()]);
const scoreSchema = z.looseObject({
  value: z.number(),
  n: z.number(),
  interval: interval.optional(),
  perExample: z.array(z.looseObject({ id: z.string(), value: z.number().nullable(), topic: z.string().optional(), tokens: z.number().optional() })).optional(),
});
const setSchema = z.looseObject({
  name: z.string(),
  kind: z.enum(['accuracy', 'probability']),
  score: scoreSchema,
  topics: z.record(z.string(), z.looseObject({ accuracy: z.number(), rows: z.number(), blind: z.number() })).optional(),
  extraction: scoreSchema.optional(),
  nll: z.number(),
  blind: z.number().nullish(),
});
const changeSchema = z.looseObject({
  difference: z.number(),
  n: z.number(),
  interval: interval.optional(),
  mcnemar: z.looseObject({ gained: z.number(), lost: z.number(), p: z.number() }).optional(),
});
const auditScore = setSchema.extend({ kind: z.enum(['accuracy', 'probability', 'extraction']) });
const evaluationSchema = z.looseObject({
  sets: z.array(
    z.looseObject({
      role: z.enum(['forget', 'near', 'utility']),
      before: setSchema,
      after: setSchema,
      change: changeSchema.optional(),
      forbiddenBefore: setSchema.optional(),
      forbiddenAfter: setSchema.optional(),
    }),
  ),
  routing: z
    .looseObject({ overlapForget: z.number(), overlapRetain: z.number().nullable(), targetShareBefore: z.number(), targetShareAfter: z.number() })
    .optional(),
});
const auditedSchema = z.looseObject({
  role: z.enum(['forget', 'near', 'utility']),
  before: auditScore,
  after: auditScore,
  underBefore: auditScore,
  underAfter: auditScore,
});
const auditsSchema = z.preprocess(
  fromOneAudit,
  z.looseObject({
    run: z.string(),
    audits: z.record(z.string(), z.looseObject({ settings: z.looseObject({}), sets: z.array(auditedSchema), seconds: z.number() })),
  }),
);

/** audits.json as it was when the forbidden expert was the only audit. */
function fromOneAudit(value: unknown): unknown {
  const old = z
    .looseObject({
      run: z.string(),
      forbid: z.looseObject({
        experts: z.array(z.unknown()),
        sets: z.array(z.looseObject({ role: z.string(), before: z.unknown(), after: z.unknown(), forbiddenBefore: z.unknown(), forbiddenAfter: z.unknown() })),
      }),
    })
    .safeParse(value);
  if (!old.success) return value;
  const { experts, sets } = old.data.forbid;
  const renamed = sets.map(({ forbiddenBefore, forbiddenAfter, ...set }) => ({ ...set, underBefore: forbiddenBefore, underAfter: forbiddenAfter }));
  return { run: old.data.run, audits: { forbid: { settings: { experts }, sets: renamed, seconds: 0 } } };
}
const expertSchema = expertId.extend({ affinity: z.number(), share: z.number() });
const layersSchema = z.array(
  z.looseObject({ layer: z.int().min(0), experts: z.array(z.looseObject({ expert: z.int().min(0), affinity: z.number(), share: z.number() })) }),
);
const attributionSchema = z.looseObject({
  ranking: z.array(expertSchema),
  target: expertSchema,
  layers: layersSchema,
  stability: z.looseObject({ halves: z.number(), sameTarget: z.number(), topOverlap: z.number() }).nullable(),
  against: z.looseObject({ layers: layersSchema }).optional(),
});
/** What JSON can't hold (NaN) is null in a journal. */
const figure = z.number().nullish();
const stepSchema = z.looseObject({
  step: z.int(),
  forget: figure,
  retain: figure,
  anchor: figure,
  total: figure,
  gradNorm: figure,
  lr: figure,
  targetShare: figure,
  overlapForget: figure,
  overlapRetain: figure,
  ms: figure,
});
const checkSchema = z.looseObject({
  step: z.int(),
  forget: figure,
  utility: figure,
  utilityNll: figure,
  overlapForget: figure,
  overlapRetain: figure,
  targetShare: figure,
  ms: figure,
});

/**
 * Name of a run's folder: UTC time to the second and the method, `2026-11-23T10-15-02-npo`; -2, -3 ... when that is taken.
 * It sorts by time, and no file system objects to it.
 */
export function runId(date: Date, method: string, taken: ReadonlySet<string>): string {
  const base = `${date.toISOString().slice(0, 19).replaceAll(':', '-')}-${method}`;
  let id = base;
  for (let copy = 2; taken.has(id); copy++) id = `${base}-${copy}`;
  return id;
}

/** The number of the next run, for display: one more than the largest so far, and than the folders there are, of which some may not be readable now. */
export const nextNumber = (records: readonly RunRecord[], folders = 0): number =>
  records.reduce((largest, { number }) => Math.max(largest, number), folders) + 1;

/** All runs of a workspace. Never fails: what cannot be read is in `broken`. A workspace without runs has none. */
export async function readHistory(reader: RunReader, workspace: string): Promise<History> {
  const root = runsFolder(workspace);
  const names = await reader.folders(root);
  if (!names.ok && names.fault.code === 'not-found') return { runs: [], broken: [], unread: null };
  if (!names.ok) return { runs: [], broken: [{ folder: root, why: sentence(names.fault) }], unread: names.fault };
  const folders = names.value.filter((name) => !name.startsWith('.')).map((name) => path.join(root, name));
  const runs: StoredRun[] = [];
  const broken: { folder: string; why: string }[] = [];
  let unread: Fault | null = null;
  for (let start = 0; start < folders.length; start += CONCURRENT) {
    const batch = folders.slice(start, start + CONCURRENT);
    const records = await Promise.all(batch.map((folder) => readRecord(reader, folder)));
    records.forEach((record, i) => {
      if (record.ok) runs.push({ folder: batch[i], record: record.value });
      else {
        broken.push({ folder: batch[i], why: record.fault.message });
        if (!isOfTheFile(record.fault)) unread ??= record.fault;
      }
    });
  }
  runs.sort((a, b) => a.record.number - b.record.number || (a.record.startedAt < b.record.startedAt ? -1 : 1));
  return { runs, broken, unread };
}

/** The history, read when it is first asked for and never again. */
export function historyOnce(reader: RunReader, workspace: string): () => Promise<History> {
  let read: Promise<History> | null = null;
  return () => {
    read ??= readHistory(reader, workspace);
    return read;
  };
}

/** Everything a run folder holds but tensors. A journal's last line that was cut off by a kill is left out; `mostSteps` thins a long one. */
export async function readRunFolder(reader: RunReader, folder: string, mostSteps?: number): Promise<Result<RunFolder>> {
  const record = await readRecord(reader, folder);
  if (!record.ok) return record;
  const raw = await readJsonFile(reader, path.join(folder, 'recipe.json'));
  if (!raw.ok) return raw;
  const recipe = parseRecipe(raw.value);
  if (!recipe.ok) return fail('bad-file', `${path.join(folder, 'recipe.json')} is not a recipe: ${recipe.fault.message}`, recipe.fault.remedy);
  const steps = await readJournal<StepRecord>(reader, path.join(folder, 'steps.jsonl'), stepSchema, mostSteps);
  if (!steps.ok) return steps;
  const checks = await readJournal<CheckRecord>(reader, path.join(folder, 'checks.jsonl'), checkSchema);
  if (!checks.ok) return checks;
  const attribution = await readOptional<AttributionRecord>(reader, path.join(folder, 'attribution.json'), attributionSchema);
  if (!attribution.ok) return attribution;
  const evaluation = await readOptional<EvaluationRecord>(reader, path.join(folder, 'evaluation.json'), evaluationSchema);
  if (!evaluation.ok) return evaluation;
  const audits = await readOptional<AuditRecord>(reader, path.join(folder, 'audits.json'), auditsSchema);
  if (!audits.ok) return audits;
  // Files that a run need not have are missing as well where the drive went away in between.
  if (attribution.value === null || evaluation.value === null || audits.value === null) {
    const still = await reader.text(path.join(folder, 'run.json'));
    if (!still.ok) return still;
  }
  return ok({
    record: record.value,
    recipe: recipe.value,
    steps: steps.value,
    checks: checks.value,
    attribution: attribution.value,
    evaluation: evaluation.value,
    audits: audits.value,
  });
}

/** A run's scores and what it was; of other files that can't be read, the first fault. */
export async function readScores(
  reader: RunReader,
  folder: string,
): Promise<
  Result<{ readonly record: RunRecord; readonly recipe: Recipe | null; readonly evaluation: EvaluationRecord | null; readonly unread: Fault | null }>
> {
  const record = await readRecord(reader, folder);
  if (!record.ok) return record;
  const raw = await readJsonFile(reader, path.join(folder, 'recipe.json'));
  const recipe = raw.ok ? parseRecipe(raw.value) : raw;
  const evaluation = await readOptional<EvaluationRecord>(reader, path.join(folder, 'evaluation.json'), evaluationSchema);
  if (evaluation.ok && evaluation.value === null) {
    const still = await reader.text(path.join(folder, 'run.json'));
    if (!still.ok) return still;
  }
  const unread = [raw, recipe, evaluation].find((own) => !own.ok && own.fault.code !== 'not-found');
  return ok({
    record: record.value,
    recipe: recipe.ok ? recipe.value : null,
    evaluation: evaluation.ok ? evaluation.value : null,
    unread: unread && !unread.ok ? unread.fault : null,
  });
}

/**
 * The folder a user means by an id, a number (`7` or `#7`) or a path. An id or a number is looked for in the workspace first;
 * relative paths start at `current` (default the workspace). Who names many runs reads the history once (`historyOnce`).
 */
export async function resolveRun(
  reader: RunReader,
  workspace: string,
  text: string,
  current = workspace,
  history = () => readHistory(reader, workspace),
): Promise<Result<string>> {
  const wanted = text.trim();
  const list = 'List the runs with `uoe runs`.';
  if (wanted === '') return fail('usage', 'No run was named.', list);
  if (/^#?\d+$/.test(wanted)) {
    const number = Number(wanted.replace('#', ''));
    const { runs, unread } = await history();
    const found = runs.filter(({ record }) => record.number === number);
    if (found.length === 1) return ok(found[0].folder);
    if (found.length > 1)
      return fail('conflict', `Run number ${number} is that of ${found.map(({ record }) => record.id).join(' and ')}.`, 'Name the run by its id or folder.');
    if (unread) return { ok: false, fault: unread };
  } else if (wanted !== '.' && wanted !== '..' && !/[/\\]/.test(wanted)) {
    const folder = path.join(runsFolder(workspace), wanted);
    const record = await reader.text(path.join(folder, 'run.json'));
    if (record.ok) return ok(folder);
    if (record.fault.code !== 'not-found') return record;
  }
  const folder = path.resolve(current, wanted);
  const record = await reader.text(path.join(folder, 'run.json'));
  if (record.ok) return ok(folder);
  if (record.fault.code !== 'not-found') return record;
  return fail('not-found', `There is no run "${wanted}" in ${runsFolder(workspace)}, and ${folder} is not a run folder.`, list);
}

async function readRecord(reader: RunReader, folder: string): Promise<Result<RunRecord>> {
  const json = await readJsonFile(reader, path.join(folder, 'run.json'));
  if (!json.ok) return json;
  const read = checked<RunRecord>(json.value, runSchema, path.join(folder, 'run.json'));
  // A run is called what its folder is called, whatever the file says: the name leads nowhere else.
  const record: Result<RunRecord> = read.ok ? ok({ ...read.value, id: path.basename(folder) }) : read;
  if (!record.ok || record.value.status !== 'running' || (await reader.held(path.join(folder, '.lock')))) return record;
  return ok({ ...record.value, status: 'interrupted', reason: 'Its process ended without a word; "uoe unlearn --resume" goes on from its last saved step.' });
}

async function readJsonFile(reader: RunReader, at: string): Promise<Result<unknown>> {
  try {
    const text = await reader.text(at);
    return text.ok ? parseJson(text.value, at) : text;
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}

async function readOptional<T>(reader: RunReader, at: string, schema: z.ZodType): Promise<Result<T | null>> {
  const json = await readJsonFile(reader, at);
  if (!json.ok) return json.fault.code === 'not-found' ? ok(null) : json;
  return checked<T>(json.value, schema, at);
}

/** Rows of a journal; none when the file is not there. Only the last line may be incomplete. Of more than `most` rows about twice as many are held, at most. */
async function readJournal<T extends { readonly step: number }>(
  reader: RunReader,
  at: string,
  schema: z.ZodType,
  most = Number.POSITIVE_INFINITY,
): Promise<Result<readonly T[]>> {
  const text = await reader.text(at);
  if (!text.ok) return text.fault.code === 'not-found' ? ok([]) : text;
  const content = text.value;
  let rows: T[] = [];
  for (let start = 0, line = 1; start < content.length; line++) {
    const newline = content.indexOf('\n', start);
    const end = newline < 0 ? content.length : newline;
    const own = content.slice(start, end);
    start = end + 1;
    if (own.trim() === '') continue;
    const json = parseJson(own, `${at} line ${line}`);
    if (!json.ok) {
      // After a power failure the last line's end may be there without its beginning.
      if (content.slice(start).trim() === '') break;
      return json;
    }
    const row = checked<T>(json.value, schema, `${at} line ${line}`);
    if (!row.ok) return row;
    rows.push(row.value);
    if (rows.length >= Math.max(turnLines, 2 * most)) rows = [...thinnedRows(rows, most)];
    // Others have their turn.
    if (line % turnLines === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return ok(thinnedRows(rows, most));
}

/** The value as T once the fields that views rely on have the right form. */
function checked<T>(value: unknown, schema: z.ZodType, at: string): Result<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return ok(parsed.data as T);
  const issue = parsed.error.issues[0];
  const field = issue.path.length === 0 ? 'its content' : `its field "${issue.path.join('.')}"`;
  return fail('bad-file', `${at} cannot be used: ${field} is missing or not of the expected form.`, 'Restore the file, or delete the run folder.');
}
