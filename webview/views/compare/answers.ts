/** Compare, Answers: what the model answers before and after, question by question. */
import { html, nothing, type TemplateResult } from 'lit';
import type { AnswerOption, AnswerRow } from '../../../src/protocol/comparison-view';
import { count, percent } from '../../../src/protocol/numbers';
import { t } from '../../text';
import { ui } from '../../ui';
import { card, icon, segments, verdict } from '../../ui/parts';
import { type Filter, matching, pageCount, pageLength } from './answer-pages';
import { answersOf, type CompareContext, roleSeries, roleWords } from './context';
import { type DiffWord, wordDiff } from './word-diff';

function option({ text, before, after, isRight }: AnswerOption, chance: number): TemplateResult {
  return html`<div class="answer-option">
    <span class="answer-option-text">${isRight ? html`<span class="codicon codicon-check" role="img" aria-label=${t('right answer')}></span>` : html`<span class="no-icon"></span>`}<span title=${text}>${text}</span></span>
    <span class="answer-bars" aria-hidden="true"><i class="before" .style=${`width: ${100 * before}%`}></i><i class="after" .style=${`width: ${100 * after}%`}></i><u .style=${`left: ${100 * chance}%`}></u></span>
    <span class="number dim">${percent(before, 0)}</span><span class="number">${percent(after, 0)}</span>
  </div>`;
}

const side = (title: string, words: readonly DiffWord[], tag: 'del' | 'ins'): TemplateResult =>
  html`<div class="answer-side"><small>${title}</small><p>${words.length === 0 ? html`<span class="dim">${t('nothing')}</span>` : words.map(({ text, isOwn }) => (isOwn ? (tag === 'del' ? html`<del>${text}</del> ` : html`<ins>${text}</ins> `) : `${text} `))}</p></div>`;

function answer({ set, prompt, before, after, changed, options, chance }: AnswerRow): TemplateResult {
  const [left, right] = wordDiff(before, after);
  return html`<article class="answer ${roleSeries[set]}">
    <header><span class="answer-tag">${roleWords[set]}</span><b class="answer-prompt">${prompt}</b><span class="grow"></span>${changed ? html`<span class="dim">${t('changed')}</span>` : verdict('none', t('same answer'))}</header>
    <div class="answer-sides">${side(t('Before'), left, 'del')} ${side(t('After'), right, 'ins')}</div>
    ${chance === null ? nothing : html`<div class="answer-options">${options.map((one) => option(one, chance))}</div>`}
  </article>`;
}

function filters(rows: readonly AnswerRow[], { memory, remember }: CompareContext): TemplateResult {
  const names: readonly (readonly [Filter, string])[] = [
    ['all', t('All')],
    ['changed', t('Changed')],
    ['forget', t('Forget')],
    ['near', t('Near')],
    ['utility', t('Utility')],
  ];
  return segments({
    label: t('Answers shown'),
    value: memory.answers.filter,
    options: names.map(([value, label]) => {
      const number = matching(rows, value).length;
      return { value, label: `${label} ${count(number)}`, tip: t('{0} answers', number), disabled: number === 0 && value !== 'all' };
    }),
    onChange: (filter) => remember({ answers: { filter, page: 0 } }),
  });
}

function pager(length: number, page: number, { memory, remember }: CompareContext): TemplateResult {
  const pages = pageCount(length);
  const go = (to: number) => () => remember({ answers: { ...memory.answers, page: to } });
  return html`<div class="pager" role="group" aria-label=${t('Pages of answers')}>
    ${ui.button({ label: t('Previous'), icon: 'chevron-left', disabled: page === 0, onClick: go(page - 1) })}
    <span class="page-of">${t('{0}–{1} of {2}', count(length === 0 ? 0 : page * pageLength + 1), count(Math.min(length, (page + 1) * pageLength)), count(length))}</span>
    ${ui.button({ label: t('Next'), icon: 'chevron-right', disabled: page >= pages - 1, onClick: go(page + 1) })}
  </div>`;
}

export function answersTab(context: CompareContext): TemplateResult {
  const { comparison, memory, isBusy, isReadOnly, send } = context;
  const figures = answersOf(context);
  if (!figures) {
    const text = isReadOnly
      ? t('The answers were not asked for this report.')
      : comparison.before.run === null
        ? t('Asks rows of the run’s evaluation sets of the original and of run {0}, spread over each set.', comparison.number)
        : t('Asks rows of the run’s evaluation sets of {0} and of run {1}, spread over each set.', comparison.before.label, comparison.number);
    return html`<div class="empty-tab"><p>${text}</p>${isReadOnly ? nothing : ui.button({ label: t('Ask both'), icon: 'play', primary: true, disabled: isBusy, onClick: () => send({ type: 'askAnswers' }) })}</div>`;
  }
  const rows = matching(figures.rows, memory.answers.filter);
  const page = Math.min(memory.answers.page, pageCount(rows.length) - 1);
  return card(
    {
      title: t('Answers before and after'),
      help: t(
        'Of questions with options, the answer is the likeliest option; else it is written greedily. Removed words are struck through, added words are underlined. Bars are the options’ shares of their common probability, hollow before, solid after, with a line at 1 / options; the check marks the right one. Source: rows of the run’s evaluation sets, asked before and after.',
      ),
      right: isReadOnly ? nothing : ui.button({ label: t('Open as diff'), icon: 'diff', onClick: () => send({ type: 'compareAnswers' }) }),
    },
    html`<div class="bar">${filters(figures.rows, context)} ${pager(rows.length, page, context)}</div>`,
    rows.length === 0 ? html`<p class="dim">${icon('circle-slash')} ${t('None of the rows that were asked.')}</p>` : nothing,
    html`${rows.slice(page * pageLength, (page + 1) * pageLength).map(answer)}`,
  );
}
