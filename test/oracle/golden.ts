/** The reference folders under test/fixtures, typed. Arrays are read as they are; a variant may lack some of them. */
import fs from 'node:fs';
import path from 'node:path';
import type { UnitName, Units } from './checkpoint';
import { fromLabels, type OracleSequence } from './losses';
import { type OracleTensor, readSafetensors } from './safetensors';

export type SetName = 'forget' | 'retain';
export type PointName = 'init' | 'pert' | 'step3';
/** gate, up, down, router; gpt_oss: gate_up, down, router and the bias of each. */
export type TrainedName = string;

export interface GoldenOverlap {
  readonly mean: number;
  readonly per_layer: Readonly<Record<string, number>>;
}

/** golden.json, the fields the tests use. */
export interface GoldenScalars {
  readonly family: string;
  readonly moe_layers: readonly number[];
  readonly num_experts: number;
  readonly top_k: number;
  readonly input: Readonly<Record<SetName, readonly { readonly ids: readonly number[]; readonly labels: readonly number[] }[]>>;
  readonly min_selection_gap: number;
  readonly attribution?: Readonly<
    Record<'affinity' | 'token_share' | 'retain_affinity' | 'retain_token_share', Readonly<Record<string, readonly number[]>>>
  > & {
    readonly ranking: readonly { readonly layer: number; readonly expert: number; readonly affinity: number }[];
  };
  readonly target: { readonly layer: number; readonly expert: number; readonly affinity: number };
  readonly trainable?: Readonly<Record<TrainedName, { readonly disk: UnitName; readonly shape: readonly number[] }>>;
  readonly constants?: { readonly rmu_c: number; readonly rmu_lambda: number; readonly rmu_layer: number };
  readonly points?: Readonly<
    Partial<
      Record<
        PointName,
        {
          readonly loss: Readonly<Record<string, number>>;
          readonly loss_float64?: Readonly<Record<string, number>>;
          readonly extra?: Readonly<Record<string, number>>;
          readonly logp_sum?: Readonly<Record<SetName, readonly number[]>>;
        }
      >
    >
  >;
  readonly overlap_at_pert?: Readonly<Record<SetName, GoldenOverlap>>;
  readonly forced?: Readonly<{ forget_nll_unforced: number }> &
    Readonly<Partial<Record<'score_mask' | 'logit_mask', { readonly forget_nll: number; readonly per_sequence_nll_sum: readonly number[] }>>>;
  readonly greedy?: { readonly prompt: readonly number[]; readonly continuation: readonly number[]; readonly margins: readonly number[] };
}

export interface Golden {
  readonly name: string;
  readonly folder: string;
  readonly scalars: GoldenScalars;
  readonly arrays: ReadonlyMap<string, OracleTensor>;
  readonly sequences: Readonly<Record<SetName, readonly OracleSequence[]>>;
}

/** Folders of test/fixtures/golden (the first six families, complete) and test/fixtures/variants (other configurations). */
export function goldenFolders(): { readonly name: string; readonly folder: string; readonly complete: boolean }[] {
  return ['golden', 'variants'].flatMap((set) => {
    const root = path.join('test', 'fixtures', set);
    if (!fs.existsSync(root)) return [];
    return fs
      .readdirSync(root)
      .filter((name) => fs.existsSync(path.join(root, name, 'golden.json')))
      .sort()
      .map((name) => ({ name: `${set}/${name}`, folder: path.join(root, name), complete: set === 'golden' }));
  });
}

export function loadGolden(folder: string): Golden {
  const scalars = JSON.parse(fs.readFileSync(path.join(folder, 'golden.json'), 'utf8')) as GoldenScalars;
  const arrays = path.join(folder, 'golden.safetensors');
  const sequences = (set: SetName) => scalars.input[set].map(({ ids, labels }) => fromLabels(ids, labels));
  return {
    name: path.basename(folder),
    folder,
    scalars,
    arrays: fs.existsSync(arrays) ? readSafetensors(arrays).tensors : new Map(),
    sequences: { forget: sequences('forget'), retain: sequences('retain') },
  };
}

/** The trained units at a point, or null where the golden set does not hold them. */
export function unitsAt({ scalars, arrays }: Golden, point: PointName): Units | null {
  const units = new Map<UnitName, OracleTensor>();
  for (const [name, { disk }] of Object.entries(scalars.trainable ?? {})) {
    const tensor = arrays.get(`weights.${point}.${name}`);
    if (!tensor) return null;
    units.set(disk, tensor);
  }
  return units.size === 0 ? null : units;
}
