/** Routing by layer and expert: measure, order, the cells, what is under the cursor, the scale, and the same numbers as a table. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import { guard } from 'lit/directives/guard.js';
import { count, expertName, fraction, percent, times } from '../../src/protocol/numbers';
import type { EffectFigures, HeatmapFigures } from '../../src/protocol/workbench';
import { saveMenu } from '../charts/save-menu';
import { cellState, columnExperts, layerSlots, type Measure, type Order, rampKind, readout } from '../heatmap/cells';
import { ramp, type Theme } from '../heatmap/colour';
import { componentName, effectCells, effectColumnText, effectReadout, effectRows, effectState, points, widthOf } from '../heatmap/effects';
import { heatmapRows, heatmapSvg } from '../heatmap/figure';
import { inkOf } from '../heatmap/heatmap';
import { showsEffects } from '../heatmap/sheet';
import { t } from '../text';
import { card, segments } from '../ui/parts';
import type { ViewContext } from './context';
import { dataTable, tableButton } from './data-table';
import { effectsOffer } from './effects-card';

const measures: readonly { readonly value: Measure; readonly label: string; readonly tip: string }[] = [
  { value: 'affinity', label: t('Affinity'), tip: t('Mean router score of the expert where it was chosen (Eq. 2). This picks the target.') },
  { value: 'share', label: t('Token share'), tip: t('How often the expert is among the chosen ones') },
  { value: 'difference', label: t('Forget ÷ retain'), tip: t('Token share on forget prompts over token share on the retain set') },
  {
    value: 'effect',
    label: t('Effect'),
    tip: t('Points of the score lost when the component is left out: what the answers need, not what the router chooses'),
  },
];

function legend(
  theme: Theme,
  measure: Measure,
  { experts, normalised }: HeatmapFigures,
  { never, rare, beyond }: ViewContext['heatmapCounts'],
): TemplateResult {
  const colours = ramp(theme, rampKind(measure));
  const isNormalised = normalised && measure === 'affinity';
  const against = isNormalised ? t('against an equal share (1/{0}), g normalised per token', experts) : t('against an equal share (1/{0})', experts);
  return html`<div class="legend">
    <div class="ramp" role="img" aria-label=${t('Colour scale from 1/16 to 16 times')}>
      <svg width="220" height="10">${colours.map((colour, index) => svg`<rect x=${(index * 220) / colours.length} width=${220 / colours.length + 0.5} height="10" fill=${colour}></rect>`)}</svg>
      <div class="ticks">${['1/16×', '1/4×', '1×', '4×', '16×'].map((text) => html`<span>${text}</span>`)}</div>
    </div>
    <span>${measure === 'difference' ? t('forget ÷ retain') : against}</span>
    ${measure === 'difference' ? html`<span class="key"><b class="swatch rare"></b>${t('too rare to compare {0}', rare)}</span>` : html`<span class="key"><b class="swatch never"></b>${t('never routed {0}', never)}</span>`}
    <span class="key"><b class="swatch target"></b>${t('target')}</span>
    <span class="key">${t('{0} beyond the scale', beyond)}</span>
  </div>`;
}

/** Columns A (attention) and S (shared experts or dense block) stand before the experts; the scale never follows the data. */
function effectLegend(theme: Theme, figures: EffectFigures, { never, beyond }: ViewContext['heatmapCounts']): TemplateResult {
  const colours = ramp(theme, 'difference');
  const hasDense = figures.second.includes('dense');
  return html`<div class="legend">
    <div class="ramp" role="img" aria-label=${t('Colour scale from −64 to +64 points of the score')}>
      <svg width="220" height="10">${colours.map((colour, index) => svg`<rect x=${(index * 220) / colours.length} width=${220 / colours.length + 0.5} height="10" fill=${colour}></rect>`)}</svg>
      <div class="ticks">${['−64', '−4', '0', '+4', '+64'].map((text) => html`<span>${text}</span>`)}</div>
    </div>
    <span>${t('points lost on forget when left out')}</span>
    <span>${hasDense ? t('A attention, S shared or dense') : t('A attention, S shared experts')}</span>
    <span class="key"><b class="swatch never"></b>${t('no row uses it {0}', never)}</span>
    <span class="key"><b class="swatch target"></b>${t('target')}</span>
    <span class="key">${t('{0} beyond the scale', beyond)}</span>
  </div>`;
}

/** The effect map as a table: a row a layer. */
function effectTable(effects: EffectFigures, figures: HeatmapFigures, order: Order): TemplateResult {
  const cols = widthOf(effects);
  const places = effectCells(effects, figures, order);
  return dataTable({
    label: t('The heatmap as a table'),
    columns: [
      t('Layer'),
      ...Array.from({ length: cols }, (_, col) => (col < 2 || order === 'rank' ? effectColumnText(col, order) : `E${effectColumnText(col, order)}`)),
    ],
    rows: effects.layers.map((layer, row) => ({
      name: `L${layer}`,
      cells: Array.from(places.subarray(row * cols, (row + 1) * cols), (index, col) => {
        const text = effectState(effects, index).kind === 'fixed' ? '' : points(effects.score[index]);
        return order === 'rank' && col >= 2 && text ? `E${(index % cols) - 2} ${text}` : text;
      }),
    })),
  });
}

function cellReadout(figures: HeatmapFigures, index: number, measure: Measure): TemplateResult | readonly TemplateResult[] {
  if (figures.slots[index] === 0 && measure !== 'difference')
    return html`<span class="whole">${t('never routed: 0 of {0} slots on these prompts', count(layerSlots(figures, index)))}</span>`;
  if (measure === 'difference' && cellState(figures, measure, index).kind === 'rare') return html`<span class="whole">${t('too rare to compare')}</span>`;
  return readout(figures, index, measure).map(([name, value]) => html`<span><small class="readout-name">${name}</small>${value}</span>`);
}

function readoutLine({ figures, effects, cursor, memory }: ViewContext): TemplateResult {
  if (!figures || cursor === null) return html`<div class="readout"></div>`;
  if (effects && memory.measure === 'effect') {
    const row = Math.floor(cursor / widthOf(effects));
    const col = cursor % widthOf(effects);
    const kind = col === 0 ? 'attention' : col === 1 ? effects.second[row] : 'expert';
    if (kind === null || effects.layers[row] === undefined) return html`<div class="readout"></div>`;
    const values = effectReadout(effects, cursor).map(([name, value]) => html`<span><small class="readout-name">${name}</small>${value}</span>`);
    return html`<div class="readout"><b>${componentName(kind, effects.layers[row], col - 2)}</b> ${values}</div>`;
  }
  const id = { layer: figures.layers[Math.floor(cursor / figures.experts)], expert: cursor % figures.experts };
  return html`<div class="readout"><b>${expertName(id)}</b> ${cellReadout(figures, cursor, memory.measure)}</div>`;
}

/** What a cell of the table says: the measure's own number. */
function cellText(figures: HeatmapFigures, measure: Measure, index: number): string {
  if (measure === 'affinity') return fraction(figures.affinity[index]);
  if (measure === 'share') return percent(figures.share[index]);
  const retain = figures.retainShare?.[index] ?? 0;
  return cellState(figures, measure, index).kind === 'rare' || retain === 0 ? '–' : times(figures.share[index] / retain);
}

/** A row a layer; its best affinity and how few experts carry half of its tokens at the end, as beside the cells. */
function table(figures: HeatmapFigures, measure: Measure, order: Order): TemplateResult {
  const columns = columnExperts(figures, order);
  const { experts, layers, best, half } = figures;
  return dataTable({
    label: t('The heatmap as a table'),
    columns: [
      t('Layer'),
      ...Array.from({ length: experts }, (_, col) => (order === 'rank' ? `#${col + 1}` : `E${col}`)),
      t('best affinity'),
      t('experts with half'),
    ],
    rows: layers.map((layer, row) => ({
      name: `L${layer}`,
      cells: [
        ...Array.from(columns.subarray(row * experts, (row + 1) * experts), (expert) => {
          const text = cellText(figures, measure, row * experts + expert);
          return order === 'rank' ? `E${expert} ${text}` : text;
        }),
        fraction(best[row]),
        count(half[row]),
      ],
    })),
  });
}

function tools(context: ViewContext): TemplateResult {
  const { state, figures, effects, memory, send, theme, width } = context;
  const { measure, order } = memory;
  const ofEffects = showsEffects({ measure, effects });
  return html`<span class="heat-tools">
    ${tableButton(context, t('Routing by layer and expert'))}
    ${
      figures
        ? saveMenu(
            {
              name: ofEffects ? 'Effect' : `Routing ${measure}`,
              rows: () => (ofEffects && effects ? effectRows(effects) : heatmapRows(figures)),
              svg: () =>
                heatmapSvg({
                  figures,
                  effects,
                  measure,
                  order,
                  target: state.target,
                  width: Math.min(width, 1400) - 62,
                  colours: ramp(theme, ofEffects ? 'difference' : rampKind(measure)),
                  ink: inkOf(),
                }),
            },
            send,
          )
        : nothing
    }
  </span>`;
}

export function heatmapCard(context: ViewContext, isOutOfDate: boolean): TemplateResult {
  const { figures, effects, memory, remember, theme, heatmap, heatmapCounts } = context;
  if (!figures) return html``;
  const hasRetain = figures.retainShare !== null;
  return card(
    {
      title: t('Routing by layer and expert'),
      className: 'heat',
      help: t(
        'Rows are MoE layers, columns are routed experts. Colour is log2 of the value against an equal share, always on the scale 1/16× to 16×, so two models or two runs can be compared by eye. The bars on the right show the best affinity of each layer, the numbers how many experts carry half of its tokens. Source: the attribution pass over the ticked prompts.',
      ),
      right: tools(context),
    },
    html`<div class="bar">
      ${segments({
        label: t('Measure'),
        value: memory.measure,
        options: measures.map((option) => ({
          ...option,
          disabled: option.value === 'difference' && !hasRetain,
          tip: option.value === 'difference' && !hasRetain ? t('Needs a retain set') : option.tip,
        })),
        onChange: (measure) => remember({ measure }),
      })}
      ${segments({
        label: t('Column order'),
        value: memory.order,
        options: [
          { value: 'number', label: t('By number'), tip: t('Expert 0 first') },
          { value: 'rank', label: t('By rank in layer'), tip: t('Highest affinity first; the same order is used in Compare') },
        ],
        onChange: (order) => remember({ order }),
      })}
    </div>`,
    memory.measure === 'effect' && !effects
      ? html`<div class="effects-offer">${effectsOffer(context)}</div>`
      : html`<div class="scroll heatmap-scroll ${isOutOfDate ? 'out-of-date' : ''}">${heatmap}</div>
          ${readoutLine(context)} ${effects && memory.measure === 'effect' ? effectLegend(theme, effects, heatmapCounts) : legend(theme, memory.measure, figures, heatmapCounts)}
          ${
            memory.asTable
              ? html`${guard([figures, effects, memory.measure, memory.order], () => (effects && memory.measure === 'effect' ? effectTable(effects, figures, memory.order) : table(figures, memory.measure, memory.order)))}`
              : nothing
          }`,
  );
}
