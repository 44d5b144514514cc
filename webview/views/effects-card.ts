/** What each component does, measured by leaving it out: the offer with its cost, then components by effect with their rank by affinity beside. */
import { html, nothing, type TemplateResult } from 'lit';
import { count, difference, duration, expertName, fraction } from '../../src/protocol/numbers';
import type { EffectsView } from '../../src/protocol/workbench';
import { componentName, disagreementWords, points } from '../heatmap/effects';
import { t } from '../text';
import { ui } from '../ui';
import { card } from '../ui/parts';
import type { ViewContext } from './context';

/** Says what measuring takes before it starts; nothing where there are no data. */
export function effectsOffer({ state, send }: ViewContext): TemplateResult {
  const { effects } = state;
  if (!effects) return html`<p>${t('Read forget prompts first.')}</p>`;
  const sets = effects.retain === null ? effects.forget : t('{0} and {1}', effects.forget, effects.retain);
  const { plan } = effects;
  if (!plan)
    return html`<p>${t('Which component does the answer need? Each expert, shared expert, attention and dense block is left out in turn, on {0}.', sets)}</p>
      <div class="actions">${ui.button({ label: t('Measure effects…'), icon: 'beaker', onClick: () => send({ type: 'effects', action: 'plan' }) })}</div>`;
  const rows = count(plan.rows.forget + plan.rows.retain);
  const cost = plan.known
    ? t('It was measured before and is at hand.')
    : t('{0} components on {1} rows: about {2}. It can be cancelled, and is kept for the next time.', count(plan.components), rows, duration(plan.seconds));
  return html`<p><b>${cost}</b></p>
    <div class="actions">
      ${ui.button({ label: plan.known ? t('Show effects') : t('Start measuring'), icon: 'play', primary: true, onClick: () => send({ type: 'effects', action: 'measure' }) })}
      ${ui.button({ label: t('Not now'), onClick: () => send({ type: 'effects', action: 'dismiss' }) })}
    </div>`;
}

function summary({ forget, agreement, experts, used, hidden }: NonNullable<EffectsView['measured']>): string {
  const start =
    agreement === null
      ? t(
          'Without anything left out, {0} of the {1} forget rows: {2}.',
          forget.kind === 'accuracy' ? t('accuracy') : t('probability'),
          count(forget.rows),
          fraction(forget.score),
        )
      : t('Affinity and effect (NLL) of the {0} experts: rank correlation {1}.', count(experts), difference(agreement, 2));
  const named = (list: typeof used) => list.map(expertName).join(', ');
  const much = used.length > 0 ? ` ${t('Much used with little effect: {0}.', named(used))}` : '';
  const little = hidden.length > 0 ? ` ${t('Much effect though little used: {0}.', named(hidden))}` : '';
  return `${start}${much}${little}`;
}

function measuredTable(measured: NonNullable<EffectsView['measured']>): TemplateResult {
  const number = (title: string, least: number) => ({ title, width: `${least}px`, isNumber: true });
  const rows = measured.top.map((component) => {
    const { kind, layer, expert, forget, retain, rank, affinityRank, disagrees } = component;
    const name = componentName(kind, layer, expert);
    const hint = disagreementWords(disagrees === 'used' ? 1 : disagrees === 'hidden' ? 2 : 0);
    return {
      selected: false,
      label: t('Rank {0}, {1}, {2} points on forget', rank, name, points(forget.score)),
      cells: [
        String(rank),
        hint ? html`<span title=${hint}>${name} <span class="codicon codicon-info" role="img" aria-label=${hint}></span></span>` : name,
        points(forget.score),
        difference(forget.nll, 2),
        ...(measured.retain ? [points(retain?.score ?? Number.NaN)] : []),
        affinityRank === null ? '–' : String(affinityRank),
      ],
    };
  });
  return ui.table({
    label: t('Components by effect'),
    columns: [
      { title: '#', width: '26px', isNumber: true },
      { title: t('Component'), width: '1fr' },
      number(t('Effect'), 56),
      number('NLL', 52),
      ...(measured.retain ? [number(t('Retain'), 60)] : []),
      number(t('Affinity #'), 66),
    ],
    rows,
  });
}

export function effectsCard(context: ViewContext): TemplateResult {
  const measured = context.state.effects?.measured ?? null;
  return card(
    {
      title: t('Effect of each component'),
      className: 'effects-card',
      help: t(
        'Effect is the score lost, in points, when the component’s output is left out while everything else runs as it is; the same for the retain rows. Affinity says what the router chooses, effect what the answers need: where the two disagree, an edit of the chosen expert blocks rather than removes. What several components hold between them shows in none of them alone.',
      ),
    },
    measured ? html`<p>${summary(measured)}</p>${measuredTable(measured)}` : effectsOffer(context),
    nothing,
  );
}
