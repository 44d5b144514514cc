/** What the forward of a step keeps of its layers for the pull-back: in memory while there is room, else on disk. The pull-back takes the highest first. */
import { type ScratchFile, scratchIn } from '../files/scratch-file';
import { unwrap } from '../protocol/fault';
import type { LayerRouting } from './forward';
import type { KeptProducts } from './kept-products';

/** What a forward keeps of one layer. */
export interface KeptLayer {
  readonly layer: number;
  /** Stream at the entrance of its attention `[T, d]`; not needed where the pull-back ends at the feed-forward. */
  readonly entrance?: Float32Array;
  /** Stream at the entrance of its feed-forward `[T, d]`; as above. */
  readonly feedEntrance?: Float32Array;
  readonly routing: LayerRouting | null;
  readonly products?: KeptProducts;
}

/** Part of the memory budget for streams that a step keeps. */
export const keptShare = 0.15;

/** Streams `[T, d]` that a layer keeps: the entrances of its attention and its feed-forward, and its router inputs. */
export const keptStreams = 3;

export interface KeptForward {
  /** Takes a layer, from low to high; layers further down go to disk where there is no room for all. */
  push(layer: KeptLayer): Promise<void>;
  /** Gives the highest layer back, and forgets it; undefined where there is none left. */
  pop(): Promise<KeptLayer | undefined>;
  /** Layers it holds. */
  size(): number;
  /** Bytes written to disk so far. */
  spilled(): number;
  close(): Promise<void>;
}

const streamsIn = ({ entrance, feedEntrance, routing }: KeptLayer): Float32Array[] =>
  [entrance, feedEntrance, routing?.u].filter((stream) => stream !== undefined);
const bytesIn = (layer: KeptLayer): number => streamsIn(layer).reduce((sum, { byteLength }) => sum + byteLength, 0);
const asBytes = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);

/** `room`: bytes of streams in memory. `folder`: where the others go; null: they stay in memory too. */
export function keptForward(room: number, folder: string | null): KeptForward {
  type Kept = { readonly layer: KeptLayer } | { readonly fetch: () => Promise<KeptLayer> };
  const stack: Kept[] = [];
  const scratch: ScratchFile | null = folder === null ? null : scratchIn(folder);
  let held = 0;
  let written = 0;
  /** Layers at the bottom of the stack that are on disk. */
  let below = 0;
  let next: Promise<KeptLayer> | null = null;

  async function spill(layer: KeptLayer, file: ScratchFile): Promise<Kept> {
    const offsets: number[] = [];
    for (const stream of streamsIn(layer)) {
      offsets.push(unwrap(await file.write(asBytes(stream))));
      written += stream.byteLength;
    }
    const { entrance, feedEntrance, routing, ...rest } = layer;
    const lengths = streamsIn(layer).map(({ length }) => length);
    const has = { entrance: entrance !== undefined, feedEntrance: feedEntrance !== undefined };
    const bare = routing && { ...routing, u: new Float32Array(0) };
    const fetch = async (): Promise<KeptLayer> => {
      const streams: Float32Array[] = [];
      for (let i = 0; i < offsets.length; i++) {
        const stream = new Float32Array(lengths[i]);
        unwrap(await file.read(offsets[i], asBytes(stream)));
        streams.push(stream);
      }
      const own = {
        ...(has.entrance ? { entrance: streams.shift() } : {}),
        ...(has.feedEntrance ? { feedEntrance: streams.shift() } : {}),
      };
      return { ...rest, ...own, routing: bare && { ...bare, u: streams.shift() as Float32Array } };
    };
    return { fetch };
  }

  return {
    async push(layer) {
      stack.push({ layer });
      held += bytesIn(layer);
      // The highest layer is taken back at once.
      while (scratch && held > room && below < stack.length - 1) {
        const lowest = stack[below];
        if (!('layer' in lowest)) throw new Error('Layers on disk lie below those in memory.');
        stack[below] = await spill(lowest.layer, scratch);
        held -= bytesIn(lowest.layer);
        below++;
      }
    },
    async pop() {
      const top = stack.pop();
      if (!top) return undefined;
      let layer: KeptLayer;
      if ('layer' in top) {
        layer = top.layer;
        held -= bytesIn(layer);
      } else {
        below--;
        layer = await (next ?? top.fetch());
        next = null;
      }
      // The disk fetches what comes next while this one is pulled back; an error shows when it is asked for.
      const after = stack.at(-1);
      if (after && 'fetch' in after) {
        next = after.fetch();
        next.catch(() => undefined);
      }
      return layer;
    },
    size: () => stack.length,
    spilled: () => written,
    async close() {
      await next?.catch(() => undefined);
      await scratch?.close();
    },
  };
}
