/** The heatmap's other face: what leaving a component out does. Layers by attention, shared or dense, and experts; cells, words and numbers. Pure. */
import { count, difference, expertName } from '../../src/protocol/numbers';
import type { ExpertId } from '../../src/protocol/records';
import type { EffectFigures, HeatmapFigures } from '../../src/protocol/workbench';
import { t } from '../text';
import type { CellState, Order } from './cells';
import { rampLength } from './colour';

/** Columns before the experts. */
const before = 2;
/** The scale in points of the score, fixed: neutral below 0.25, its ends at 64, two colours a doubling. */
const least = 0.0025;
const most = 0.64;
const middle = (rampLength - 1) / 2;

/** `+4.1`, in points of the score. */
export const points = (value: number): string => (Number.isFinite(value) ? difference(100 * value, 1) : '–');

export const widthOf = ({ experts }: Pick<EffectFigures, 'experts'>): number => before + experts;

export function effectState({ score, rows }: EffectFigures, index: number): CellState {
  const value = score[index];
  if (!Number.isFinite(value)) return { kind: 'fixed' };
  if (rows[index] === 0) return { kind: 'never' };
  const size = Math.min(middle, Math.max(0, Math.round(2 * Math.log2(Math.abs(value) / least))));
  return { kind: 'value', log2: 0, index: middle + Math.sign(value) * (value === 0 ? 0 : size), beyond: Math.abs(value) > most };
}

/** Index into the figures of each cell, row by row; experts in the heatmap's own order. */
export function effectCells(figures: EffectFigures, routing: HeatmapFigures | null, order: Order): Int32Array {
  const width = widthOf(figures);
  const cells = Int32Array.from({ length: figures.layers.length * width }, (_, index) => index);
  if (order !== 'rank' || !routing) return cells;
  figures.layers.forEach((layer, row) => {
    const at = routing.layers.indexOf(layer);
    if (at < 0) return;
    for (let expert = 0; expert < Math.min(figures.experts, routing.experts); expert++)
      cells[row * width + before + routing.rankInLayer[at * routing.experts + expert] - 1] = row * width + before + expert;
  });
  return cells;
}

/** The expert of an index; null for attention, shared and dense. */
export function expertAt(figures: EffectFigures, index: number): ExpertId | null {
  const width = widthOf(figures);
  const column = index % width;
  return column < before ? null : { layer: figures.layers[Math.floor(index / width)], expert: column - before };
}

export function indexOfExpert(figures: EffectFigures, { layer, expert }: ExpertId): number | null {
  const row = figures.layers.indexOf(layer);
  return row < 0 || expert >= figures.experts ? null : row * widthOf(figures) + before + expert;
}

const second = { shared: () => t('shared experts'), dense: () => t('dense block') };

/** `L2·attention`, `L2·E10` */
export function componentName(kind: 'attention' | 'shared' | 'dense' | 'expert', layer: number, expert?: number): string {
  if (kind === 'expert') return expertName({ layer, expert: expert ?? 0 });
  return `L${layer}·${{ attention: t('attention'), shared: t('shared'), dense: t('dense') }[kind]}`;
}

function nameAt(figures: EffectFigures, index: number): string {
  const row = Math.floor(index / widthOf(figures));
  const layer = figures.layers[row];
  const id = expertAt(figures, index);
  if (id) return t('Layer {0}, expert {1}', id.layer, id.expert);
  if (index % widthOf(figures) === 0) return t('Layer {0}, attention', layer);
  const kind = figures.second[row];
  return kind ? t('Layer {0}, {1}', layer, second[kind]()) : t('Layer {0}', layer);
}

export const disagreementWords = (code: number): string => (code === 1 ? t('much used, little effect') : code === 2 ? t('much effect, little used') : '');

const interval = ({ low, high }: EffectFigures, index: number): string =>
  Number.isFinite(low[index]) ? ` (${points(low[index])} … ${points(high[index])})` : '';

/** One cell as a sentence: what a screen reader says. */
export function effectWords(figures: EffectFigures, index: number, isTarget: boolean): string {
  const start = `${nameAt(figures, index)}.`;
  const end = isTarget ? t('Target.') : expertAt(figures, index) ? t('Press Enter to make it the target.') : '';
  const state = effectState(figures, index);
  if (state.kind === 'fixed') return `${start} ${t('There is none in this layer.')}`;
  if (state.kind === 'never') return `${start} ${t('No row uses it: no effect.')} ${end}`.trim();
  const retain = Number.isFinite(figures.retain[index]) ? ` ${t('{0} on retain.', points(figures.retain[index]))}` : '';
  const hint = disagreementWords(figures.disagrees[index]);
  return `${start} ${t('Left out, it costs {0} points on forget{1}, rank {2}.', points(figures.score[index]), interval(figures, index), count(figures.rank[index]))}${retain}${hint ? ` ${hint}.` : ''} ${end}`.trim();
}

/** The readout under the map: name and value of each figure of a cell. */
export function effectReadout(figures: EffectFigures, index: number): readonly (readonly [name: string, value: string])[] {
  const affinityRank = figures.affinityRank[index];
  const hint = disagreementWords(figures.disagrees[index]);
  return [
    [t('effect on forget'), `${points(figures.score[index])}${interval(figures, index)}`],
    ['NLL', difference(figures.nll[index])],
    [t('on retain'), points(figures.retain[index])],
    [t('rows'), count(figures.rows[index])],
    [t('rank by effect'), count(figures.rank[index])],
    ...(Number.isFinite(affinityRank) ? [[t('rank by affinity'), count(affinityRank)] as const] : []),
    ...(hint ? [[t('note'), hint] as const] : []),
  ];
}

export const effectColumnText = (column: number, order: Order): string =>
  column === 0 ? 'A' : column === 1 ? 'S' : order === 'rank' ? `#${column - 1}` : String(column - before);

/** A row per component, titles first, numbers in full precision. */
export function effectRows(figures: EffectFigures): readonly (readonly (string | number | null)[])[] {
  const width = widthOf(figures);
  const number = (value: number) => (Number.isFinite(value) ? value : null);
  const titles = ['layer', 'component', 'effect on forget', 'low', 'high', 'NLL', 'effect on retain', 'forget rows', 'rank by effect', 'rank by affinity'];
  const rows = Array.from(figures.score.keys())
    .filter((index) => Number.isFinite(figures.score[index]))
    .map((index) => {
      const id = expertAt(figures, index);
      const row = Math.floor(index / width);
      const { score, low, high, nll, retain, rows: touched, rank, affinityRank } = figures;
      return [
        figures.layers[row],
        id ? `expert ${id.expert}` : index % width === 0 ? 'attention' : figures.second[row],
        ...[score, low, high, nll, retain, touched, rank, affinityRank].map((values) => number(values[index])),
      ];
    });
  return [titles, ...rows];
}
