/** Step 5: what changed, what shows that nothing else did, and the ways to take it along. */
import { html, nothing, type TemplateResult } from 'lit';
import type { RunChanges } from '../../src/protocol/engine';
import { bytes, count } from '../../src/protocol/numbers';
import type { ComparisonView, ExportView } from '../../src/protocol/workbench';
import { t } from '../text';
import { ui } from '../ui';
import { banner, type Content } from '../ui/parts';
import type { ViewContext } from './context';
import { ways } from './export/cards';
import { changedTensors } from './export/changed-tensors';
import { onDiskCard } from './export/on-disk';
import { proofCard } from './export/proof';
import { reportPreview } from './export/report-preview';

const fromTwo = t('Two, Three, Four, Five, Six, Seven, Eight, Nine, Ten').split(', ');

function headline(answer: RunChanges | null, { discarded, number }: ComparisonView): string {
  if (discarded) return t('Discarded: the model is the original again');
  if (!answer) return t('Export run {0}', number);
  const { length } = answer.changed;
  const all = count(answer.tensors);
  if (length === 0) return t('No tensors of {0} changed', all);
  return length === 1 ? t('One tensor of {0} changed', all) : t('{0} tensors of {1} changed', fromTwo[length - 2] ?? count(length), all);
}

const onDisk: Readonly<Record<RunChanges['applied'], string>> = {
  none: t('The checkpoint on disk has not been touched.'),
  this: t('It is applied to the checkpoint on disk; the original is kept beside it.'),
  other: t('The result of another run is applied to the checkpoint on disk.'),
  interrupted: t('Applying or restoring was interrupted on disk.'),
};

const done: Readonly<Record<ExportView['form'], string>> = {
  checkpoint: t('The checkpoint was written.'),
  patch: t('The patch was written.'),
  report: t('The report was written.'),
  experts: t('The expert list was written.'),
  applied: t('The result was applied.'),
  restored: t('The original is back.'),
};

function outcome({ send, state }: ViewContext, exported: ExportView): TemplateResult {
  const differing = exported.proof?.differing ?? [];
  if (differing.length > 0) {
    return banner(
      'error',
      differing.length === 1 ? t('{0} tensor differs that should not:', count(1)) : t('{0} tensors differ that should not:', count(differing.length)),
      t('{0}. Do not use this result.', `${differing.slice(0, 3).join(', ')}${differing.length > 3 ? ', …' : ''}`),
      html`${ui.button({ label: t('Discard result'), icon: 'discard', disabled: state.job !== null, onClick: () => send({ type: 'discard', discarded: true }) })}
      ${ui.button({ label: t('Show log'), onClick: () => send({ type: 'problem', action: 'showLog' }) })}`,
    );
  }
  const text = exported.bytesWritten > 0 ? t('{0}, {1} written.', exported.place, bytes(exported.bytesWritten)) : exported.place;
  return banner('ok', done[exported.form], text);
}

function stateOf(context: ViewContext, answer: RunChanges | null, exported: ExportView | null): Content {
  const { changes } = context.state;
  const measure = ui.button({ label: t('Measure again'), icon: 'refresh', onClick: () => context.send({ type: 'result', action: 'measure' }) });
  if (changes?.refusal) return banner('error', t('What the run changed is not known.'), changes.refusal, measure);
  if (answer && answer.recorded !== null && answer.recorded !== answer.found)
    return banner(
      'error',
      t('This is another checkpoint than the run was made from.'),
      t('Its fingerprint differs, so the result does not fit it. Open the original checkpoint.'),
    );
  // Always one banner, so that nothing moves when something was written.
  return exported ? outcome(context, exported) : banner('info', t('Nothing is written yet.'), t('Choose below what to take along.'));
}

export function exportStep(context: ViewContext, comparison: ComparisonView): TemplateResult {
  const { state, send } = context;
  const changes = state.changes?.run === comparison.run ? state.changes : null;
  const answer = changes?.answer ?? null;
  const exported = state.exported?.run === comparison.run ? state.exported : null;
  const busy = state.job !== null;
  const proofFailed = (exported?.proof?.differing.length ?? 0) > 0;
  const otherBase = answer !== null && answer.recorded !== null && answer.recorded !== answer.found;
  const blocked = busy || comparison.discarded || answer === null || proofFailed || otherBase;
  const position = t('Run {0}, step {1}.', comparison.number, comparison.keptStep);
  return html`<div class="export">
    <div class="headline">
      <div>
        <h1>${headline(answer, comparison)}</h1>
        <p>${comparison.discarded ? `${position} ${t('Nothing of it is left but the run’s own folder, which is kept in the history.')}` : `${position} ${answer ? onDisk[answer.applied] : ''}`}</p>
      </div>
      <div class="actions">
        ${
          comparison.discarded
            ? ui.button({ label: t('Use this result again'), icon: 'redo', onClick: () => send({ type: 'discard', discarded: false }) })
            : ui.button({ label: t('Discard result'), icon: 'discard', disabled: busy, onClick: () => send({ type: 'discard', discarded: true }) })
        }
      </div>
    </div>
    <div class="export-state">${stateOf(context, answer, exported)}</div>
    ${ways(context, answer, blocked)}
    <div class="columns">
      <div class="main">
        ${answer ? html`${changedTensors(answer.changed)} ${proofCard(context, answer, exported)}` : html`<section class="card export-wait" aria-busy=${String(busy)}><p class="dim">${busy ? t('Measuring what the run changed: the patch against the checkpoint.') : t('Not measured yet.')}</p></section>`}
      </div>
      <div class="side">${answer ? onDiskCard(context, answer, blocked, busy) : nothing} ${reportPreview(comparison)}</div>
    </div>
  </div>`;
}
