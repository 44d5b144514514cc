/** A random tiny checkpoint opened through the product's own rooms, with the oracle's view of it. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { type OpenModel, openModel } from '../../src/passes/model';
import { unwrap } from '../../src/protocol/fault';
import type { TokenSequence } from '../../src/protocol/sequences';
import { type BackendName, openBackend } from '../../src/tensor/backend';
import { completeConfig, type Family, type OracleConfig } from '../oracle/config';
import type { OracleSequence } from '../oracle/losses';
import { randomOf } from '../oracle/random';
import { type TinyCheckpoint, tinyConfig, writeTinyCheckpoint } from '../oracle/tiny';
import { closeGolden } from './golden-case';

export interface TinyCase extends TinyCheckpoint {
  readonly model: OpenModel;
}

export const asSequence = ({ ids, targetMask }: OracleSequence, id = '0'): TokenSequence => ({ id, ids, targetMask, source: { file: 'tiny', line: 1 } });

/** The first seed from `from` on whose configuration is wanted. */
export function seedWhere(family: Family, wanted: (config: OracleConfig) => boolean, from = 0): number {
  for (let seed = from; seed < from + 500; seed++) if (wanted(completeConfig(tinyConfig(family, randomOf(`${family} ${seed}`))))) return seed;
  throw new Error(`No such configuration of ${family} among 500 seeds.`);
}

/** Writes, opens, runs `body`, closes, removes. */
export async function withTiny(family: Family, seed: number, backend: BackendName, body: (given: TinyCase) => Promise<void>): Promise<void> {
  unwrap(await openBackend(backend, 1));
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-tiny-'));
  try {
    const tiny = writeTinyCheckpoint(folder, family, seed);
    const model = unwrap(openModel(unwrap(await openCheckpoint(folder)), 2 ** 30));
    try {
      await body({ ...tiny, model });
    } finally {
      await closeGolden({ model });
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}
