/** The forget prompts with a tick each, and where the target fires in one of them. */
import { html, nothing, type TemplateResult } from 'lit';
import { count, expertName } from '../../src/protocol/numbers';
import type { PromptsView } from '../../src/protocol/prompts-view';
import { ui } from '../ui';
import { card } from '../ui/parts';
import type { ViewContext } from './context';
import { forgottenWords } from './find-words';

export function promptCard({ state, send, promptList, tokenStrip }: ViewContext, prompts: PromptsView): TemplateResult {
  const { target } = state;
  return card(
    {
      title: 'Forget prompts',
      className: 'prompt-card',
      help: 'Attribution is the mean over the tokens of a prompt, then over the ticked prompts; a tick changes heatmap, ranking and target at once. Tokens are tinted by the router score g of the target; the bar under a token is its height, an unmarked token did not choose the target.',
      right: html`<span class="dim">${count(prompts.ticked)} of ${count(prompts.total)} ticked</span>`,
    },
    html`<div class="prompt-columns">
      <div>
        ${promptList}
        <p class="source-note">${target ? `Bars and numbers: mean router score of ${expertName(target)} over a prompt’s tokens. ` : ''}${forgottenWords(prompts)}</p>
      </div>
      ${target ? tokenStrip : nothing}
    </div>`,
    html`<div class="actions prompt-actions">${ui.button({ label: 'Choose other prompts…', icon: 'file-add', onClick: () => send({ type: 'chooseData', role: 'forget' }) })}</div>`,
  );
}
