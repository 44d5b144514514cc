/** A line chart as SVG at its own pixel width; text is never scaled. */
import { html, type SVGTemplateResult, svg, type TemplateResult } from 'lit';
import { t } from '../text';
import { type LineInput, lineLayout } from './line-layout';

export interface LineChart extends LineInput {
  /** A full sentence: what a reader would say. */
  readonly label: string;
  readonly format: (value: number) => string;
}

function axes({ format }: LineChart, { yTicks, xTicks, left, right, bottom }: ReturnType<typeof lineLayout>): SVGTemplateResult {
  return svg`
    ${yTicks.map(
      ({ value, y }) => svg`
        <line class="gridline" x1=${left} x2=${right} y1=${y} y2=${y}></line>
        <text x=${left - 6} y=${y + 4} text-anchor="end">${format(value)}</text>`,
    )}
    ${xTicks.map(({ value, x, anchor }) => svg`<text x=${x} y=${bottom + 15} text-anchor=${anchor}>${anchor === 'end' ? t('step {0}', value) : value}</text>`)}`;
}

export function lineChart(chart: LineChart): TemplateResult {
  const figure = lineLayout(chart);
  return html`<svg class="chart" width=${chart.width} height=${chart.height} viewBox="0 0 ${chart.width} ${chart.height}" role="img" aria-label=${chart.label}>
    ${axes(chart, figure)}
    ${figure.limits.map(
      (limit) => svg`
        <line class="limit" x1=${figure.left} x2=${figure.right} y1=${limit.y} y2=${limit.y}></line>
        <text class="note" x=${figure.left + 4} y=${limit.textY}>${limit.text}</text>`,
    )}
    ${figure.marks.map(
      (mark) => svg`
        <line class="step-mark" x1=${mark.x} x2=${mark.x} y1=${figure.top} y2=${figure.bottom}></line>
        <text class="note" x=${mark.textX} y=${figure.top + 9} text-anchor=${mark.anchor}>${mark.text}</text>`,
    )}
    ${figure.lines.map(
      ({ name, path, end }) => svg`
        <path class="line ${name}" d=${path}></path>
        ${end ? svg`<circle class="end ${name}" cx=${end[0]} cy=${end[1]} r="3"></circle>` : ''}`,
    )}
  </svg>`;
}
