/** Compare, All runs: which of them keeps most for what it forgets. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import type { RunTable, RunTableRow } from '../../../src/protocol/comparison-view';
import { duration, fraction } from '../../../src/protocol/numbers';
import { methodName, runTableRows } from '../../../src/protocol/run-table';
import { plottable, shapeOf } from '../../../src/protocol/scatter-layout';
import { saveMenu } from '../../charts/save-menu';
import { scatter } from '../../charts/scatter';
import { t } from '../../text';
import { ui } from '../../ui';
import type { Row } from '../../ui/kit';
import { type Content, card, icon, verdict } from '../../ui/parts';
import { wide } from '../context';
import { statusWords } from '../status-words';
import { type CompareContext, innerWidth } from './context';

const figures = t(
  'FE: forget score, the ideal is chance. UT: utility. Near: neighbouring topic. Bold is the best of a column. Overlap is on forget prompts. Source: run.json and evaluation.json of the run folders.',
);

/** Titles of columns: “Run” is a button elsewhere, which is another word in other languages. */
const [runTitle, methodTitle] = t('Run, Method').split(', ');

function status(row: RunTableRow): Content {
  if (row.status === 'failed') return verdict('bad', t('failed'));
  if (row.onFront) return verdict('ok', t('on the front'));
  return row.status === 'done' || row.status === 'running' ? statusWords[row.status] : verdict('warn', statusWords[row.status]);
}

/** A run that stopped by a rule is no worse than one that went to its end. */
const statusOf = (row: RunTableRow): Content => (row.status === 'stopped' && !row.onFront ? t('stopped early') : status(row));

function tableRow(row: RunTableRow, { best }: RunTable, { comparison, send, isReadOnly }: CompareContext): Row {
  const value = (column: 'forget' | 'utility' | 'near') => (best[column].includes(row.id) ? html`<b>${fraction(row[column])}</b>` : fraction(row[column]));
  const isShown = row.id === comparison.run;
  const hasScores = row.forget !== null || row.utility !== null;
  const pick = html`<button class="pick" aria-pressed=${String(isShown)} @click=${() => send({ type: 'compare', before: null, after: row.id })}>${isShown ? t('shown') : t('Compare')}</button>`;
  return {
    selected: isShown,
    label: t(
      'Run {0}, {1}, {2}: forget {3}, utility {4}',
      row.run,
      methodName(row.method),
      statusWords[row.status],
      fraction(row.forget),
      fraction(row.utility),
    ),
    cells: [
      String(row.run),
      methodName(row.method),
      row.alpha === null ? '–' : String(row.alpha),
      value('forget'),
      value('utility'),
      value('near'),
      fraction(row.overlap),
      duration(row.seconds),
      statusOf(row) as string | TemplateResult,
      ...(isReadOnly ? [] : [hasScores ? pick : '']),
    ],
  };
}

function runsTable(table: RunTable, context: CompareContext): TemplateResult {
  const number = (title: string, width: string) => ({ title, width, isNumber: true });
  const original = table.rows.find((row) => row.id === context.comparison.run)?.before;
  const first: readonly Row[] = original
    ? [
        {
          label: t('Original'),
          cells: [
            '–',
            t('original'),
            '–',
            fraction(original.forget),
            fraction(original.utility),
            fraction(original.near),
            fraction(1),
            '–',
            '–',
            ...(context.isReadOnly ? [] : ['']),
          ],
        },
      ]
    : [];
  const newest = [...table.rows].sort((a, b) => b.run - a.run);
  return ui.table({
    label: t('All runs'),
    minWidth: 700,
    columns: [
      number(runTitle, '44px'),
      { title: methodTitle, width: '84px' },
      number('α', '48px'),
      number('FE ↓', '64px'),
      number('UT ↑', '64px'),
      number(t('Near ↑'), '64px'),
      number(t('Overlap'), '70px'),
      number(t('Time'), '96px'),
      { title: t('Status'), width: 'minmax(124px, 1fr)' },
      ...(context.isReadOnly ? [] : [{ title: t('Compare'), width: '96px' }]),
    ],
    rows: [...first, ...newest.map((row) => tableRow(row, table, context))],
  });
}

function reading(table: RunTable, { comparison, send, isBusy, isReadOnly }: CompareContext): TemplateResult {
  const front = table.front.flatMap((id) => table.rows.filter((row) => row.id === id));
  const left = table.rows.length - plottable(table.rows).length;
  return html`<div class="scatter-note">
    <h3>${t('Reading it')}</h3>
    <p>${front.length === 0 ? t('No run has both a forget and a utility score.') : t('No run is better in both than {0}.', front.map(({ run }) => t('run {0}', run)).join(', '))}
    ${left === 0 ? '' : ` ${t('Not drawn: {0} of {1} runs, which lack a forget score, a chance level or a utility score.', left, table.rows.length)}`}</p>
    ${isReadOnly ? nothing : html`<p class="dim">${t('Run {0} again: the same recipe, seed and data; a data file that has changed is refused.', comparison.number)}</p>${ui.button({ label: t('Run {0} again', comparison.number), icon: 'debug-rerun', disabled: isBusy, onClick: () => send({ type: 'runAgain', run: comparison.run }) })}`}
  </div>`;
}

export function runsTab(context: CompareContext): TemplateResult {
  const { comparison, width, send, isReadOnly } = context;
  const { table } = comparison;
  if (!table) return html`<div class="empty-tab"><p>${icon('history')} ${t('The runs of this checkpoint are being read.')}</p></div>`;
  const methods = [...new Set(table.rows.map(({ method }) => method))];
  const original = table.rows.find((row) => row.id === comparison.run)?.before.utility ?? null;
  const inner = innerWidth(width) - 30;
  return html`
    ${card(
      {
        title: t('Utility against forgetting'),
        help: t(
          'Up and right is better. The stepped line joins the runs that no other run beats in both; hollow marks are beaten by another run. 100 % forgotten means a forget score at chance, the accuracy of always giving the commonest answer.',
        ),
        right: html`<span class="keys">${methods.map((method) => html`<span class="key-shape">${methodName(method)} <svg width="16" height="16" viewBox="-9 -9 18 18" aria-hidden="true">${svg`<path d=${shapeOf(method)}></path>`}</svg></span>`)}</span>
          ${saveMenu({ name: 'Utility against forgetting', rows: () => runTableRows(table) }, send, isReadOnly)}`,
      },
      html`<div class="scatter-row">
        <div class="scroll">${scatter({ width: width >= wide ? 640 : Math.max(420, inner), height: 330, rows: table.rows, original, selected: comparison.run, onPick: (run) => !isReadOnly && send({ type: 'compare', before: null, after: run }) })}</div>
        ${reading(table, context)}
      </div>`,
    )}
    ${card({ title: t('All runs'), help: figures }, runsTable(table, context))}
  `;
}
