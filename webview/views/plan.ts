/** Step 3 before a run: the form, what it needs, what will be measured, what can't be. */
import { html, nothing, type TemplateResult } from 'lit';
import { bytes, count, duration, expertName, parameters, percent } from '../../src/protocol/numbers';
import type { PlanView, RankingRow } from '../../src/protocol/workbench';
import { memoryBar } from '../charts/memory-bar';
import { ui } from '../ui';
import { banner, type Content, card, facts, sentences } from '../ui/parts';
import type { ViewContext } from './context';
import { dataCard } from './data';
import { planForm } from './plan-form';

type Answer = NonNullable<PlanView['answer']>;

const fits = ({ peakBytes, budgetBytes }: Answer) => peakBytes <= budgetBytes;
const diskFits = ({ diskBytes, diskFree }: Answer) => diskFree === null || diskBytes <= diskFree;

/** Two ways out, each with what is needed then. */
function tooMuch({ send }: ViewContext, { peakBytes, budgetBytes, waysOut }: Answer): TemplateResult {
  const shown = [...waysOut.filter((way) => way.fits), ...waysOut.filter((way) => !way.fits)].slice(0, 2);
  const said = shown.map(({ label, peakBytes: then }, index) => `${index === 0 ? label : label.charAt(0).toLowerCase() + label.slice(1)}: ${bytes(then)}`);
  const last = shown.some((way) => way.fits) ? '' : ' Neither is enough: raise “uoe.engine.memory”, or give fewer and shorter rows.';
  return banner(
    'error',
    `Needs ${bytes(peakBytes)}, ${bytes(budgetBytes)} is allowed.`,
    said.length > 0 ? `${said.join('; ')}.${last}` : 'Raise “uoe.engine.memory”, or give fewer and shorter rows.',
    html`${shown.map(({ label, patch, fits: enough }) => ui.button({ label, primary: enough, onClick: () => send({ type: 'settings', patch }) }))}`,
  );
}

function answerFacts(context: ViewContext, { settings }: PlanView, answer: Answer): Content {
  const { engine, model } = context.state;
  const { peakBytes, budgetBytes, freeBytes, step, diskBytes, diskFree } = answer;
  const time: readonly [string, string, string] = step
    ? ['Time', duration(step.seconds * settings.steps), `${count(settings.steps)} steps × ${duration(step.seconds)}, measured in run ${step.run}`]
    : ['Time', 'not known yet', 'the first step measures it'];
  return html`
    ${memoryBar(answer.parts, peakBytes, freeBytes)}
    ${facts([
      [
        'Trains',
        `${count(answer.trainedParameters)} parameters`,
        `${percent(answer.trainedShare, 2)} of ${model ? parameters(model.parameters.total) : 'all'}`,
      ],
      ['Memory', bytes(peakBytes), freeBytes < budgetBytes ? `${bytes(freeBytes)} free, ${bytes(budgetBytes)} allowed` : `${bytes(budgetBytes)} allowed`],
      time,
      ['Disk', bytes(diskBytes), diskFree === null ? 'optimizer state, best step, patch' : `optimizer state, best step, patch; ${bytes(diskFree)} free`],
      ['Data', `${count(answer.forgetRows)} forget rows`, answer.retainRows > 0 ? `${count(answer.retainRows)} retain rows` : 'no retain text'],
      [
        'Backend',
        engine.backend ? `${engine.backend.name}, ${count(engine.backend.threads)} ${engine.backend.threads === 1 ? 'thread' : 'threads'}` : 'not started',
        engine.backend?.why ?? '',
      ],
    ])}
  `;
}

/** Why Start is disabled; null when it is not. */
function obstacle({ state }: ViewContext, plan: PlanView): string | null {
  if (plan.refusal !== null) return 'The plan can’t start as it is';
  if (!plan.answer) return 'Working out what it needs';
  if (!fits(plan.answer)) return 'Not enough memory';
  if (!diskFits(plan.answer)) return 'Not enough space on the disk';
  return state.job !== null ? 'Waits until the job below is done' : null;
}

function notes({ answer }: PlanView): Content {
  if (!answer) return nothing;
  const { peakBytes, freeBytes, warnings } = answer;
  const tight = peakBytes > freeBytes && fits(answer) ? [`Only ${bytes(freeBytes)} is free now: the system may have to swap, which is slow.`] : [];
  return html`${[...tight, ...warnings].map((text) => banner('warning', 'Note.', text))}`;
}

function before(context: ViewContext, plan: PlanView): TemplateResult {
  const { send } = context;
  const { answer, refusal } = plan;
  const why = obstacle(context, plan);
  const start = ui.button({ label: 'Start unlearning', icon: 'play', primary: true, disabled: why !== null, onClick: () => send({ type: 'start' }) });
  return card(
    {
      title: 'Before you start',
      help: 'Worked out by the engine from the model’s shapes, your settings and your data, before anything is trained. Time comes from a run of the same work in this workspace. Memory is the peak of the engine’s process, in bytes.',
      className: 'before',
    },
    refusal !== null ? banner('error', 'Can’t start.', refusal) : nothing,
    answer ? answerFacts(context, plan, answer) : refusal === null ? html`<p class="dim">Working out what this needs…</p>` : nothing,
    answer && !fits(answer) ? tooMuch(context, answer) : nothing,
    html`<div class="actions start">${start}<span class="dim">${why ?? 'You can pause or stop at any step. The model on disk is not changed.'}</span></div>`,
    notes(plan),
  );
}

const happens = [
  'Reads the forget and retain text and keeps the states below the target’s layer.',
  'Trains the expert and its router; shows each loss while it runs.',
  'Measures the kept step before and after, as far as there are sets to measure on.',
  'Writes a patch into .uoe/runs. The checkpoint itself stays as it is until you export or apply.',
];

export function planStep(context: ViewContext, plan: PlanView, target: RankingRow): TemplateResult {
  const { answer } = plan;
  return html`
    <div class="headline">
      <div>
        <h1>Unlearn from ${expertName(target)}</h1>
        <p>${answer ? `Trains ${percent(answer.trainedShare, 2)} of the parameters on ${count(answer.forgetRows)} forget rows.` : ''} The checkpoint on disk is not changed.</p>
      </div>
    </div>
    <div class="columns form-left">
      <div class="side">${planForm(context, plan, target)}</div>
      <div class="main">
        ${before(context, plan)}
        ${card(
          { title: 'What happens', help: 'The sentences come from the engine: what the data at hand allow to measure, and what they don’t.' },
          html`<ol class="happens">${happens.map((text) => html`<li>${text}</li>`)}</ol>`,
          answer ? html`${sentences(answer.measured, 'What will be measured')} ${sentences(answer.notMeasured, 'What can’t be measured')}` : nothing,
        )}
        ${dataCard(context)}
      </div>
    </div>
  `;
}
