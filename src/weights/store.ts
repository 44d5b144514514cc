/** Weights on lease: read by ranges, ahead of their use on a thread of its own, widened, kept within a byte bound, with a patch laid over them. */
import { LRUCache } from 'lru-cache';
import type { Checkpoint, RawTensor, StoredSlice } from '../checkpoint/checkpoint';
import { refuse, unwrap } from '../protocol/fault';
import type { WeightReading } from '../protocol/records';
import { elementCount, type HostTensor, type TensorRef, unitName } from '../protocol/tensors';
import { firstNotFinite, widen } from '../tensor/dtype';
import { discard, type HeldTensor, hold, holdInPlace } from '../tensor/host';
import { markFrozen } from '../tensor/precision';
import { openReadAhead, type ReadAhead } from './read-ahead';
import { isTracing, span, traceClock } from './trace';

/** What is done to the values of some tensors after everything else, whenever they are leased: no rounded copy of a model is ever made. */
export interface WeightRounding {
  /** Tells what is kept of it from what is kept unrounded. */
  readonly id: string;
  /** Whether the tensors of a unit are rounded. */
  has(unit: string): boolean;
  /** In place: the values of a tensor, or of a slice of one. */
  round(values: Float32Array, ref: TensorRef): void;
}

/** f32 values of whole units that stand in for the checkpoint's: a patch, or the weights in training. */
export interface Overlay extends ReadonlyMap<string, HostTensor> {
  readonly rounding?: WeightRounding;
}

export const noOverlay: Overlay = new Map();

/** Tensors of named parts, valid until `release`. */
export interface Lease<P extends Readonly<Record<string, TensorRef>>> {
  readonly w: { readonly [K in keyof P]: HeldTensor };
  release(): void;
}

export interface WeightStore {
  readonly checkpoint: Checkpoint;
  lease<P extends Readonly<Record<string, TensorRef>>>(parts: P, overlay: Overlay): Promise<Lease<P>>;
  /** What will be leased next, in that order: it is read while the backend computes. Only what surely will be: it counts as read. */
  ahead(parts: readonly Readonly<Record<string, TensorRef>>[], overlay: Overlay): void;
  /** What was announced and not leased is no longer wanted. */
  forgetAhead(): void;
  /** Values on the JavaScript side (embedding rows, selection biases, units about to train). */
  values(ref: TensorRef, overlay: Overlay): Promise<Float32Array>;
  /** The whole unit a part belongs to: `name` or `name[e]`, with the unit's own shape. */
  unitOf(ref: TensorRef): TensorRef;
  readonly bytesRead: () => number;
  /** What was read so far, and how long it took. */
  readonly readSoFar: () => WeightReading;
  /** Gives up what is kept and not on lease. */
  shrink(): void;
  /** All weights stay widened in the backend: a further pass reads nothing. */
  readonly staysWidened: boolean;
  close(): void;
}

/** What was read between two looks. */
export const readSince = (before: WeightReading, after: WeightReading): WeightReading => ({
  bytes: after.bytes - before.bytes,
  reading: after.reading - before.reading,
  widening: after.widening - before.widening,
  waiting: after.waiting - before.waiting,
});

export interface StoreLimits {
  /** Bytes of tensors kept widened in the backend between leases; 0 keeps none. */
  readonly widenedBytes: number;
  /** Bytes of the room that is read ahead into; 0: everything is read when it is leased. */
  readonly aheadBytes: number;
}

interface Widened {
  readonly tensor: HeldTensor;
  readonly bytes: number;
  leases: number;
  evicted: boolean;
}

const roundingOf = (ref: TensorRef, { rounding }: Overlay): WeightRounding | null => (rounding?.has(unitName(ref)) ? rounding : null);

const keyOf = (ref: TensorRef): string => (ref.rows ? `${unitName(ref)}:${ref.rows[0]}-${ref.rows[1]}` : unitName(ref));

/** What is kept of a tensor under these conditions. */
function keptKey(ref: TensorRef, overlay: Overlay): string {
  const rounding = roundingOf(ref, overlay);
  return rounding ? `${rounding.id} ${keyOf(ref)}` : keyOf(ref);
}

/** What tensors of a part have in common in their names. */
function partName(parts: Readonly<Record<string, TensorRef>>): string {
  const [first = '', ...others] = Object.values(parts).map(keyOf);
  let end = first.length;
  for (const other of others) while (!other.startsWith(first.slice(0, end))) end--;
  return first.slice(0, end).replace(/[.:]$/, '');
}

/** Elements before a row range within its unit. */
const rowOffset = (ref: TensorRef): number => (ref.rows ? ref.rows[0] * elementCount(ref.shape.slice(1)) : 0);

/**
 * A store over a checkpoint. Small checkpoints stay widened in the backend as a whole. Of larger ones what comes up again stays, the least
 * recently used going first, and a pass that sees each weight once keeps none. The disk's own cache holds the stored bytes better than this process could.
 */
export function weightStore(checkpoint: Checkpoint, limits: StoreLimits): WeightStore {
  let bytesRead = 0;
  const free = (entry: Widened) => {
    entry.evicted = true;
    if (entry.leases === 0) discard(entry.tensor);
  };
  /** What is kept widened, once it is wanted: how much fits is known when a backend computes. */
  const openKept = () => {
    const { widenedBytes: room } = limits;
    const kept = room > 0 ? new LRUCache<string, Widened>({ maxSize: room, sizeCalculation: (entry) => entry.bytes, dispose: free }) : null;
    return { room, kept, keepsAll: kept !== null && elementsOf(checkpoint) * 4 <= room };
  };
  let widening: ReturnType<typeof openKept> | null = null;
  const widened = () => {
    widening ??= openKept();
    return widening;
  };
  const seen = new Set<string>();
  let ahead: ReadAhead | null | undefined;
  const readAhead = (): ReadAhead | null => {
    ahead ??= limits.aheadBytes > 0 ? openReadAhead(limits.aheadBytes) : null;
    return ahead;
  };

  async function rawOf(ref: TensorRef): Promise<RawTensor> {
    const began = traceClock();
    const tensor = unwrap(await checkpoint.read(ref));
    if (isTracing()) {
      // Nothing else goes on meanwhile.
      span('reading', keyOf(ref), began, traceClock());
      span('waiting', keyOf(ref), began, traceClock());
    }
    bytesRead += tensor.bytes.byteLength;
    const bad = firstNotFinite(tensor.bytes, tensor.dtype);
    if (bad >= 0) {
      refuse(
        'not-finite',
        `Tensor ${unitName(ref)} of ${checkpoint.folder} holds a NaN or infinity (element ${bad} of ${ref.rows ? `rows ${ref.rows[0]} to ${ref.rows[1]}` : 'it'}).`,
        'The checkpoint is damaged; get an unchanged copy.',
      );
    }
    return tensor;
  }

  function overlaid(ref: TensorRef, overlay: Overlay): Float32Array | null {
    if (overlay.size === 0) return null;
    const unit = overlay.get(unitName(ref));
    if (!unit) return null;
    const from = rowOffset(ref);
    return unit.values.subarray(from, from + elementCount(ref.shape));
  }

  async function stored(ref: TensorRef): Promise<Float32Array> {
    const tensor = await rawOf(ref);
    const into = new Float32Array(elementCount(tensor.shape));
    widen(tensor.bytes, tensor.dtype, into);
    return into;
  }

  async function values(ref: TensorRef, overlay: Overlay): Promise<Float32Array> {
    const own = overlaid(ref, overlay);
    const result = own ? own.slice() : await stored(ref);
    roundingOf(ref, overlay)?.round(result, ref);
    return result;
  }

  /** A tensor of the checkpoint's values, marked where it may be multiplied in bf16. */
  async function storedTensor(ref: TensorRef, key: string, keep: boolean): Promise<{ tensor: HeldTensor; release: () => void }> {
    const made = await widenedTensor(ref, key, keep);
    if (checkpoint.tensors.get(ref.name)?.dtype === 'BF16') markFrozen(made.tensor);
    return made;
  }

  /** By way of the room where the values fit. `keep`: the tensor outlives what it was made from. */
  async function widenedTensor(ref: TensorRef, key: string, keep: boolean): Promise<{ tensor: HeldTensor; release: () => void }> {
    const place: StoredSlice = unwrap(checkpoint.place(ref));
    const slot = await readAhead()?.take(key, place);
    if (!slot) return { tensor: hold(await values(ref, noOverlay), ref.shape), release: () => undefined };
    if (slot.fault || !slot.finite) {
      slot.release();
      // Read ahead, it may have failed long ago: what is wrong shows when it is read once more, here.
      return { tensor: hold(await values(ref, noOverlay), ref.shape), release: () => undefined };
    }
    bytesRead += place.bytes;
    if (keep) {
      const tensor = hold(slot.values.slice(), ref.shape);
      slot.release();
      return { tensor, release: () => undefined };
    }
    const { tensor, copied } = holdInPlace(slot.values, ref.shape);
    if (!copied) return { tensor, release: slot.release };
    slot.release();
    return { tensor, release: () => undefined };
  }

  /** The same, rounded: a copy, since what it is made from stays as it is. */
  async function roundedTensor(ref: TensorRef, rounding: WeightRounding): Promise<{ tensor: HeldTensor; release: () => void }> {
    const slot = await readAhead()?.take(keyOf(ref), unwrap(checkpoint.place(ref)));
    const usable = slot !== undefined && slot !== null && !slot.fault && slot.finite;
    const copy = usable ? slot.values.slice() : await values(ref, noOverlay);
    if (usable) bytesRead += unwrap(checkpoint.place(ref)).bytes;
    slot?.release();
    rounding.round(copy, ref);
    return { tensor: hold(copy, ref.shape), release: () => undefined };
  }

  async function leaseOne(ref: TensorRef, overlay: Overlay): Promise<{ tensor: HeldTensor; release: () => void }> {
    const own = overlaid(ref, overlay);
    const rounding = roundingOf(ref, overlay);
    if (own) {
      const tensor = hold(rounding ? await values(ref, overlay) : own, ref.shape);
      return { tensor, release: () => discard(tensor) };
    }
    const key = keptKey(ref, overlay);
    const made = (keep: boolean) => (rounding ? roundedTensor(ref, rounding) : storedTensor(ref, key, keep));
    const { room, kept, keepsAll } = widened();
    const cached = kept?.get(key);
    const bytes = Math.max(4, elementCount(ref.shape) * 4);
    const keep = kept !== null && (keepsAll || seen.has(key)) && bytes <= room;
    seen.add(key);
    if (!cached && !keep) {
      const { tensor, release } = await made(false);
      return {
        tensor,
        release: () => {
          discard(tensor);
          release();
        },
      };
    }
    const entry: Widened = cached ?? { tensor: (await made(true)).tensor, bytes, leases: 0, evicted: false };
    if (!cached) kept?.set(key, entry);
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
      const began = isTracing() ? traceClock() : 0;
      return {
        w: Object.fromEntries(held.map(([name, { tensor }]) => [name, tensor])) as Lease<typeof parts>['w'],
        release: () => {
          if (began > 0) span('computing', partName(parts), began, traceClock());
          for (const [, one] of held) one.release();
        },
      };
    },
    ahead(parts, overlay) {
      const { kept } = widened();
      const refs = parts.flatMap((own) => Object.values(own)).filter((ref) => !overlay.has(unitName(ref)) && !kept?.has(keptKey(ref, overlay)));
      const wanted = refs.flatMap((ref) => {
        const place = checkpoint.place(ref);
        return place.ok ? [{ key: keyOf(ref), at: place.value }] : [];
      });
      if (wanted.length > 0) readAhead()?.announce(wanted);
    },
    forgetAhead: () => ahead?.forget(),
    values,
    unitOf(ref) {
      const stored = checkpoint.tensors.get(ref.name);
      if (!stored) return refuse('bad-file', `${checkpoint.folder} has no tensor ${ref.name}.`, 'Check that config.json and the weights belong together.');
      return ref.index === undefined ? { name: ref.name, shape: stored.shape } : { name: ref.name, index: ref.index, shape: stored.shape.slice(1) };
    },
    bytesRead: () => bytesRead,
    readSoFar: () => ({ bytes: bytesRead, ...(ahead?.times() ?? { reading: 0, widening: 0, waiting: 0 }) }),
    get staysWidened() {
      return widened().keepsAll;
    },
    shrink: () => widening?.kept?.clear(),
    close() {
      widening?.kept?.clear();
      ahead?.close();
    },
  };
}

const elementsOf = (checkpoint: Checkpoint): number => [...checkpoint.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
