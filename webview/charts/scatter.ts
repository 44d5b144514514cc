/** Utility against forgetting: shape is the method, the number is the run, filled is on the Pareto front, ringed is selected. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import type { RunTableRow } from '../../src/protocol/comparison-view';
import { fraction, percent } from '../../src/protocol/numbers';
import { plottable, type ScatterMark, scatterLayout, shapeOf } from '../../src/protocol/scatter-layout';
import { t } from '../text';

export interface Scatter {
  readonly width: number;
  readonly height: number;
  readonly rows: readonly RunTableRow[];
  /** Utility of the original. */
  readonly original: number | null;
  readonly selected: string;
  readonly onPick: (run: string) => void;
}

function mark({ id, method, x, y, onFront, label }: ScatterMark, { selected, onPick }: Scatter) {
  return svg`
    <g class="run-mark ${onFront ? 'on-front' : ''}" transform="translate(${x} ${y})" @click=${() => onPick(id)}>
      ${id === selected ? svg`<circle class="ring" r="13"></circle>` : nothing}
      <path d=${shapeOf(method)}></path>
    </g>
    <text class="label" x=${label.x} y=${label.y} text-anchor=${label.anchor}>${label.text}</text>`;
}

export function scatter(input: Scatter): TemplateResult {
  const { width, height, rows, original } = input;
  const { left, right, top, bottom, xTicks, yTicks, marks, front, original: originalY, chance } = scatterLayout(width, height, rows, original, input.selected);
  const onFront = plottable(rows).filter((row) => row.onFront);
  const names = onFront.map(({ run }) => t('run {0}', run)).join(', ') || t('none');
  const words = t('Utility against forgetting for {0} runs. Pareto front: {1}.', marks.length, names);
  const upper = top + (bottom - top) / 4;
  return html`<svg class="chart scatter" width=${width} height=${height} viewBox="0 0 ${width} ${height}" role="img" aria-label=${words}>
    ${xTicks.map(({ value, x }) => svg`<line class="gridline" x1=${x} x2=${x} y1=${top} y2=${bottom}></line><text x=${x} y=${bottom + 15} text-anchor="middle">${percent(value, 0)}</text>`)}
    ${yTicks.map(({ value, y }) => svg`<line class="gridline" x1=${left} x2=${right} y1=${y} y2=${y}></line><text x=${left - 6} y=${y + 4} text-anchor="end">${fraction(value)}</text>`)}
    <text x=${(left + right) / 2} y=${height - 6} text-anchor="middle">${t('forgotten: share of the way from original to chance →')}</text>
    <text transform="rotate(-90 12 ${upper})" x="12" y=${upper} text-anchor="middle">${t('utility →')}</text>
    ${originalY === null ? nothing : svg`<line class="limit" x1=${left} x2=${right} y1=${originalY} y2=${originalY}></line><text x=${(left + right) / 2} y=${originalY + 14} text-anchor="middle">${t('original {0}', fraction(original))}</text>`}
    <line class="limit" x1=${chance} x2=${chance} y1=${top} y2=${bottom}></line>
    <text x=${chance + 4} y=${bottom - 6}>${t('chance')}</text>
    <path class="front" d=${front}></path>
    ${marks.map((one) => mark(one, input))}
  </svg>`;
}
