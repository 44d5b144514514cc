/** The webview's entry: keeps what the host sent, and draws the page again when anything changed. */
import { t } from './text';
import './themes.css';
import './workbench.css';
import './find.css';
import './unlearn.css';
import './export.css';
import './compare.css';
import { render } from 'lit';
import type { AnswersFigures, RoutingFigures } from '../src/protocol/comparison-view';
import { expertName } from '../src/protocol/numbers';
import type { PromptList, PromptTicks, TokenStrip } from '../src/protocol/prompts-view';
import type { StepRecord } from '../src/protocol/records';
import type { EffectFigures, HeatmapFigures, HostMessage, WorkbenchState } from '../src/protocol/workbench';
import { type Theme, themeOf } from './heatmap/colour';
import { createHeatmap } from './heatmap/heatmap';
import { keepMemory, onMessage, post, readMemory } from './host';
import { createPromptList } from './prompts/prompt-list';
import { createTokenStrip } from './prompts/token-strip';
import { createRoutingPanels } from './views/compare/routing-panels';
import { workbench } from './views/workbench';

const root = document.querySelector<HTMLElement>('#workbench');
if (!root) throw new Error('The page has no #workbench.');

let state: WorkbenchState | null = null;
let figures: HeatmapFigures | null = null;
let effects: EffectFigures | null = null;
let prompts: PromptList | null = null;
let ticks: PromptTicks | null = null;
let strip: TokenStrip | null = null;
let steps: StepRecord[] = [];
let stepsOf = '';
let memory = readMemory();
let cursor: number | null = null;
let scheduled = false;
let routing: RoutingFigures | null = null;
let answers: AnswersFigures | null = null;
let routingCursor: number | null = null;

const panels = createRoutingPanels((index) => {
  if (index === routingCursor) return;
  routingCursor = index;
  schedule();
});

const heatmap = createHeatmap({
  onCursor: (index) => {
    if (index === cursor) return;
    cursor = index;
    schedule();
  },
  onPick: ({ layer, expert }) => post({ type: 'target', layer, expert }),
});

const promptList = createPromptList({
  onTick: (list, ticked) => post({ type: 'tick', prompts: [...list], ticked }),
  onShow: (prompt) => post({ type: 'tokens', prompt }),
});
const tokenStrip = createTokenStrip();

/** Room for the heatmap: the page less padding, card and, on a wide page, the side column. */
const heatmapWidth = (width: number) => (width >= 1080 ? width - 48 - 408 - 16 - 30 : width - 32 - 30);

function drawPrompts({ target, run }: WorkbenchState, theme: Theme): void {
  const locked = run !== null && ['running', 'paused', 'stopping'].includes(run.status);
  if (prompts && ticks) promptList.update({ list: prompts, ticks, shown: strip?.prompt ?? null, target: target && expertName(target), locked });
  if (target && figures) {
    const { layers, experts, rankInLayer } = figures;
    const bestOf = (layer: number) => rankInLayer.subarray(layers.indexOf(layer) * experts, (layers.indexOf(layer) + 1) * experts).indexOf(1);
    tokenStrip.update({ strip, target, expertOf: (layer) => (layer === target.layer ? target.expert : bestOf(layer)), theme });
  }
}

let shown: { readonly page: string; readonly problem: string | undefined } | null = null;

/** A page that is turned to begins at its top, and so does one on which something went wrong: the banner stands there. */
function turnPage({ step, run, comparison, sweep, problem }: WorkbenchState): void {
  const subject = { model: '', find: '', unlearn: run?.id, compare: sweep ? `sweep ${sweep.name}` : comparison?.run, export: comparison?.run }[step] ?? '';
  const now = { page: `${step} ${subject}`, problem: problem?.title };
  const isNew = now.page !== shown?.page || (now.problem !== undefined && now.problem !== shown.problem);
  if (shown && isNew) window.scrollTo(0, 0);
  shown = now;
}

function draw(): void {
  scheduled = false;
  if (!state || !root) return;
  const width = root.clientWidth;
  const theme = themeOf(document.body.classList);
  // What step 2 draws itself is drawn where it is seen: a run that begins would draw it all again behind the page.
  const isFind = state.step === 'find';
  if (figures && isFind && (memory.measure !== 'effect' || effects)) {
    const label = {
      affinity: t('Affinity by layer and expert'),
      share: t('Token share by layer and expert'),
      difference: t('Forget over retain by layer and expert'),
      effect: t('Effect of leaving out each component, by layer'),
    }[memory.measure];
    heatmap.update({
      figures,
      effects,
      measure: memory.measure,
      order: memory.order,
      target: state.target,
      theme,
      themeId: document.body.dataset.vscodeThemeId ?? '',
      width: heatmapWidth(width),
      label,
    });
  }
  if (isFind) drawPrompts(state, theme);
  const context = {
    state,
    figures,
    effects,
    steps,
    memory,
    theme,
    width,
    send: post,
    remember: (change: Partial<typeof memory>) => {
      memory = { ...memory, ...change };
      keepMemory(memory);
      schedule();
    },
    heatmap: heatmap.element,
    heatmapCounts: heatmap.counts(),
    cursor,
    themeId: document.body.dataset.vscodeThemeId ?? '',
    compare: { routing, answers, panels, cursor: routingCursor },
    promptList: promptList.element,
    tokenStrip: tokenStrip.element,
  };
  render(workbench(context), root);
  turnPage(state);
  document.body.dataset.drawn = state.step;
}

function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(draw);
}

function receive(message: HostMessage): void {
  switch (message.type) {
    case 'state':
      state = message.state;
      break;
    case 'heatmap':
      figures = message.figures;
      cursor = null;
      break;
    case 'effects':
      effects = message.figures;
      break;
    case 'prompts':
      prompts = message.list;
      break;
    case 'ticks':
      ticks = message.ticks;
      break;
    case 'tokens':
      strip = message.strip;
      break;
    case 'routing':
      routing = message.figures;
      routingCursor = null;
      break;
    case 'answers':
      answers = message.figures;
      break;
    case 'steps':
      steps = message.run === stepsOf ? [...steps.slice(0, message.from), ...message.rows] : [...message.rows];
      stepsOf = message.run;
      break;
  }
  schedule();
}

onMessage(receive);
new ResizeObserver(schedule).observe(root);
// A canvas does not restyle itself when the theme changes.
new MutationObserver(schedule).observe(document.body, { attributes: true, attributeFilter: ['class', 'data-vscode-theme-id'] });
post({ type: 'ready' });
