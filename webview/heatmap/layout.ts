/** Geometry of the heatmap in whole CSS pixels: pure, the same for drawing and hit-testing. */

export interface LayoutInput {
  readonly rows: number;
  readonly cols: number;
  /** Width there is, in CSS pixels. */
  readonly width: number;
  readonly labelWidth?: number;
  readonly stripWidth?: number;
  readonly top?: number;
  /** Height over width of a cell, where there are many rows. */
  readonly aspect?: number;
}

export interface Cell {
  readonly row: number;
  readonly col: number;
}

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Layout {
  readonly rows: number;
  readonly cols: number;
  readonly cell: number;
  readonly rowHeight: number;
  /** Empty pixels on the right and lower edge inside a cell. */
  readonly gap: number;
  readonly x: number;
  readonly y: number;
  readonly stripX: number;
  readonly stripWidth: number;
  readonly width: number;
  readonly height: number;
}

const smallest = 5;
const lowestRow = 8;
/** Up to this many rows, cells are square and may be larger. */
const fewRows = 8;
const distance = 12;

const clamp = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value));

/** Cells never shrink below 5 × 8 pixels: the grid then is wider than `width` and scrolls. */
export function layout({ rows, cols, width, labelWidth = 42, stripWidth = 0, top = 18, aspect = 1.25 }: LayoutInput): Layout {
  const few = rows <= fewRows;
  const largest = few ? 38 : 26;
  const cell = clamp(Math.floor((width - labelWidth - stripWidth - 2) / cols), smallest, largest);
  const rowHeight = clamp(Math.round(cell * (few ? 1 : aspect)), lowestRow, largest);
  const gridWidth = cell * cols;
  return {
    rows,
    cols,
    cell,
    rowHeight,
    gap: cell >= 9 ? 1 : 0,
    x: labelWidth,
    y: top,
    stripX: labelWidth + gridWidth + distance,
    stripWidth: Math.max(0, stripWidth - distance),
    width: labelWidth + gridWidth + (stripWidth > 0 ? stripWidth : 2),
    height: top + rowHeight * rows + 4,
  };
}

/** The cell under a point; the gap belongs to the cell at its left and top, so there are no dead pixels between cells. */
export function cellAt(grid: Layout, x: number, y: number): Cell | null {
  const col = Math.floor((x - grid.x) / grid.cell);
  const row = Math.floor((y - grid.y) / grid.rowHeight);
  return col >= 0 && col < grid.cols && row >= 0 && row < grid.rows ? { row, col } : null;
}

/** What is painted of a cell: without its gap. */
export const rectangleOf = (grid: Layout, { row, col }: Cell): Rectangle => ({
  x: grid.x + col * grid.cell,
  y: grid.y + row * grid.rowHeight,
  width: grid.cell - grid.gap,
  height: grid.rowHeight - grid.gap,
});

/** A row label every so many rows, so that labels are at least 12 pixels apart. */
export const rowLabelStep = (grid: Layout): number => Math.max(1, Math.ceil(12 / grid.rowHeight));

/** A column label every so many columns, at least 26 pixels apart. */
export const columnLabelStep = (grid: Layout): number => [1, 2, 4, 8, 16, 32].find((step) => step * grid.cell >= 26) ?? 32;

/** Rows that get a label: the target's always, and those it leaves room for. */
export function labelledRows(grid: Layout, target: number | null): readonly number[] {
  const step = rowLabelStep(grid);
  return Array.from({ length: grid.rows }, (_, row) => row).filter((row) => {
    if (row === target) return true;
    if (row % step !== 0) return false;
    return target === null || step === 1 || Math.abs(row - target) >= step;
  });
}

/** Columns that get a label: the target's always, and those at least 22 pixels from it. */
export function labelledColumns(grid: Layout, target: number | null): readonly number[] {
  const step = columnLabelStep(grid);
  return Array.from({ length: grid.cols }, (_, col) => col).filter((col) => {
    if (col === target) return true;
    if (col % step !== 0) return false;
    return target === null || Math.abs(col - target) * grid.cell >= 22;
  });
}

const pageRows = 5;

/** Where a key moves the cursor to; null for a key that is not the grid's. */
export function moved(grid: Pick<Layout, 'rows' | 'cols'>, { row, col }: Cell, key: string, withControl: boolean): Cell | null {
  const targets: Readonly<Record<string, Cell>> = {
    ArrowLeft: { row, col: col - 1 },
    ArrowRight: { row, col: col + 1 },
    ArrowUp: { row: row - 1, col },
    ArrowDown: { row: row + 1, col },
    Home: { row: withControl ? 0 : row, col: 0 },
    End: { row: withControl ? grid.rows - 1 : row, col: grid.cols - 1 },
    PageUp: { row: row - pageRows, col },
    PageDown: { row: row + pageRows, col },
  };
  const to = Object.hasOwn(targets, key) ? targets[key] : null;
  return to && { row: clamp(to.row, 0, grid.rows - 1), col: clamp(to.col, 0, grid.cols - 1) };
}
