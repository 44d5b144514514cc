/** The plan's form: target, preset, method, weights, training, stop early. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { count, expertName, fraction, setting } from '../../src/protocol/numbers';
import type { ExpertId } from '../../src/protocol/records';
import type { PlanSettings, PlanTargets, PlanView, RankingRow } from '../../src/protocol/workbench';
import { t } from '../text';
import { ui } from '../ui';
import { type Content, card, icon } from '../ui/parts';
import { advice, lastPosition, positionOf, ticks, weightAt } from './anchor-scale';
import type { ViewContext } from './context';
import { methodChoice } from './method-choice';
import { settingField } from './setting-field';

function anchor(context: ViewContext, settings: PlanSettings): TemplateResult {
  const { send } = context;
  const weight = settings.anchorWeight;
  const move = (position: number) => send({ type: 'settings', patch: { anchorWeight: weightAt(Math.max(0, Math.min(lastPosition, position))) } });
  const onInput = (event: Event) => move(Number((event.target as HTMLInputElement).value));
  const onKey = (event: KeyboardEvent) => {
    const decade = { PageUp: 10, PageDown: -10 }[event.key];
    if (decade === undefined) return;
    event.preventDefault();
    move(positionOf(weight) + decade);
  };
  return html`<div class="anchor-form">
    <div class="slider">
      <span class="label" id="anchor-label">${t('Anchor weight α')}</span>
      <input type="range" min="0" max=${lastPosition} step="1" .value=${live(String(positionOf(weight)))} aria-labelledby="anchor-label" aria-valuetext=${setting(weight)} @input=${onInput} @keydown=${onKey} />
      <svg class="slider-ticks" width="100%" height="20" aria-hidden="true">
        ${ticks.map(
          ([text, position]) => svg`
            <line x1="${(100 * position) / lastPosition}%" x2="${(100 * position) / lastPosition}%" y1="0" y2="5"></line>
            <text x="${(100 * position) / lastPosition}%" y="17" text-anchor="middle" class=${text === '1' ? 'best' : ''}>${text}</text>`,
        )}
      </svg>
    </div>
    ${settingField(context, settings, 'anchorWeight', t('Anchor weight'))}
    <p class="hint" role="status">${settings.train === 'expert' ? t('No effect: the router does not train.') : advice(weight)}</p>
  </div>`;
}

/** Fields of the chosen method alone. */
function methodFields(context: ViewContext, settings: PlanSettings): Content {
  const { send } = context;
  switch (settings.method) {
    case 'rmu':
      return html`${settingField(context, settings, 'steering', t('Steering c'), settings.steeringUnit === 'hiddenNorm' ? t('× norm') : undefined)}
      ${ui.choice({
        label: t('Unit of c'),
        value: settings.steeringUnit,
        options: [
          { value: 'absolute', label: t('absolute') },
          { value: 'hiddenNorm', label: t('× mean hidden norm') },
        ],
        onChange: (value) => send({ type: 'settings', patch: { steeringUnit: value as PlanSettings['steeringUnit'] } }),
      })}`;
    case 'npo':
      return settingField(context, settings, 'beta', 'β');
    case 'simnpo':
      return html`${settingField(context, settings, 'beta', 'β')}${settingField(context, settings, 'delta', 'δ')}`;
    default:
      return nothing;
  }
}

function weights(context: ViewContext, settings: PlanSettings): TemplateResult {
  const hasRetain = context.state.data.retain !== null;
  const retain =
    settings.method === 'rmu' ? t('Its own retain term, on hidden states of the retain text.') : t('Weight of the NLL on the retain text; 0 turns it off.');
  return html`<fieldset>
    <legend>${t('Weights')}</legend>
    ${anchor(context, settings)}
    <div class="fields three">
      ${settings.method === 'ga' ? nothing : settingField(context, settings, 'retainWeight', settings.method === 'rmu' ? t('Retain weight') : t('Retain weight λ'))}
      ${methodFields(context, settings)}
      ${ui.choice({
        label: t('Anchor form'),
        value: settings.anchorForm,
        options: [
          { value: 'paper', label: t('paper (sum)') },
          { value: 'released', label: t('released (mean)') },
        ],
        onChange: (value) => context.send({ type: 'settings', patch: { anchorForm: value as PlanSettings['anchorForm'] } }),
      })}
    </div>
    <p class="hint">${settings.method === 'ga' ? t('GA has no retain term; GDIFF is GA with one.') : hasRetain ? retain : t('The retain weight has no effect: there is no retain text.')}</p>
  </fieldset>`;
}

function training(context: ViewContext, settings: PlanSettings): TemplateResult {
  const { send } = context;
  const field = (name: Parameters<typeof settingField>[2], label: string, unit?: string) => settingField(context, settings, name, label, unit);
  return html`<fieldset>
    <legend>${t('Training')}</legend>
    <div class="fields three">
      <div class="two-columns">
        ${ui.choice({
          label: t('Trains'),
          value: settings.train,
          options: [
            { value: 'expert+router', label: t('expert and router') },
            { value: 'expert', label: t('expert only') },
            { value: 'router', label: t('router only') },
            { value: 'full', label: t('all parameters') },
            ...(settings.train === 'recipe' ? [{ value: 'recipe', label: t('as the recipe says') }] : []),
          ],
          onChange: (value) => send({ type: 'settings', patch: { train: value as PlanSettings['train'] } }),
        })}
      </div>
      ${field('lr', t('Learning rate'))} ${field('steps', t('Steps'))} ${field('batchSize', t('Batch'), t('rows'))} ${field('maxLength', t('Length'), t('tokens'))}
      ${field('seed', t('Seed'))}
      ${ui.choice({
        label: t('Schedule'),
        value: settings.schedule,
        options: ['constant', 'cosine', 'linear'].map((value) => ({ value, label: value })),
        onChange: (value) => send({ type: 'settings', patch: { schedule: value as PlanSettings['schedule'] } }),
      })}
      ${field('warmup', t('Warm-up'), t('steps'))} ${field('accumulate', t('Parts'), t('of a batch'))}
    </div>
  </fieldset>`;
}

const withoutStopSet = (prompts: number): string =>
  prompts === 1
    ? t('No stop set is given: the forget prompt itself is checked; the forget score of text is exp(−NLL) per token.')
    : t('No stop set is given: the {0} forget prompts themselves are checked; the forget score of text is exp(−NLL) per token.', count(prompts));

function stopEarly(context: ViewContext, settings: PlanSettings): TemplateResult {
  const { data, plan } = context.state;
  const field = (name: Parameters<typeof settingField>[2], label: string, unit?: string) => settingField(context, settings, name, label, unit);
  const rows = plan?.answer?.checkRows ?? 0;
  if (!data.stopForget && rows === 0)
    return html`<fieldset>
      <legend>${t('Stop early when')}</legend>
      <p class="hint">${t('Needs a stop set, which is measured during the run: choose one under “Data”. Without it the run does all its steps.')}</p>
    </fieldset>`;
  return html`<fieldset>
    <legend>${t('Stop early when')}</legend>
    <div class="fields three">
      ${field('forgetAtMost', t('Forget falls to'))}
      ${data.stopUtility ? html`${field('utilityDropAtMost', t('Utility drops by'))}${field('nllRiseAtMost', t('NLL rises by'))}` : nothing}
      ${field('patience', t('In a row'), t('checks'))} ${field('everySteps', t('Check every'), t('steps'))}
      <div class="two-columns">
        ${ui.choice({
          label: t('Keep'),
          value: settings.keep,
          options: [
            { value: 'last', label: t('the last step') },
            { value: 'best', label: t('the best check') },
          ],
          onChange: (value) => context.send({ type: 'settings', patch: { keep: value as PlanSettings['keep'] } }),
        })}
      </div>
    </div>
    <p class="hint">${t('An empty rule is off.')} ${data.stopForget || rows === 0 ? '' : `${withoutStopSet(rows)} `}${data.stopUtility ? '' : t('Rules on utility need a second stop set, of what the model should keep.')}</p>
  </fieldset>`;
}

function preset({ send }: ViewContext, plan: PlanView): TemplateResult {
  const chosen = plan.presets.find(({ id }) => id === plan.presetId);
  const options = plan.presets.map(({ id, label }) => ({ value: id, label }));
  // A changed preset is an entry of its own, so that choosing the preset again brings its values back.
  const custom = { value: 'custom', label: t('Custom (from {0})', plan.preset) };
  return html`<div class="preset">
    ${ui.choice({
      label: t('Preset'),
      value: plan.changed ? custom.value : plan.presetId,
      options: plan.changed ? [custom, ...options] : options,
      onChange: (id) => id !== custom.value && send({ type: 'preset', id }),
    })}
    <span class="reset">${plan.changed ? ui.button({ label: t('Reset'), icon: 'discard', onClick: () => send({ type: 'resetSettings' }) }) : nothing}</span>
    <p class="hint">${chosen ? html`${chosen.help} ${t('Source: {0}.', chosen.source.replace(/\.$/, ''))}` : nothing}</p>
  </div>`;
}

const origins: Readonly<Record<PlanTargets['kind'], (from: string) => string>> = {
  experts: () => t('as the recipe says'),
  random: (seed) => t('drawn from the other layers with seed {0}', seed),
  esft: (file) => t('listed in {0}', file),
};

/** `L2·E10, L1·E4`; a long list is cut. */
export const targetNames = (experts: readonly ExpertId[], most = 6): string =>
  experts.length > most
    ? t('{0} and {1} more', experts.slice(0, most).map(expertName).join(', '), count(experts.length - most))
    : experts.map(expertName).join(', ');

/** What the plan trains: the expert of step 2, or what the recipe says, with the way from each to the other. */
function targetLine({ send }: ViewContext, { settings, targets }: PlanView, target: RankingRow): TemplateResult {
  const change = html`<button class="link" aria-label=${t('Change the target expert')} @click=${() => send({ type: 'step', step: 'find' })}>${t('Change')}</button>`;
  const affinity = (row: { readonly affinity: number | null; readonly rank: number | null }) =>
    row.rank === null ? nothing : t('affinity {0}, rank {1}', fraction(row.affinity), count(row.rank));
  const to = (value: PlanSettings['target'], label: string) =>
    html`<button class="link" @click=${() => send({ type: 'settings', patch: { target: value } })}>${label}</button>`;
  if (!targets || settings.target === 'one')
    return html`<p class="target-line">
      ${icon('target')} <b>${expertName(target)}</b> <span class="dim">${affinity(target)}</span><span class="grow"></span>
      ${targets ? to('recipe', t('Back to the recipe’s')) : nothing} ${change}
    </p>`;
  const { kind, from, experts } = targets;
  return html`<div class="target-line">
    <ul>
      ${experts.length === 0 ? html`<li>${icon('target')} <span class="dim">${t('not known yet')}</span></li>` : nothing}
      ${experts.map((row) => html`<li>${icon('target')} <b>${expertName(row)}</b> <span class="dim">${affinity(row)}</span></li>`)}
      <li class="dim">${origins[kind](from)}</li>
    </ul>
    <span class="grow"></span>${to('one', t('Train {0} alone', expertName(target)))}
  </div>`;
}

export function planForm(context: ViewContext, plan: PlanView, target: RankingRow): TemplateResult {
  const { send } = context;
  const { settings, methods } = plan;
  return card(
    {
      title: t('Plan'),
      help: t('Only the matrices of the target expert and the router of its layer are trained. Everything else is frozen and later proved unchanged.'),
      right: html`<button class="icon-button" aria-label=${t('Save as recipe…')} title=${t('Save as recipe…')} @click=${() => send({ type: 'saveRecipe' })}>${icon('new-file')}</button>`,
    },
    html`<div class="plan-form">
      ${targetLine(context, plan, target)} ${preset(context, plan)}
      <fieldset>
        <legend>${t('Method')}</legend>
        ${methodChoice(methods, settings.method, (method) => send({ type: 'settings', patch: { method } }))}
      </fieldset>
      ${weights(context, settings)} ${training(context, settings)} ${stopEarly(context, settings)}
    </div>`,
  );
}
