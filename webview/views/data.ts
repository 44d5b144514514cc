/** Which data a job uses, what is in them, and what is missing without them. */
import { html, nothing, type TemplateResult } from 'lit';
import { count } from '../../src/protocol/numbers';
import type { PreviewView } from '../../src/protocol/prompts-view';
import type { DataRole, DataSetView, WorkbenchState } from '../../src/protocol/workbench';
import { ui } from '../ui';
import { type Content, card, verdict } from '../ui/parts';
import type { ViewContext } from './context';
import { kindWords, unitOf } from './find-words';

const roles: readonly (readonly [role: DataRole, title: string, without: string])[] = [
  ['forget', 'Forget prompts', 'needed: select text in an editor and run “UOE: Unlearn Selection”, or choose a file'],
  ['retain', 'Retain text', 'without it nothing but the small number of trained parameters protects the rest'],
  ['stopForget', 'Stop set', 'without it the forget prompts themselves are checked, up to 256; beyond, the run does all its steps'],
  ['stopUtility', 'Stop set, other', 'without it the stop rule looks at the forget topic alone'],
  ['evaluateForget', 'Forget questions', 'without them NLL, probability and extraction strength of up to 256 forget prompts are measured, not accuracy'],
  ['evaluateNear', 'Near questions', 'without them side effects on a near topic can’t be measured'],
  ['evaluateUtility', 'Other questions', 'without them utility can’t be measured'],
];

const titleOf = (name: string): string => roles.find(([role]) => role === name)?.[1] ?? name;
const isRunning = ({ run }: WorkbenchState): boolean => run !== null && ['running', 'paused', 'stopping'].includes(run.status);

function stateOf(view: DataSetView | null, isNeeded: boolean): TemplateResult {
  if (!view) return isNeeded ? verdict('warn', 'needed') : verdict('none', 'not set');
  if (view.fault) return verdict('bad', 'unreadable');
  return view.detail ? verdict('ok', 'ready') : verdict('none', 'not read');
}

/** Rows of the file and what they are; of forget prompts, what the ticks leave of them. */
function countOf(role: DataRole, { preview, prompts }: WorkbenchState): readonly [rows: string, unit: string] {
  const set = preview?.sets.find((one) => one.name === role);
  if (!set) return ['', ''];
  const kinds = Object.keys(set.kinds);
  const unit = kinds.length === 1 ? unitOf(kinds[0], set.rows) : set.rows === 1 ? 'row' : 'rows';
  const ticked = role === 'forget' && prompts && prompts.ticked < prompts.total ? `, ${count(prompts.ticked)} ticked` : '';
  return [count(set.rows), `${unit}${ticked}`];
}

export function dataCard({ state, send }: ViewContext): TemplateResult {
  const running = isRunning(state);
  const rows = roles.map(([role, title, without]) => {
    const view = state.data[role];
    const [rows, unit] = view ? countOf(role, state) : ['', ''];
    return html`<div class="data-row full">
      <span>${title}</span>
      <span class="data-name">${view ? html`<code>${view.name}</code>` : html`<span class="dim">none: ${without}</span>`}</span>
      <span class="data-count number">${rows}</span>
      <span class="data-unit">${unit}</span>
      <span class="data-state">${stateOf(view, role === 'forget')}</span>
      <span class="actions">
        ${ui.button({ label: view ? 'Change…' : 'Choose…', name: `${view ? 'Change' : 'Choose'} ${title.toLowerCase()}`, disabled: running, onClick: () => send({ type: 'chooseData', role }) })}
        ${view && role !== 'forget' ? ui.button({ label: 'Clear', name: `Clear ${title.toLowerCase()}`, disabled: running, onClick: () => send({ type: 'clearData', role }) }) : nothing}
      </span>
      ${view?.fault ? html`<span class="data-fault">${view.fault}</span>` : nothing}
    </div>`;
  });
  return card(
    {
      title: 'Data',
      help: 'Forget prompts say what to unlearn, retain text what to keep; questions measure before and after. Each row of .jsonl, .json, .csv or .parquet is a prompt or a question; .txt and .md are split by paragraph. Files are read when they are needed, and never changed.',
    },
    html`<div class="data-rows">${rows}</div>`,
  );
}

function pairsOf({ nearDuplicates }: PreviewView): Content {
  const { total, shown } = nearDuplicates;
  if (total === 0) return verdict('ok', 'No forget row nearly equals a retain row');
  return html`<h3>${verdict('warn', `${count(total)} forget ${total === 1 ? 'row nearly equals' : 'rows nearly equal'} a retain row`)}</h3>
    <p class="dim">What forget and retain share is pulled both ways: take it out of one of them.</p>
    <ul class="pairs" tabindex="0" aria-label="Near-duplicates">
      ${shown.map(
        (pair) => html`<li>
          <small>${Math.round(100 * pair.similarity)} % of their words</small>
          <div><b>Forget ${pair.forget}</b> ${pair.text}</div>
          <div><b>Retain ${pair.retain}</b> ${pair.retainText}</div>
        </li>`,
      )}
    </ul>
    ${total > shown.length ? html`<p class="dim">The first ${count(shown.length)} are shown.</p>` : nothing}`;
}

/** Before anything runs: how each file is read. */
export function previewCard({ state }: ViewContext): TemplateResult {
  const { preview } = state;
  if (!preview || preview.sets.length === 0) return html``;
  const number = (title: string, width: string) => ({ title, width, isNumber: true });
  const rows = preview.sets.map((set) => ({
    cells: [titleOf(set.name), kindWords(set.kinds), count(set.tokens), count(set.targetTokens), count(set.truncated), count(set.skipped)],
  }));
  const forget = preview.sets.find(({ name }) => name === 'forget');
  const hasRetain = preview.sets.some(({ name }) => name === 'retain');
  return card(
    {
      title: 'What the files hold',
      help: 'How UOE reads each file with this model’s tokenizer. Target tokens are those a loss is taken on; a cut row was longer than the maximum length; a skipped row has no target token. Near-duplicates are rows that share at least 80 % of their words.',
    },
    ui.table({
      label: 'What the files hold',
      minWidth: 560,
      columns: [
        { title: 'Set', width: '136px' },
        { title: 'Rows', width: '1fr' },
        number('Tokens', '72px'),
        number('Target', '72px'),
        number('Cut', '52px'),
        number('Skipped', '62px'),
      ],
      rows,
    }),
    forget
      ? html`<h3 class="first-rows">First forget rows</h3>
          <ol class="preview-rows">${forget.examples.map(({ text, tokens }) => html`<li title=${text}>${text} <small>${count(tokens)} tokens</small></li>`)}</ol>`
      : nothing,
    forget && hasRetain ? html`<div class="actions start">${pairsOf(preview)}</div>` : nothing,
  );
}
