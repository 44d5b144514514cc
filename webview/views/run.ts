/** Step 3 during and after a run: live losses, pause, stop and keep, stop and discard, and why it ended. */
import { html, nothing, type TemplateResult } from 'lit';
import { bytes, duration, expertName, fraction, loss, setting } from '../../src/protocol/numbers';
import type { StepRecord } from '../../src/protocol/records';
import type { RunView } from '../../src/protocol/workbench';
import { ui } from '../ui';
import { banner, card, facts, icon } from '../ui/parts';
import type { ViewContext } from './context';
import { runCharts } from './run-charts';

const isActive = (run: RunView) => ['running', 'paused', 'stopping'].includes(run.status);

/** A number in the width of the largest it can become. */
const figure = '\u2007';
const padded = (value: number, largest: number) => String(value).padStart(String(largest).length, figure);

const pills: Readonly<Record<RunView['status'], readonly [icon: string, text: string]>> = {
  running: ['sync', 'running'],
  paused: ['debug-pause', 'paused'],
  stopping: ['debug-stop', 'stopping'],
  done: ['pass', 'done'],
  stopped: ['debug-stop', 'stopped early'],
  cancelled: ['circle-slash', 'cancelled'],
  failed: ['error', 'failed'],
  interrupted: ['debug-disconnect', 'cut off'],
};

function progress({ state, steps }: ViewContext, run: RunView): TemplateResult {
  const done = steps.at(-1)?.step ?? 0;
  const left = run.secondsPerStep === null ? null : run.secondsPerStep * (run.plannedSteps - done);
  const phase = state.job && steps.length === 0 ? state.job.message : '';
  const ends = isActive(run) ? (left === null ? '' : `at most ${duration(left)} left`) : run.status === 'interrupted' ? 'cut off' : 'finished';
  return html`<progress max=${run.plannedSteps} value=${done} aria-label="Steps done"></progress>
    <div class="progress-line">
      <span>step ${padded(done, run.plannedSteps)} of ${run.plannedSteps}</span><span>${duration(run.elapsedSeconds)} elapsed</span><span>${ends}</span>
      <span>${run.secondsPerStep === null ? phase : `${duration(run.secondsPerStep)} per step`}</span>
      <span>${run.memoryBytes === null ? '' : `${bytes(run.memoryBytes)} in use`}</span>
    </div>`;
}

function buttons({ send }: ViewContext, run: RunView): TemplateResult {
  if (run.status === 'stopping') return html`<div class="actions steer"><span class="dim">Stopping after the step in progress…</span></div>`;
  const paused = run.status === 'paused';
  return html`<div class="actions steer">
    ${ui.button({ label: paused ? 'Resume' : 'Pause', icon: paused ? 'debug-continue' : 'debug-pause', onClick: () => send({ type: 'steer', action: paused ? 'continue' : 'pause' }) })}
    ${ui.button({ label: 'Stop and keep best', icon: 'debug-stop', onClick: () => send({ type: 'steer', action: 'keep' }) })}
    ${ui.button({ label: 'Stop and discard', icon: 'trash', onClick: () => send({ type: 'steer', action: 'discard' }) })}
    <span class="dim">${run.bestStep === null ? 'no check yet' : `best so far: step ${run.bestStep}`}</span>
  </div>`;
}

const titles: Readonly<Record<RunView['status'], string>> = {
  running: '',
  paused: '',
  stopping: '',
  done: 'Done.',
  stopped: 'Stopped early.',
  cancelled: 'Cancelled.',
  failed: 'Failed.',
  interrupted: 'Cut off.',
};

/** Takes the place of the buttons, so that nothing jumps. */
function ending({ state, send }: ViewContext, run: RunView): TemplateResult {
  const kind = run.status === 'done' ? 'ok' : run.status === 'failed' ? 'error' : 'warning';
  const { gentlerRate, savedStep, bestStep } = run;
  const compare = state.comparison?.run === run.id;
  return banner(
    kind,
    titles[run.status],
    run.reason ?? (bestStep === null ? '' : `Step ${bestStep} is kept.`),
    html`${compare ? ui.button({ label: bestStep === null ? 'Compare' : `Compare step ${bestStep}`, primary: true, onClick: () => send({ type: 'step', step: 'compare' }) }) : nothing}
    ${
      run.resumable && !state.problem?.actions.some(({ id }) => id === 'resumeRun')
        ? ui.button({
            label: savedStep === null ? 'Resume' : `Resume from step ${savedStep}`,
            icon: 'debug-continue',
            primary: true,
            onClick: () => send({ type: 'problem', action: 'resumeRun' }),
          })
        : nothing
    }
    ${gentlerRate === null ? nothing : ui.button({ label: `Use ${setting(gentlerRate)}`, onClick: () => send({ type: 'newPlan', patch: { lr: gentlerRate } }) })}
    ${
      run.stoppedByRule
        ? ui.button({
            label: 'Again without the rule',
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
    .map(
      ({ step, forget, retain, anchor, overlapForget, overlapRetain, targetShare }) =>
        `step ${String(step).padStart(4)}  forget ${loss(forget)}  retain ${loss(retain)}  anchor ${loss(anchor)}  overlap ${fraction(overlapForget)} / ${fraction(overlapRetain)}  target ${fraction(targetShare)}`,
    );
  return [...lines, '', '', '', ''].slice(0, 4).join('\n');
}

function settings({ send }: ViewContext, run: RunView): TemplateResult {
  return card(
    { title: 'Settings of this run', help: 'Fixed while the run is on. “Use as new plan” copies them into the form. Source: recipe.json of the run folder.' },
    facts(run.settings),
    html`<div class="actions">
      ${ui.button({ label: 'Use as new plan', icon: 'copy', disabled: isActive(run), onClick: () => send({ type: 'newPlan' }) })}
      ${ui.button({ label: 'Open log', icon: 'output', onClick: () => send({ type: 'problem', action: 'showLog' }) })}
    </div>`,
  );
}

export function runStep(context: ViewContext, run: RunView): TemplateResult {
  const { bestStep } = run;
  const mark = bestStep === null ? null : isActive(run) ? `best ${bestStep}` : `kept ${bestStep}`;
  const [pillIcon, pillText] = pills[run.status];
  return html`
    <div class="headline">
      <div><h1>${run.method.toUpperCase()} on ${run.target.map(expertName).join(', ')}</h1><p>Run ${run.number}. The checkpoint on disk is not changed.</p></div>
    </div>
    <div class="columns run-right">
      <div class="main">
        ${card(
          {
            title: `Run ${run.number}`,
            help: 'Forget, retain and anchor are the three terms of the loss, on the batch of each step. Routing overlap is the share of each token’s chosen experts that the original model also chose: a good run lowers it, because the anchor pulls forget tokens to the target. A falling target share is the sign of dodging. Losses are in nats. Source: steps.jsonl and checks.jsonl of the run folder.',
            right: html`<span class="pill">${icon(pillIcon)} ${pillText}</span>`,
          },
          progress(context, run),
          html`<div class="steering">${isActive(run) ? buttons(context, run) : ending(context, run)}</div>`,
          runCharts(context, run, mark),
          html`<p class="keys"><span class="key-line forget">forget</span><span class="key-line retain">retain, utility</span><span class="key-line anchor">anchor, target</span></p>`,
          html`<pre class="log" role="log" aria-live="off" tabindex="0" aria-label="Last steps">${logLines(context.steps)}</pre>`,
        )}
      </div>
      <div class="side">${settings(context, run)}</div>
    </div>
  `;
}
