/** Step 3 before a run: the form, what it needs, what will be measured, what can't be. */
import { html, nothing, type TemplateResult } from 'lit';
import { bytes, count, duration, parameters, percent } from '../../src/protocol/numbers';
import type { PlanView, RankingRow } from '../../src/protocol/workbench';
import { memoryBar, memoryRows } from '../charts/memory-bar';
import { saveMenu } from '../charts/save-menu';
import { t } from '../text';
import { ui } from '../ui';
import { banner, type Content, card, facts, icon, sentences } from '../ui/parts';
import { type ViewContext, wide } from './context';
import { dataCard } from './data';
import { planForm, targetNames } from './plan-form';

type Answer = NonNullable<PlanView['answer']>;

const fits = ({ peakBytes, budgetBytes }: Answer) => peakBytes <= budgetBytes;
const diskFits = ({ diskBytes, diskFree }: Answer) => diskFree === null || diskBytes <= diskFree;

/** Two ways out, each with what is needed then. */
function tooMuch({ send }: ViewContext, { peakBytes, budgetBytes, waysOut }: Answer): TemplateResult {
  const shown = [...waysOut.filter((way) => way.fits), ...waysOut.filter((way) => !way.fits)].slice(0, 2);
  const said = shown.map(({ label, peakBytes: then }, index) => `${index === 0 ? label : label.charAt(0).toLowerCase() + label.slice(1)}: ${bytes(then)}`);
  const last = shown.some((way) => way.fits) ? '' : ` ${t('Neither is enough: raise “uoe.engine.memory”, or give fewer and shorter rows.')}`;
  return banner(
    'error',
    t('Needs {0}, {1} is allowed.', bytes(peakBytes), bytes(budgetBytes)),
    said.length > 0 ? `${said.join('; ')}.${last}` : t('Raise “uoe.engine.memory”, or give fewer and shorter rows.'),
    html`${shown.map(({ label, patch, fits: enough }) => ui.button({ label, primary: enough, onClick: () => send({ type: 'settings', patch }) }))}`,
  );
}

function backendWords(backend: ViewContext['state']['engine']['backend']): string {
  if (!backend) return t('not started');
  const { name, threads } = backend;
  return threads === 1 ? t('{0}, {1} thread', name, count(threads)) : t('{0}, {1} threads', name, count(threads));
}

/** Room inside the card: beside the form on a wide page. */
const barWidth = (width: number) => (width >= wide ? width - 48 - 432 - 16 : width - 32) - 30;
const memoryOf = ({ width }: ViewContext, { parts, peakBytes, freeBytes }: Answer) => ({ width: barWidth(width), parts, need: peakBytes, free: freeBytes });

function answerFacts(context: ViewContext, { settings }: PlanView, answer: Answer): Content {
  const { engine, model } = context.state;
  const { peakBytes, budgetBytes, freeBytes, step, diskBytes, diskFree } = answer;
  const measuredStep = step ? t('{0} steps × {1}, measured in run {2}', count(settings.steps), duration(step.seconds), step.run) : null;
  const phases = answer.time?.phases.map(({ name, seconds }) => `${name} ${duration(seconds)}`).join(', ') ?? '';
  const time: readonly [string, string, string] = answer.time
    ? [t('Time'), t('about {0}', duration(answer.time.seconds)), measuredStep ? `${phases} (${measuredStep})` : phases]
    : step
      ? [t('Time'), duration(step.seconds * settings.steps), measuredStep ?? '']
      : [t('Time'), t('not known yet'), t('a sample of the model is being timed')];
  const kept =
    answer.keptBytes > 0
      ? t('optimizer state, best step, patch; {0} of activations for later runs', bytes(answer.keptBytes))
      : t('optimizer state, best step, patch');
  const exported = t('an export takes {0} more', bytes(answer.exportBytes));
  return html`
    ${memoryBar(memoryOf(context, answer))}
    ${facts([
      [
        t('Trains'),
        t('{0} parameters', count(answer.trainedParameters)),
        model ? t('{0} of {1}', percent(answer.trainedShare, 2), parameters(model.parameters.total)) : t('{0} of all', percent(answer.trainedShare, 2)),
      ],
      [
        t('Memory'),
        bytes(peakBytes),
        freeBytes < budgetBytes ? t('{0} free, {1} allowed', bytes(freeBytes), bytes(budgetBytes)) : t('{0} allowed', bytes(budgetBytes)),
      ],
      time,
      [t('Disk'), bytes(diskBytes), diskFree === null ? `${kept}; ${exported}` : `${kept}; ${exported}; ${t('{0} free', bytes(diskFree))}`],
      [t('Data'), t('{0} forget rows', count(answer.forgetRows)), answer.retainRows > 0 ? t('{0} retain rows', count(answer.retainRows)) : t('no retain text')],
      [t('Backend'), backendWords(engine.backend), engine.backend?.why ?? ''],
    ])}
  `;
}

/** Why Start is disabled; null when it is not. */
function obstacle({ state }: ViewContext, plan: PlanView): string | null {
  if (plan.refusal !== null) return t('The plan can’t start as it is');
  if (!plan.answer) return t('Working out what it needs');
  if (!fits(plan.answer)) return t('Not enough memory');
  if (!diskFits(plan.answer)) return t('Not enough space on the disk');
  return state.job !== null ? t('Waits until the job below is done') : null;
}

function notes({ answer }: PlanView): Content {
  if (!answer) return nothing;
  const { peakBytes, freeBytes, warnings } = answer;
  const tight = peakBytes > freeBytes && fits(answer) ? [t('Only {0} is free now: the system may have to swap, which is slow.', bytes(freeBytes))] : [];
  return html`${[...tight, ...warnings].map((text) => banner('warning', t('Note.'), text))}`;
}

function before(context: ViewContext, plan: PlanView): TemplateResult {
  const { send } = context;
  const { answer, refusal } = plan;
  const why = obstacle(context, plan);
  const start = ui.button({ label: t('Start unlearning'), icon: 'play', primary: true, disabled: why !== null, onClick: () => send({ type: 'start' }) });
  return card(
    {
      title: t('Before you start'),
      help: t(
        'Worked out by the engine from the model’s shapes, your settings and your data, before anything is trained. Time comes from a sample of the model’s own parts on this machine, and from a run of the same work in this workspace where there is one. Memory is the peak of the engine’s process, in bytes.',
      ),
      className: 'before',
      // Always there, so that nothing moves when it appears.
      right: html`<span class="updating" role="status">${plan.isUpdating && (answer || refusal !== null) ? html`${icon('sync')} ${t('updating')}` : nothing}</span>
      ${answer ? saveMenu({ name: 'Memory of a run', rows: () => memoryRows(memoryOf(context, answer)) }, send) : nothing}`,
    },
    refusal !== null ? banner('error', t('Can’t start.'), refusal) : nothing,
    answer ? answerFacts(context, plan, answer) : refusal === null ? html`<p class="dim">${t('Working out what this needs…')}</p>` : nothing,
    answer && !fits(answer) ? tooMuch(context, answer) : nothing,
    html`<div class="actions start">${start}<span class="dim">${why ?? t('You can pause or stop at any step. The model on disk is not changed.')}</span></div>`,
    notes(plan),
  );
}

const happens = [
  t('Reads the forget and retain text and keeps the states below the target’s layer.'),
  t('Trains the expert and its router; shows each loss while it runs.'),
  t('Measures the kept step before and after, as far as there are sets to measure on.'),
  t('Writes a patch into .uoe/runs. The checkpoint itself stays as it is until you export or apply.'),
];

export function planStep(context: ViewContext, plan: PlanView, target: RankingRow): TemplateResult {
  const { answer, settings, targets } = plan;
  const trained = targets && settings.target === 'recipe' ? targets.experts : [target];
  return html`
    <div class="headline">
      <div>
        <h1>${t('Unlearn from {0}', trained.length > 0 ? targetNames(trained) : t('the recipe’s experts'))}</h1>
        <p>${answer ? t('Trains {0} of the parameters on {1} forget rows.', percent(answer.trainedShare, 2), count(answer.forgetRows)) : ''} ${t('The checkpoint on disk is not changed.')}</p>
      </div>
    </div>
    <div class="columns form-left">
      <div class="side">${planForm(context, plan, target)}</div>
      <div class="main">
        ${before(context, plan)}
        ${card(
          { title: t('What happens'), help: t('The sentences come from the engine: what the data at hand allow to measure, and what they don’t.') },
          html`<ol class="happens">${happens.map((text) => html`<li>${text}</li>`)}</ol>`,
          answer ? html`${sentences(answer.measured, t('What will be measured'))} ${sentences(answer.notMeasured, t('What can’t be measured'))}` : nothing,
        )}
        ${dataCard(context)}
      </div>
    </div>
  `;
}
