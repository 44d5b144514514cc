/** A golden checkpoint opened through the product's own rooms, with its inputs as sequences. */
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { type OpenModel, openModel } from '../../src/passes/model';
import { type PackedBatch, pack } from '../../src/passes/packing';
import { unwrap } from '../../src/protocol/fault';
import type { TokenSequence } from '../../src/protocol/sequences';
import { type BackendName, openBackend } from '../../src/tensor/backend';
import { type Golden, loadGolden, type SetName } from '../oracle/golden';

export interface GoldenCase {
  readonly golden: Golden;
  readonly model: OpenModel;
  readonly sequences: Readonly<Record<SetName, readonly TokenSequence[]>>;
  readonly batches: Readonly<Record<SetName, PackedBatch>>;
}

export const sequenceOf = (ids: readonly number[], labels: readonly number[] | null, id = '0'): TokenSequence => ({
  id,
  ids: Int32Array.from(ids),
  targetMask: Uint8Array.from(ids, (_, t) => (t > 0 && (labels === null || labels[t] !== -100) ? 1 : 0)),
  source: { file: 'golden', line: 1 },
});

export async function openGolden(folder: string, backend: BackendName): Promise<GoldenCase> {
  unwrap(await openBackend(backend, 1));
  const golden = loadGolden(folder);
  const model = unwrap(openModel(unwrap(await openCheckpoint(folder)), 2 ** 30));
  const of = (set: SetName) => golden.scalars.input[set].map(({ ids, labels }, j) => sequenceOf(ids, labels, String(j)));
  const sequences = { forget: of('forget'), retain: of('retain') };
  return { golden, model, sequences, batches: { forget: pack(sequences.forget), retain: pack(sequences.retain) } };
}

export async function closeGolden({ model }: Pick<GoldenCase, 'model'>): Promise<void> {
  model.weights.close();
  await model.weights.checkpoint.close();
}

/** Largest absolute difference; Infinity when lengths differ or a NaN is among the values. */
export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return worst;
}
