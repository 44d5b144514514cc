/** Step 2: which expert knows it. */
import { html, nothing, type TemplateResult } from 'lit';
import type { PromptsView } from '../../src/protocol/prompts-view';
import type { AttributionView, RankingRow } from '../../src/protocol/workbench';
import { t } from '../text';
import { ui } from '../ui';
import { banner, icon } from '../ui/parts';
import type { ViewContext } from './context';
import { dataCard, previewCard } from './data';
import { effectsCard } from './effects-card';
import { evidenceCard } from './evidence';
import { headlineWords } from './find-words';
import { heatmapCard } from './heatmap-card';
import { loading } from './loading';
import { promptCard } from './prompts';
import { rankingCard } from './ranking';

function headline({ send }: ViewContext, attribution: AttributionView, target: RankingRow, prompts: PromptsView): TemplateResult {
  const { best } = attribution;
  return html`<div class="headline">
    <div>
      <h1>${t('Layer {0}, expert {1}', target.layer, target.expert)} <span class="pill">${icon('target')} ${t('target')}</span></h1>
      <p>${headlineWords(target, attribution, prompts)}</p>
    </div>
    <div class="actions">
      ${ui.button({ label: t('Choose another…'), icon: 'list-selection', onClick: () => send({ type: 'chooseTarget' }) })}
      ${target.rank === 1 ? nothing : ui.button({ label: t('Back to best'), icon: 'discard', onClick: () => send({ type: 'target', layer: best.layer, expert: best.expert }) })}
      ${ui.button({ label: t('Unlearn this expert'), icon: 'arrow-right', primary: true, onClick: () => send({ type: 'step', step: 'unlearn' }) })}
    </div>
  </div>`;
}

function noneTicked({ send }: ViewContext, { total }: PromptsView): TemplateResult {
  return html`<div class="headline">
    <div><h1>${t('No prompt is ticked')}</h1><p>${t('Tick at least one: attribution, target and run follow the ticked prompts.')}</p></div>
    <div class="actions">${ui.button({ label: t('Tick all'), icon: 'check-all', primary: true, onClick: () => send({ type: 'tick', prompts: Array.from({ length: total }, (_, at) => at), ticked: true }) })}</div>
  </div>`;
}

function nothingRead(context: ViewContext): TemplateResult {
  const { state, send } = context;
  const { forget } = state.data;
  return html`<div class="blank">
      ${icon('search')}
      <h1>${t('No prompts read yet')}</h1>
      <p>${t('Choose the prompts that show what to unlearn. UOE reads them once and records which experts the router chooses.')}</p>
      <p>${t('About 100 000 tokens give a stable answer (paper, Table 8); fewer work for a first look.')}</p>
      <div class="actions">
        ${forget ? ui.button({ label: t('Read prompts'), icon: 'play', primary: true, onClick: () => send({ type: 'read' }) }) : nothing}
        ${ui.button({ label: t('Choose prompts…'), icon: 'file-add', primary: forget === null, onClick: () => send({ type: 'chooseData', role: 'forget' }) })}
        ${ui.button({ label: t('Use the selection in the editor'), icon: 'selection', onClick: () => send({ type: 'useSelection' }) })}
      </div>
    </div>
    ${forget ? html`${dataCard(context)} ${previewCard(context)}` : nothing}`;
}

export function findStep(context: ViewContext): TemplateResult {
  const { state, send } = context;
  const { attribution, target, prompts, job } = state;
  if (!attribution || !prompts) return job ? html`${loading(job.title, job)} ${previewCard(context)}` : nothingRead(context);
  const { outOfDate } = attribution;
  const again = ui.button({ label: t('Read again'), icon: 'refresh', onClick: () => send({ type: 'read' }) });
  return html`
    ${target ? headline(context, attribution, target, prompts) : noneTicked(context, prompts)}
    ${outOfDate ? banner('warning', t('Out of date.'), t('The data changed after the prompts were read; what is shown belongs to the data before.'), again) : nothing}
    <div class="columns find">
      <div class="main">${heatmapCard(context, outOfDate)} ${promptCard(context, prompts)}</div>
      <div class="side">${target ? html`${rankingCard(context, attribution, target)} ${effectsCard(context)} ${evidenceCard(context, attribution)}` : nothing}</div>
    </div>
  `;
}
