import path from 'node:path';
import { applyPatch, restoreOriginal } from '../../checkpoint/apply-patch';
import { checkPatch } from '../../checkpoint/check-patch';
import type { Checkpoint } from '../../checkpoint/checkpoint';
import { type ChangedCheckpoint, type ChangeProgress, exportCheckpoint } from '../../checkpoint/export-checkpoint';
import { openCheckpoint } from '../../checkpoint/open-checkpoint';
import { readPatch, writePatch } from '../../checkpoint/patch-file';
import { notedExport } from '../../experiment/exports';
import { readRunFolder, resolveRun } from '../../experiment/history';
import { modelCard } from '../../experiment/model-card';
import { diskReader } from '../../experiment/run-reader';
import { kindOf, removeFile } from '../../files/folder';
import type { ExportResult, RunFolder } from '../../protocol/engine';
import { refuse, unwrap } from '../../protocol/fault';
import type { Patch } from '../../protocol/tensors';
import type { Call, Handler, Session } from '../call';
import { leaving } from '../lane';

export interface RunPatch {
  /** Folder of the checkpoint that the run was made from. */
  readonly model: string;
  readonly patch: Patch;
  readonly file: string;
  readonly stored: RunFolder;
}

/** A run's patch and the folder of the checkpoint it was made from. */
export async function patchOfRun(run: string, workspace: string): Promise<RunPatch> {
  const folder = unwrap(await resolveRun(diskReader, workspace, run, process.cwd()));
  const stored = unwrap(await readRunFolder(diskReader, folder));
  const { record } = stored;
  const file = path.join(folder, 'patch.safetensors');
  if (unwrap(await kindOf(file)) !== 'file') {
    const unfinished = record.status === 'running' || record.status === 'cancelled' || record.status === 'interrupted';
    refuse(
      'not-found',
      `Run ${record.id} has no result (it is ${record.status}).`,
      unfinished ? `Finish it: uoe unlearn --resume ${record.id}.` : 'Start it again.',
    );
  }
  return { model: record.model, patch: unwrap(await readPatch(file)), file, stored };
}

export async function withCheckpoint<T>(folder: string, work: (checkpoint: Checkpoint) => Promise<T>, signal?: AbortSignal): Promise<T> {
  const checkpoint = unwrap(await openCheckpoint(folder, signal));
  try {
    return await work(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

const onProgress =
  (call: Call) =>
  ({ phase, done, total }: ChangeProgress) =>
    call.progress(phase === 'write' ? 'Writing' : 'Proving', done, total, 'bytes');

function result({ emit }: Session, { folder, changed, proof, bytesWritten, linked, warnings, leftBehind }: ChangedCheckpoint): ExportResult {
  for (const message of warnings) emit('log', { level: 'warn', message });
  if (leftBehind.length > 0) emit('log', { level: 'warn', message: `Left behind, because they hold the original weights: ${leftBehind.join(', ')}.` });
  return { folder, changed, proof: { checked: proof.checked, equal: proof.equal, differing: proof.differing }, bytesWritten, linked };
}

async function writePatchFile(to: string, model: string, patch: Patch, call: Call): Promise<ExportResult> {
  const target = path.resolve(to);
  if (unwrap(await kindOf(target)) !== 'absent') refuse('conflict', `Can't write ${target}: it exists already.`, 'Choose another name, or remove it first.');
  await withCheckpoint(model, async (checkpoint) => unwrap(await checkPatch(patch, checkpoint, call.signal)), call.signal);
  const written = await writePatch(target, patch);
  // It may have its name already where only that could not be made to last.
  if (!written.ok) await removeFile(target);
  const bytesWritten = unwrap(written);
  return { folder: target, changed: [...patch.units.keys()].sort(), proof: { checked: 0, equal: 0, differing: [] }, bytesWritten, linked: 0 };
}

/** A full checkpoint folder, or the patch alone; the opened checkpoint is only read. */
export const exportRun: Handler<'exportRun'> = async (session, { run, workspace, to, form, link }, call) => {
  const { model, patch, file, stored } = await leaving(patchOfRun(run, workspace), call.signal);
  if (form === 'patch') return writePatchFile(to, model, patch, call);
  const card = (base: string | null) => modelCard({ run: stored, base: patch.base ?? null, changed: [...patch.units.keys()].sort(), card: base });
  return notedExport(path.dirname(file), to, () =>
    withCheckpoint(
      model,
      async (checkpoint) =>
        result(session, unwrap(await exportCheckpoint({ checkpoint, patch, to, link, card, signal: call.signal, onProgress: onProgress(call) }))),
      call.signal,
    ),
  );
};

/** Puts the run's result into its checkpoint; the original is kept beside it. */
export const applyRun: Handler<'applyRun'> = async (session, { run, workspace }, call) => {
  const { model, patch, stored } = await leaving(patchOfRun(run, workspace), call.signal);
  const source = stored.record.id;
  await session.models.close(model);
  return withCheckpoint(
    model,
    async (checkpoint) => result(session, unwrap(await applyPatch(checkpoint, patch, { source, signal: call.signal, onProgress: onProgress(call) }))),
    call.signal,
  );
};

/** The original's very bytes again, each shard verified by SHA-256 before it is put back. */
export const restoreModel: Handler<'restoreModel'> = async ({ models }, { model }) => {
  await models.close(model);
  const { folder, restored } = unwrap(await restoreOriginal(model));
  return { folder, changed: restored, proof: { checked: restored.length, equal: restored.length, differing: [] }, bytesWritten: 0, linked: 0 };
};
