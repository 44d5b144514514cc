/** Paints cells and marks on a canvas. Geometry comes from layout, meaning from cells. */
import { fraction } from '../../src/protocol/numbers';
import { t } from '../text';
import type { CellState } from './cells';
import { type Cell, type Layout, labelledColumns, labelledRows, rectangleOf } from './layout';

export interface Ink {
  readonly foreground: string;
  readonly dim: string;
  readonly background: string;
  readonly soft: string;
  readonly cross: string;
  readonly focus: string;
  readonly bar: string;
  readonly line: string;
  readonly font: string;
}

/** The profile at the right of the cells, a value per row. */
export interface Strip {
  /** Best affinity of the layer, 0 … `scale`. */
  readonly best: ArrayLike<number>;
  readonly scale: number;
  /** Experts that carry half of the layer's slots. */
  readonly half: ArrayLike<number>;
}

export interface Drawing {
  readonly states: readonly CellState[];
  readonly colours: readonly string[];
  readonly diverging: boolean;
  readonly target: Cell | null;
  readonly rowText: (row: number) => string;
  readonly columnText: (col: number) => string;
  readonly strip: Strip | null;
}

/** Colour as the canvas keeps it in memory on a little-endian machine. */
const packed = (hex: string): number => {
  const part = (from: number) => Number.parseInt(hex.slice(from, from + 2), 16);
  return ((255 << 24) | (part(5) << 16) | (part(3) << 8) | part(1)) >>> 0;
};

/** One pixel per cell, enlarged once without smoothing: a rectangle per cell is ten times slower. */
function paintValues(context: CanvasRenderingContext2D, grid: Layout, { states, colours }: Drawing): void {
  const small = new OffscreenCanvas(grid.cols, grid.rows);
  const smallContext = small.getContext('2d');
  if (!smallContext) return;
  const image = smallContext.createImageData(grid.cols, grid.rows);
  const pixels = new Uint32Array(image.data.buffer);
  const table = colours.map(packed);
  states.forEach((state, index) => {
    if (state.kind === 'value') pixels[index] = table[state.index];
  });
  smallContext.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, grid.x, grid.y, grid.cell * grid.cols, grid.rowHeight * grid.rows);
  if (grid.gap === 0) return;
  for (let col = 1; col <= grid.cols; col++) context.clearRect(grid.x + col * grid.cell - 1, grid.y, 1, grid.rowHeight * grid.rows);
  for (let row = 1; row <= grid.rows; row++) context.clearRect(grid.x, grid.y + row * grid.rowHeight - 1, grid.cell * grid.cols, 1);
}

/** Never routed: an empty frame crossed once. Too rare: a dot. */
function paintMarks(context: CanvasRenderingContext2D, grid: Layout, { states, diverging }: Drawing, ink: Ink): void {
  context.lineWidth = 1;
  states.forEach((state, index) => {
    const box = rectangleOf(grid, { row: Math.floor(index / grid.cols), col: index % grid.cols });
    const middleX = box.x + (box.width >> 1);
    const middleY = box.y + (box.height >> 1);
    if (state.kind === 'never') {
      context.strokeStyle = ink.soft;
      context.strokeRect(box.x + 0.5, box.y + 0.5, box.width - 1, box.height - 1);
      context.beginPath();
      context.moveTo(box.x + 1, box.y + box.height - 1);
      context.lineTo(box.x + box.width - 1, box.y + 1);
      context.stroke();
    } else if (state.kind === 'rare') {
      context.fillStyle = ink.soft;
      context.fillRect(middleX, middleY, 1, 1);
    } else if (state.kind === 'value' && diverging && grid.cell >= 9 && (state.index <= 8 || state.index >= 24)) {
      // The sign without colour, once past 4 times.
      context.fillStyle = ink.background;
      context.fillRect(middleX - 2, middleY, 5, 1);
      if (state.index >= 24) context.fillRect(middleX, middleY - 2, 1, 5);
    }
  });
}

function paintLabels(context: CanvasRenderingContext2D, grid: Layout, { target, rowText, columnText }: Drawing, ink: Ink): void {
  context.font = `11px ${ink.font}`;
  context.textBaseline = 'middle';
  context.textAlign = 'right';
  for (const row of labelledRows(grid, target?.row ?? null)) {
    context.fillStyle = row === target?.row ? ink.foreground : ink.dim;
    context.fillText(rowText(row), grid.x - 12, grid.y + row * grid.rowHeight + grid.rowHeight / 2);
  }
  context.textAlign = 'center';
  for (const col of labelledColumns(grid, target?.col ?? null)) {
    context.fillStyle = col === target?.col ? ink.foreground : ink.dim;
    context.fillText(columnText(col), grid.x + col * grid.cell + (grid.cell - grid.gap) / 2, grid.y - 9);
  }
}

/** From this width on, the strip has room for the target's value and longer titles. */
const roomyStrip = 120;

/** Per row a bar, the best affinity of the layer on one linear scale, and a number, the experts that carry half of its slots. */
function paintStrip(context: CanvasRenderingContext2D, grid: Layout, { strip, target }: Drawing, ink: Ink): void {
  if (!strip || grid.stripWidth === 0) return;
  const isRoomy = grid.stripWidth >= roomyStrip;
  const right = grid.stripX + grid.stripWidth;
  const barWidth = grid.stripWidth - (isRoomy ? 62 : 26);
  const labelled = new Set(labelledRows(grid, target?.row ?? null));
  const write = (text: string, x: number, y: number, align: CanvasTextAlign) => {
    context.textAlign = align;
    context.fillText(text, x, y);
  };
  context.fillStyle = ink.dim;
  write(isRoomy ? t('best affinity') : t('best · ½'), grid.stripX, grid.y - 9, 'left');
  if (isRoomy) write(t('½ of tokens'), right, grid.y - 9, 'right');
  for (let row = 0; row < grid.rows; row++) {
    const isTarget = row === target?.row;
    const y = grid.y + row * grid.rowHeight + (grid.rowHeight >> 1) - 3;
    context.fillStyle = ink.line;
    context.fillRect(grid.stripX, y + 5, barWidth, 1);
    context.fillStyle = isTarget ? ink.foreground : ink.bar;
    context.fillRect(grid.stripX, y, Math.round((barWidth * strip.best[row]) / strip.scale), 6);
    if (!labelled.has(row)) continue;
    context.fillStyle = isTarget ? ink.foreground : ink.dim;
    write(String(strip.half[row]), right, y + 3.5, 'right');
    if (isTarget && isRoomy) write(fraction(strip.best[row]), grid.stripX + barWidth + 5, y + 3.5, 'left');
  }
}

export function paintCells(context: CanvasRenderingContext2D, grid: Layout, drawing: Drawing, ink: Ink): void {
  context.clearRect(0, 0, grid.width, grid.height);
  paintValues(context, grid, drawing);
  paintMarks(context, grid, drawing, ink);
  paintLabels(context, grid, drawing, ink);
  paintStrip(context, grid, drawing, ink);
}

function ring(context: CanvasRenderingContext2D, grid: Layout, cell: Cell, colour: string, width: number, outside: number, dash: readonly number[]): void {
  const box = rectangleOf(grid, cell);
  context.setLineDash([...dash]);
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.strokeRect(box.x - outside, box.y - outside, box.width + 2 * outside, box.height + 2 * outside);
  context.setLineDash([]);
}

function paintCross(context: CanvasRenderingContext2D, grid: Layout, { row, col }: Cell, colour: string): void {
  context.fillStyle = colour;
  for (const edge of [row, row + 1]) context.fillRect(grid.x, grid.y + edge * grid.rowHeight - 1, grid.cell * grid.cols, 1);
  for (const edge of [col, col + 1]) context.fillRect(grid.x + edge * grid.cell - 1, grid.y, 1, grid.rowHeight * grid.rows);
}

/** The layer above the cells: crosshair, target ring, cursor (dashed for the pointer, solid for the keyboard). */
export function paintOverlay(context: CanvasRenderingContext2D, grid: Layout, target: Cell | null, cursor: Cell | null, byPointer: boolean, ink: Ink): void {
  context.clearRect(0, 0, grid.width, grid.height);
  if (cursor) paintCross(context, grid, cursor, ink.cross);
  if (target) {
    ring(context, grid, target, ink.background, 1.5, 1.25, []);
    ring(context, grid, target, ink.foreground, 2, 3, []);
    const y = grid.y + target.row * grid.rowHeight + grid.rowHeight / 2 - 0.5;
    context.fillStyle = ink.foreground;
    context.beginPath();
    context.moveTo(grid.x - 5, y);
    context.lineTo(grid.x - 10, y - 4);
    context.lineTo(grid.x - 10, y + 4);
    context.fill();
  }
  if (cursor) {
    ring(context, grid, cursor, ink.background, 3, 1.5, []);
    ring(context, grid, cursor, ink.focus, 2, 1.5, byPointer ? [3, 2] : []);
  }
}
