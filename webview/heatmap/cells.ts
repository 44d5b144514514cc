/** What each cell of the heatmap shows: measure and order to a colour index, marks and words. Pure. */
import { count, fraction, percent, times } from '../../src/protocol/numbers';
import type { HeatmapFigures, WebviewMemory } from '../../src/protocol/workbench';
import { t } from '../text';
import { domain, type RampKind, rampIndex } from './colour';
import type { Cell } from './layout';

export type Measure = WebviewMemory['measure'];
export type Order = WebviewMemory['order'];

export type CellState =
  | { readonly kind: 'value'; readonly log2: number; readonly index: number; readonly beyond: boolean }
  /** No slot of these prompts was routed to it. */
  | { readonly kind: 'never' }
  /** Too few slots in both sets together to compare. */
  | { readonly kind: 'rare' }
  /** Below the lowest layer that changed: it can't differ. */
  | { readonly kind: 'fixed' };

/** Below this many slots in both sets together a ratio says nothing. */
const fewestSlots = 30;
/** Keeps the ratio finite where one set never uses the expert. */
const tiny = 1e-4;

export const rampKind = (measure: Measure): RampKind => (measure === 'difference' ? 'difference' : 'magnitude');

function value(log2: number): CellState {
  return { kind: 'value', log2, index: rampIndex(log2), beyond: Math.abs(log2) > domain };
}

/** Affinity and share are drawn against an equal share, 1 / experts; the difference as forget ÷ retain. */
export function cellState(figures: HeatmapFigures, measure: Measure, index: number): CellState {
  const share = figures.share[index];
  if (measure === 'difference') {
    const retain = figures.retainShare ? figures.retainShare[index] : 0;
    const slotsPerShare = share > 0 ? figures.slots[index] / share : 0;
    const few = slotsPerShare > 0 ? figures.slots[index] + retain * slotsPerShare < fewestSlots : retain === 0;
    return few ? { kind: 'rare' } : value(Math.log2((share + tiny) / (retain + tiny)));
  }
  if (figures.slots[index] === 0) return { kind: 'never' };
  return value(Math.log2(measure === 'affinity' ? figures.timesEqual[index] : share * figures.experts));
}

/** Expert shown in each column of each row: `[layers, experts]`. */
export function columnExperts(figures: HeatmapFigures, order: Order): Int32Array {
  const { experts, rankInLayer } = figures;
  const shown = new Int32Array(rankInLayer.length);
  for (let index = 0; index < shown.length; index++) {
    const row = Math.floor(index / experts);
    const expert = index % experts;
    shown[order === 'rank' ? row * experts + rankInLayer[index] - 1 : index] = expert;
  }
  return shown;
}

/** Where an expert is drawn; null when its layer is not in the figures. */
export function cellOf(figures: HeatmapFigures, order: Order, id: { readonly layer: number; readonly expert: number } | null): Cell | null {
  const row = id ? figures.layers.indexOf(id.layer) : -1;
  if (!id || row < 0 || id.expert >= figures.experts) return null;
  return { row, col: order === 'rank' ? figures.rankInLayer[row * figures.experts + id.expert] - 1 : id.expert };
}

/** Forget over retain of one expert; null where one of them is missing or the retain set never uses it. */
const ratioOf = ({ share, retainShare }: HeatmapFigures, index: number): number | null =>
  retainShare && retainShare[index] > 0 ? share[index] / retainShare[index] : null;

/** Slots of the layer that a cell is in: the same in every layer, since each token fills as many. */
export function layerSlots({ slots, experts }: HeatmapFigures, index: number): number {
  const start = index - (index % experts);
  return slots.subarray(start, start + experts).reduce((sum, value) => sum + value, 0);
}

/** One cell as a sentence: what a screen reader says. */
export function cellWords(figures: HeatmapFigures, index: number, isTarget: boolean, measure: Measure = 'affinity'): string {
  const id = { layer: figures.layers[Math.floor(index / figures.experts)], expert: index % figures.experts };
  const start = `${t('Layer {0}, expert {1}', id.layer, id.expert)}.`;
  const end = isTarget ? t('Target.') : t('Press Enter to make it the target.');
  if (measure === 'difference') {
    if (cellState(figures, measure, index).kind === 'rare') return `${start} ${t('Too rare to compare.')} ${end}`;
    const retain = figures.retainShare?.[index];
    const shares = [percent(figures.share[index]), percent(retain), times(ratioOf(figures, index))];
    return `${start} ${t('Token share {0} on forget prompts, {1} on the retain set, {2}.', ...shares)} ${end}`;
  }
  if (figures.slots[index] === 0) return `${start} ${t('Never routed on these prompts.')} ${end}`;
  const values = [
    fraction(figures.affinity[index]),
    times(figures.timesEqual[index]),
    percent(figures.share[index]),
    figures.rankInLayer[index],
    figures.experts,
  ];
  return `${start} ${t('Affinity {0}, {1} an equal share, token share {2}, rank {3} of {4} in the layer.', ...values)} ${end}`;
}

/** The readout under the heatmap: name and value of each figure of a cell. */
export function readout(figures: HeatmapFigures, index: number, measure: Measure = 'affinity'): readonly (readonly [name: string, value: string])[] {
  const affinity = figures.affinity[index];
  const share = figures.share[index];
  const retain = figures.retainShare ? figures.retainShare[index] : null;
  return [
    [t('affinity'), fraction(affinity)],
    [t('× equal'), times(figures.timesEqual[index])],
    [t('share'), percent(share)],
    [t('retain'), percent(retain)],
    measure === 'difference' ? [t('forget ÷ retain'), times(ratioOf(figures, index))] : [t('slots'), count(figures.slots[index])],
    [t('layer rank'), `${figures.rankInLayer[index]}/${figures.experts}`],
    [t('rank'), count(figures.rank[index])],
  ];
}
