/** The page: rail, problem, job, and the step that is shown. */
import { html, nothing, type TemplateResult } from 'lit';
import type { ProblemView } from '../../src/protocol/workbench';
import { t } from '../text';
import { ui } from '../ui';
import { banner, type Content } from '../ui/parts';
import { compareStep } from './compare';
import type { ViewContext } from './context';
import { exportStep } from './export';
import { findStep } from './find';
import { interruptedBanner } from './interrupted';
import { jobList } from './jobs';
import { modelStep } from './model';
import { planStep } from './plan';
import { isProblemPage } from './problem-page';
import { rail } from './rail';
import { runStep } from './run';
import { sweepPage } from './sweep';

function problem({ title, text, actions }: ProblemView, send: ViewContext['send']): TemplateResult {
  return banner(
    'error',
    `${title}.`,
    text,
    html`${actions.map(({ id, label }, index) => ui.button({ label, primary: index === 0 && id === 'resumeRun', onClick: () => send({ type: 'problem', action: id }) }))}`,
  );
}

const nothingYet = (title: string, text: string, label: string, onClick: () => void): TemplateResult =>
  html`<div class="blank"><h1>${title}</h1><p>${text}</p>${ui.button({ label, primary: true, onClick })}</div>`;

function step(context: ViewContext): Content {
  const { state, send } = context;
  const go = (to: 'model' | 'find' | 'unlearn') => () => send({ type: 'step', step: to });
  switch (state.step) {
    case 'model':
      return modelStep(context);
    case 'find':
      return state.model ? findStep(context) : modelStep(context);
    case 'unlearn':
      if (state.run) return runStep(context, state.run);
      if (!state.target)
        return nothingYet(
          t('No target expert yet'),
          t('Find the expert first. The one with the highest affinity is chosen for you.'),
          t('Find expert'),
          go('find'),
        );
      return state.plan ? planStep(context, state.plan, state.target) : nothing;
    case 'compare':
      if (state.sweep) return sweepPage(context, state.sweep);
      return state.comparison
        ? compareStep(context, state.comparison)
        : nothingYet(t('No finished run yet'), t('Run an unlearning job, then compare it with the original here.'), t('Go to Unlearn'), go('unlearn'));
    case 'export':
      return state.comparison
        ? exportStep(context, state.comparison)
        : nothingYet(t('Nothing to export'), t('No tensor differs from the checkpoint.'), t('Open run history'), () =>
            send({ type: 'result', action: 'openHistory' }),
          );
  }
}

export function workbench(context: ViewContext): TemplateResult {
  const { state, send } = context;
  return html`
    ${rail(context)} ${jobList(context)}
    <main class="body">
      ${state.trusted ? nothing : banner('warning', t('Restricted Mode.'), t('UOE does nothing in this workspace until you trust it.'))} ${state.problem && !isProblemPage(state) ? problem(state.problem, send) : nothing} ${interruptedBanner(context)} ${step(context)}
    </main>
  `;
}
