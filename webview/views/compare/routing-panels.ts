/** Before, after and difference as three heatmaps with one cursor and one order. Each is a grid for the keyboard and for assistive technology. */
import type { RoutingFigures } from '../../../src/protocol/comparison-view';
import type { CellState } from '../../heatmap/cells';
import { ramp, type Theme } from '../../heatmap/colour';
import { inkOf, make, resize } from '../../heatmap/heatmap';
import { type Cell, cellAt, type Layout, layout, moved, rectangleOf } from '../../heatmap/layout';
import { paintCells, paintOverlay } from '../../heatmap/paint';
import { t } from '../../text';
import { columnsOf, type Panel, panelState, panels, panelWords } from './routing-cells';

export interface PanelsInput {
  readonly figures: RoutingFigures;
  readonly order: 'number' | 'rank';
  readonly theme: Theme;
  readonly themeId: string;
  /** Of one panel. */
  readonly width: number;
  readonly aspect: number;
}

export interface PanelCounts {
  readonly never: number;
  readonly rare: number;
  readonly beyond: number;
}

export interface RoutingPanels {
  readonly elements: Readonly<Record<Panel, HTMLElement>>;
  update(input: PanelsInput): void;
  counts(panel: Panel): PanelCounts;
  /** The panel as SVG text, in the colours it has now; empty before the first drawing. */
  svg(panel: Panel): string;
}

interface Shown {
  readonly input: PanelsInput;
  readonly grid: Layout;
  readonly columns: Int32Array;
  readonly target: Cell | null;
  readonly states: Readonly<Record<Panel, readonly CellState[]>>;
}

const labels: Readonly<Record<Panel, string>> = {
  before: t('Token share before'),
  after: t('Token share after'),
  difference: t('Token share, after ÷ before'),
};
const none: PanelCounts = { never: 0, rare: 0, beyond: 0 };

function makePanel(panel: Panel) {
  const cells = make('canvas', { 'aria-hidden': 'true' });
  const overlay = make('canvas', { 'aria-hidden': 'true' });
  const id = `routing-${panel}-cell`;
  const cell = make('div', { role: 'gridcell', id, class: 'heatmap-cell' });
  const row = make('div', { role: 'row' });
  const note = make('div', { class: 'fixed-note', 'aria-hidden': 'true' });
  const element = make('div', { class: 'heatmap', role: 'grid', tabindex: '0', 'aria-activedescendant': id, 'aria-label': labels[panel] });
  row.append(cell);
  element.append(cells, overlay, note, row);
  return { panel, cells, overlay, cell, row, note, element };
}

/** `onCursor`: index into the figures of the cell under the cursor, the target's without one. */
export function createRoutingPanels(onCursor: (index: number | null) => void): RoutingPanels {
  const parts = panels.map(makePanel);
  let shown: Shown | null = null;
  let cursor: Cell = { row: 0, col: 0 };
  let hover: Cell | null = null;

  const isFocused = () => parts.some(({ element }) => document.activeElement === element);
  const indexOf = ({ input, columns }: Shown, { row, col }: Cell) => row * input.figures.experts + columns[row * input.figures.experts + col];

  function drawOverlays(): void {
    if (!shown) return;
    const at = hover ?? (isFocused() ? cursor : null);
    for (const { overlay } of parts) {
      const context = overlay.getContext('2d');
      if (context) paintOverlay(context, shown.grid, shown.target, at, hover !== null, inkOf());
    }
    const told = at ?? shown.target;
    onCursor(told && indexOf(shown, told));
  }

  function describe(): void {
    if (!shown) return;
    const box = rectangleOf(shown.grid, cursor);
    for (const { row, cell } of parts) {
      row.setAttribute('aria-rowindex', String(cursor.row + 1));
      cell.setAttribute('aria-colindex', String(cursor.col + 1));
      cell.setAttribute('aria-label', panelWords(shown.input.figures, indexOf(shown, cursor)));
      Object.assign(cell.style, { transform: `translate(${box.x}px, ${box.y}px)`, width: `${box.width}px`, height: `${box.height}px` });
    }
  }

  function moveTo(to: Cell): void {
    cursor = to;
    describe();
    drawOverlays();
  }

  /** Layers that can't differ are framed and named instead of filled. */
  function placeNote(note: HTMLElement, { grid, input }: Shown): void {
    const rows = input.figures.layers.filter((layer) => layer < input.figures.lowest).length;
    note.hidden = rows === 0;
    note.textContent = rows > 1 || grid.rowHeight >= 18 ? t('Layers below {0} cannot change', input.figures.lowest) : '';
    const place = { left: grid.x, top: grid.y, width: grid.cell * grid.cols - grid.gap, height: grid.rowHeight * rows - 2 };
    for (const [name, value] of Object.entries(place)) note.style.setProperty(name, `${value}px`);
  }

  function draw(input: PanelsInput): void {
    const { figures, order, theme, width, aspect } = input;
    const { experts, layers, target } = figures;
    const grid = layout({ rows: layers.length, cols: experts, width, aspect });
    const columns = columnsOf(figures, order);
    const statesOf = (panel: Panel) => Array.from(columns, (expert, at) => panelState(figures, panel, at - (at % experts) + expert));
    const [first] = target;
    const row = first ? layers.indexOf(first.layer) : -1;
    const col = row < 0 ? -1 : columns.subarray(row * experts, (row + 1) * experts).indexOf(first.expert);
    const isNew = shown?.input.figures !== figures || shown.input.order !== order;
    shown = {
      input,
      grid,
      columns,
      target: col < 0 ? null : { row, col },
      states: { before: statesOf('before'), after: statesOf('after'), difference: statesOf('difference') },
    };
    if (isNew) {
      cursor = shown.target ?? { row: 0, col: 0 };
      hover = null;
    }
    for (const { panel, cells, overlay, element, note } of parts) {
      const context = resize(cells, grid);
      resize(overlay, grid);
      element.style.width = `${grid.width}px`;
      element.style.height = `${grid.height}px`;
      element.setAttribute('aria-rowcount', String(layers.length));
      element.setAttribute('aria-colcount', String(experts));
      if (panel === 'difference') placeNote(note, shown);
      else note.hidden = true;
      if (!context) continue;
      const diverging = panel === 'difference';
      const drawing = {
        states: shown.states[panel],
        colours: ramp(theme, diverging ? 'difference' : 'magnitude'),
        // The sign is for more than four times; this scale ends before.
        diverging: false,
        target: shown.target,
        rowText: (at: number) => `L${layers[at]}`,
        columnText: (at: number) => (order === 'rank' ? `#${at + 1}` : String(at)),
        strip: null,
      };
      paintCells(context, grid, drawing, inkOf());
    }
    describe();
    drawOverlays();
  }

  for (const { element, overlay } of parts) {
    element.addEventListener('pointermove', (event) => {
      if (!shown) return;
      const box = overlay.getBoundingClientRect();
      const at = cellAt(shown.grid, event.clientX - box.left, event.clientY - box.top);
      if (at?.row === hover?.row && at?.col === hover?.col) return;
      hover = at;
      drawOverlays();
    });
    element.addEventListener('pointerleave', () => {
      hover = null;
      drawOverlays();
    });
    element.addEventListener('click', () => hover && moveTo(hover));
    element.addEventListener('focus', () => moveTo(cursor));
    element.addEventListener('blur', () => moveTo(cursor));
    element.addEventListener('keydown', (event) => {
      const to = shown && moved(shown.grid, cursor, event.key, event.ctrlKey || event.metaKey);
      if (!to) return;
      event.preventDefault();
      hover = null;
      moveTo(to);
    });
  }

  function svg(panel: Panel): string {
    if (!shown) return '';
    const { grid, states, input } = shown;
    const ink = inkOf();
    const colours = ramp(input.theme, panel === 'difference' ? 'difference' : 'magnitude');
    const cells = states[panel].map((state, at) => {
      const { x, y, width, height } = rectangleOf(grid, { row: Math.floor(at / grid.cols), col: at % grid.cols });
      if (state.kind === 'value') return `<rect x="${x}" y="${y}" width="${width}" height="${height}" fill="${colours[state.index]}"/>`;
      if (state.kind === 'never')
        return `<path d="M${x + 0.5} ${y + 0.5}h${width - 1}v${height - 1}h${1 - width}zm0 ${height - 1}l${width - 1} ${1 - height}" fill="none" stroke="${ink.soft}"/>`;
      return state.kind === 'rare' ? `<rect x="${x + (width >> 1)}" y="${y + (height >> 1)}" width="1" height="1" fill="${ink.soft}"/>` : '';
    });
    const text = (x: number, y: number, anchor: string, words: string) =>
      `<text x="${x}" y="${y}" text-anchor="${anchor}" fill="${ink.dim}" font-family="sans-serif" font-size="11">${words}</text>`;
    const rows = input.figures.layers.map((layer, row) =>
      row % Math.max(1, Math.ceil(12 / grid.rowHeight)) === 0 ? text(grid.x - 8, grid.y + (row + 0.5) * grid.rowHeight + 4, 'end', `L${layer}`) : '',
    );
    const ring = shown.target ? rectangleOf(grid, shown.target) : null;
    const mark = ring
      ? `<rect x="${ring.x - 1}" y="${ring.y - 1}" width="${ring.width + 2}" height="${ring.height + 2}" fill="none" stroke="${ink.foreground}" stroke-width="2"/>`
      : '';
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${grid.width}" height="${grid.height}" viewBox="0 0 ${grid.width} ${grid.height}"><title>${labels[panel]}</title><rect width="${grid.width}" height="${grid.height}" fill="${ink.background}"/>${cells.join('')}${rows.join('')}${mark}</svg>`;
  }

  return {
    elements: { before: parts[0].element, after: parts[1].element, difference: parts[2].element },
    update(input) {
      const last = shown?.input;
      if (last && (Object.keys(input) as (keyof PanelsInput)[]).every((key) => last[key] === input[key])) return;
      draw(input);
    },
    counts(panel) {
      if (!shown) return none;
      const states = shown.states[panel];
      const number = (kind: CellState['kind']) => states.filter((state) => state.kind === kind).length;
      return { never: number('never'), rare: number('rare'), beyond: states.filter((state) => state.kind === 'value' && state.beyond).length };
    },
    svg,
  };
}
