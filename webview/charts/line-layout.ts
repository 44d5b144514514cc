/** Geometry of a line chart over steps, in CSS pixels: pure, so that page and report draw the same figure. */
import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';

export interface Series {
  readonly name: 'forget' | 'retain' | 'anchor';
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineInput {
  readonly width: number;
  readonly height: number;
  /** Last step of the plan: the axis does not move while a run goes on. */
  readonly lastStep: number;
  readonly domain: readonly [low: number, high: number];
  readonly series: readonly Series[];
  readonly marks: readonly { readonly x: number; readonly text: string }[];
  /** Horizontal lines at a value: where a rule ends the run, or where it began. */
  readonly limits?: readonly { readonly y: number; readonly text: string; readonly isBelow?: boolean }[];
  readonly ticks?: number;
}

export interface LineLayout {
  readonly lines: readonly { readonly name: Series['name']; readonly path: string; readonly end: readonly [x: number, y: number] | null }[];
  readonly yTicks: readonly { readonly value: number; readonly y: number }[];
  readonly xTicks: readonly { readonly value: number; readonly x: number; readonly anchor: 'start' | 'middle' | 'end' }[];
  readonly marks: readonly { readonly x: number; readonly text: string; readonly anchor: 'start' | 'end'; readonly textX: number }[];
  readonly limits: readonly { readonly y: number; readonly textY: number; readonly text: string }[];
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const margin = { left: 48, right: 8, top: 12, bottom: 20 };

/** `base`, with either end doubled until the values fit: a scale changes rarely and by a known factor, or not at all. */
export function doubledDomain(base: readonly [number, number], values: readonly number[]): readonly [number, number] {
  const finite = values.filter(Number.isFinite);
  const [least, most] = finite.reduce(([small, large], value) => [Math.min(small, value), Math.max(large, value)], base);
  const span = base[1] - base[0];
  let high = span;
  while (base[0] + high < most) high *= 2;
  let low = 0;
  while (base[0] - low > least) low = low === 0 ? span : low * 2;
  return [base[0] - low, base[0] + high];
}

export function lineLayout({ width, height, lastStep, domain, series, marks, limits = [], ticks = 3 }: LineInput): LineLayout {
  const right = width - margin.right;
  const bottom = height - margin.bottom;
  const x = scaleLinear()
    .domain([0, Math.max(1, lastStep)])
    .range([margin.left, right])
    .clamp(true);
  const y = scaleLinear().domain(domain).range([bottom, margin.top]).clamp(true);
  const path = line<readonly [number, number]>()
    .defined((point) => Number.isFinite(point[1]))
    .x((point) => x(point[0]))
    .y((point) => y(point[1]))
    .digits(1);
  const anchors = ['start', 'middle', 'end'] as const;
  return {
    lines: series.map(({ name, points }) => {
      const last = points.findLast((point) => Number.isFinite(point[1]));
      return { name, path: path([...points]) ?? '', end: last ? [x(last[0]), y(last[1])] : null };
    }),
    yTicks: Array.from({ length: ticks }, (_, index) => {
      const value = domain[0] + ((domain[1] - domain[0]) * index) / (ticks - 1);
      return { value, y: Math.round(y(value)) + 0.5 };
    }),
    xTicks: anchors.map((anchor, index) => ({ value: Math.round((lastStep * index) / 2), x: x((lastStep * index) / 2), anchor })),
    marks: marks.map((mark) => {
      const place = x(mark.x);
      const isRight = place > (margin.left + right) / 2;
      return { x: place, text: mark.text, anchor: isRight ? 'end' : 'start', textX: place + (isRight ? -4 : 4) };
    }),
    // Above its line where there is room for a line of text and no series is to be expected, else below.
    limits: limits.map((limit) => {
      const place = Math.round(y(limit.y)) + 0.5;
      return { y: place, textY: limit.isBelow || place - 4 < margin.top + 9 ? place + 13 : place - 4, text: limit.text };
    }),
    left: margin.left,
    right,
    top: margin.top,
    bottom,
  };
}
