/** The report's entry: step 4 of the workbench, every part below the other, from the data inside the page. Nothing to ask of anybody. */
import './themes.css';
import './workbench.css';
import './unlearn.css';
import './compare.css';
import './report.css';
import { html, render } from 'lit';
import type { RoutingFigures } from '../src/protocol/comparison-view';
import type { ReportPage } from '../src/protocol/report-page';
import { themeOf } from './heatmap/colour';
import { t } from './text';
import { banner } from './ui/parts';
import { compareSections } from './views/compare';
import type { CompareContext } from './views/compare/context';
import { createRoutingPanels } from './views/compare/routing-panels';
import { reportBlocks } from './views/report-blocks';

const root = document.querySelector<HTMLElement>('#workbench');
const data = document.querySelector('#report-data');
if (!root || !data) throw new Error('The page has no #workbench or no #report-data.');
const page = JSON.parse(data.textContent ?? '') as ReportPage;

function revived(listed: ReportPage['routing']): RoutingFigures | null {
  if (!listed) return null;
  const { shareBefore, shareAfter, slotsBefore, slotsAfter, rankInLayer } = listed;
  return {
    ...listed,
    shareBefore: Float32Array.from(shareBefore),
    shareAfter: Float32Array.from(shareAfter),
    slotsBefore: Float32Array.from(slotsBefore),
    slotsAfter: Float32Array.from(slotsAfter),
    rankInLayer: Float32Array.from(rankInLayer),
  };
}

const routing = revived(page.routing);
let memory: CompareContext['memory'] = { order: 'number', compareTab: 'summary', answers: { filter: 'all', page: 0 } };
let cursor: number | null = null;
let scheduled = false;

const panels = createRoutingPanels((index) => {
  if (index === cursor) return;
  cursor = index;
  schedule();
});

/** The reader's system says light or dark. */
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const applyTheme = () => {
  document.body.className = dark.matches ? 'vscode-dark' : 'vscode-light';
};

function draw(): void {
  scheduled = false;
  if (!root) return;
  const theme = themeOf(document.body.classList);
  const context: CompareContext = {
    comparison: page.comparison,
    memory,
    theme,
    themeId: theme,
    width: root.clientWidth,
    isBusy: false,
    isReadOnly: true,
    routing,
    answers: page.answers,
    panels,
    cursor,
    send: () => undefined,
    remember: (change) => {
      memory = { ...memory, ...change };
      schedule();
    },
  };
  render(
    html`<main class="body report">
      <p class="report-title">${page.title}</p>
      ${compareSections(context)}
      ${page.left === null ? '' : banner('info', t('Routing and answers are left out.'), page.left)}
      ${reportBlocks(page.blocks, root.clientWidth)}
    </main>`,
    root,
  );
  document.body.dataset.drawn = 'report';
}

function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(draw);
}

applyTheme();
dark.addEventListener('change', () => {
  applyTheme();
  schedule();
});
new ResizeObserver(schedule).observe(root);
