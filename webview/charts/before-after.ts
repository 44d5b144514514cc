/** One score on a track from 0 to 1: hollow before, solid after with its 95 % interval, dashed line at chance. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import { t } from '../text';
import { type BeforeAfterInput, beforeAfterLayout } from './before-after-layout';

const axis = 24;
const height = 52;

export function beforeAfter(input: BeforeAfterInput & { readonly label: string; readonly series: 'forget' | 'retain' | 'anchor' }): TemplateResult {
  const { ticks, before, after, band, chance } = beforeAfterLayout(input);
  return html`<svg class="chart track ${input.series}" width=${input.width} height=${height} viewBox="0 0 ${input.width} ${height}" role="img" aria-label=${input.label}>
    <line class="gridline" x1=${ticks[0].x} x2=${ticks[4].x} y1=${axis + 0.5} y2=${axis + 0.5}></line>
    ${ticks.map(
      (tick) => svg`
        <line class="gridline" x1=${tick.x} x2=${tick.x} y1=${axis} y2=${axis + 5}></line>
        <text x=${tick.x} y=${axis + 22} text-anchor=${tick.anchor}>${tick.value}</text>`,
    )}
    ${
      chance === null
        ? nothing
        : svg`<line class="limit" x1=${chance.x} x2=${chance.x} y1="10" y2=${axis + 9}></line>
          <text x=${chance.x} y="8" text-anchor=${chance.anchor}>${t('chance {0}', input.chance?.toFixed(2) ?? '')}</text>`
    }
    <line class="moved" x1=${before} x2=${after} y1=${axis} y2=${axis}></line>
    ${band ? svg`<rect class="band" x=${band.x} y=${axis - 5} width=${band.width} height="10"></rect>` : nothing}
    <circle class="before" cx=${before} cy=${axis} r="5"></circle>
    <circle class="after" cx=${after} cy=${axis} r="5"></circle>
  </svg>`;
}
