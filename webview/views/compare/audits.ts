/** Compare, Audits: does something bring the knowledge back? */
import { html, nothing, type TemplateResult } from 'lit';
import { type AuditView, everyAudit } from '../../../src/protocol/comparison-view';
import { duration, fraction } from '../../../src/protocol/numbers';
import { beforeAfter } from '../../charts/before-after';
import { saveMenu } from '../../charts/save-menu';
import { t } from '../../text';
import { ui } from '../../ui';
import { banner, facts, verdict } from '../../ui/parts';
import { type CompareContext, innerWidth, roleSeries } from './context';

const notRun = (seconds: number | null): string =>
  seconds === null ? t('Not run yet.') : t('Not run yet. Takes about {0}, by the run’s own measured times.', duration(seconds));

function audit(context: CompareContext, { id, title, asks, outcome, seconds, refusal, wantsFile }: AuditView, width: number): TemplateResult {
  const { comparison, isBusy, isReadOnly, send } = context;
  const run = (label: string, icon: string) =>
    isReadOnly
      ? nothing
      : ui.button({
          label,
          name: `${label}: ${title}`,
          icon,
          disabled: isBusy || (refusal !== null && !wantsFile),
          onClick: () => send({ type: 'audit', audit: id }),
        });
  const first = wantsFile ? run(t('Choose file…'), 'folder-opened') : run(t('Run'), 'play');
  if (!outcome) {
    return html`<section class="score audit" aria-label=${t('Audit: {0}', title)}>
      <header><h2>${title}</h2></header>
      <p class="dim">${asks}</p>
      <p>${refusal ?? notRun(seconds)}</p>
      <div class="actions">${first}</div>
    </section>`;
  }
  const { before, after, names, interval, chance } = outcome;
  const range = interval ? t(', 95 % {0} to {1}', fraction(interval[0]), fraction(interval[1])) : '';
  const guessed = chance === null ? '' : t(', chance {0}', fraction(chance));
  const label = t('{0}: {1} is {2}, {3} is {4}{5}{6}.', title, names[0], fraction(before), names[1], fraction(after), range, guessed);
  const save = {
    name: `Run ${comparison.number} audit ${title.replace(/[^A-Za-z0-9 _-]/g, '')}`,
    rows: () => [
      ['audit', 'before', 'after', 'low', 'high', 'chance'],
      [id, before, after, interval?.[0] ?? null, interval?.[1] ?? null, chance],
    ],
  };
  const again = wantsFile ? first : run(outcome.source === 'audits.json' ? t('Run again') : t('Run on every set'), 'play');
  return html`<section class="score audit" aria-label=${t('Audit: {0}', title)}>
    <header><h2>${title}</h2><span class="grow"></span>${saveMenu(save, send, isReadOnly)}</header>
    <p class="dim">${asks}</p>
    ${beforeAfter({ width, before, after, interval, chance, series: roleSeries[outcome.series], label })}
    ${verdict(outcome.verdict.kind, outcome.verdict.text)}
    <p>${outcome.text}</p>
    <hr />
    ${facts(outcome.facts)}
    <small class="note">${t('Hollow: {0}. Solid: {1}. Source: {2} of the run folder.', names[0], names[1], outcome.source)}</small>
    <div class="actions">${again}${seconds === null || isReadOnly ? nothing : html`<small>${t('about {0}', duration(seconds))}</small>`}</div>
  </section>`;
}

/** One click for all that can be run; what is measured already stays. */
function runAll({ comparison: { auditsToRun }, isBusy, isReadOnly, send }: CompareContext): TemplateResult | typeof nothing {
  const { count, again, seconds } = auditsToRun;
  if (isReadOnly || count === 0) return nothing;
  const label = again ? t('Run all audits again') : t('Run all audits');
  const button = ui.button({ label, icon: 'run-all', disabled: isBusy, onClick: () => send({ type: 'audit', audit: everyAudit }) });
  return html`${button}<small>${seconds === null ? t('{0} audits', count) : t('{0} audits, about {1}', count, duration(seconds))}</small>`;
}

export function auditsTab(context: CompareContext): TemplateResult {
  const { audits } = context.comparison;
  // The grid's columns are 480 px where there is room for one (compare.css).
  const width = Math.min(480, innerWidth(context.width)) - 30;
  const text = t('These {0} audits try to bring the knowledge back, and are judged against the original under the same intervention.', audits.length);
  return html`
    ${banner('info', t('The forget score can be low for the wrong reason.'), text, runAll(context))}
    <div class="scores audits">${audits.map((one) => audit(context, one, width))}</div>
  `;
}
