/** A run that a closed window or a kill cut off: offered until it is resumed or put aside. */
import { html, nothing, type TemplateResult } from 'lit';
import { ui } from '../ui';
import { banner } from '../ui/parts';
import type { ViewContext } from './context';

export function interruptedBanner({ state, send }: ViewContext): TemplateResult | typeof nothing {
  const { interrupted, run, problem } = state;
  if (!interrupted || run || problem?.actions.some(({ id }) => id === 'resumeRun')) return nothing;
  const { number, method, step, plannedSteps } = interrupted;
  return banner(
    'info',
    `Run ${number} (${method.toUpperCase()}) was cut off.`,
    step === 0
      ? `None of its ${plannedSteps} steps was saved; it starts again with the same settings.`
      : `Step ${step} of ${plannedSteps} is saved; it can go on from there.`,
    html`${ui.button({ label: step === 0 ? 'Start it again' : `Resume from step ${step}`, primary: true, onClick: () => send({ type: 'problem', action: 'resumeRun' }) })}
    ${ui.button({ label: 'Not now', onClick: () => send({ type: 'dismissInterrupted' }) })}`,
  );
}
