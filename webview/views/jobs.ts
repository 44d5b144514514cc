/** What is under way and what waits, each with its cancel, at the lower edge over the page: nothing moves when it comes or goes. */
import { html, nothing, type TemplateResult } from 'lit';
import { duration, percent } from '../../src/protocol/numbers';
import type { JobView } from '../../src/protocol/workbench';
import { t } from '../text';
import { ui } from '../ui';
import { icon } from '../ui/parts';
import type { ViewContext } from './context';

/** ` · 2 min 10 s left`, or nothing while that can't be said. */
export const leftWords = ({ secondsLeft }: JobView): string => (secondsLeft ? ` · ${t('{0} left', duration(secondsLeft))}` : '');

function row(view: JobView, send: ViewContext['send']): TemplateResult {
  const waiting = view.waiting ?? false;
  return html`<div class="job-row ${waiting ? 'waiting' : ''}">
    ${waiting ? nothing : html`<progress max="1" value=${view.share ?? nothing} aria-label=${view.title}></progress>`}
    <span class="job-text">${waiting ? icon('clock') : nothing} <b>${view.title}</b> ${view.message}${leftWords(view)}</span>
    <span class="job-share">${view.share === null ? '' : percent(view.share, 0)}</span>
    ${ui.button({ label: t('Cancel'), name: t('Cancel: {0}', view.title), onClick: () => send({ type: 'cancel', id: view.id }) })}
  </div>`;
}

export const jobList = ({ state, send }: ViewContext): TemplateResult =>
  html`<div class="job" role="status" aria-label=${t('Jobs')}>${[...state.jobs].reverse().map((view) => row(view, send))}</div>`;
