/** Compare, Summary: a card per role, accuracy per topic, the evidence in sentences, the table of sets. */
import { html, nothing, type TemplateResult } from 'lit';
import type { MetricDescriptor } from '../../../src/protocol/catalogue';
import type { ScoreCard } from '../../../src/protocol/comparison-view';
import { count, difference, fraction, loss, percent, pValue } from '../../../src/protocol/numbers';
import type { PairedChange } from '../../../src/protocol/records';
import type { ComparisonRow } from '../../../src/protocol/workbench';
import { beforeAfter } from '../../charts/before-after';
import { saveMenu } from '../../charts/save-menu';
import { topicBars } from '../../charts/topic-bars';
import { t } from '../../text';
import { ui } from '../../ui';
import { banner, type Content, card, facts, icon, verdict } from '../../ui/parts';
import { afterTitle, beforeTitle, type CompareContext, cardChartWidth, changeTitle, innerWidth, roleSeries, roleTitles, roleWords } from './context';

/** Losses have a digit more. */
const written = ({ kind }: ComparisonRow) => (kind === 'nll' ? loss : fraction);

const better: Readonly<Record<ScoreCard['role'], string>> = {
  forget: t('FE · lower is better'),
  utility: t('UT · higher is better'),
  near: t('higher is better'),
};

/** In English, as all names of files. */
const fileTitles: Readonly<Record<ScoreCard['role'], string>> = { forget: 'Forget', near: 'Near topic', utility: 'Utility' };

/** The change's own 95 % interval, of the same rows before and after: two bars that overlap say less. */
const changeRange = (change: PairedChange | null | undefined): string =>
  change?.interval ? `${difference(change.interval[0])} … ${difference(change.interval[1])}` : '–';

function paired(change: PairedChange | null | undefined): Content {
  if (!change?.interval) return nothing;
  const { mcnemar } = change;
  const tip = mcnemar
    ? t('{0} rows right only after, {1} only before (McNemar, exact, two-sided)', count(mcnemar.gained), count(mcnemar.lost))
    : t('Bootstrap over the same rows before and after');
  const words = t('row by row {0}, 95 % {1}', difference(change.difference), changeRange(change));
  return html`<small class="note" title=${tip}>${words}${mcnemar ? ` · p ${pValue(mcnemar.p)}` : ''}</small>`;
}

function score(context: CompareContext, row: ScoreCard, width: number): TemplateResult {
  const { send, isReadOnly, comparison } = context;
  const { role, before, after, interval, chance, note, kind } = row;
  const title = roleTitles[role];
  const range = interval ? t(', 95 % {0} to {1}', fraction(interval[0]), fraction(interval[1])) : '';
  const guessed = chance === null ? '' : t(', chance {0}', fraction(chance));
  const label = t('{0}: {1} before, {2} after{3}{4}.', title, fraction(before), fraction(after), range, guessed);
  const save = {
    name: `Run ${comparison.number} ${fileTitles[role]}`,
    rows: () => [
      ['role', 'sets', 'kind', 'rows', 'before', 'after', 'low', 'high', 'chance', 'change', 'changeLow', 'changeHigh', 'mcnemarP'],
      [
        ...[role, note, kind, row.rows, before, after, interval?.[0] ?? null, interval?.[1] ?? null, chance],
        ...[row.change?.difference ?? null, row.change?.interval?.[0] ?? null, row.change?.interval?.[1] ?? null, row.change?.mcnemar?.p ?? null],
      ],
    ],
  };
  return html`<section class="score" aria-label=${title}>
    <header><h2>${title} <small>${better[role]}</small></h2><span class="grow"></span>${saveMenu(save, send, isReadOnly)}</header>
    <p class="numbers"><span class="dim">${fraction(before)}</span> ${icon('arrow-right')} <b>${fraction(after)}</b><span class="change">${difference(after - before)}</span></p>
    ${beforeAfter({ width, before, after, interval, chance, series: roleSeries[role], label })}
    ${paired(row.change)}
    ${verdict(row.verdict.kind, row.verdict.text)}
    <small class="note">${note} · ${kind === 'accuracy' ? t('{0} questions', count(row.rows)) : t('{0} rows, exp(−NLL)', count(row.rows))}</small>
  </section>`;
}

const keys = html`<span class="keys"><span class="key-box hollow">${t('before')}</span><span class="key-box solid">${t('after')}</span><span class="key-box line">${t('chance')}</span></span>`;

function topics(context: CompareContext): Content {
  const { comparison, width, send, isReadOnly } = context;
  if (comparison.topics.length === 0) return nothing;
  const save = {
    name: `Run ${comparison.number} accuracy per topic`,
    rows: () => [
      ['topic', 'role', 'questions', 'before', 'after', 'low', 'high', 'chance'],
      ...comparison.topics.map((row) => [
        row.name,
        row.role,
        row.rows,
        row.before,
        row.after,
        row.interval?.[0] ?? null,
        row.interval?.[1] ?? null,
        row.chance,
      ]),
    ],
  };
  return card(
    {
      title: t('Accuracy per topic'),
      help: t(
        'Hollow bar: before. Solid bar: after, with its 95 % interval (Wilson). The dashed line is the accuracy of always giving the topic’s commonest answer; forgotten means at that line, not at zero. Source: evaluation.json of the run folder.',
      ),
      right: html`${keys}${saveMenu(save, send, isReadOnly)}`,
    },
    html`<div class="scroll">${topicBars(Math.max(420, Math.min(1330, innerWidth(width) - 30)), comparison.topics)}</div>`,
  );
}

function table(rows: readonly ComparisonRow[], hasForbidden: boolean): TemplateResult {
  const number = (title: string, width: string) => ({ title, width, isNumber: true });
  const columns = [
    { title: t('Set'), width: 'minmax(190px, 1fr)' },
    { title: t('Role'), width: '84px' },
    number(t('Rows'), '64px'),
    number(beforeTitle, '72px'),
    number(afterTitle, '72px'),
    number(changeTitle, '72px'),
    number('95 %', '120px'),
    number(t('95 % of the change'), '136px'),
    number(t('Subject-blind'), '96px'),
    ...(hasForbidden ? [number(t('Expert forbidden'), '118px')] : []),
  ];
  return ui.table({
    label: t('Scores before and after'),
    minWidth: hasForbidden ? 1016 : 896,
    columns,
    rows: rows.map((row) => ({
      indented: row.topic,
      label: t('{0}, {1}: {2} before, {3} after', row.set, roleWords[row.role], written(row)(row.before), written(row)(row.after)),
      cells: [
        row.set,
        row.kind === 'nll' || row.kind === 'extraction' ? '' : row.topic ? t('topic') : roleWords[row.role],
        count(row.rows),
        written(row)(row.before),
        written(row)(row.after),
        difference(row.after - row.before, row.kind === 'nll' ? 4 : 3),
        row.interval ? `${fraction(row.interval[0])} … ${fraction(row.interval[1])}` : '–',
        changeRange(row.change),
        fraction(row.blind),
        written(row)(row.forbiddenAfter),
      ].slice(0, columns.length),
    })),
  });
}

const directions: Readonly<Record<MetricDescriptor['direction'], string>> = {
  higher: t('higher is better'),
  lower: t('lower is better'),
  neither: '',
};

function meaning({ direction, onForget, help, source, needs }: MetricDescriptor): string {
  const better = [directions[direction], onForget ? t('on a forget set {0}', directions[onForget]) : ''].filter(Boolean).join('; ');
  return [
    help,
    better === '' ? '' : `${better.charAt(0).toLocaleUpperCase()}${better.slice(1)}.`,
    needs.length === 0 ? '' : t('Needs: {0}.', needs.join(', ')),
    t('Source: {0}.', source),
  ]
    .filter(Boolean)
    .join(' ');
}

export function summaryTab(context: CompareContext): TemplateResult {
  const { comparison, width } = context;
  const { cards, rows, sentences, roundingLoss, metrics } = comparison;
  if (rows.length === 0)
    return banner(
      'warning',
      t('Not measured.'),
      comparison.before.run === null
        ? t('The recipe names no set to measure before and after. Choose questions or retain text and run again.')
        : t('These two runs have no evaluation set in common.'),
    );
  const chart = cardChartWidth(width, cards.length);
  return html`
    <div class="scores">${cards.map((row) => score(context, row, chart))}</div>
    ${topics(context)}
    ${sentences.length === 0 ? nothing : card({ title: t('What this rests on') }, html`<ul class="sentences">${sentences.map((text) => html`<li>${text}</li>`)}</ul>`)}
    ${card(
      {
        title: t('Before and after'),
        help: t(
          'Accuracy where there are questions (mean over topics), else exp(−NLL). “95 % of the change” takes the same rows before and after in pairs (bootstrap): without 0 in it, the change is not chance. “Subject-blind” is the accuracy of always giving the commonest answer. “Expert forbidden” is the score after the run when the router may not choose the target: if the forget score comes back, the knowledge is blocked, not erased. Source: evaluation.json of the run folder.',
        ),
      },
      table(
        rows,
        rows.some((row) => row.forbiddenAfter !== null),
      ),
      roundingLoss === null ? nothing : facts([[t('Update lost by rounding to the checkpoint’s dtype'), percent(roundingLoss, 2), t('of its squared norm')]]),
    )}
    ${metrics.length === 0 ? nothing : card({ title: t('What the scores mean') }, facts(metrics.map((metric) => [metric.label, meaning(metric)])))}
  `;
}
