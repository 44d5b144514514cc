/** The state a run can go on from: parameters and moments as safetensors, written atomically, beside the journals. */
import path from 'node:path';
import { bytesOf, readSafetensors, writeSafetensors } from '../checkpoint/safetensors';
import { kindOf, makeFolder, removeFolder } from '../files/folder';
import { refuse, unwrap } from '../protocol/fault';
import { packState, unpackState } from '../unlearn/adamw';
import type { NamedShape } from '../unlearn/parametrisation';
import type { TrainState } from '../unlearn/step';

/** Parameters of a check that may become the result. */
export interface KeptWeights {
  readonly step: number;
  readonly params: ReadonlyMap<string, Float32Array>;
}

export interface SavedState {
  readonly state: TrainState;
  readonly best: KeptWeights | null;
  /** Weights at the last good check, kept in case a loss turns NaN. */
  readonly lastGood: KeptWeights | null;
}

const fileOf = (run: string) => path.join(run, 'resume', 'state.safetensors');

export async function saveState(run: string, saved: SavedState, parameters: readonly NamedShape[]): Promise<void> {
  unwrap(await makeFolder(path.join(run, 'resume')));
  const shapes = new Map(parameters.map(({ name, shape }) => [name, shape]));
  const { moments, steps } = packState(saved.state.optimizer);
  const tensors = [
    ...[...saved.state.params].map(([name, values]) => ({ name: `p.${name}`, values, shape: shapes.get(name) ?? [values.length] })),
    ...[...moments].map(([name, values]) => ({ name, values, shape: shapes.get(name.slice(2)) ?? [values.length] })),
    ...(['best', 'lastGood'] as const).flatMap((which) =>
      [...(saved[which]?.params ?? [])].map(([name, values]) => ({ name: `${which}.${name}`, values, shape: shapes.get(name) ?? [values.length] })),
    ),
  ];
  unwrap(
    await writeSafetensors(
      fileOf(run),
      tensors.map(({ name, values, shape }) => ({ name, dtype: 'F32' as const, shape, bytes: bytesOf(values) })),
      { step: String(saved.state.step), updates: JSON.stringify(steps), best: String(saved.best?.step ?? ''), lastGood: String(saved.lastGood?.step ?? '') },
    ),
  );
}

/** The saved state, or null where the run was ended before its first save. */
export async function loadState(run: string, parameters: readonly NamedShape[]): Promise<SavedState | null> {
  const at = fileOf(run);
  if (unwrap(await kindOf(at)) === 'absent') return null;
  const { tensors, metadata } = unwrap(await readSafetensors(at));
  const values = (name: string): Float32Array => {
    const stored = tensors.get(name);
    if (stored?.dtype !== 'F32')
      return refuse('bad-file', `${at} lacks ${name}: it belongs to another recipe or version.`, 'Start the run again from its recipe.json.');
    return new Float32Array(new Uint8Array(stored.bytes).buffer);
  };
  const named = (prefix: string) => new Map(parameters.map(({ name }) => [name, values(`${prefix}.${name}`)]));
  const moments = new Map(
    parameters.flatMap(({ name }) => ['m', 'v'].map((moment): [string, Float32Array] => [`${moment}.${name}`, values(`${moment}.${name}`)])),
  );
  const kept = (which: 'best' | 'lastGood'): KeptWeights | null => (metadata.get(which) ? { step: Number(metadata.get(which)), params: named(which) } : null);
  return {
    state: {
      step: Number(metadata.get('step')),
      params: named('p'),
      optimizer: unpackState(moments, JSON.parse(metadata.get('updates') ?? '{}') as Record<string, number>),
    },
    best: kept('best'),
    lastGood: kept('lastGood'),
  };
}

/** Nothing is left to resume once a run is done. */
export const dropState = async (run: string): Promise<void> => unwrap(await removeFolder(path.join(run, 'resume')));
