/** Compare, Audits: does something bring the knowledge back? */
import { html, nothing, type TemplateResult } from 'lit';
import type { AuditView } from '../../../src/protocol/comparison-view';
import { duration, fraction } from '../../../src/protocol/numbers';
import { beforeAfter } from '../../charts/before-after';
import { saveMenu } from '../../charts/save-menu';
import { ui } from '../../ui';
import { banner, facts, verdict } from '../../ui/parts';
import { type CompareContext, cardChartWidth } from './context';

function audit(context: CompareContext, { id, title, asks, outcome, seconds, refusal }: AuditView, width: number): TemplateResult {
  const { comparison, isBusy, isReadOnly, send } = context;
  const run = (label: string) =>
    isReadOnly
      ? nothing
      : ui.button({ label, name: `${label}: ${title}`, icon: 'play', disabled: isBusy || refusal !== null, onClick: () => send({ type: 'audit', audit: id }) });
  if (!outcome) {
    return html`<section class="score audit" aria-label=${title}>
      <header><h2>${title}</h2></header>
      <p class="dim">${asks}</p>
      <p>${refusal ?? `Not run yet.${seconds === null ? '' : ` Takes about ${duration(seconds)}, as the run’s own evaluation did.`}`}</p>
      <div class="actions">${run('Run')}</div>
    </section>`;
  }
  const { before, after, interval, chance } = outcome;
  const label = `${title}: forget score ${fraction(before)} as it is, ${fraction(after)} under the audit${interval ? `, 95 % ${fraction(interval[0])} to ${fraction(interval[1])}` : ''}${chance === null ? '' : `, chance ${fraction(chance)}`}.`;
  const save = {
    name: `Run ${comparison.number} audit ${title}`,
    rows: () => [
      ['audit', 'before', 'after', 'low', 'high', 'chance'],
      [id, before, after, interval?.[0] ?? null, interval?.[1] ?? null, chance],
    ],
  };
  return html`<section class="score audit" aria-label=${title}>
    <header><h2>${title}</h2><span class="grow"></span>${saveMenu(save, send, isReadOnly)}</header>
    <p class="dim">${asks}</p>
    ${beforeAfter({ width, before, after, interval, chance, series: 'forget', label })}
    ${verdict(outcome.verdict.kind, outcome.verdict.text)}
    <p>${outcome.text}</p>
    <hr />
    ${facts(outcome.facts)}
    <small class="note">Hollow: as it is. Solid: under the audit. Source: ${outcome.source} of the run folder.</small>
    <div class="actions">${run(outcome.source === 'audits.json' ? 'Run again' : 'Run on every set')}${seconds === null || isReadOnly ? nothing : html`<small>about ${duration(seconds)}</small>`}</div>
  </section>`;
}

export function auditsTab(context: CompareContext): TemplateResult {
  const { audits } = context.comparison;
  const width = cardChartWidth(context.width, 3);
  return html`
    ${banner('info', 'The forget score can be low for the wrong reason.', `${audits.length === 1 ? 'This check tries' : `These ${audits.length} checks try`} to bring the knowledge back, and ${audits.length === 1 ? 'is' : 'are'} judged against the original under the same intervention.`)}
    <div class="scores audits">${audits.map((one) => audit(context, one, width))}</div>
  `;
}
