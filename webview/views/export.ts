/** Step 5: what changed, what shows that nothing else did, and the ways to take it along. */
import { html, nothing, type TemplateResult } from 'lit';
import type { RunChanges } from '../../src/protocol/engine';
import { bytes, count } from '../../src/protocol/numbers';
import type { ComparisonView, ExportView } from '../../src/protocol/workbench';
import { ui } from '../ui';
import { banner, type Content } from '../ui/parts';
import type { ViewContext } from './context';
import { ways } from './export/cards';
import { changedTensors } from './export/changed-tensors';
import { onDiskCard } from './export/on-disk';
import { proofCard } from './export/proof';
import { reportPreview } from './export/report-preview';

const words = ['No', 'One', 'Two', 'Three', 'Four', 'Five', 'Six', 'Seven', 'Eight', 'Nine', 'Ten'];

function headline(answer: RunChanges | null, { discarded, number }: ComparisonView): string {
  if (discarded) return 'Discarded: the model is the original again';
  if (!answer) return `Export run ${number}`;
  const { length } = answer.changed;
  return `${words[length] ?? count(length)} ${length === 1 ? 'tensor' : 'tensors'} of ${count(answer.tensors)} changed`;
}

const onDisk: Readonly<Record<RunChanges['applied'], string>> = {
  none: 'The checkpoint on disk has not been touched.',
  this: 'It is applied to the checkpoint on disk; the original is kept beside it.',
  other: 'The result of another run is applied to the checkpoint on disk.',
  interrupted: 'Applying or restoring was interrupted on disk.',
};

const done: Readonly<Record<ExportView['form'], string>> = {
  checkpoint: 'The checkpoint was written.',
  patch: 'The patch was written.',
  report: 'The report was written.',
  experts: 'The expert list was written.',
  applied: 'The result was applied.',
  restored: 'The original is back.',
};

function outcome({ send, state }: ViewContext, exported: ExportView): TemplateResult {
  const differing = exported.proof?.differing ?? [];
  if (differing.length > 0) {
    return banner(
      'error',
      `${count(differing.length)} ${differing.length === 1 ? 'tensor differs' : 'tensors differ'} that should not:`,
      `${differing.slice(0, 3).join(', ')}${differing.length > 3 ? ', …' : ''}. Do not use this result.`,
      html`${ui.button({ label: 'Discard result', icon: 'discard', disabled: state.job !== null, onClick: () => send({ type: 'discard', discarded: true }) })}
      ${ui.button({ label: 'Show log', onClick: () => send({ type: 'problem', action: 'showLog' }) })}`,
    );
  }
  const text = exported.bytesWritten > 0 ? `${exported.place}, ${bytes(exported.bytesWritten)} written.` : exported.place;
  return banner('ok', done[exported.form], text);
}

function stateOf(context: ViewContext, answer: RunChanges | null, exported: ExportView | null): Content {
  const { changes } = context.state;
  const measure = ui.button({ label: 'Measure again', icon: 'refresh', onClick: () => context.send({ type: 'result', action: 'measure' }) });
  if (changes?.refusal) return banner('error', 'What the run changed is not known.', changes.refusal, measure);
  if (answer && answer.recorded !== null && answer.recorded !== answer.found)
    return banner(
      'error',
      'This is another checkpoint than the run was made from.',
      'Its fingerprint differs, so the result does not fit it. Open the original checkpoint.',
    );
  // Always one banner, so that nothing moves when something was written.
  return exported ? outcome(context, exported) : banner('info', 'Nothing is written yet.', 'Choose below what to take along.');
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
  const position = `Run ${comparison.number}, step ${comparison.keptStep}.`;
  return html`<div class="export">
    <div class="headline">
      <div>
        <h1>${headline(answer, comparison)}</h1>
        <p>${comparison.discarded ? `${position} Nothing of it is left but the run’s own folder, which is kept in the history.` : `${position} ${answer ? onDisk[answer.applied] : ''}`}</p>
      </div>
      <div class="actions">
        ${
          comparison.discarded
            ? ui.button({ label: 'Use this result again', icon: 'redo', onClick: () => send({ type: 'discard', discarded: false }) })
            : ui.button({ label: 'Discard result', icon: 'discard', disabled: busy, onClick: () => send({ type: 'discard', discarded: true }) })
        }
      </div>
    </div>
    <div class="export-state">${stateOf(context, answer, exported)}</div>
    ${ways(context, answer, blocked)}
    <div class="columns">
      <div class="main">
        ${answer ? html`${changedTensors(answer.changed)} ${proofCard(context, answer, exported)}` : html`<section class="card export-wait" aria-busy=${String(busy)}><p class="dim">${busy ? 'Measuring what the run changed: the patch against the checkpoint.' : 'Not measured yet.'}</p></section>`}
      </div>
      <div class="side">${answer ? onDiskCard(context, answer, blocked, busy) : nothing} ${reportPreview(comparison)}</div>
    </div>
  </div>`;
}
