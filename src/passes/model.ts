/** An open model: its structure with its weights on lease, and the conditions under which a pass runs. */
import type { Checkpoint } from '../checkpoint/checkpoint';
import type { Architecture } from '../model/families';
import { openArchitecture } from '../model/families';
import type { Forbidden, TensorNames } from '../model/family';
import { fail, ok, type Result } from '../protocol/fault';
import type { ExpertId } from '../protocol/records';
import { elementCount, type TensorRef } from '../protocol/tensors';
import { roomForWeights } from '../tensor/backend';
import { noOverlay, type Overlay, type StoreLimits, type WeightStore, weightStore } from '../weights/store';
import { holdMemoryTo } from './memory-watch';

export interface OpenModel extends Architecture {
  readonly weights: WeightStore;
}

/** What a pass measures: which weights stand in for the checkpoint's, which experts may not be chosen, when to stop. */
export interface Conditions {
  readonly overlay: Overlay;
  readonly forbidden: ReadonlyMap<number, Forbidden>;
  readonly signal?: AbortSignal;
}

export const asStored: Conditions = { overlay: noOverlay, forbidden: new Map() };

export function forbidding(experts: readonly ExpertId[], by: Forbidden['by']): ReadonlyMap<number, Forbidden> {
  const layers = new Map<number, { experts: Set<number>; by: Forbidden['by'] }>();
  for (const { layer, expert } of experts) {
    const own = layers.get(layer) ?? { experts: new Set<number>(), by };
    own.experts.add(expert);
    layers.set(layer, own);
  }
  return layers;
}

/** Tensor names of a checkpoint; the leading "model." may be missing in the file. */
export function tensorNames(checkpoint: Checkpoint): TensorNames {
  const short = (name: string) => name.replace(/^model\./, '');
  const bare = !checkpoint.tensors.has('model.embed_tokens.weight') && checkpoint.tensors.has('embed_tokens.weight');
  const stored = (name: string) => (bare ? short(name) : name);
  return { has: (name) => checkpoint.tensors.has(stored(name)), stored };
}

/** Part of the memory budget for weights kept in the backend, as far as that has room. */
const widenedShare = 0.25;

/** Part of the memory budget for weights that are read ahead. Checkpoints below `smallBytes` are read sooner than a thread is started. */
const aheadShare = 1 / 16;
const aheadLimit = 2 ** 28;
const smallBytes = 2 ** 26;

/** How the budget of `memory` bytes is divided for a checkpoint's weights. A checkpoint is opened before it is known what will compute: the first is asked for later. */
export const weightLimits = ({ totalBytes }: Pick<Checkpoint, 'totalBytes'>, memory: number): StoreLimits => ({
  get widenedBytes() {
    return Math.min(roomForWeights(), Math.floor(memory * widenedShare));
  },
  aheadBytes: totalBytes < smallBytes ? 0 : Math.min(aheadLimit, Math.floor(memory * aheadShare)),
});

/** Binds a checkpoint to its architecture. `memory` in bytes is the whole process's budget. */
export function openModel(checkpoint: Checkpoint, memory: number): Result<OpenModel> {
  if (checkpoint.quantisation) {
    return fail(
      'unsupported',
      `This checkpoint is quantised (${checkpoint.quantisation}).`,
      'Open the unquantised checkpoint (F32, F16 or BF16) it was made from.',
    );
  }
  const architecture = openArchitecture(checkpoint.config, tensorNames(checkpoint));
  if (!architecture.ok) return architecture;
  const weights = weightStore(checkpoint, weightLimits(checkpoint, memory));
  holdMemoryTo(memory, weights.shrink);
  return ok({ ...architecture.value, weights });
}

/** Every tensor reference of the model's pieces, for checks and counts. */
export function allParts(model: Architecture): {
  readonly layer: number | null;
  readonly kind: 'ends' | 'attention' | 'norm' | 'router' | 'expert' | 'shared' | 'dense';
  readonly ref: TensorRef;
}[] {
  const list: ReturnType<typeof allParts> = [
    { layer: null, kind: 'ends', ref: model.ends.embedding },
    ...Object.values(model.ends.norm.parts).map((ref) => ({ layer: null, kind: 'ends' as const, ref })),
    ...(model.ends.head.name === model.ends.embedding.name ? [] : [{ layer: null, kind: 'ends' as const, ref: model.ends.head }]),
    ...(model.ends.headBias ? [{ layer: null, kind: 'ends' as const, ref: model.ends.headBias }] : []),
  ];
  model.layers.forEach(({ attention, feed }, layer) => {
    const push = (kind: (typeof list)[number]['kind'], parts: Readonly<Record<string, TensorRef>>) => {
      for (const ref of Object.values(parts)) list.push({ layer, kind, ref });
    };
    push('attention', attention.parts);
    push('norm', feed.norm.parts);
    if (feed.kind === 'dense') push('dense', feed.block.parts);
    else {
      push('router', feed.router.parts);
      if (feed.router.selectionBias) push('router', { bias: feed.router.selectionBias });
      if (feed.shared) push('shared', feed.shared.parts);
      for (let e = 0; e < feed.experts; e++) push('expert', feed.expert(e).parts);
    }
  });
  return list;
}

/** Parameters: all, those a token uses, those of one expert. */
export function parameterCounts(model: Architecture): { total: number; active: number; perExpert: number } {
  const { experts, topK } = model.shape;
  let total = 0;
  let routed = 0;
  for (const { kind, ref } of allParts(model)) {
    const count = elementCount(ref.shape);
    total += count;
    if (kind === 'expert') routed += count;
  }
  const perLayer = routed / model.shape.moeLayers.length;
  const perExpert = perLayer / experts;
  return { total, active: total - routed + perExpert * topK * model.shape.moeLayers.length, perExpert };
}
