/** The frame of a page whose data are under way; progress and Cancel are at the lower edge, as for every job. */
import { html, type TemplateResult } from 'lit';
import type { JobView } from '../../src/protocol/workbench';
import { leftWords } from './jobs';

export const loading = (title: string, job: JobView | null): TemplateResult =>
  html`<div class="blank loading" aria-busy="true">
    <h1>${title}</h1>
    <p>${job ? `${job.message}${leftWords(job)}` : ''}</p>
    <div class="skeleton" aria-hidden="true">${Array.from({ length: 6 }, () => html`<i></i>`)}</div>
  </div>`;
