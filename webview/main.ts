/** The webview's entry: keeps what the host sent, and draws the page again when anything changed. */
import './themes.css';
import './workbench.css';
import './unlearn.css';
import './export.css';
import { render } from 'lit';
import type { StepRecord } from '../src/protocol/records';
import type { HeatmapFigures, HostMessage, WorkbenchState } from '../src/protocol/workbench';
import { themeOf } from './heatmap/colour';
import { createHeatmap } from './heatmap/heatmap';
import { keepMemory, onMessage, post, readMemory } from './host';
import { workbench } from './views/workbench';

const root = document.querySelector<HTMLElement>('#workbench');
if (!root) throw new Error('The page has no #workbench.');

let state: WorkbenchState | null = null;
let figures: HeatmapFigures | null = null;
let steps: StepRecord[] = [];
let stepsOf = '';
let memory = readMemory();
let cursor: number | null = null;
let scheduled = false;

const heatmap = createHeatmap({
  onCursor: (index) => {
    if (index === cursor) return;
    cursor = index;
    schedule();
  },
  onPick: ({ layer, expert }) => post({ type: 'target', layer, expert }),
});

/** Room for the heatmap: the page less padding, card and, on a wide page, the side column. */
const heatmapWidth = (width: number) => (width >= 1080 ? width - 48 - 408 - 16 - 30 : width - 32 - 30);

function draw(): void {
  scheduled = false;
  if (!state || !root) return;
  const width = root.clientWidth;
  const theme = themeOf(document.body.classList);
  if (figures) {
    const label = { affinity: 'Affinity', share: 'Token share', difference: 'Forget over retain' }[memory.measure];
    heatmap.update({
      figures,
      measure: memory.measure,
      order: memory.order,
      target: state.target,
      theme,
      themeId: document.body.dataset.vscodeThemeId ?? '',
      width: heatmapWidth(width),
      label: `${label} by layer and expert`,
    });
  }
  const context = {
    state,
    figures,
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
  };
  render(workbench(context), root);
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
