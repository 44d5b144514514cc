/** Where the original's activations of a workspace lie, what they depend on, and for which models it pays to keep them. */
import path from 'node:path';
import { version } from '../../package.json';
import { freeBytes } from '../files/disk-fault';
import { fileStatus } from '../files/folder';
import { type ActivationStore, openActivationStore } from '../passes/activation-store';
import { parameterCounts } from '../passes/model';
import { type Activations, blockTokens } from '../passes/original-pass';
import { unwrap } from '../protocol/fault';
import type { TokenSequence } from '../protocol/sequences';
import { backendInUse } from '../tensor/backend';
import { precisionInUse } from '../tensor/precision';
import type { ModelHandle } from './open-recipe';

/** Bytes on disk for all models of a workspace, at most this and an eighth of what is free. */
const largestStore = 16 * 2 ** 30;
const freeShare = 1 / 8;

/** Multiplications of a pass from which on reading its result from disk saves seconds. */
const worthKeeping = 2 ** 38;

const activationsFolder = (uoeFolder: string): string => path.join(uoeFolder, 'activations');

/** What a pass over these sequences would multiply, without attention's products of tokens with tokens. */
const multiplications = ({ model }: Pick<ModelHandle, 'model'>, sequences: readonly TokenSequence[]): number =>
  parameterCounts(model).active * sequences.reduce((sum, { ids }) => sum + ids.length, 0);

/** A sampled fingerprint does not see every byte: the files' sizes and times are part of what the activations depend on. */
export async function modelKey({ checkpoint }: Pick<ModelHandle, 'checkpoint'>): Promise<string> {
  const fingerprint = unwrap(await checkpoint.fingerprint());
  const shards: unknown[] = [];
  for (const { path: file } of checkpoint.shards) {
    const { bytes, modified } = unwrap(await fileStatus(file));
    shards.push([path.basename(file), bytes, modified]);
  }
  return JSON.stringify([fingerprint, shards]);
}

/** `uoeFolder`: the workspace's `.uoe`. Throws FaultError. */
async function openStoreOf(uoeFolder: string, handle: Pick<ModelHandle, 'checkpoint' | 'model'>): Promise<ActivationStore> {
  const { name, threads } = backendInUse();
  const root = activationsFolder(uoeFolder);
  const free = await freeBytes(uoeFolder);
  const { hiddenSize, topK } = handle.model.shape;
  return openActivationStore({
    root,
    key: JSON.stringify([version, name, threads, precisionInUse(), await modelKey(handle)]),
    hiddenSize,
    topK,
    limit: Math.min(largestStore, (free ?? largestStore) * freeShare),
  });
}

/** Whether a pass over these sequences takes long enough to be kept on disk. */
export const isWorthKeeping = (handle: Pick<ModelHandle, 'model'>, sequences: readonly TokenSequence[], worth = worthKeeping): boolean =>
  multiplications(handle, sequences) >= worth;

/** Bytes of what a run keeps: of `tokens` tokens the entrance and choices of `layers` layers. */
export const activationBytes = ({ shape }: Pick<ModelHandle['model'], 'shape'>, tokens: number, layers: number): number =>
  tokens * layers * (shape.hiddenSize * 4 + shape.topK * 2);

/** How passes over these sequences go: with a store where they take long enough and there is a folder for it. */
export async function openActivations(
  uoeFolder: string | null,
  handle: Pick<ModelHandle, 'checkpoint' | 'model'>,
  sequences: readonly TokenSequence[],
  memory: number,
  worth = worthKeeping,
): Promise<Activations> {
  const keeps = uoeFolder !== null && isWorthKeeping(handle, sequences, worth);
  return { store: keeps ? await openStoreOf(uoeFolder, handle) : null, blockTokens: blockTokens(handle.model, memory) };
}
