/** Utility against forgetting as a file of its own: black on white, each run its number, the shape its method, filled on the Pareto front. */
import type { RunTable } from '../protocol/comparison-view';
import { fraction, percent } from '../protocol/numbers';
import { plottable, scatterLayout, shapeOf } from '../protocol/scatter-layout';

const width = 640;
const height = 400;
const legendRow = 18;

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** `title`: one line. Null where no run has both figures. */
export function scatterSvg({ rows }: Pick<RunTable, 'rows'>, title: string): string | null {
  const runs = plottable(rows);
  if (runs.length === 0) return null;
  const original = runs[0].before.utility;
  const { left, right, top, bottom, xTicks, yTicks, marks, front, original: originalY, chance } = scatterLayout(width, height, rows, original);
  const methods = [...new Set(runs.map(({ method }) => method))].sort();
  const text = (x: number, y: number, words: string, more = ''): string => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${more}>${escaped(words)}</text>`;
  const line = (x1: number, y1: number, x2: number, y2: number, kind: string): string =>
    `<line class="${kind}" x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}"/>`;
  const shape = (method: string, x: number, y: number, kind = 'mark'): string =>
    `<path class="${kind}" transform="translate(${x.toFixed(1)} ${y.toFixed(1)})" d="${shapeOf(method)}"/>`;
  const middle = ' text-anchor="middle"';
  const drawn = [
    ...xTicks.map(({ value, x }) => line(x, top, x, bottom, 'grid') + text(x, bottom + 15, percent(value, 0), middle)),
    ...yTicks.map(({ value, y }) => line(left, y, right, y, 'grid') + text(left - 6, y + 4, fraction(value), ' text-anchor="end"')),
    text((left + right) / 2, height - 6, 'forgotten: share of the way from original to chance →', middle),
    text(12, top + (bottom - top) / 4, 'utility →', ` transform="rotate(-90 12 ${(top + (bottom - top) / 4).toFixed(1)})"${middle}`),
    ...(originalY === null
      ? []
      : [line(left, originalY, right, originalY, 'limit'), text((left + right) / 2, originalY + 14, `original ${fraction(original)}`, middle)]),
    line(chance, top, chance, bottom, 'limit'),
    text(chance + 4, bottom - 6, 'chance'),
    `<path class="front" d="${front}"/>`,
    ...marks.map(
      ({ x, y, method, onFront, label }) =>
        shape(method, x, y, onFront ? 'mark on-front' : 'mark') + text(label.x, label.y, label.text, ` text-anchor="${label.anchor}"`),
    ),
    ...methods.map((method, i) => shape(method, left + 8, height + legendRow * (i + 0.5)) + text(left + 24, height + legendRow * (i + 0.5) + 4, method)),
  ];
  const whole = height + legendRow * methods.length + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${whole}" viewBox="0 0 ${width} ${whole}" role="img" font-family="sans-serif" font-size="12">
<title>${escaped(title)}</title>
<style>.grid{stroke:#ddd}.limit{stroke:#777;stroke-dasharray:4 3}.front{fill:none;stroke:#000;stroke-width:1.5}.mark{fill:#fff;stroke:#06c;stroke-width:2}.on-front{fill:#06c}</style>
<rect width="100%" height="100%" fill="#fff"/>
${drawn.join('\n')}
</svg>
`;
}
