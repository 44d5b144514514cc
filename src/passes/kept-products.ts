/**
 * Products of a layer's forward that its pull-back would otherwise compute again, in the backend from one to the other. They are the same
 * numbers either way: whether they are kept changes no bit of a gradient.
 */
import type { Attention, Block, Layer } from '../model/family';
import { discard, type HeldTensor, keepAlive } from '../tensor/host';
import type { Tensor } from '../tensor/tf';

/** The products of one piece of a layer, by the first row of the block they belong to. */
export interface KeptPiece {
  /** Keeps them beyond the scope they were made in. */
  put(from: number, products: readonly Tensor[]): void;
  /** Gives them up to the caller, who discards them; null where none were kept. */
  take(from: number): readonly HeldTensor[] | null;
}

export interface KeptProducts {
  /** Undefined for a piece whose products nobody will ask for. */
  piece(name: string): KeptPiece | undefined;
  /** Discards what nobody took. */
  release(): void;
}

export const expertPiece = (expert: number): string => `expert ${expert}`;
export const attentionPiece = 'attention';
/** The shared experts or a dense layer. */
export const sharedPiece = 'shared';

/** `wanted`: whether a piece's products are kept; all when left out. */
export function keptProducts(wanted?: (piece: string) => boolean): KeptProducts {
  const kept = new Map<string, readonly HeldTensor[]>();
  return {
    piece: (name) =>
      wanted && !wanted(name)
        ? undefined
        : {
            put: (from, products) => void kept.set(`${name} ${from}`, products.map(keepAlive)),
            take(from) {
              const key = `${name} ${from}`;
              const own = kept.get(key) ?? null;
              kept.delete(key);
              return own;
            },
          },
    release() {
      for (const products of kept.values()) for (const product of products) discard(product);
      kept.clear();
    },
  };
}

const widthOf = (block: Block | null): number => block?.closed?.width ?? 0;

/** What a step runs: tokens, and the sum of the squares of its sequences' lengths. */
export interface StepSize {
  readonly tokens: number;
  readonly squares: number;
}

export const stepSize = (lengths: readonly number[]): StepSize => ({
  tokens: lengths.reduce((sum, length) => sum + length, 0),
  squares: lengths.reduce((sum, length) => sum + length * length, 0),
});

/** Projections, context and probabilities; in long sequences half of these at most are kept. */
function attentionBytes({ parts, heads, valueWidth }: Attention, { tokens, squares }: StepSize): number {
  const projected = Object.values(parts).reduce((sum, { shape }) => sum + (shape.length === 2 ? shape[0] : 0), heads * valueWidth);
  const beside = parts.sinks ? tokens : 0;
  return (tokens * projected + (squares + beside) * heads) * 4;
}

/** Bytes of what a layer keeps: all of it, or that of experts in training alone. */
function layerBytes({ attention, feed }: Layer, size: StepSize, trained?: ReadonlySet<number>): number {
  const { tokens } = size;
  if (!trained) return attentionBytes(attention, size) + feedBytes(feed, tokens);
  return feed.kind === 'moe' ? tokens * Math.min(feed.router.topK, trained.size) * widthOf(feed.expert(0)) * 4 : 0;
}

function feedBytes(feed: Layer['feed'], tokens: number): number {
  if (feed.kind === 'dense') return tokens * widthOf(feed.block) * 4;
  const expert = widthOf(feed.expert(0));
  return tokens * (feed.router.topK * expert + widthOf(feed.shared)) * 4;
}

/** Layers of a step whose products are kept. */
export interface KeptLayers {
  readonly layers: readonly number[];
  /** Of all their products at once. */
  readonly bytes: number;
}

/**
 * Which layers from `lowest` (of which the `trained` experts alone are pulled back; null: all of it) to `last` keep their products within `room` bytes:
 * from the top down, as those are given up first.
 */
export function layersToKeep(
  layers: readonly Layer[],
  lowest: number,
  last: number,
  trained: ReadonlySet<number> | null,
  size: StepSize,
  room: number,
): KeptLayers {
  const chosen: number[] = [];
  let bytes = 0;
  for (let layer = last; layer >= lowest; layer--) {
    const own = layerBytes(layers[layer], size, layer === lowest && trained ? trained : undefined);
    if (bytes + own > room) break;
    bytes += own;
    chosen.push(layer);
  }
  return { layers: chosen, bytes };
}

/** Part of the memory budget for products of one step. */
export const productShare = 0.1;

/** Bytes for the products of a step that begins now: half of what the process has left of its budget, at most. */
export const productRoom = (memory: number): number => Math.min(memory * productShare, (memory - process.memoryUsage.rss()) / 2);
