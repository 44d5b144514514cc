/** A checkpoint folder read whole into float64, and copies of it with some tensors replaced. */
import fs from 'node:fs';
import path from 'node:path';
import { completeConfig, type OracleConfig, type RawConfig } from './config';
import { type OracleTensor, readSafetensors, type StoredDtype } from './safetensors';

export interface Checkpoint {
  readonly config: OracleConfig;
  readonly raw: RawConfig;
  readonly weights: ReadonlyMap<string, OracleTensor>;
  readonly dtypes: ReadonlyMap<string, StoredDtype>;
}

/** `name`, `name[e]` (a slice of the first axis), or `name[e,a:b,:]` (rows a to b of that slice). */
export type UnitName = string;

/** Replaced units by name; shapes are those of the slice. A Patch's `units` has this form. */
export type Units = ReadonlyMap<UnitName, { readonly values: ArrayLike<number> }>;

export function loadCheckpoint(folder: string): Checkpoint {
  const raw = JSON.parse(fs.readFileSync(path.join(folder, 'config.json'), 'utf8')) as RawConfig;
  const weights = new Map<string, OracleTensor>();
  const dtypes = new Map<string, StoredDtype>();
  for (const file of shardFiles(folder)) {
    const shard = readSafetensors(path.join(folder, file));
    for (const [name, tensor] of shard.tensors) weights.set(name, tensor);
    for (const [name, dtype] of shard.dtypes) dtypes.set(name, dtype);
  }
  return { config: completeConfig(raw), raw, weights, dtypes };
}

function shardFiles(folder: string): string[] {
  const index = path.join(folder, 'model.safetensors.index.json');
  if (!fs.existsSync(index)) return ['model.safetensors'];
  const { weight_map } = JSON.parse(fs.readFileSync(index, 'utf8')) as { weight_map: Record<string, string> };
  return [...new Set(Object.values(weight_map))];
}

/** Where a unit's values lie in its tensor: [start, length], and the unit's shape. */
function locate(weights: ReadonlyMap<string, OracleTensor>, unit: UnitName): { name: string; start: number; length: number; shape: number[] } {
  const match = /^(.*)\[(\d+)(?:,(\d+):(\d+),:)?\]$/.exec(unit);
  const name = match ? match[1] : unit;
  const tensor = weights.get(name);
  if (!tensor) throw new Error(`The checkpoint has no tensor ${name}.`);
  if (!match) return { name, start: 0, length: tensor.values.length, shape: [...tensor.shape] };
  const [, rows, columns = 1] = tensor.shape;
  const from = Number(match[3] ?? 0);
  const to = Number(match[4] ?? rows);
  return {
    name,
    start: (Number(match[2]) * rows + from) * columns,
    length: (to - from) * columns,
    shape: tensor.shape.length === 2 ? [rows] : [to - from, columns],
  };
}

/** A copy of one unit. */
export function unitValues(checkpoint: Checkpoint, unit: UnitName): OracleTensor {
  const { name, start, length, shape } = locate(checkpoint.weights, unit);
  return { shape, values: (checkpoint.weights.get(name) as OracleTensor).values.slice(start, start + length) };
}

/** The checkpoint with some units replaced; the original is left as it was. */
export function withUnits(checkpoint: Checkpoint, units: Units): Checkpoint {
  const weights = new Map(checkpoint.weights);
  for (const [unit, { values }] of units) {
    const { name, start, length } = locate(weights, unit);
    if (values.length !== length) throw new Error(`${unit} has ${length} values, the replacement ${values.length}.`);
    const tensor = weights.get(name) as OracleTensor;
    const copy = tensor.values.slice();
    for (let i = 0; i < length; i++) copy[start + i] = values[i];
    weights.set(name, { shape: tensor.shape, values: copy });
  }
  return { ...checkpoint, weights };
}

/** Tensors of one module by their last name: `part('q_proj.weight')`. */
export interface Parts {
  (name: string): OracleTensor;
  has(name: string): boolean;
}

export function partsOf(checkpoint: Checkpoint, prefix: string): Parts {
  const part = (name: string): OracleTensor => {
    const tensor = checkpoint.weights.get(prefix + name);
    if (!tensor) throw new Error(`The checkpoint has no tensor ${prefix}${name}.`);
    return tensor;
  };
  return Object.assign(part, { has: (name: string) => checkpoint.weights.has(prefix + name) });
}
