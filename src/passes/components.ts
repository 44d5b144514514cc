/** The parts of a model by what they are, in the order of a forward; and where a pass must begin for weights in which some of them differ. */
import type { Architecture } from '../model/families';
import type { Parts } from '../model/family';
import type { ExpertId } from '../protocol/records';
import { type TensorRef, unitName } from '../protocol/tensors';
import type { ComponentKind } from '../protocol/train-choice';

export interface ComponentPart {
  readonly kind: ComponentKind;
  /** Null at the two ends. */
  readonly layer: number | null;
  readonly expert?: number;
  /** Name of the part within its piece. */
  readonly part: string;
  readonly ref: TensorRef;
}

/** Where a pass may begin: at the tokens, or at the entrance of a layer's attention or feed-forward. Layer = number of layers: after the last. */
export interface Place {
  readonly layer: number;
  readonly at: 'tokens' | 'attention' | 'feed';
}

export const atTokens: Place = { layer: 0, at: 'tokens' };

const order = ({ layer, at }: Place): number => layer * 3 + (at === 'tokens' ? 0 : at === 'attention' ? 1 : 2);

export const isBelow = (a: Place, b: Place): boolean => order(a) < order(b);

/** The lower of the two. */
export const lower = (a: Place, b: Place): Place => (isBelow(b, a) ? b : a);

/** An attention's own norm, which is no part of its scores. */
const isNorm = (part: string): boolean => part === 'norm' || part === 'normBias';

/** All parts but selection biases, which never train. Tied ends are two parts of one name. */
export function componentParts({ layers, ends }: Pick<Architecture, 'layers' | 'ends'>): ComponentPart[] {
  const list: ComponentPart[] = [{ kind: 'embedding', layer: null, part: 'embedding', ref: ends.embedding }];
  layers.forEach(({ attention, feed }, layer) => {
    const push = (kind: ComponentKind, parts: Parts, expert?: number) => {
      for (const [part, ref] of Object.entries(parts)) list.push({ kind, layer, part, ref, ...(expert === undefined ? {} : { expert }) });
    };
    for (const [part, ref] of Object.entries(attention.parts)) list.push({ kind: isNorm(part) ? 'norm' : 'attention', layer, part, ref });
    push('norm', feed.norm.parts);
    if (feed.kind === 'dense') {
      push('dense', feed.block.parts);
      return;
    }
    push('router', feed.router.parts);
    if (feed.shared) push('shared', feed.shared.parts);
    for (let e = 0; e < feed.experts; e++) push('expert', feed.expert(e).parts, e);
  });
  for (const [part, ref] of Object.entries(ends.norm.parts)) list.push({ kind: 'norm', layer: null, part, ref });
  list.push({ kind: 'head', layer: null, part: 'head', ref: ends.head });
  if (ends.headBias) list.push({ kind: 'head', layer: null, part: 'headBias', ref: ends.headBias });
  return list;
}

/** The entrance of the piece a part belongs to. */
function placeOf({ kind, layer, part }: ComponentPart, layers: number): Place {
  if (kind === 'embedding') return atTokens;
  if (layer === null) return { layer: layers, at: 'attention' };
  return { layer, at: kind === 'attention' || (kind === 'norm' && isNorm(part)) ? 'attention' : 'feed' };
}

/**
 * The lowest place at which something differs: everything before it is the original's. `units` are changed weights by unit name,
 * `experts` such as may not be chosen. After the last layer where nothing differs.
 */
export function changedFrom({ layers, ends }: Pick<Architecture, 'layers' | 'ends'>, units: Iterable<string>, experts: readonly ExpertId[] = []): Place {
  const changed = new Set(units);
  let from: Place = { layer: layers.length, at: 'attention' };
  for (const { layer } of experts) from = lower(from, { layer, at: 'feed' });
  if (changed.size === 0) return from;
  for (const part of componentParts({ layers, ends })) if (changed.has(unitName(part.ref))) from = lower(from, placeOf(part, layers.length));
  return from;
}

/** The last entrance of a feed-forward at or below a place, where prefixes end; null where there is none, so that a pass begins at the tokens. */
export function prefixBefore({ layer, at }: Place): { readonly layer: number; readonly at: 'feed' } | null {
  if (at === 'feed') return { layer, at };
  return at === 'attention' && layer > 0 ? { layer: layer - 1, at: 'feed' } : null;
}
