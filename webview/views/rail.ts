/** The five steps: which is shown, which are open, and in a second line what is known of each. */
import { html, nothing, type TemplateResult } from 'lit';
import { stepNames, type WorkbenchStep } from '../../src/protocol/workbench';
import { t } from '../text';
import { icon } from '../ui/parts';
import type { ViewContext } from './context';
import { stepView } from './step-view';

const titles: Readonly<Record<WorkbenchStep, string>> = {
  model: t('Model'),
  find: t('Find expert'),
  unlearn: t('Unlearn'),
  compare: t('Compare'),
  export: t('Export'),
};

export function rail({ state, send }: ViewContext): TemplateResult {
  return html`<nav class="rail" aria-label=${t('Steps')}>
    <ol>
      ${stepNames.map((step, index) => {
        const view = stepView(step, state);
        const current = state.step === step;
        const mark = view.icon ? icon(view.icon) : view.locked ? icon('lock') : view.done && !current ? icon('check') : String(index + 1);
        return html`<li>
          <button
            class=${view.locked ? 'locked' : ''}
            aria-current=${current ? 'step' : nothing}
            aria-disabled=${view.locked ? 'true' : nothing}
            @click=${() => !view.locked && send({ type: 'step', step })}
          >
            <span class="mark">${mark}</span><span class="name">${titles[step]}</span><small>${view.line}</small>
          </button>
        </li>`;
      })}
    </ol>
  </nav>`;
}
