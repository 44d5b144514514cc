/** The heatmap as a file: its numbers as rows, its cells as SVG. Pure. */
import { expertName } from '../../src/protocol/numbers';
import type { HeatmapFigures } from '../../src/protocol/workbench';
import { labelledColumns, labelledRows, layout, rectangleOf } from './layout';
import { type SheetInput, sheetOf } from './sheet';

/** A row per expert, titles first, numbers in full precision. */
export function heatmapRows(figures: HeatmapFigures): readonly (readonly (string | number | null)[])[] {
  const titles = ['layer', 'expert', 'affinity', 'times equal share', 'token share', 'retain share', 'slots', 'rank in layer', 'rank'];
  const rows = Array.from(figures.affinity, (affinity, index) => [
    figures.layers[Math.floor(index / figures.experts)],
    index % figures.experts,
    affinity,
    figures.timesEqual[index],
    figures.share[index],
    figures.retainShare ? figures.retainShare[index] : null,
    figures.slots[index],
    figures.rankInLayer[index],
    figures.rank[index],
  ]);
  return [titles, ...rows];
}

export interface HeatmapPicture extends Omit<SheetInput, 'effects'> {
  readonly effects?: SheetInput['effects'];
  readonly width: number;
  /** 33 colours. */
  readonly colours: readonly string[];
  readonly ink: { readonly foreground: string; readonly background: string; readonly soft: string };
}

const element = (name: string, attributes: Readonly<Record<string, string | number>>, text = '') =>
  `<${name}${Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${value}"`)
    .join('')}>${text}</${name}>`;

export function heatmapSvg({ effects = null, width, colours, ink, ...shown }: HeatmapPicture): string {
  const { target } = shown;
  const { rows, cols, states, target: targetCell, rowText, columnText } = sheetOf({ ...shown, effects });
  const grid = layout({ rows, cols, width });
  const cells = states.map((state, at) => {
    const { x, y, width: w, height: h } = rectangleOf(grid, { row: Math.floor(at / grid.cols), col: at % grid.cols });
    if (state.kind === 'value') return element('rect', { x, y, width: w, height: h, fill: colours[state.index] });
    if (state.kind === 'never')
      return element('path', {
        d: `M${x + 0.5} ${y + 0.5}h${w - 1}v${h - 1}h${1 - w}zM${x + 1} ${y + h - 1}L${x + w - 1} ${y + 1}`,
        fill: 'none',
        stroke: ink.soft,
      });
    if (state.kind === 'fixed') return '';
    return element('rect', { x: x + (w >> 1), y: y + (h >> 1), width: 1, height: 1, fill: ink.soft });
  });
  const label = (x: number, y: number, anchor: string, text: string) => element('text', { x, y, 'text-anchor': anchor, fill: ink.foreground }, text);
  const rowLabels = labelledRows(grid, targetCell?.row ?? null).map((row) =>
    label(grid.x - 12, grid.y + row * grid.rowHeight + grid.rowHeight / 2 + 4, 'end', rowText(row)),
  );
  const columnLabels = labelledColumns(grid, targetCell?.col ?? null).map((col) =>
    label(grid.x + col * grid.cell + (grid.cell - grid.gap) / 2, grid.y - 5, 'middle', columnText(col)),
  );
  const box = targetCell && rectangleOf(grid, targetCell);
  const ring = box
    ? element(
        'rect',
        { x: box.x - 3, y: box.y - 3, width: box.width + 6, height: box.height + 6, fill: 'none', stroke: ink.foreground, 'stroke-width': 2 },
        element('title', {}, expertName(target ?? { layer: 0, expert: 0 })),
      )
    : '';
  const size = { width: grid.width, height: grid.height };
  const ground = element('rect', { ...size, fill: ink.background });
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    ...size,
    viewBox: `0 0 ${grid.width} ${grid.height}`,
    'font-family': 'sans-serif',
    'font-size': 11,
  };
  return element('svg', attributes, [ground, ...cells, ...rowLabels, ...columnLabels, ring].join(''));
}
