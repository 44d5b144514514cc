/** A sweep: how far it is, utility against forgetting of what is done, mean and deviation over repeats, and what becomes of each task. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import { duration, fraction } from '../../src/protocol/numbers';
import { methodName, runTableRows } from '../../src/protocol/run-table';
import { plottable, shapeOf } from '../../src/protocol/scatter-layout';
import type { Spread, SweepPage, SweepTableLine, TaskKind } from '../../src/protocol/sweep-view';
import { saveMenu } from '../charts/save-menu';
import { scatter } from '../charts/scatter';
import { t } from '../text';
import { ui } from '../ui';
import { type Content, card, icon, type VerdictKind, verdict } from '../ui/parts';
import { type ViewContext, wide } from './context';

const figures = t(
  'Mean ± standard deviation over repeats (seeds) that are done. FE: forget score, the ideal is chance. UT: utility. Near: neighbouring topic. Overlap is on forget prompts. Source: run.json of the run folders.',
);

/** Without an icon: what goes on or waits. */
const verdictOf: Readonly<Partial<Record<TaskKind, VerdictKind>>> = {
  done: 'ok',
  failed: 'bad',
  lost: 'warn',
  stopped: 'warn',
  forgotten: 'warn',
  cancelled: 'none',
};

const spread = (value: Spread | null, form: (value: number) => string): string =>
  value === null ? '–' : value.sd === null ? form(value.mean) : `${form(value.mean)} ± ${form(value.sd)}`;

const runsOf = ({ tasks, done, failed }: SweepTableLine): string => (failed === 0 ? `${done}/${tasks}` : t('{0}/{1}, {2} failed', done, tasks, failed));

function lines({ axes, lines: list }: SweepPage): TemplateResult {
  const number = (title: string, width: string) => ({ title, width, isNumber: true });
  return ui.table({
    label: t('Table of the sweep'),
    minWidth: 620 + 120 * axes.length,
    columns: [
      ...axes.map((title) => ({ title, width: 'minmax(110px, 1fr)' })),
      number(t('Runs done'), '110px'),
      number('FE ↓', '116px'),
      number(t('Near ↑'), '116px'),
      number('UT ↑', '116px'),
      number(t('Overlap'), '116px'),
      number(t('Time'), '110px'),
    ],
    rows: list.map((line) => ({
      label: line.labels.join(', '),
      cells: [
        ...line.labels,
        runsOf(line),
        spread(line.forget, fraction),
        spread(line.near, fraction),
        spread(line.utility, fraction),
        spread(line.overlap, fraction),
        line.seconds === null ? '–' : duration(line.seconds.mean),
      ],
    })),
  });
}

function state({ kind, words }: SweepPage['tasks'][number]): string | TemplateResult {
  const own = verdictOf[kind];
  return own === undefined ? words : verdict(own, words);
}

function tasks({ tasks: list, table }: SweepPage, { send }: ViewContext): TemplateResult {
  return ui.table({
    label: t('Tasks'),
    minWidth: 520,
    columns: [
      { title: t('Task'), width: 'minmax(140px, 1fr)' },
      { title: t('State'), width: 'minmax(200px, 2fr)' },
      { title: t('Open'), width: '110px' },
    ],
    rows: list.map((task) => {
      const { id, name, words, run } = task;
      const isMeasured = table.rows.some((row) => row.id === run);
      const open = isMeasured
        ? html`<button class="pick" @click=${() => run !== null && send({ type: 'compare', before: null, after: run })}>${t('Compare')}</button>`
        : html`<button class="pick" @click=${() => send({ type: 'taskLog', task: id })}>${t('Log')}</button>`;
      return { label: `${name}: ${words}`, cells: [name, state(task), open] };
    }),
  });
}

function counts({ counts: { all, done, failed, running, queued } }: SweepPage): string {
  return [
    t('{0} of {1} done', done, all),
    ...(failed > 0 ? [t('{0} failed', failed)] : []),
    ...(running > 0 ? [t('{0} running', running)] : []),
    ...(queued > 0 ? [t('{0} queued', queued)] : []),
  ].join(', ');
}

function headline(page: SweepPage, { send }: ViewContext): TemplateResult {
  const { name, isLive, isCutOff, on, counts: count } = page;
  const left = count.all - count.done - count.failed;
  const act = (action: 'close' | 'goOn' | 'runFailed' | 'cancel') => () => send({ type: 'sweep', action });
  const place = on === 'slurm' ? t('on the cluster') : on === 'local' ? t('on this machine') : '';
  return html`<div class="headline">
    <div>
      <h1>${t('Sweep {0}', name)}</h1>
      <p role="status">${[counts(page), place, ...(isCutOff ? [t('interrupted')] : [])].filter((text) => text !== '').join(' · ')}</p>
    </div>
    <div class="actions">
      ${ui.button({ label: t('Close the table'), icon: 'close', onClick: act('close') })}
      ${isLive ? ui.button({ label: t('Cancel Sweep…'), icon: 'debug-stop', onClick: act('cancel') }) : nothing}
      ${!isLive && count.failed > 0 ? ui.button({ label: t('Run Failed Again'), icon: 'debug-rerun', onClick: act('runFailed') }) : nothing}
      ${!isLive && left > 0 ? ui.button({ label: t('Run the Rest'), icon: 'debug-continue', primary: true, onClick: act('goOn') }) : nothing}
    </div>
  </div>`;
}

function drawing({ table, original }: SweepPage, { width, send }: ViewContext): Content {
  const methods = [...new Set(table.rows.map(({ method }) => method))];
  const left = table.rows.length - plottable(table.rows).length;
  return card(
    {
      title: t('Utility against forgetting'),
      help: t(
        'Up and right is better. The stepped line joins the runs that no other run beats in both; hollow marks are beaten by another run. 100 % forgotten means a forget score at chance, the accuracy of always giving the commonest answer.',
      ),
      right: html`<span class="keys">${methods.map((method) => html`<span class="key-shape">${methodName(method)} <svg width="16" height="16" viewBox="-9 -9 18 18" aria-hidden="true">${svg`<path d=${shapeOf(method)}></path>`}</svg></span>`)}</span>
        ${saveMenu({ name: 'Sweep', rows: () => runTableRows(table) }, send, false)}`,
    },
    table.rows.length === 0
      ? html`<p>${icon('watch')} ${t('No run is done yet; each is drawn here when it is.')}</p>`
      : html`<div class="scroll">${scatter({ width: width >= wide ? 640 : Math.max(420, width - 62), height: 330, rows: table.rows, original, selected: '', onPick: (run) => send({ type: 'compare', before: null, after: run }) })}</div>
        ${left === 0 ? nothing : html`<p class="dim">${t('Not drawn: {0} of {1} runs, which lack a forget score, a chance level or a utility score.', left, table.rows.length)}</p>`}`,
  );
}

export const sweepPage = (context: ViewContext, page: SweepPage): TemplateResult => html`
  ${headline(page, context)}
  ${drawing(page, context)}
  ${page.lines.length === 0 ? nothing : card({ title: t('Table of the sweep'), help: figures }, lines(page))}
  ${card({ title: t('Tasks') }, tasks(page, context))}
`;
