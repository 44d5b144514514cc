/** The plan's form: target, preset, method, weights, training, stop early. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { count, expertName, fraction, setting } from '../../src/protocol/numbers';
import type { PlanSettings, PlanView, RankingRow } from '../../src/protocol/workbench';
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
      <span class="label" id="anchor-label">Anchor weight α</span>
      <input type="range" min="0" max=${lastPosition} step="1" .value=${live(String(positionOf(weight)))} aria-labelledby="anchor-label" aria-valuetext=${setting(weight)} @input=${onInput} @keydown=${onKey} />
      <svg class="slider-ticks" width="100%" height="20" aria-hidden="true">
        ${ticks.map(
          ([text, position]) => svg`
            <line x1="${(100 * position) / lastPosition}%" x2="${(100 * position) / lastPosition}%" y1="0" y2="5"></line>
            <text x="${(100 * position) / lastPosition}%" y="17" text-anchor="middle" class=${text === '1' ? 'best' : ''}>${text}</text>`,
        )}
      </svg>
    </div>
    ${settingField(context, settings, 'anchorWeight', 'Anchor weight')}
    <p class="hint" role="status">${settings.train === 'expert' ? 'No effect: the router does not train.' : advice(weight)}</p>
  </div>`;
}

/** Fields of the chosen method alone. */
function methodFields(context: ViewContext, settings: PlanSettings): Content {
  const { send } = context;
  switch (settings.method) {
    case 'rmu':
      return html`${settingField(context, settings, 'steering', 'Steering c', settings.steeringUnit === 'hiddenNorm' ? '× norm' : undefined)}
      ${ui.choice({
        label: 'Unit of c',
        value: settings.steeringUnit,
        options: [
          { value: 'absolute', label: 'absolute' },
          { value: 'hiddenNorm', label: '× mean hidden norm' },
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
    settings.method === 'rmu' ? 'Its own retain term, on hidden states of the retain text.' : 'Weight of the NLL on the retain text; 0 turns it off.';
  return html`<fieldset>
    <legend>Weights</legend>
    ${anchor(context, settings)}
    <div class="fields three">
      ${settings.method === 'ga' ? nothing : settingField(context, settings, 'retainWeight', settings.method === 'rmu' ? 'Retain weight' : 'Retain weight λ')}
      ${methodFields(context, settings)}
      ${ui.choice({
        label: 'Anchor form',
        value: settings.anchorForm,
        options: [
          { value: 'paper', label: 'paper (sum)' },
          { value: 'released', label: 'released (mean)' },
        ],
        onChange: (value) => context.send({ type: 'settings', patch: { anchorForm: value as PlanSettings['anchorForm'] } }),
      })}
    </div>
    <p class="hint">${settings.method === 'ga' ? 'GA has no retain term; GDIFF is GA with one.' : hasRetain ? retain : 'The retain weight has no effect: there is no retain text.'}</p>
  </fieldset>`;
}

function training(context: ViewContext, settings: PlanSettings): TemplateResult {
  const { send } = context;
  const field = (name: Parameters<typeof settingField>[2], label: string, unit?: string) => settingField(context, settings, name, label, unit);
  return html`<fieldset>
    <legend>Training</legend>
    <div class="fields three">
      <div class="two-columns">
        ${ui.choice({
          label: 'Trains',
          value: settings.train,
          options: [
            { value: 'expert+router', label: 'expert and router' },
            { value: 'expert', label: 'expert only' },
            { value: 'router', label: 'router only' },
          ],
          onChange: (value) => send({ type: 'settings', patch: { train: value as PlanSettings['train'] } }),
        })}
      </div>
      ${field('lr', 'Learning rate')} ${field('steps', 'Steps')} ${field('batchSize', 'Batch', 'rows')} ${field('maxLength', 'Length', 'tokens')}
      ${field('seed', 'Seed')}
      ${ui.choice({
        label: 'Schedule',
        value: settings.schedule,
        options: ['constant', 'cosine', 'linear'].map((value) => ({ value, label: value })),
        onChange: (value) => send({ type: 'settings', patch: { schedule: value as PlanSettings['schedule'] } }),
      })}
      ${field('warmup', 'Warm-up', 'steps')} ${field('accumulate', 'Parts', 'of a batch')}
    </div>
  </fieldset>`;
}

function stopEarly(context: ViewContext, settings: PlanSettings): TemplateResult {
  const { data, plan } = context.state;
  const field = (name: Parameters<typeof settingField>[2], label: string, unit?: string) => settingField(context, settings, name, label, unit);
  const rows = plan?.answer?.checkRows ?? 0;
  if (!data.stopForget && rows === 0)
    return html`<fieldset>
      <legend>Stop early when</legend>
      <p class="hint">Needs a stop set, which is measured during the run: choose one under “Data”. Without it the run does all its steps.</p>
    </fieldset>`;
  return html`<fieldset>
    <legend>Stop early when</legend>
    <div class="fields three">
      ${field('forgetAtMost', 'Forget falls to')}
      ${data.stopUtility ? html`${field('utilityDropAtMost', 'Utility drops by')}${field('nllRiseAtMost', 'NLL rises by')}` : nothing}
      ${field('patience', 'In a row', 'checks')} ${field('everySteps', 'Check every', 'steps')}
      <div class="two-columns">
        ${ui.choice({
          label: 'Keep',
          value: settings.keep,
          options: [
            { value: 'last', label: 'the last step' },
            { value: 'best', label: 'the best check' },
          ],
          onChange: (value) => context.send({ type: 'settings', patch: { keep: value as PlanSettings['keep'] } }),
        })}
      </div>
    </div>
    <p class="hint">An empty rule is off. ${data.stopForget || rows === 0 ? '' : `No stop set is given: the ${rows === 1 ? 'forget prompt itself is' : `${count(rows)} forget prompts themselves are`} checked; the forget score of text is exp(−NLL) per token. `}${data.stopUtility ? '' : 'Rules on utility need a second stop set, of what the model should keep.'}</p>
  </fieldset>`;
}

function preset({ send }: ViewContext, plan: PlanView): TemplateResult {
  const chosen = plan.presets.find(({ id }) => id === plan.presetId);
  const options = plan.presets.map(({ id, label }) => ({ value: id, label }));
  // A changed preset is an entry of its own, so that choosing the preset again brings its values back.
  const custom = { value: 'custom', label: `Custom (from ${plan.preset})` };
  return html`<div class="preset">
    ${ui.choice({
      label: 'Preset',
      value: plan.changed ? custom.value : plan.presetId,
      options: plan.changed ? [custom, ...options] : options,
      onChange: (id) => id !== custom.value && send({ type: 'preset', id }),
    })}
    <span class="reset">${plan.changed ? ui.button({ label: 'Reset', icon: 'discard', onClick: () => send({ type: 'resetSettings' }) }) : nothing}</span>
    <p class="hint">${chosen ? html`${chosen.help} Source: ${chosen.source.replace(/\.$/, '')}.` : nothing}</p>
  </div>`;
}

export function planForm(context: ViewContext, plan: PlanView, target: RankingRow): TemplateResult {
  const { send } = context;
  const { settings, methods } = plan;
  return card(
    {
      title: 'Plan',
      help: 'Only the matrices of the target expert and the router of its layer are trained. Everything else is frozen and later proved unchanged.',
    },
    html`<div class="plan-form">
      <p class="target-line">
        ${icon('target')} <b>${expertName(target)}</b> <span class="dim">affinity ${fraction(target.affinity)}, rank ${count(target.rank)}</span>
        <span class="grow"></span><button class="link" aria-label="Change the target expert" @click=${() => send({ type: 'step', step: 'find' })}>Change</button>
      </p>
      ${preset(context, plan)}
      <fieldset>
        <legend>Method</legend>
        ${methodChoice(methods, settings.method, (method) => send({ type: 'settings', patch: { method } }))}
      </fieldset>
      ${weights(context, settings)} ${training(context, settings)} ${stopEarly(context, settings)}
    </div>`,
  );
}
