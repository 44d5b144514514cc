/** What each cell of the three panels shows, and what a cell says in words. Pure. */
import type { RoutingFigures } from '../../../src/protocol/comparison-view';
import { count, difference, expertWords, percent, times } from '../../../src/protocol/numbers';
import type { CellState } from '../../heatmap/cells';
import { domain, rampIndex } from '../../heatmap/colour';

export const panels = ['before', 'after', 'difference'] as const;
export type Panel = (typeof panels)[number];

/** The difference ends at log2 = ±4/3, 0.40× to 2.5×: the ramp is stretched by three. */
const stretch = 3;
/** Below this many slots in both together a ratio says nothing. */
const fewestSlots = 30;
/** Keeps the ratio finite where one side never uses the expert. */
const tiny = 1e-5;

const value = (log2: number, drawn: number): CellState => ({ kind: 'value', log2, index: rampIndex(drawn), beyond: Math.abs(drawn) > domain });

/** Shares are drawn against an equal share, 1 / experts; the difference as after ÷ before. */
export function panelState(figures: RoutingFigures, panel: Panel, index: number): CellState {
  const { experts, layers, lowest, shareBefore, shareAfter, slotsBefore, slotsAfter } = figures;
  if (panel === 'difference') {
    if (layers[Math.floor(index / experts)] < lowest) return { kind: 'fixed' };
    if (slotsBefore[index] + slotsAfter[index] < fewestSlots) return { kind: 'rare' };
    const log2 = Math.log2((shareAfter[index] + tiny) / (shareBefore[index] + tiny));
    return value(log2, stretch * log2);
  }
  const [share, slots] = panel === 'before' ? [shareBefore[index], slotsBefore[index]] : [shareAfter[index], slotsAfter[index]];
  if (slots === 0) return { kind: 'never' };
  const log2 = Math.log2(share * experts);
  return value(log2, log2);
}

/** Expert shown in each column of each row `[layers, experts]`: the same in all three panels. */
export function columnsOf({ experts, rankInLayer }: RoutingFigures, order: 'number' | 'rank'): Int32Array {
  const shown = new Int32Array(rankInLayer.length);
  rankInLayer.forEach((rank, index) => {
    const start = index - (index % experts);
    shown[order === 'rank' ? start + rank - 1 : index] = index % experts;
  });
  return shown;
}

/** `+3.7 pp` */
export const points = (share: number): string => `${difference(100 * share, 1)}\u202fpp`;

/** Ratio of two shares; null where before is nothing. */
export const ratio = (before: number, after: number): number | null => (before > 0 ? after / before : null);

export function panelReadout(figures: RoutingFigures, index: number): readonly (readonly [name: string, value: string])[] {
  const [before, after] = [figures.shareBefore[index], figures.shareAfter[index]];
  return [
    ['before', percent(before)],
    ['after', percent(after)],
    ['change', points(after - before)],
    ['ratio', times(ratio(before, after))],
    ['slots before', count(figures.slotsBefore[index])],
    ['slots after', count(figures.slotsAfter[index])],
  ];
}

/** One cell as a sentence: what a screen reader says. */
export function panelWords(figures: RoutingFigures, index: number): string {
  const { experts, layers, lowest, slotsBefore, slotsAfter, target } = figures;
  const id = { layer: layers[Math.floor(index / experts)], expert: index % experts };
  const words = expertWords(id);
  const name = `${words[0].toUpperCase()}${words.slice(1)}`;
  const end = target.some(({ layer, expert }) => layer === id.layer && expert === id.expert) ? ' Target.' : '';
  if (id.layer < lowest) return `${name}. Below layer ${lowest} nothing can change.${end}`;
  if (slotsBefore[index] === 0 && slotsAfter[index] === 0) return `${name}. Never routed, before or after.${end}`;
  const [before, after] = [figures.shareBefore[index], figures.shareAfter[index]];
  return `${name}. Token share ${percent(before)} before, ${percent(after)} after, change ${difference(100 * (after - before), 1)} percentage points.${end}`;
}
