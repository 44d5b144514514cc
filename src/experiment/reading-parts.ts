/**
 * Parts of a reading: attribution or scores of one range of the prompts, made anywhere, merged in the order of the prompts. A part keeps what
 * was found row by row, so that sums are made once, over all rows in their order: merged and unsharded are the same to the last bit.
 */
import path from 'node:path';
import * as z from 'zod';
import type { RoutingRecord } from '../attribution/affinity';
import { attributionRecord } from '../attribution/attribute';
import { bytesOf, readSafetensors, type SafetensorsContent, type TensorToWrite, writeSafetensors } from '../checkpoint/safetensors';
import { writeJson } from '../files/atomic-write';
import { kindOf, listFolder } from '../files/folder';
import { readJson } from '../files/read';
import type { ScoredRow, Shard } from '../protocol/engine';
import { FaultError, fail, ok, type Result, refuse, unwrap } from '../protocol/fault';
import type { AttributionRecord } from '../protocol/records';

const rangeSchema = z.object({ from: z.int().min(0), to: z.int().min(0), of: z.int().min(1) });
/** Rows `from..to` of `of`. */
export type RowRange = z.infer<typeof rangeSchema>;

/** The rows of a shard: as equal as they go, in order. */
export function shardRange({ index, count }: Pick<Shard, 'index' | 'count'>, rows: number, what: string): RowRange {
  if (index > count) refuse('usage', `There is no shard ${index} of ${count}.`, 'Count them from 1, such as 1/4 to 4/4.');
  if (count > rows) refuse('usage', `The ${what} have ${rows} rows, which can't be cut into ${count} shards.`, 'Take fewer shards.');
  return { from: Math.floor(((index - 1) * rows) / count), to: Math.floor((index * rows) / count), of: rows };
}

/** What all parts of one reading agree on. */
const identitySchema = z.object({
  /** Fingerprint of the checkpoint. */
  model: z.string(),
  /** Hash of every row's tokens, of patch and forbidden experts, and of how scores are made. */
  settings: z.string(),
  /** The last bits of a score are those of what computed it. */
  backend: z.string(),
});
export type ReadingIdentity = z.infer<typeof identitySchema>;

const wrongFile = (at: string, what: string): never => refuse('bad-file', `${at} is not a part of ${what}.`, 'Parts are written with --shard I/N --to FILE.');

/** The parts in the order of their rows. Every row must be covered once, by parts of the same reading. */
function inOrder<P extends { readonly at: string; readonly identity: ReadingIdentity; readonly range: RowRange }>(
  parts: readonly P[],
  what: string,
): Result<readonly P[]> {
  const [first] = parts;
  const names = { model: 'another checkpoint', settings: 'other prompts or settings', backend: 'another backend' } as const;
  for (const { at, identity, range } of parts) {
    for (const field of ['model', 'settings', 'backend'] as const)
      if (identity[field] !== first.identity[field])
        return fail('conflict', `${at} was made with ${names[field]} than ${first.at}.`, 'Make all parts with the same command but for --shard and --to.');
    if (range.of !== first.range.of)
      return fail('conflict', `${at} is of ${range.of} rows and ${first.at} of ${first.range.of}.`, 'Make all parts of the same data.');
  }
  const sorted = [...parts].sort((a, b) => a.range.from - b.range.from || a.range.to - b.range.to);
  let next = 0;
  for (const { at, range } of sorted) {
    if (range.from > next) return fail('conflict', `The ${what} ${next + 1} to ${range.from} are in no part.`, 'Give all parts.');
    if (range.from < next)
      return fail('conflict', `The ${what} ${range.from + 1} to ${Math.min(next, range.to)} are in several parts, one of them ${at}.`, 'Give each part once.');
    next = range.to;
  }
  return next < first.range.of ? fail('conflict', `The ${what} ${next + 1} to ${first.range.of} are in no part.`, 'Give all parts.') : ok(sorted);
}

const attributionHeadSchema = identitySchema.extend({
  kind: z.literal('attribution'),
  family: z.string(),
  layers: z.array(z.int().min(0)),
  experts: z.int().min(1),
  topK: z.int().min(1),
  prompts: rangeSchema,
  against: rangeSchema.nullable(),
});

/** Routing of a range of the prompts, and of a second set. */
export interface AttributionPart {
  readonly identity: ReadingIdentity;
  readonly family: string;
  readonly prompts: { readonly range: RowRange; readonly record: RoutingRecord };
  readonly against: { readonly range: RowRange; readonly record: RoutingRecord } | null;
}

/** `<set>.lengths [Z]`, `<set>.affinity [Z, layers, E]` in float64 and `<set>.slots`, with a head that says what they are. */
export async function writeAttributionPart(at: string, { identity, family, prompts, against }: AttributionPart): Promise<Result<void>> {
  const { layers, experts, topK } = prompts.record;
  const tensors = (name: string, { lengths, affinity, slots }: RoutingRecord): TensorToWrite[] => {
    const shape = [lengths.length, layers.length, experts];
    return [
      { name: `${name}.affinity`, dtype: 'F64', shape, bytes: bytesOf(Float64Array.from(affinity)) },
      { name: `${name}.lengths`, dtype: 'I32', shape: [lengths.length], bytes: bytesOf(lengths) },
      { name: `${name}.slots`, dtype: 'I32', shape, bytes: bytesOf(Int32Array.from(slots)) },
    ];
  };
  const head: z.infer<typeof attributionHeadSchema> = {
    ...{ kind: 'attribution', ...identity, family, layers: [...layers], experts, topK },
    ...{ prompts: prompts.range, against: against?.range ?? null },
  };
  return writeSafetensors(at, [...tensors('prompts', prompts.record), ...(against ? tensors('against', against.record) : [])], { uoe: JSON.stringify(head) });
}

function headOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
  }
}

/** Aligned: a file's tensors begin anywhere in what was read. */
const copied = (bytes: Uint8Array): ArrayBuffer => bytes.slice().buffer;

async function readAttributionPart(at: string) {
  const { tensors, metadata }: SafetensorsContent = unwrap(await readSafetensors(at));
  const parsed = attributionHeadSchema.safeParse(headOf(metadata.get('uoe')));
  if (!parsed.success) return wrongFile(at, 'an attribution');
  const { family, layers, experts, topK, prompts, against, model, settings, backend } = parsed.data;
  const record = (name: string, { from, to }: RowRange): RoutingRecord => {
    const [lengths, affinity, slots] = ['lengths', 'affinity', 'slots'].map((own) => tensors.get(`${name}.${own}`));
    const values = (to - from) * layers.length * experts;
    if (lengths?.bytes.length !== (to - from) * 4 || affinity?.bytes.length !== values * 8 || slots?.bytes.length !== values * 4)
      return wrongFile(at, 'an attribution');
    return {
      ...{ layers, experts, topK, lengths: new Int32Array(copied(lengths.bytes)) },
      ...{ affinity: new Float64Array(copied(affinity.bytes)), slots: new Int32Array(copied(slots.bytes)) },
    };
  };
  return {
    ...{ at, identity: { model, settings, backend }, family, prompts: { range: prompts, record: record('prompts', prompts) } },
    against: against && { range: against, record: record('against', against) },
  };
}

/** One record of records of ranges that follow one another. */
function joined(records: readonly RoutingRecord[]): RoutingRecord {
  const whole = <A extends Float64Array | Int32Array>(of: (record: RoutingRecord) => ArrayLike<number>, make: (length: number) => A): A => {
    const all = make(records.reduce((sum, record) => sum + of(record).length, 0));
    let at = 0;
    for (const record of records) {
      all.set(of(record), at);
      at += of(record).length;
    }
    return all;
  };
  return {
    ...records[0],
    lengths: whole(
      (record) => record.lengths,
      (length) => new Int32Array(length),
    ),
    affinity: whole(
      (record) => record.affinity,
      (length) => new Float64Array(length),
    ),
    slots: whole(
      (record) => record.slots,
      (length) => new Int32Array(length),
    ),
  };
}

/** The record that one attribution of all prompts gives. Throws FaultError. */
export async function mergeAttribution(files: readonly string[], seed: number): Promise<AttributionRecord> {
  const parts = await Promise.all(files.map(readAttributionPart));
  const ordered = (which: 'prompts' | 'against', what: string): RoutingRecord => {
    const own = parts.map(({ at, identity, [which]: set }) => ({
      at,
      identity,
      ...(set ?? refuse('conflict', `${at} has no second set.`, 'Make all parts with the same command.')),
    }));
    return joined(unwrap(inOrder(own, what)).map(({ record }) => record));
  };
  const prompts = ordered('prompts', 'prompts');
  const isCompared = parts.some(({ against }) => against !== null);
  return attributionRecord(parts[0].family, prompts, seed, isCompared ? ordered('against', 'rows of the second set') : undefined);
}

const scorePartSchema = identitySchema.extend({
  kind: z.literal('score'),
  range: rangeSchema,
  rows: z.array(
    z.union([
      z.object({ id: z.string(), chosen: z.number(), answer: z.number(), correct: z.boolean(), scores: z.array(z.number()) }),
      z.object({ id: z.string(), tokens: z.number(), nll: z.number(), perToken: z.array(z.number()) }),
    ]),
  ),
  topics: z.array(z.string().nullable()),
  skipped: z.number(),
  truncated: z.number(),
});

/** Scores of a range of the rows. `skipped` and `truncated` are those of all data. */
export interface ScorePart {
  readonly identity: ReadingIdentity;
  readonly range: RowRange;
  readonly rows: readonly ScoredRow[];
  readonly topics: readonly (string | null)[];
  readonly skipped: number;
  readonly truncated: number;
}

export const writeScorePart = (at: string, { identity, ...part }: ScorePart): Promise<Result<void>> => writeJson(at, { kind: 'score', ...identity, ...part });

/** The rows of all parts in their order. Throws FaultError. */
export async function mergeScores(files: readonly string[]): Promise<Omit<ScorePart, 'identity' | 'range'>> {
  const parts = await Promise.all(
    files.map(async (at) => {
      const parsed = scorePartSchema.safeParse(unwrap(await readJson(at)));
      if (!parsed.success || parsed.data.rows.length !== parsed.data.range.to - parsed.data.range.from || parsed.data.topics.length !== parsed.data.rows.length)
        return wrongFile(at, 'a scoring');
      const { model, settings, backend, ...part } = parsed.data;
      return { at, identity: { model, settings, backend }, ...part };
    }),
  );
  const ordered = unwrap(inOrder(parts, 'rows'));
  const [{ skipped, truncated }] = ordered;
  return { rows: ordered.flatMap(({ rows }) => rows), topics: ordered.flatMap(({ topics }) => topics), skipped, truncated };
}

/** Endings tell parts apart: what is merged is either or. */
export const partEnding = { attribution: '.safetensors', score: '.json' } as const;

/** Whether the file is a whole part of its kind: one that was cut, or is something else, is made again. */
export async function isPart(kind: keyof typeof partEnding, at: string): Promise<boolean> {
  if (kind === 'score') {
    const read = await readJson(at);
    return read.ok && scorePartSchema.safeParse(read.value).success;
  }
  try {
    await readAttributionPart(at);
    return true;
  } catch (error) {
    if (error instanceof FaultError) return false;
    throw error;
  }
}

/** The parts in a folder, of which there must be some; other arguments are parts themselves. Throws FaultError. */
export async function partsIn(given: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    given.map(async (at) => {
      if (unwrap(await kindOf(at)) !== 'folder') return [at];
      const endings: readonly string[] = Object.values(partEnding);
      const names = unwrap(await listFolder(at)).flatMap(({ name }) => (endings.includes(path.extname(name)) && !name.startsWith('.') ? [name] : []));
      return names.length > 0
        ? names.sort().map((name) => path.join(at, name))
        : refuse('not-found', `${at} holds no parts.`, 'Give the folder they were written to.');
    }),
  );
  return found.flat();
}

/** What `merge` is given. */
export function kindOfParts(files: readonly string[]): 'attribution' | 'score' {
  const endings = new Set(files.map((file) => path.extname(file)));
  if (endings.size > 1) refuse('usage', 'Parts of attribution (.safetensors) and of scores (.json) can’t be merged into one.', 'Merge them apart.');
  return endings.has(partEnding.score) ? 'score' : 'attribution';
}

/** A part's file must be called what its kind is. */
export function checkPartName(kind: keyof typeof partEnding, to: string): void {
  if (path.extname(to) !== partEnding[kind])
    refuse('usage', `A part of this is a ${partEnding[kind]} file, and ${to} is none.`, `Call it ${path.basename(to, path.extname(to))}${partEnding[kind]}.`);
}
