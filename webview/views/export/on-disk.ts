/** Into the checkpoint that was opened, and back out of it. */
import { html, nothing } from 'lit';
import type { RunChanges } from '../../../src/protocol/engine';
import { t } from '../../text';
import { ui } from '../../ui';
import { type Content, card, verdict } from '../../ui/parts';
import type { ViewContext } from '../context';

const states: Readonly<Record<RunChanges['applied'], () => Content>> = {
  none: () => verdict('none', t('Nothing is applied')),
  this: () => verdict('ok', t('This result is applied')),
  other: () => verdict('warn', t('Another result is applied')),
  interrupted: () => verdict('warn', t('Applying was interrupted')),
};

const texts: Readonly<Record<RunChanges['applied'], string>> = {
  none: t('The files of the checkpoint are the original’s. “Apply” changes them in place and keeps the originals beside them.'),
  this: t('The checkpoint on disk holds this result; its originals are kept beside it, byte for byte.'),
  other: t('Restore the original first: a patch only fits the checkpoint it was made from.'),
  interrupted: t('Restore the original: it is kept beside the checkpoint, byte for byte.'),
};

export function onDiskCard({ send }: ViewContext, { applied }: RunChanges, blocked: boolean, busy: boolean): Content {
  const nothingApplied = applied === 'none';
  return card(
    {
      title: t('Checkpoint on disk'),
      help: t('Other programs that open this checkpoint see what is applied. Both ways are confirmed first, and can be undone.'),
      right: states[applied](),
    },
    html`<p>${texts[applied]}</p>
      <div class="actions">
        ${ui.button({ label: t('Apply to checkpoint…'), icon: 'check', disabled: blocked || !nothingApplied, onClick: () => send({ type: 'result', action: 'apply' }) })}
        ${ui.button({ label: t('Restore original…'), icon: 'history', disabled: busy || nothingApplied, onClick: () => send({ type: 'result', action: 'restore' }) })}
      </div>
      ${nothingApplied ? html`<p class="dim">${t('Nothing to restore: no result is applied to this checkpoint.')}</p>` : nothing}`,
  );
}
