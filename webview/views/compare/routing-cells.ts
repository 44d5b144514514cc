/** What each cell of the three panels shows, and what a cell says in words. Pure. */
import type { RoutingFigures } from '../../../src/protocol/comparison-view';
import { count, difference, percent, times } from '../../../src/protocol/numbers';
import type { CellState } from '../../heatmap/cells';
import { domain, rampIndex } from '../../heatmap/colour';
import { t } from '../../text';

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
    [t('before'), percent(before)],
    [t('after'), percent(after)],
    [t('change'), points(after - before)],
    [t('ratio'), times(ratio(before, after))],
    [t('slots before'), count(figures.slotsBefore[index])],
    [t('slots after'), count(figures.slotsAfter[index])],
  ];
}

/** One cell as a sentence: what a screen reader says. */
export function panelWords(figures: RoutingFigures, index: number): string {
  const { experts, layers, lowest, slotsBefore, slotsAfter, target } = figures;
  const id = { layer: layers[Math.floor(index / experts)], expert: index % experts };
  const name = t('Layer {0}, expert {1}', id.layer, id.expert);
  const end = target.some(({ layer, expert }) => layer === id.layer && expert === id.expert) ? ` ${t('Target.')}` : '';
  if (id.layer < lowest) return `${t('{0}. Below layer {1} nothing can change.', name, lowest)}${end}`;
  if (slotsBefore[index] === 0 && slotsAfter[index] === 0) return `${t('{0}. Never routed, before or after.', name)}${end}`;
  const [before, after] = [figures.shareBefore[index], figures.shareAfter[index]];
  const change = difference(100 * (after - before), 1);
  return `${t('{0}. Token share {1} before, {2} after, change {3} percentage points.', name, percent(before), percent(after), change)}${end}`;
}
