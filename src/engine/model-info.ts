/** What the interface and `uoe inspect` show of a checkpoint. */
import { appliedNote } from '../checkpoint/applied-state';
import { parameterCounts } from '../passes/model';
import type { BackendInfo, ModelInfo } from '../protocol/engine';
import { unwrap } from '../protocol/fault';
import type { TensorRef } from '../protocol/tensors';
import { firstNotFinite } from '../tensor/dtype';
import type { Call } from './call';
import { attributionPlan } from './model-plan';
import type { OpenedModel } from './opened-models';

/** Weights up to this size are read once when a checkpoint is opened, so that a damaged one is found at once; larger ones are checked as they are read. */
const scannedBytes = 2 * 2 ** 30;

async function refuseDamaged({ checkpoint }: OpenedModel, call: Call): Promise<void> {
  if (checkpoint.totalBytes > scannedBytes) return;
  let done = 0;
  for (const { name, shape, dtype, bytes } of checkpoint.tensors.values()) {
    call.signal.throwIfAborted();
    if (dtype === 'F32' || dtype === 'F16' || dtype === 'BF16') {
      const ref: TensorRef = { name, shape };
      const raw = unwrap(await checkpoint.read(ref));
      if (firstNotFinite(raw.bytes, raw.dtype) >= 0) unwrap(await checkpoint.readValues(ref));
    }
    done += bytes;
    call.progress('Checking weights', done, checkpoint.totalBytes, 'bytes');
  }
}

/** Sentences about what can't be done with this checkpoint. */
function limitsOf({ tokenizer, model }: OpenedModel): string[] {
  const { vocabSize } = model.shape;
  if (tokenizer === null || tokenizer.vocabularySize <= vocabSize) return [];
  return [`The tokenizer has ${tokenizer.vocabularySize} tokens, the model only ${vocabSize}: text with the others is refused.`];
}

export async function modelInfo(opened: OpenedModel, memory: number, backend: BackendInfo, call: Call): Promise<ModelInfo> {
  const { checkpoint, model, tokenizer } = opened;
  const { shape } = model;
  await refuseDamaged(opened, call);
  const note = await appliedNote(checkpoint.folder);
  const firstMoe = model.layers[shape.moeLayers[0]].feed;
  return {
    path: checkpoint.folder,
    family: model.family,
    layers: shape.layers,
    moeLayers: shape.moeLayers,
    experts: shape.experts,
    sharedExperts: firstMoe.kind === 'moe' ? firstMoe.sharedExperts : 0,
    topK: shape.topK,
    hiddenSize: shape.hiddenSize,
    vocabSize: shape.vocabSize,
    parameters: parameterCounts(model),
    dtype: checkpoint.dtype,
    bytes: checkpoint.totalBytes,
    shards: checkpoint.shards.length,
    tensors: checkpoint.tensors.size,
    tokenizer: tokenizer && { kind: tokenizer.kind, vocabulary: tokenizer.vocabularySize, chatTemplate: tokenizer.chatTemplate !== null },
    fingerprint: unwrap(await checkpoint.fingerprint(call.signal)),
    unsupported: limitsOf(opened),
    notes: note === null ? [] : [note],
    plan: attributionPlan(opened, memory),
    backend,
  };
}
