/** The four ways to take a result along. */
import { html, nothing, type TemplateResult } from 'lit';
import type { RunChanges } from '../../../src/protocol/engine';
import { bytes, count } from '../../../src/protocol/numbers';
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
  const free = freeBytes === null ? '' : `; ${bytes(freeBytes)} is free beside the workspace`;
  return `A complete copy that other tools load, ${dtype}, with a model card. Needs ${bytes(checkpointBytes)}${free}.`;
}

export function ways({ send }: ViewContext, answer: RunChanges | null, blocked: boolean): TemplateResult {
  const short = answer !== null && answer.freeBytes !== null && answer.freeBytes < answer.checkpointBytes;
  const changed = answer ? count(answer.changed.length) : '';
  return html`<div class="ways">
    ${card({
      title: 'Patch',
      icon: 'diff',
      size: answer ? bytes(answer.patchBytes) : undefined,
      text: `The ${changed} changed tensors as one safetensors file, with the fingerprint of the checkpoint they belong to. Applies to that checkpoint only.`,
      buttons: ui.button({ label: 'Save patch…', icon: 'save', primary: true, disabled: blocked, onClick: () => send({ type: 'export', form: 'patch' }) }),
    })}
    ${card({
      title: 'Full checkpoint',
      icon: 'package',
      size: answer ? bytes(answer.checkpointBytes) : undefined,
      text: answer ? checkpointText(answer) : 'A complete copy that other tools load, with a model card.',
      warning: short ? 'Not enough here: choose another disk.' : undefined,
      buttons: ui.button({ label: 'Export checkpoint…', icon: 'folder', disabled: blocked, onClick: () => send({ type: 'export', form: 'checkpoint' }) }),
    })}
    ${card({
      title: 'Report',
      icon: 'file-text',
      text: 'Target, settings, seed, data checksums, scores with intervals, audits: to read here, or as one HTML page.',
      buttons: html`${ui.button({ label: 'Open report', icon: 'open-preview', onClick: () => send({ type: 'result', action: 'openReport' }) })}
      ${ui.button({ label: 'Save HTML…', icon: 'save', onClick: () => send({ type: 'export', form: 'report' }) })}`,
    })}
    ${card({
      title: 'Expert list',
      icon: 'json',
      text: 'The chosen expert in ESFT’s JSON form, for other trainers.',
      buttons: ui.button({ label: 'Save JSON…', icon: 'save', onClick: () => send({ type: 'export', form: 'experts' }) }),
    })}
  </div>`;
}
