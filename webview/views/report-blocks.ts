/** The rest of a report: headings, tables, curves, a command to copy. */
import { html, nothing, type TemplateResult } from 'lit';
import { setting } from '../../src/protocol/numbers';
import type { Block, Figure } from '../../src/protocol/report-page';
import { lineChart } from '../charts/line-chart';
import { t } from '../text';
import { wide } from './context';

const finite = ({ series }: Figure) => series.flatMap(({ points }) => points.flatMap(([, value]) => (value !== null && Number.isFinite(value) ? [value] : [])));

/** The ends of the data, a little apart where they are equal. */
function domainOf(figure: Figure): readonly [number, number] {
  if (figure.domain) return figure.domain;
  const values = finite(figure);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

function words({ name, points }: Figure['series'][number]): string {
  const known = points.filter(([, value]) => value !== null && Number.isFinite(value));
  const [first, last] = [known.at(0), known.at(-1)];
  return first && last
    ? t('{0}: {1} at step {2}, {3} at step {4}.', name, Number(first[1]).toPrecision(3), first[0], Number(last[1]).toPrecision(3), last[0])
    : t('{0}: no values.', name);
}

function curve(figure: Figure, width: number): TemplateResult {
  const { title, series } = figure;
  const names = html`<figcaption><span>${title}</span><span class="keys">${series.length > 1 ? series.map(({ name, kind }) => html`<span class="report-key ${kind}">${name}</span>`) : nothing}</span></figcaption>`;
  if (finite(figure).length === 0) return html`<figure>${names}<p class="dim">${t('no values')}</p></figure>`;
  return html`<figure>${names}${lineChart({
    width,
    height: 150,
    lastStep: Math.max(...series.flatMap(({ points }) => points.map(([step]) => step))),
    domain: domainOf(figure),
    series: series.map(({ kind, points }) => ({ name: kind, points: points.map(([step, value]) => [step, value ?? Number.NaN] as const) })),
    marks: [],
    format: (value) => setting(Number(value.toPrecision(3))),
    label: `${title}. ${series.map(words).join(' ')}`,
  })}</figure>`;
}

/** The frame takes the keyboard, so that a wide table can be scrolled with it. */
function table({ caption, columns, rows }: Extract<Block, { kind: 'table' }>): TemplateResult {
  const className = (index: number) => (columns[index].align === 'right' ? 'number' : '');
  return html`<div class="scroll report-table" role="region" tabindex="0" aria-label=${caption}>
    <table>
      <caption>${caption}</caption>
      <thead><tr>${columns.map(({ title }, index) => html`<th scope="col" class=${className(index)}>${title}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr>${row.map(({ text }, index) => (index === 0 ? html`<th scope="row" class=${className(index)}>${text}</th>` : html`<td class=${className(index)}>${text}</td>`))}</tr>`)}</tbody>
    </table>
  </div>`;
}

function block(one: Block, width: number): TemplateResult {
  switch (one.kind) {
    case 'heading':
      return html`<h2 class="part-title">${one.text}</h2>`;
    case 'paragraph':
      return html`<p>${one.strong ? html`<b>${one.text}</b>` : one.text}</p>`;
    case 'list':
      return html`<ul class="sentences">${one.items.map((item) => html`<li>${item}</li>`)}</ul>`;
    case 'table':
      return table(one);
    case 'command':
      return html`<pre class="report-command"><code>${one.text}</code></pre>`;
    case 'figures':
      return html`<div class="charts">${one.figures.map((figure) => curve(figure, width))}</div>`;
  }
}

export function reportBlocks(blocks: readonly Block[], width: number): TemplateResult {
  const inner = width >= wide ? width - 48 : width - 32;
  const chart = width >= 640 ? Math.floor((inner - 20) / 2) : inner;
  return html`<div class="report-blocks">${blocks.map((one) => block(one, chart))}</div>`;
}
