/** What the heatmap draws, whatever it shows: the states of its cells, where they come from, and their words. Pure. */
import type { ExpertId } from '../../src/protocol/records';
import type { EffectFigures, HeatmapFigures } from '../../src/protocol/workbench';
import { type CellState, cellOf, cellState, cellWords, columnExperts, type Measure, type Order, rampKind } from './cells';
import type { RampKind } from './colour';
import { effectCells, effectColumnText, effectState, effectWords, expertAt, indexOfExpert, widthOf } from './effects';
import type { Cell } from './layout';

export interface Sheet {
  readonly rows: number;
  readonly cols: number;
  /** Index into the figures of each cell, row by row. */
  readonly places: Int32Array;
  readonly states: readonly CellState[];
  readonly ramp: RampKind;
  readonly diverging: boolean;
  readonly target: Cell | null;
  readonly rowText: (row: number) => string;
  readonly columnText: (col: number) => string;
  readonly words: (index: number, isTarget: boolean) => string;
  /** Null for what can't be a target. */
  readonly expertAt: (index: number) => ExpertId | null;
}

export interface SheetInput {
  readonly figures: HeatmapFigures;
  readonly effects: EffectFigures | null;
  readonly measure: Measure;
  readonly order: Order;
  readonly target: ExpertId | null;
}

export const showsEffects = ({ measure, effects }: Pick<SheetInput, 'measure' | 'effects'>): boolean => measure === 'effect' && effects !== null;

function routingSheet({ figures, measure, order, target }: SheetInput): Sheet {
  const { experts, layers } = figures;
  const places = columnExperts(figures, order).map((expert, at) => Math.floor(at / experts) * experts + expert);
  return {
    rows: layers.length,
    cols: experts,
    places,
    states: Array.from(places, (index) => cellState(figures, measure, index)),
    ramp: rampKind(measure),
    diverging: measure === 'difference',
    target: cellOf(figures, order, target),
    rowText: (row) => `L${layers[row]}`,
    columnText: (col) => (order === 'rank' ? `#${col + 1}` : String(col)),
    words: (index, isTarget) => cellWords(figures, index, isTarget, measure),
    expertAt: (index) => ({ layer: layers[Math.floor(index / experts)], expert: index % experts }),
  };
}

function effectSheet(effects: EffectFigures, { figures, order, target }: SheetInput): Sheet {
  const cols = widthOf(effects);
  const places = effectCells(effects, figures, order);
  const index = target && indexOfExpert(effects, target);
  const at = index === null ? -1 : places.indexOf(index);
  return {
    rows: effects.layers.length,
    cols,
    places,
    states: Array.from(places, (place) => effectState(effects, place)),
    ramp: 'difference',
    diverging: true,
    target: at < 0 ? null : { row: Math.floor(at / cols), col: at % cols },
    rowText: (row) => `L${effects.layers[row]}`,
    columnText: (col) => effectColumnText(col, order),
    words: (place, isTarget) => effectWords(effects, place, isTarget),
    expertAt: (place) => expertAt(effects, place),
  };
}

export const sheetOf = (input: SheetInput): Sheet => (input.measure === 'effect' && input.effects ? effectSheet(input.effects, input) : routingSheet(input));
