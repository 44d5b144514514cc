/** How few experts carry the prompts: forget solid, retain dashed, equal use thin and dashed, a dot where half is reached. */
import { html, svg, type TemplateResult } from 'lit';
import { percent } from '../../src/protocol/numbers';
import { t } from '../text';
import { type ConcentrationInput, concentrationLayout } from './concentration-layout';

export function concentrationChart(input: ConcentrationInput & { readonly label: string }): TemplateResult {
  const figure = concentrationLayout(input);
  const { half, left, right, bottom } = figure;
  return html`<svg class="chart concentration" width=${input.width} height=${input.height} viewBox="0 0 ${input.width} ${input.height}" role="img" aria-label=${input.label}>
    ${figure.yTicks.map(
      ({ value, y }) => svg`
        <line class="gridline" x1=${left} x2=${right} y1=${y} y2=${y}></line>
        <text x=${left - 6} y=${y + 4} text-anchor="end">${percent(value, 0)}</text>`,
    )}
    ${figure.xTicks.map(({ value, x, anchor }) => svg`<text x=${x} y=${bottom + 14} text-anchor=${anchor}>${value}</text>`)}
    <text x=${(left + right) / 2} y=${bottom + 28} text-anchor="middle">${t('experts, most used first')}</text>
    <path class="line equal" d=${figure.equal}></path>
    ${figure.retain === null ? '' : svg`<path class="line retain" d=${figure.retain}></path>`}
    <path class="line forget" d=${figure.forget}></path>
    <line class="step-mark" x1=${half.x} x2=${half.x} y1=${half.y} y2=${bottom}></line>
    <circle class="end forget" cx=${half.x} cy=${half.y} r="4"></circle>
    <text class="note" x=${half.textX} y=${bottom - 5} text-anchor=${half.anchor}>${input.half === 1 ? t('{0} expert', input.half) : t('{0} experts', input.half)}</text>
  </svg>`;
}
