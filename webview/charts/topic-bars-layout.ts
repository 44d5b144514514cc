/** Geometry of pairs of bars per topic on an axis from 0 to 1, in CSS pixels: pure. */
import type { TopicRow } from '../../src/protocol/comparison-view';

export interface TopicBar {
  readonly y: number;
  readonly before: number | null;
  readonly after: number;
  readonly whisker: readonly [low: number, high: number] | null;
  readonly chance: number | null;
}

export interface TopicBarsLayout {
  readonly left: number;
  readonly right: number;
  readonly height: number;
  readonly axisY: number;
  readonly ticks: readonly { readonly value: number; readonly x: number }[];
  /** Right edges of the columns of numbers: after, change, interval. */
  readonly columns: readonly [after: number, change: number, interval: number];
  readonly bars: readonly TopicBar[];
}

export const topicRowHeight = 34;
const head = 16;
const foot = 22;
const labels = 150;
const numbers = 164;
const clamp = (value: number) => Math.max(0, Math.min(1, value));

export function topicBarsLayout(width: number, topics: readonly Pick<TopicRow, 'before' | 'after' | 'interval' | 'chance'>[]): TopicBarsLayout {
  const right = Math.max(labels + 80, width - numbers);
  const x = (value: number) => labels + clamp(value) * (right - labels);
  const axisY = head + topics.length * topicRowHeight;
  return {
    left: labels,
    right,
    height: axisY + foot,
    axisY,
    ticks: [0, 0.25, 0.5, 0.75, 1].map((value) => ({ value, x: x(value) })),
    columns: [width - 110, width - 52, width - 6],
    bars: topics.map(({ before, after, interval, chance }, row) => ({
      y: head + row * topicRowHeight + 6,
      before: before === null ? null : x(before),
      after: x(after),
      whisker: interval && [x(interval[0]), x(interval[1])],
      chance: chance === null ? null : x(chance),
    })),
  };
}
