/** Step 3 during and after a run: live losses, pause, stop and keep, stop and discard, and why it ended. */
import { html, nothing, type TemplateResult } from 'lit';
import { guard } from 'lit/directives/guard.js';
import { bytes, duration, expertName, fraction, loss, setting } from '../../src/protocol/numbers';
import type { StepRecord } from '../../src/protocol/records';
import { methodName } from '../../src/protocol/run-table';
import type { RunView } from '../../src/protocol/workbench';
import { t } from '../text';
import { ui } from '../ui';
import { banner, card, facts, icon } from '../ui/parts';
import type { ViewContext } from './context';
import { runCharts } from './run-charts';

const isActive = (run: RunView) => ['running', 'paused', 'stopping'].includes(run.status);

/** A number in the width of the largest it can become. */
const figure = '\u2007';
const padded = (value: number, largest: number) => String(value).padStart(String(largest).length, figure);

const pills: Readonly<Record<RunView['status'], readonly [icon: string, text: string]>> = {
  running: ['sync', t('running')],
  paused: ['debug-pause', t('paused')],
  stopping: ['debug-stop', t('stopping')],
  done: ['pass', t('done')],
  stopped: ['debug-stop', t('stopped early')],
  cancelled: ['circle-slash', t('cancelled')],
  failed: ['error', t('failed')],
  interrupted: ['debug-disconnect', t('cut off')],
};

/** Before the first step has been timed. */
const plannedWords = ({ plannedSeconds, elapsedSeconds }: RunView): string =>
  plannedSeconds !== undefined && plannedSeconds > elapsedSeconds ? t('about {0} left', duration(plannedSeconds - elapsedSeconds)) : '';

function progress({ state, steps }: ViewContext, run: RunView): TemplateResult {
  const done = steps.at(-1)?.step ?? 0;
  const left = run.secondsPerStep === null ? null : run.secondsPerStep * (run.plannedSteps - done);
  const phase = state.job && steps.length === 0 ? state.job.message : '';
  const ends = isActive(run)
    ? left === null
      ? plannedWords(run)
      : t('at most {0} left', duration(left))
    : run.status === 'interrupted'
      ? t('cut off')
      : t('finished');
  return html`<progress max=${run.plannedSteps} value=${done} aria-label=${t('Steps done')}></progress>
    <div class="progress-line">
      <span>${t('step {0} of {1}', padded(done, run.plannedSteps), run.plannedSteps)}</span><span>${t('{0} elapsed', duration(run.elapsedSeconds))}</span><span>${ends}</span>
      <span>${run.secondsPerStep === null ? phase : t('{0} per step', duration(run.secondsPerStep))}</span>
      <span>${run.memoryBytes === null ? '' : t('{0} in use', bytes(run.memoryBytes))}</span>
    </div>`;
}

function buttons({ send }: ViewContext, run: RunView): TemplateResult {
  if (run.status === 'stopping') return html`<div class="actions steer"><span class="dim">${t('Stopping after the step in progress…')}</span></div>`;
  const paused = run.status === 'paused';
  return html`<div class="actions steer">
    ${ui.button({ label: paused ? t('Resume') : t('Pause'), icon: paused ? 'debug-continue' : 'debug-pause', onClick: () => send({ type: 'steer', action: paused ? 'continue' : 'pause' }) })}
    ${ui.button({ label: t('Stop and keep best'), icon: 'debug-stop', onClick: () => send({ type: 'steer', action: 'keep' }) })}
    ${ui.button({ label: t('Stop and discard'), icon: 'trash', onClick: () => send({ type: 'steer', action: 'discard' }) })}
    <span class="dim">${run.bestStep === null ? t('no check yet') : t('best so far: step {0}', run.bestStep)}</span>
  </div>`;
}

const titles: Readonly<Record<RunView['status'], string>> = {
  running: '',
  paused: '',
  stopping: '',
  done: t('Done.'),
  stopped: t('Stopped early.'),
  cancelled: t('Cancelled.'),
  failed: t('Failed.'),
  interrupted: t('Cut off.'),
};

/** Takes the place of the buttons, so that nothing jumps. */
function ending({ state, send }: ViewContext, run: RunView): TemplateResult {
  const kind = run.status === 'done' ? 'ok' : run.status === 'failed' ? 'error' : 'warning';
  const { gentlerRate, savedStep, bestStep } = run;
  const compare = state.comparison?.run === run.id;
  return banner(
    kind,
    titles[run.status],
    run.reason ?? (bestStep === null ? '' : t('Step {0} is kept.', bestStep)),
    html`${compare ? ui.button({ label: bestStep === null ? t('Compare') : t('Compare step {0}', bestStep), primary: true, onClick: () => send({ type: 'step', step: 'compare' }) }) : nothing}
    ${
      run.resumable && !state.problem?.actions.some(({ id }) => id === 'resumeRun')
        ? ui.button({
            label: savedStep === null ? t('Resume') : t('Resume from step {0}', savedStep),
            icon: 'debug-continue',
            primary: true,
            onClick: () => send({ type: 'problem', action: 'resumeRun' }),
          })
        : nothing
    }
    ${gentlerRate === null ? nothing : ui.button({ label: t('Use {0}', setting(gentlerRate)), onClick: () => send({ type: 'newPlan', patch: { lr: gentlerRate } }) })}
    ${
      run.stoppedByRule
        ? ui.button({
            label: t('Again without the rule'),
            onClick: () => send({ type: 'newPlan', patch: { forgetAtMost: null, utilityDropAtMost: null, nllRiseAtMost: null } }),
          })
        : nothing
    }`,
  );
}

/** Always four lines. */
function logLines(steps: readonly StepRecord[]): string {
  const lines = steps
    .slice(-4)
    .map(({ step, forget, retain, anchor, overlapForget, overlapRetain, targetShare }) =>
      t(
        'step {0}  forget {1}  retain {2}  anchor {3}  overlap {4}/{5}  target {6}',
        String(step).padStart(4),
        loss(forget),
        loss(retain),
        loss(anchor),
        fraction(overlapForget),
        fraction(overlapRetain),
        fraction(targetShare),
      ),
    );
  return [...lines, '', '', '', ''].slice(0, 4).join('\n');
}

function settings({ send }: ViewContext, run: RunView): TemplateResult {
  return card(
    {
      title: t('Settings of this run'),
      help: t('Fixed while the run is on. “Use as new plan” copies them into the form. Source: recipe.json of the run folder.'),
    },
    facts(run.settings),
    html`<div class="actions">
      ${ui.button({ label: t('Use as new plan'), icon: 'copy', disabled: isActive(run), onClick: () => send({ type: 'newPlan' }) })}
      ${ui.button({ label: t('Open log'), icon: 'output', onClick: () => send({ type: 'problem', action: 'showLog' }) })}
    </div>`,
  );
}

export function runStep(context: ViewContext, run: RunView): TemplateResult {
  const { bestStep } = run;
  const mark = bestStep === null ? null : isActive(run) ? t('best {0}', bestStep) : t('kept {0}', bestStep);
  const [pillIcon, pillText] = pills[run.status];
  return html`
    <div class="headline">
      <div><h1>${t('{0} on {1}', methodName(run.method), run.target.map(expertName).join(', '))}</h1><p>${t('Run {0}. The checkpoint on disk is not changed.', run.number)}</p></div>
    </div>
    <div class="columns run-right">
      <div class="main">
        ${card(
          {
            title: t('Run {0}', run.number),
            help: t(
              'Forget, retain and anchor are the three terms of the loss, on the batch of each step. Routing overlap is the share of each token’s chosen experts that the original model also chose: a good run lowers it, because the anchor pulls forget tokens to the target. A falling target share is the sign of dodging. Losses are in nats. Source: steps.jsonl and checks.jsonl of the run folder.',
            ),
            right: html`<span class="pill">${icon(pillIcon)} ${pillText}</span>`,
          },
          progress(context, run),
          html`<div class="steering">${isActive(run) ? buttons(context, run) : ending(context, run)}</div>`,
          runCharts(context, run, mark),
          html`<p class="keys"><span class="key-line forget">${t('forget')}</span><span class="key-line retain">${t('retain, utility')}</span><span class="key-line anchor">${t('anchor, target')}</span></p>`,
          html`<pre class="log" role="log" aria-live="off" tabindex="0" aria-label=${t('Last steps')}>${logLines(context.steps)}</pre>`,
        )}
      </div>
      <div class="side">${guard([run.id, isActive(run)], () => settings(context, run))}</div>
    </div>
  `;
}
