/** The heatmap as an element: two canvases under one grid for the keyboard and for assistive technology. */
import { expertName } from '../../src/protocol/numbers';
import type { ExpertId } from '../../src/protocol/records';
import type { HeatmapFigures } from '../../src/protocol/workbench';
import type { CellState } from './cells';
import { ramp, type Theme } from './colour';
import { type Cell, cellAt, type Layout, layout, moved, rectangleOf } from './layout';
import { type Ink, paintCells, paintOverlay, type Strip } from './paint';
import { type Sheet, type SheetInput, sheetOf, showsEffects } from './sheet';

export interface HeatmapInput extends SheetInput {
  readonly theme: Theme;
  /** VS Code's id of the colour theme: two dark themes differ in ink. */
  readonly themeId: string;
  readonly width: number;
  readonly label: string;
}

export interface HeatmapCounts {
  readonly never: number;
  readonly rare: number;
  readonly beyond: number;
}

export interface Heatmap {
  readonly element: HTMLElement;
  update(input: HeatmapInput): void;
  counts(): HeatmapCounts;
}

export interface HeatmapEvents {
  /** Index into the figures of the cell under the cursor; the target's when there is none. */
  readonly onCursor: (index: number | null) => void;
  readonly onPick: (id: ExpertId) => void;
}

interface Shown {
  readonly input: HeatmapInput;
  readonly grid: Layout;
  readonly sheet: Sheet;
  readonly counts: HeatmapCounts;
}

/** From the page, since the element may not be in it yet. */
export function inkOf(): Ink {
  const style = getComputedStyle(document.body);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    foreground: read('--vscode-foreground'),
    dim: read('--vscode-descriptionForeground'),
    background: read('--vscode-editor-background'),
    soft: read('--uoe-soft'),
    cross: read('--uoe-cross'),
    focus: read('--vscode-focusBorder'),
    bar: read('--uoe-anchor'),
    line: read('--uoe-line'),
    font: read('--vscode-font-family') || 'sans-serif',
  };
}

export function make<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Readonly<Record<string, string>>): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export function resize(canvas: HTMLCanvasElement, grid: Layout): CanvasRenderingContext2D | null {
  const ratio = Math.max(1, window.devicePixelRatio || 1);
  canvas.width = Math.round(grid.width * ratio);
  canvas.height = Math.round(grid.height * ratio);
  canvas.style.width = `${grid.width}px`;
  canvas.style.height = `${grid.height}px`;
  const context = canvas.getContext('2d');
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

const countOf = (states: readonly CellState[]): HeatmapCounts => ({
  never: states.filter((state) => state.kind === 'never').length,
  rare: states.filter((state) => state.kind === 'rare').length,
  beyond: states.filter((state) => state.kind === 'value' && state.beyond).length,
});

/** Best affinity of each layer on a scale that ends at the next 0.05 above the best of all, and the experts that carry half of its slots. */
const stripOf = ({ best, half }: HeatmapFigures): Strip => ({ best, half, scale: Math.max(0.05, Math.ceil(Math.max(...best) * 20) / 20) });

/** Every message of the host brings a target of its own; it counts by what it says. */
const sameInput = (a: HeatmapInput, b: HeatmapInput) =>
  (Object.keys(a) as (keyof HeatmapInput)[]).every((key) => a[key] === b[key] || (key === 'target' && nameOf(a.target) === nameOf(b.target)));
const nameOf = (target: ExpertId | null) => target && expertName(target);

export function createHeatmap({ onCursor, onPick }: HeatmapEvents): Heatmap {
  const cells = make('canvas', { 'aria-hidden': 'true' });
  const overlay = make('canvas', { 'aria-hidden': 'true' });
  // Children of a canvas have no boxes; a real cell over it is what assistive technology sees.
  const cell = make('div', { role: 'gridcell', id: 'heatmap-cell', class: 'heatmap-cell' });
  const row = make('div', { role: 'row' });
  const element = make('div', { class: 'heatmap', role: 'grid', tabindex: '0', 'aria-activedescendant': 'heatmap-cell' });
  row.append(cell);
  element.append(cells, overlay, row);

  let shown: Shown | null = null;
  let cursor: Cell = { row: 0, col: 0 };
  let hover: Cell | null = null;

  const indexOf = ({ sheet }: Shown, at: Cell) => sheet.places[at.row * sheet.cols + at.col];
  const isFocused = () => document.activeElement === element;

  function drawOverlay(): void {
    const context = overlay.getContext('2d');
    if (!shown || !context) return;
    paintOverlay(context, shown.grid, shown.sheet.target, hover ?? (isFocused() ? cursor : null), hover !== null, inkOf());
  }

  function tell(): void {
    if (!shown) return;
    const at = hover ?? (isFocused() ? cursor : shown.sheet.target);
    onCursor(at && indexOf(shown, at));
  }

  function describe(): void {
    if (!shown) return;
    const { grid, sheet } = shown;
    const { target } = sheet;
    const box = rectangleOf(grid, cursor);
    row.setAttribute('aria-rowindex', String(cursor.row + 1));
    cell.setAttribute('aria-colindex', String(cursor.col + 1));
    cell.setAttribute('aria-label', sheet.words(indexOf(shown, cursor), target?.row === cursor.row && target.col === cursor.col));
    cell.style.transform = `translate(${box.x}px, ${box.y}px)`;
    cell.style.width = `${box.width}px`;
    cell.style.height = `${box.height}px`;
  }

  function moveTo(to: Cell): void {
    cursor = to;
    describe();
    drawOverlay();
    tell();
  }

  function draw(input: HeatmapInput): void {
    const { figures, order, theme, width, label } = input;
    const sheet = sheetOf(input);
    const { rows, cols, states, target } = sheet;
    const ofEffects = showsEffects(input);
    const grid = layout({ rows, cols, width, stripWidth: ofEffects ? 0 : width < 640 ? 104 : 150 });
    const context = resize(cells, grid);
    resize(overlay, grid);
    element.style.width = `${grid.width}px`;
    element.style.height = `${grid.height}px`;
    element.setAttribute('aria-label', label);
    element.setAttribute('aria-rowcount', String(rows));
    element.setAttribute('aria-colcount', String(cols));
    const isNew = shown?.input.figures !== figures || shown.input.order !== order || showsEffects(shown.input) !== ofEffects;
    shown = { input, grid, sheet, counts: countOf(states) };
    if (isNew) cursor = target ?? { row: 0, col: 0 };
    if (isNew) hover = null;
    if (context) {
      const drawing = {
        states,
        colours: ramp(theme, sheet.ramp),
        diverging: sheet.diverging,
        target,
        rowText: sheet.rowText,
        columnText: sheet.columnText,
        strip: ofEffects ? null : stripOf(figures),
      };
      paintCells(context, grid, drawing, inkOf());
    }
    describe();
    drawOverlay();
    tell();
  }

  function pick(at: Cell): void {
    const id = shown?.sheet.expertAt(indexOf(shown, at));
    if (id) onPick(id);
  }

  element.addEventListener('pointermove', (event) => {
    if (!shown) return;
    const box = overlay.getBoundingClientRect();
    const at = cellAt(shown.grid, event.clientX - box.left, event.clientY - box.top);
    if (at?.row === hover?.row && at?.col === hover?.col) return;
    hover = at;
    drawOverlay();
    tell();
  });
  element.addEventListener('pointerleave', () => {
    hover = null;
    drawOverlay();
    tell();
  });
  element.addEventListener('click', () => hover && moveTo(hover));
  element.addEventListener('dblclick', () => hover && pick(hover));
  element.addEventListener('focus', () => moveTo(cursor));
  element.addEventListener('blur', () => moveTo(cursor));
  element.addEventListener('keydown', (event) => {
    if (!shown) return;
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      return pick(cursor);
    }
    const to = moved(shown.grid, cursor, event.key, event.ctrlKey || event.metaKey);
    if (!to) return;
    event.preventDefault();
    hover = null;
    moveTo(to);
  });

  return {
    element,
    update(input) {
      if (shown && sameInput(shown.input, input)) return;
      draw(input);
    },
    counts: () => shown?.counts ?? { never: 0, rare: 0, beyond: 0 },
  };
}
