/** Compare, Routing: where the same prompts go before and after, and what moved most. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import type { RoutingFigures } from '../../../src/protocol/comparison-view';
import { count, duration, expertName, fraction, percent, times } from '../../../src/protocol/numbers';
import type { CsvRow } from '../../charts/csv-text';
import { saveMenu } from '../../charts/save-menu';
import { type RampKind, ramp } from '../../heatmap/colour';
import { ui } from '../../ui';
import { type Content, card, facts, segments, verdict } from '../../ui/parts';
import { wide } from '../context';
import { type CompareContext, innerWidth, routingOf } from './context';
import { type Panel, panelReadout, panels, points, ratio } from './routing-cells';

const titles: Readonly<Record<Panel, string>> = { before: 'Before', after: 'After', difference: 'Difference, after ÷ before' };

/** Every cell of the three panels. */
function csvRows({ layers, experts, shareBefore, shareAfter, slotsBefore, slotsAfter }: RoutingFigures): readonly CsvRow[] {
  const rows: CsvRow[] = [['layer', 'expert', 'share_before', 'share_after', 'slots_before', 'slots_after']];
  shareBefore.forEach((before, index) => {
    rows.push([layers[Math.floor(index / experts)], index % experts, before, shareAfter[index], slotsBefore[index], slotsAfter[index]]);
  });
  return rows;
}

function legend(context: CompareContext, kind: RampKind, panel: Panel, ticks: readonly string[], unit: string): TemplateResult {
  const colours = ramp(context.theme, kind);
  const { never, rare, beyond } = context.panels.counts(panel);
  return html`<div class="legend">
    <div class="ramp" role="img" aria-label="Colour scale from ${ticks[0]} to ${ticks[ticks.length - 1]}">
      <svg width="220" height="10">${colours.map((colour, index) => svg`<rect x=${(index * 220) / colours.length} width=${220 / colours.length + 0.5} height="10" fill=${colour}></rect>`)}</svg>
      <div class="ticks">${ticks.map((text) => html`<span>${text}</span>`)}</div>
    </div>
    <span>${unit}</span>
    ${kind === 'magnitude' ? html`<span class="key"><b class="swatch never"></b>never routed ${never}</span>` : html`<span class="key"><b class="swatch rare"></b>too rare to compare ${rare}</span>`}
    <span class="key"><b class="swatch target"></b>target</span>
    <span class="key">${beyond} beyond the scale</span>
  </div>`;
}

function readout(figures: RoutingFigures, cursor: number | null): TemplateResult {
  if (cursor === null) return html`<div class="readout"></div>`;
  const id = { layer: figures.layers[Math.floor(cursor / figures.experts)], expert: cursor % figures.experts };
  return html`<div class="readout"><b>${expertName(id)}</b>${panelReadout(figures, cursor).map(([name, value]) => html`<span><small class="readout-name">${name}</small>${value}</span>`)}</div>`;
}

function heatmaps(context: CompareContext, figures: RoutingFigures): TemplateResult {
  const { comparison, memory, remember, send, width, theme, themeId, isReadOnly } = context;
  const isWide = width >= wide;
  const inner = innerWidth(width) - 30;
  context.panels.update({
    figures,
    order: memory.order,
    theme,
    themeId,
    width: isWide ? Math.floor((inner - 40) / 3) : inner,
    aspect: isWide ? 1.9 : 1.25,
  });
  const overlap = comparison.routing.filter(([name]) => name.startsWith('Routing overlap')).map(([, , after]) => after);
  const words = overlap.length === 2 ? html`<small>overlap ${fraction(overlap[0])} forget, ${fraction(overlap[1])} retain</small>` : nothing;
  return card(
    {
      title: `Routing of ${figures.prompts} prompts`,
      help: `Token share by layer and expert on ${count(figures.sequences)} sequences, ${count(figures.tokens)} tokens. All three panels have the same order and cursor. The difference has its own scale, 0.40× to 2.5×. Overlap falls in a good run, because forget tokens are pulled to the target; the sign of dodging is a falling target share. Source: an attribution pass over the run’s own prompts, before and after (${duration(figures.seconds)}).`,
      right: html`${words}${comparison.routingVerdict ? verdict(comparison.routingVerdict.kind, comparison.routingVerdict.text) : nothing}`,
    },
    html`<div class="bar">
      ${
        isReadOnly
          ? nothing
          : segments({
              label: 'Prompts',
              value: figures.prompts,
              options: [
                { value: 'forget' as const, label: 'Forget prompts', tip: 'Where the prompts to forget go' },
                { value: 'retain' as const, label: 'Retain text', tip: 'Where what should stay goes' },
              ],
              onChange: (prompts) => send({ type: 'readRouting', prompts }),
            })
      }
      ${segments({
        label: 'Column order',
        value: memory.order,
        options: [
          { value: 'number', label: 'By number', tip: 'Expert 0 first' },
          { value: 'rank', label: 'By rank in layer', tip: 'Highest affinity before first' },
        ],
        onChange: (order) => remember({ order }),
      })}
    </div>`,
    html`<div class="triple">${panels.map(
      (panel) => html`<div>
        <header><h3>${titles[panel]}</h3>${saveMenu({ name: `Run ${comparison.number} routing ${panel}`, rows: () => csvRows(figures), svg: () => context.panels.svg(panel) }, send, isReadOnly)}</header>
        <div class="scroll">${context.panels.elements[panel]}</div>
      </div>`,
    )}</div>`,
    readout(figures, context.cursor),
    html`<div class="legends">
      ${legend(context, 'magnitude', 'after', ['1/16×', '1/4×', '1×', '4×', '16×'], `against an equal share (1/${figures.experts})`)}
      ${legend(context, 'difference', 'difference', ['0.40×', '0.63×', '1×', '1.6×', '2.5×'], 'after ÷ before')}
    </div>`,
  );
}

function movers({ movers: rows, target, topK, tokens }: RoutingFigures): TemplateResult {
  const number = (title: string, width: string) => ({ title, width, isNumber: true });
  const isTarget = (layer: number, expert: number) => target.some((id) => id.layer === layer && id.expert === expert);
  return card(
    {
      title: 'Biggest movers',
      help: `Largest change of token share, in percentage points. A layer has ${count(topK * tokens)} slots: ${topK} for each of ${count(tokens)} tokens. Layers above the target may move because their inputs change; layers below cannot move.`,
    },
    html`<div class="medium">${ui.table({
      label: 'Biggest movers',
      minWidth: 520,
      columns: [
        { title: 'Expert', width: '1fr' },
        number('Before', '76px'),
        number('After', '76px'),
        number('Change', '86px'),
        number('Ratio', '76px'),
        number('Slots moved', '90px'),
      ],
      rows: rows.map((row) => ({
        selected: isTarget(row.layer, row.expert),
        cells: [
          `${expertName(row)}${isTarget(row.layer, row.expert) ? ' · target' : ''}`,
          percent(row.before),
          percent(row.after),
          points(row.after - row.before),
          times(ratio(row.before, row.after)),
          count(Math.abs(row.slotsAfter - row.slotsBefore)),
        ],
      })),
    })}</div>`,
  );
}

/** Overlap and target share of the run's own evaluation. */
export function routingFacts({ comparison: { routing } }: CompareContext): Content {
  if (routing.length === 0) return nothing;
  return card(
    {
      title: 'Overlap and target share',
      help: 'Overlap: share of each token’s chosen experts that the original also chose, on at most 128 rows of each set. Source: evaluation.json of the run folder.',
    },
    facts(routing.map(([name, before, after]) => [name, `${fraction(before)} → ${fraction(after)}`] as const)),
  );
}

export function routingTab(context: CompareContext): TemplateResult {
  const { comparison, isBusy, isReadOnly, send } = context;
  const figures = routingOf(context);
  if (!figures) {
    const text = isReadOnly
      ? 'The routing was not read for this report.'
      : `Reads the run’s own forget prompts twice, on ${comparison.before.run === null ? 'the original' : comparison.before.label} and after run ${comparison.number}, and shows where their tokens go.`;
    return html`<div class="empty-tab"><p>${text}</p>${isReadOnly ? nothing : ui.button({ label: 'Read routing', icon: 'play', primary: true, disabled: isBusy, onClick: () => send({ type: 'readRouting', prompts: 'forget' }) })}</div>${routingFacts(context)}`;
  }
  return html`${heatmaps(context, figures)} ${movers(figures)} ${routingFacts(context)}`;
}
