/** Accuracy per topic: hollow before, solid after with its 95 % interval, each topic with its own line at chance. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import type { TopicRow } from '../../src/protocol/comparison-view';
import { count, difference, fraction } from '../../src/protocol/numbers';
import { t } from '../text';
import { type TopicBar, topicBarsLayout } from './topic-bars-layout';

const series = { forget: 'forget', near: 'anchor', utility: 'retain' } as const;
const roleWords = { forget: t('forget'), near: t('near'), utility: t('utility') };
const longest = 21;
const cut = (text: string) => (text.length > longest ? `${text.slice(0, longest - 1)}…` : text);

/** Half of the 95 % interval, `±.02`. */
const half = ({ interval }: TopicRow) => (interval ? `±${((interval[1] - interval[0]) / 2).toFixed(2).replace(/^0/, '')}` : '–');

function bar(topic: TopicRow, { y, before, after, whisker, chance }: TopicBar, left: number, columns: readonly number[]) {
  const middle = y + 16;
  return svg`<g class="topic ${series[topic.role]}">
    <text class="label" x="0" y=${y + 10}>${cut(topic.name)}<title>${topic.name}</title></text>
    <text x="0" y=${y + 22}>${t('{0} · {1} questions', roleWords[topic.role], count(topic.rows))}</text>
    ${before === null ? nothing : svg`<rect class="before" x=${left + 0.5} y=${y + 0.5} width=${Math.max(0, before - left - 1)} height="8"></rect>`}
    <rect class="after" x=${left} y=${y + 11} width=${after - left} height="10"></rect>
    ${whisker ? svg`<path class="whisker" d=${`M${whisker[0]} ${middle}H${whisker[1]}M${whisker[0]} ${middle - 3.5}v7M${whisker[1]} ${middle - 3.5}v7`}></path>` : nothing}
    ${chance === null ? nothing : svg`<line class="limit" x1=${chance} x2=${chance} y1=${y - 4} y2=${y + 25}></line>`}
    <text class="value" x=${columns[0]} y=${y + 20} text-anchor="end">${fraction(topic.after)}</text>
    <text x=${columns[1]} y=${y + 20} text-anchor="end">${difference(topic.before === null ? null : topic.after - topic.before)}</text>
    <text x=${columns[2]} y=${y + 20} text-anchor="end">${half(topic)}</text>
  </g>`;
}

const sentence = ({ name, role, before, after, chance }: TopicRow) =>
  chance === null
    ? t('{0} ({1}): {2} before, {3} after', name, roleWords[role], fraction(before), fraction(after))
    : t('{0} ({1}): {2} before, {3} after, chance {4}', name, roleWords[role], fraction(before), fraction(after), fraction(chance));

export function topicBars(width: number, topics: readonly TopicRow[]): TemplateResult {
  const figure = topicBarsLayout(width, topics);
  const { columns, ticks, axisY, height, left } = figure;
  return html`<svg class="chart topics" width=${width} height=${height} viewBox="0 0 ${width} ${height}" role="img" aria-label=${t('Accuracy per topic before and after. {0}.', topics.map(sentence).join('; '))}>
    ${[t('after'), t('change'), '95 %'].map((title, i) => svg`<text x=${columns[i]} y="10" text-anchor="end">${title}</text>`)}
    ${ticks.map(
      ({ value, x }) => svg`
        <line class="gridline" x1=${Math.round(x) + 0.5} x2=${Math.round(x) + 0.5} y1="16" y2=${axisY}></line>
        <text x=${x} y=${axisY + 15} text-anchor="middle">${value.toFixed(2)}</text>`,
    )}
    ${topics.map((topic, i) => bar(topic, figure.bars[i], left, columns))}
  </svg>`;
}
