/** The four ways to take a result along. */
import { html, nothing, type TemplateResult } from 'lit';
import type { RunChanges } from '../../../src/protocol/engine';
import { bytes, count } from '../../../src/protocol/numbers';
import { t } from '../../text';
import { ui } from '../../ui';
import { type Content, icon } from '../../ui/parts';
import type { ViewContext } from '../context';

interface Way {
  readonly title: string;
  readonly icon: string;
  readonly size?: string;
  readonly text: string;
  readonly warning?: string;
  readonly buttons: Content;
}

const card = ({ title, icon: name, size, text, warning, buttons }: Way): TemplateResult =>
  html`<section class="card way" aria-label=${title}>
    <header>${icon(name)}<h2>${title}</h2><span class="grow"></span><b>${size ?? nothing}</b></header>
    <p>${text}${warning ? html` <span class="way-warning">${icon('warning')} ${warning}</span>` : nothing}</p>
    <div class="actions">${buttons}</div>
  </section>`;

function checkpointText({ checkpointBytes, freeBytes, dtype }: RunChanges): string {
  const needed = bytes(checkpointBytes);
  return freeBytes === null
    ? t('A complete copy that other tools load, {0}, with a model card. Needs {1}.', dtype, needed)
    : t('A complete copy that other tools load, {0}, with a model card. Needs {1}; {2} is free beside the workspace.', dtype, needed, bytes(freeBytes));
}

export function ways({ send }: ViewContext, answer: RunChanges | null, blocked: boolean): TemplateResult {
  const short = answer !== null && answer.freeBytes !== null && answer.freeBytes < answer.checkpointBytes;
  const changed = answer ? count(answer.changed.length) : '';
  return html`<div class="ways">
    ${card({
      title: t('Patch'),
      icon: 'diff',
      size: answer ? bytes(answer.patchBytes) : undefined,
      text: t(
        'The {0} changed tensors as one safetensors file, with the fingerprint of the checkpoint they belong to. Applies to that checkpoint only.',
        changed,
      ),
      buttons: ui.button({ label: t('Save patch…'), icon: 'save', primary: true, disabled: blocked, onClick: () => send({ type: 'export', form: 'patch' }) }),
    })}
    ${card({
      title: t('Full checkpoint'),
      icon: 'package',
      size: answer ? bytes(answer.checkpointBytes) : undefined,
      text: answer ? checkpointText(answer) : t('A complete copy that other tools load, with a model card.'),
      warning: short ? t('Not enough here: choose another disk.') : undefined,
      buttons: ui.button({ label: t('Export checkpoint…'), icon: 'folder', disabled: blocked, onClick: () => send({ type: 'export', form: 'checkpoint' }) }),
    })}
    ${card({
      title: t('Report'),
      icon: 'file-text',
      text: t('Target, settings, seed, data checksums, scores with intervals, audits: to read here, or as one HTML page.'),
      buttons: html`${ui.button({ label: t('Open report'), icon: 'open-preview', onClick: () => send({ type: 'result', action: 'openReport' }) })}
      ${ui.button({ label: t('Save HTML…'), icon: 'save', onClick: () => send({ type: 'export', form: 'report' }) })}`,
    })}
    ${card({
      title: t('Expert list'),
      icon: 'json',
      text: t('The chosen expert in ESFT’s JSON form, for other trainers.'),
      buttons: ui.button({ label: t('Save JSON…'), icon: 'save', onClick: () => send({ type: 'export', form: 'experts' }) }),
    })}
  </div>`;
}
