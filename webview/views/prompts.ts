/** The forget prompts with a tick each, and where the target fires in one of them. */
import { html, nothing, type TemplateResult } from 'lit';
import { count, expertName } from '../../src/protocol/numbers';
import type { PromptsView } from '../../src/protocol/prompts-view';
import { t } from '../text';
import { ui } from '../ui';
import { card } from '../ui/parts';
import type { ViewContext } from './context';
import { forgottenWords } from './find-words';

export function promptCard({ state, send, promptList, tokenStrip }: ViewContext, prompts: PromptsView): TemplateResult {
  const { target } = state;
  return card(
    {
      title: t('Forget prompts'),
      className: 'prompt-card',
      help: t(
        'Attribution is the mean over the tokens of a prompt, then over the ticked prompts; a tick changes heatmap, ranking and target at once. Tokens are tinted by the router score g of the target; the bar under a token is its height, an unmarked token did not choose the target.',
      ),
      right: html`<span class="dim">${t('{0} of {1} ticked', count(prompts.ticked), count(prompts.total))}</span>`,
    },
    html`<div class="prompt-columns">
      <div>
        ${promptList}
        <p class="source-note">${target ? `${t('Bars and numbers: mean router score of {0} over a prompt’s tokens.', expertName(target))} ` : ''}${forgottenWords(prompts)}</p>
      </div>
      ${target ? tokenStrip : nothing}
    </div>`,
    html`<div class="actions prompt-actions">${ui.button({ label: t('Choose other prompts…'), icon: 'file-add', onClick: () => send({ type: 'chooseData', role: 'forget' }) })}</div>`,
  );
}
