/** Compare, Audits: does something bring the knowledge back? */
import { html, nothing, type TemplateResult } from 'lit';
import type { AuditView } from '../../../src/protocol/comparison-view';
import { duration, fraction } from '../../../src/protocol/numbers';
import { beforeAfter } from '../../charts/before-after';
import { saveMenu } from '../../charts/save-menu';
import { t } from '../../text';
import { ui } from '../../ui';
import { banner, facts, verdict } from '../../ui/parts';
import { type CompareContext, cardChartWidth } from './context';

const notRun = (seconds: number | null): string =>
  seconds === null ? t('Not run yet.') : t('Not run yet. Takes about {0}, as the run’s own evaluation did.', duration(seconds));

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
      <p>${refusal ?? notRun(seconds)}</p>
      <div class="actions">${run(t('Run'))}</div>
    </section>`;
  }
  const { before, after, interval, chance } = outcome;
  const range = interval ? t(', 95 % {0} to {1}', fraction(interval[0]), fraction(interval[1])) : '';
  const guessed = chance === null ? '' : t(', chance {0}', fraction(chance));
  const label = t('{0}: forget score {1} as it is, {2} under the audit{3}{4}.', title, fraction(before), fraction(after), range, guessed);
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
    <small class="note">${t('Hollow: as it is. Solid: under the audit. Source: {0} of the run folder.', outcome.source)}</small>
    <div class="actions">${run(outcome.source === 'audits.json' ? t('Run again') : t('Run on every set'))}${seconds === null || isReadOnly ? nothing : html`<small>${t('about {0}', duration(seconds))}</small>`}</div>
  </section>`;
}

export function auditsTab(context: CompareContext): TemplateResult {
  const { audits } = context.comparison;
  const width = cardChartWidth(context.width, 3);
  const text =
    audits.length === 1
      ? t('This check tries to bring the knowledge back, and is judged against the original under the same intervention.')
      : t('These {0} checks try to bring the knowledge back, and are judged against the original under the same intervention.', audits.length);
  return html`
    ${banner('info', t('The forget score can be low for the wrong reason.'), text)}
    <div class="scores audits">${audits.map((one) => audit(context, one, width))}</div>
  `;
}
