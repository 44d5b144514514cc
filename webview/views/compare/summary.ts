/** Compare, Summary: a card per role, accuracy per topic, the evidence in sentences, the table of sets. */
import { html, nothing, type TemplateResult } from 'lit';
import type { ScoreCard } from '../../../src/protocol/comparison-view';
import { count, difference, fraction, loss, percent } from '../../../src/protocol/numbers';
import type { ComparisonRow } from '../../../src/protocol/workbench';
import { beforeAfter } from '../../charts/before-after';
import { saveMenu } from '../../charts/save-menu';
import { topicBars } from '../../charts/topic-bars';
import { ui } from '../../ui';
import { banner, type Content, card, facts, icon, verdict } from '../../ui/parts';
import { type CompareContext, cardChartWidth, innerWidth, roleSeries, roleTitles } from './context';

/** Losses have a digit more. */
const written = ({ kind }: ComparisonRow) => (kind === 'nll' ? loss : fraction);

const better: Readonly<Record<ScoreCard['role'], string>> = { forget: 'FE · lower is better', utility: 'UT · higher is better', near: 'higher is better' };

function score(context: CompareContext, row: ScoreCard, width: number): TemplateResult {
  const { send, isReadOnly, comparison } = context;
  const { role, before, after, interval, chance, note, kind } = row;
  const title = roleTitles[role];
  const range = interval ? `, 95 % ${fraction(interval[0])} to ${fraction(interval[1])}` : '';
  const label = `${title}: ${fraction(before)} before, ${fraction(after)} after${range}${chance === null ? '' : `, chance ${fraction(chance)}`}.`;
  const save = {
    name: `Run ${comparison.number} ${title}`,
    rows: () => [
      ['role', 'sets', 'kind', 'rows', 'before', 'after', 'low', 'high', 'chance'],
      [role, note, kind, row.rows, before, after, interval?.[0] ?? null, interval?.[1] ?? null, chance],
    ],
  };
  return html`<section class="score" aria-label=${title}>
    <header><h2>${title} <small>${better[role]}</small></h2><span class="grow"></span>${saveMenu(save, send, isReadOnly)}</header>
    <p class="numbers"><span class="dim">${fraction(before)}</span> ${icon('arrow-right')} <b>${fraction(after)}</b><span class="change">${difference(after - before)}</span></p>
    ${beforeAfter({ width, before, after, interval, chance, series: roleSeries[role], label })}
    ${verdict(row.verdict.kind, row.verdict.text)}
    <small class="note">${note} · ${count(row.rows)} ${kind === 'accuracy' ? 'questions' : 'rows, exp(−NLL)'}</small>
  </section>`;
}

const keys = html`<span class="keys"><span class="key-box hollow">before</span><span class="key-box solid">after</span><span class="key-box line">chance</span></span>`;

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
      title: 'Accuracy per topic',
      help: 'Hollow bar: before. Solid bar: after, with its 95 % interval (Wilson). The dashed line is the accuracy of always giving the topic’s commonest answer; forgotten means at that line, not at zero. Source: evaluation.json of the run folder.',
      right: html`${keys}${saveMenu(save, send, isReadOnly)}`,
    },
    html`<div class="scroll">${topicBars(Math.max(420, Math.min(1330, innerWidth(width) - 30)), comparison.topics)}</div>`,
  );
}

function table(rows: readonly ComparisonRow[], hasForbidden: boolean): TemplateResult {
  const number = (title: string, width: string) => ({ title, width, isNumber: true });
  const columns = [
    { title: 'Set', width: 'minmax(190px, 1fr)' },
    { title: 'Role', width: '60px' },
    number('Rows', '64px'),
    number('Before', '72px'),
    number('After', '72px'),
    number('Change', '72px'),
    number('95 %', '120px'),
    number('Subject-blind', '96px'),
    ...(hasForbidden ? [number('Expert forbidden', '118px')] : []),
  ];
  return ui.table({
    label: 'Scores before and after',
    minWidth: hasForbidden ? 880 : 760,
    columns,
    rows: rows.map((row) => ({
      indented: row.topic,
      label: `${row.set}, ${row.role}: ${written(row)(row.before)} before, ${written(row)(row.after)} after`,
      cells: [
        row.set,
        row.kind === 'nll' || row.kind === 'extraction' ? '' : row.topic ? 'topic' : row.role,
        count(row.rows),
        written(row)(row.before),
        written(row)(row.after),
        difference(row.after - row.before, row.kind === 'nll' ? 4 : 3),
        row.interval ? `${fraction(row.interval[0])} … ${fraction(row.interval[1])}` : '–',
        fraction(row.blind),
        written(row)(row.forbiddenAfter),
      ].slice(0, columns.length),
    })),
  });
}

export function summaryTab(context: CompareContext): TemplateResult {
  const { comparison, width } = context;
  const { cards, rows, sentences, roundingLoss } = comparison;
  if (rows.length === 0)
    return banner(
      'warning',
      'Not measured.',
      comparison.before.run === null
        ? 'The recipe names no set to measure before and after. Choose questions or retain text and run again.'
        : 'These two runs have no evaluation set in common.',
    );
  const chart = cardChartWidth(width, cards.length);
  return html`
    <div class="scores">${cards.map((row) => score(context, row, chart))}</div>
    ${topics(context)}
    ${sentences.length === 0 ? nothing : card({ title: 'What this rests on' }, html`<ul class="sentences">${sentences.map((text) => html`<li>${text}</li>`)}</ul>`)}
    ${card(
      {
        title: 'Before and after',
        help: 'Accuracy where there are questions (mean over topics), else exp(−NLL). “Subject-blind” is the accuracy of always giving the commonest answer. “Expert forbidden” is the score after the run when the router may not choose the target: if the forget score comes back, the knowledge is blocked, not erased. Source: evaluation.json of the run folder.',
      },
      table(
        rows,
        rows.some((row) => row.forbiddenAfter !== null),
      ),
      roundingLoss === null ? nothing : facts([['Update lost by rounding to the checkpoint’s dtype', percent(roundingLoss, 2), 'of its squared norm']]),
    )}
  `;
}
