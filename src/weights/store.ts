/** Weights on lease: read by ranges, kept within a byte bound in their own dtype, widened on use, with a patch laid over them. */
import { LRUCache } from 'lru-cache';
import type { Checkpoint, RawTensor } from '../checkpoint/checkpoint';
import { refuse, unwrap } from '../protocol/fault';
import { elementCount, type HostTensor, type TensorRef, unitName } from '../protocol/tensors';
import { firstNotFinite, widen } from '../tensor/dtype';
import { discard, type HeldTensor, hold } from '../tensor/host';

/** f32 values of whole units that stand in for the checkpoint's: a patch, or the weights in training. */
export type Overlay = ReadonlyMap<string, HostTensor>;

export const noOverlay: Overlay = new Map();

/** Tensors of named parts, valid until `release`. */
export interface Lease<P extends Readonly<Record<string, TensorRef>>> {
  readonly w: { readonly [K in keyof P]: HeldTensor };
  release(): void;
}

export interface WeightStore {
  readonly checkpoint: Checkpoint;
  lease<P extends Readonly<Record<string, TensorRef>>>(parts: P, overlay: Overlay): Promise<Lease<P>>;
  /** Values on the JavaScript side (embedding rows, selection biases, units about to train). */
  values(ref: TensorRef, overlay: Overlay): Promise<Float32Array>;
  /** The whole unit a part belongs to: `name` or `name[e]`, with the unit's own shape. */
  unitOf(ref: TensorRef): TensorRef;
  readonly bytesRead: () => number;
  /** All weights stay widened in the backend: a further pass reads nothing. */
  readonly staysWidened: boolean;
  close(): void;
}

export interface StoreLimits {
  /** Bytes of tensors kept widened in the backend between leases; 0 keeps none. */
  readonly widenedBytes: number;
  /** Bytes kept in the checkpoint's own dtype. */
  readonly rawBytes: number;
}

interface Widened {
  readonly tensor: HeldTensor;
  readonly bytes: number;
  leases: number;
  evicted: boolean;
}

const keyOf = (ref: TensorRef): string => (ref.rows ? `${unitName(ref)}:${ref.rows[0]}-${ref.rows[1]}` : unitName(ref));

/** Elements before a row range within its unit. */
const rowOffset = (ref: TensorRef): number => (ref.rows ? ref.rows[0] * elementCount(ref.shape.slice(1)) : 0);

/**
 * A store over a checkpoint. Small checkpoints stay widened in the backend as a whole; larger ones are kept raw within
 * `rawBytes` and widened for each lease.
 */
export function weightStore(checkpoint: Checkpoint, limits: StoreLimits): WeightStore {
  let bytesRead = 0;
  const free = (entry: Widened) => {
    entry.evicted = true;
    if (entry.leases === 0) discard(entry.tensor);
  };
  const widened =
    limits.widenedBytes > 0 ? new LRUCache<string, Widened>({ maxSize: limits.widenedBytes, sizeCalculation: (entry) => entry.bytes, dispose: free }) : null;
  const raw =
    limits.rawBytes > 0 ? new LRUCache<string, RawTensor>({ maxSize: limits.rawBytes, sizeCalculation: (entry) => Math.max(1, entry.bytes.byteLength) }) : null;
  const keepsWidened = widened !== null && elementsOf(checkpoint) * 4 <= limits.widenedBytes;

  async function rawOf(ref: TensorRef): Promise<RawTensor> {
    const key = keyOf(ref);
    const cached = raw?.get(key);
    if (cached) return cached;
    const tensor = unwrap(await checkpoint.read(ref));
    bytesRead += tensor.bytes.byteLength;
    const bad = firstNotFinite(tensor.bytes, tensor.dtype);
    if (bad >= 0) {
      refuse(
        'not-finite',
        `Tensor ${unitName(ref)} of ${checkpoint.folder} holds a NaN or infinity (element ${bad} of ${ref.rows ? `rows ${ref.rows[0]} to ${ref.rows[1]}` : 'it'}).`,
        'The checkpoint is damaged; get an unchanged copy.',
      );
    }
    if (!keepsWidened) raw?.set(key, tensor);
    return tensor;
  }

  function overlaid(ref: TensorRef, overlay: Overlay): Float32Array | null {
    if (overlay.size === 0) return null;
    const unit = overlay.get(unitName(ref));
    if (!unit) return null;
    const from = rowOffset(ref);
    return unit.values.subarray(from, from + elementCount(ref.shape));
  }

  async function values(ref: TensorRef, overlay: Overlay): Promise<Float32Array> {
    const own = overlaid(ref, overlay);
    if (own) return own.slice();
    const tensor = await rawOf(ref);
    const into = new Float32Array(elementCount(tensor.shape));
    widen(tensor.bytes, tensor.dtype, into);
    return into;
  }

  async function leaseOne(ref: TensorRef, overlay: Overlay): Promise<{ tensor: HeldTensor; release: () => void }> {
    const own = overlaid(ref, overlay);
    if (own) {
      const tensor = hold(own, ref.shape);
      return { tensor, release: () => discard(tensor) };
    }
    const key = keyOf(ref);
    const cached = keepsWidened ? widened?.get(key) : undefined;
    const entry: Widened = cached ?? {
      tensor: hold(await values(ref, noOverlay), ref.shape),
      bytes: Math.max(4, elementCount(ref.shape) * 4),
      leases: 0,
      evicted: !keepsWidened,
    };
    if (!cached && keepsWidened) widened?.set(key, entry);
    entry.leases++;
    return {
      tensor: entry.tensor,
      release: () => {
        entry.leases--;
        if (entry.leases === 0 && entry.evicted) discard(entry.tensor);
      },
    };
  }

  return {
    checkpoint,
    async lease(parts, overlay) {
      const held: (readonly [string, { tensor: HeldTensor; release: () => void }])[] = [];
      try {
        for (const name of Object.keys(parts)) held.push([name, await leaseOne(parts[name], overlay)]);
      } catch (error) {
        for (const [, one] of held) one.release();
        throw error;
      }
      return {
        w: Object.fromEntries(held.map(([name, { tensor }]) => [name, tensor])) as Lease<typeof parts>['w'],
        release: () => {
          for (const [, one] of held) one.release();
        },
      };
    },
    values,
    unitOf(ref) {
      const stored = checkpoint.tensors.get(ref.name);
      if (!stored) return refuse('bad-file', `${checkpoint.folder} has no tensor ${ref.name}.`, 'Check that config.json and the weights belong together.');
      return ref.index === undefined ? { name: ref.name, shape: stored.shape } : { name: ref.name, index: ref.index, shape: stored.shape.slice(1) };
    },
    bytesRead: () => bytesRead,
    staysWidened: keepsWidened,
    close() {
      widened?.clear();
      raw?.clear();
    },
  };
}

const elementsOf = (checkpoint: Checkpoint): number => [...checkpoint.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
