/** A golden case as files: its sequences as rows of input_ids, its trained tensors at a point as a patch. */
import fs from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from '../files/temporary-folder';
import { type Golden, loadGolden, type PointName, type TrainedName } from '../oracle/golden';
import { readSafetensors, writeSafetensors } from '../oracle/safetensors';

export interface GoldenFiles {
  readonly golden: Golden;
  readonly folder: string;
  readonly forget: string;
  readonly retain: string;
  readonly prompt: string;
  /** A file in the case's temporary folder. */
  readonly at: (name: string) => string;
}

const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

export function goldenFiles(folder: string): GoldenFiles {
  const golden = loadGolden(folder);
  const temporary = temporaryFolder();
  const at = (name: string) => path.join(temporary, name);
  for (const set of ['forget', 'retain'] as const) {
    fs.writeFileSync(at(`${set}.jsonl`), lines(golden.scalars.input[set].map(({ ids, labels }) => ({ input_ids: ids, labels }))));
  }
  fs.writeFileSync(at('prompt.jsonl'), lines([{ input_ids: golden.scalars.greedy?.prompt ?? [1] }]));
  return { golden, folder: path.resolve(folder), forget: at('forget.jsonl'), retain: at('retain.jsonl'), prompt: at('prompt.jsonl'), at };
}

/** Where a trained tensor lies: its unit, and the rows of it for one half of an aggregated tensor (`X[e,a:b,:]`). */
export function placeOf(disk: string): { readonly unit: string; readonly rows: readonly [number, number] | null } {
  const match = /^(.*)\[(\d+)(?:,\s*(\d+):(\d+))?.*\]$/.exec(disk);
  return match ? { unit: `${match[1]}[${match[2]}]`, rows: match[3] === undefined ? null : [Number(match[3]), Number(match[4])] } : { unit: disk, rows: null };
}

export const trainedNames = ({ scalars }: Golden): readonly TrainedName[] => Object.keys(scalars.trainable ?? {});

/** The golden set's trained tensors at a point as a patch file without a base, halves of one unit joined. */
export function patchFile({ golden, at }: GoldenFiles, point: PointName): string {
  const units = new Map<string, { shape: number[]; values: number[] }>();
  for (const name of trainedNames(golden)) {
    const disk = golden.scalars.trainable?.[name].disk;
    const array = golden.arrays.get(`weights.${point}.${name}`);
    if (!array || disk === undefined) throw new Error(`${golden.name} has no weights at ${point}`);
    const { unit } = placeOf(disk);
    const before = units.get(unit);
    // Halves come gate first, up second, as they lie in the tensor.
    units.set(unit, {
      shape: before ? [before.shape[0] + array.shape[0], ...before.shape.slice(1)] : [...array.shape],
      values: [...(before?.values ?? []), ...array.values],
    });
  }
  const file = at(`${point}.safetensors`);
  writeSafetensors(
    file,
    [...units].map(([unit, { shape, values }]) => [unit, { shape, values: Float64Array.from(values) }] as const),
  );
  return file;
}

export const readArrays = (file: string) => readSafetensors(file);
