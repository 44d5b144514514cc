import path from 'node:path';
import { appliedState } from '../../checkpoint/applied-state';
import { openOriginal } from '../../checkpoint/apply-patch';
import type { Checkpoint } from '../../checkpoint/checkpoint';
import { CARD_NAME } from '../../checkpoint/export-checkpoint';
import { openCheckpoint } from '../../checkpoint/open-checkpoint';
import { unitChanges } from '../../checkpoint/patch-changes';
import { proveOnlyChanged } from '../../checkpoint/proof';
import { freeBytes } from '../../files/disk-fault';
import { fileStatus } from '../../files/folder';
import type { RunChanges } from '../../protocol/engine';
import { unwrap } from '../../protocol/fault';
import { parseUnitName } from '../../protocol/tensors';
import type { Handler } from '../call';
import { patchOfRun } from './export-run';

async function bytesOfExport({ folder, shards, otherFiles }: Checkpoint): Promise<number> {
  let bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
  for (const file of otherFiles) bytes += unwrap(await fileStatus(path.join(folder, file))).bytes;
  return bytes;
}

/** `this` where the patch that lies in the checkpoint was put there by this run. */
async function appliedBy(folder: string, run: string): Promise<RunChanges['applied']> {
  const state = unwrap(await appliedState(folder));
  if (state.state !== 'applied') return state.state;
  return state.manifest.source === run ? 'this' : 'other';
}

/** Norms of the change, sizes, and whether the original is still the one that the run was made from. */
export const runChanges: Handler<'runChanges'> = async (_session, { run, workspace }, call) => {
  const { model, patch, file, stored } = await patchOfRun(run, workspace);
  const original = unwrap(await openOriginal(model));
  try {
    const changed = unwrap(await unitChanges(patch, original));
    const names = new Set(changed.map(({ unit }) => parseUnitName(unit).name));
    const order = [...original.tensors.values()].sort((a, b) => (a.file === b.file ? a.offset - b.offset : a.file < b.file ? -1 : 1));
    return {
      changed,
      tensors: order.length,
      places: order.flatMap(({ name }, index) => (names.has(name) ? [index] : [])),
      patchBytes: unwrap(await fileStatus(file)).bytes,
      checkpointBytes: await bytesOfExport(original),
      freeBytes: await freeBytes(workspace),
      dtype: original.dtype,
      recorded: patch.base ?? null,
      found: unwrap(await original.fingerprint(call.signal)),
      applied: await appliedBy(model, stored.record.id),
    };
  } finally {
    await original.close();
  }
};

/** SHA-256 of every tensor that should not differ, original against export. */
export const verifyExport: Handler<'verifyExport'> = async (_session, { run, workspace, folder }, call) => {
  const { model, patch } = await patchOfRun(run, workspace);
  const original = unwrap(await openOriginal(model));
  try {
    const written = unwrap(await openCheckpoint(folder));
    try {
      const total = 2 * original.totalBytes;
      let done = 0;
      const onBytes = (bytes: number) => {
        done = Math.min(done + bytes, total);
        call.progress('Proving', done, total, 'bytes');
      };
      return unwrap(await proveOnlyChanged(original, written, patch.units.keys(), { signal: call.signal, onBytes, rewritten: [CARD_NAME] }));
    } finally {
      await written.close();
    }
  } finally {
    await original.close();
  }
};
