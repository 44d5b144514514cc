/** Geometry of utility against forgetting, in CSS pixels: pure. The page draws it, and sweeps write it as a file. */
import type { RunTableRow } from './comparison-view';

/** Of a method, around its place. */
const shapes: Readonly<Record<string, string>> = {
  rmu: 'M-6 -6H6V6H-6Z',
  ga: 'M0 -8L7 5H-7Z',
  gdiff: 'M0 -8L8 0L0 8L-8 0Z',
  npo: 'M0 -7A7 7 0 1 1 -0.01 -7Z',
  simnpo: 'M-2 -7H2V-2H7V2H2V7H-2V2H-7V-2H-2Z',
};
const otherShape = 'M-6 -6L0 -2L6 -6L2 0L6 6L0 2L-6 6L-2 0Z';
export const shapeOf = (method: string): string => shapes[method] ?? otherShape;

export interface ScatterMark {
  readonly id: string;
  readonly number: number;
  readonly method: string;
  readonly x: number;
  readonly y: number;
  readonly onFront: boolean;
  /** Where the number stands, away from a neighbour on the right. Of runs with the same figures one carries the text: `17 +2`. */
  readonly label: { readonly text: string; readonly x: number; readonly y: number; readonly anchor: 'start' | 'end' };
}

export interface ScatterLayout {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly xTicks: readonly { readonly value: number; readonly x: number }[];
  readonly yTicks: readonly { readonly value: number; readonly y: number }[];
  readonly marks: readonly ScatterMark[];
  /** Stepped line of the front; empty below one point. */
  readonly front: string;
  readonly original: number | null;
  readonly chance: number;
}

const margin = { left: 52, right: 20, top: 16, bottom: 40 };
const lastX = 1.1;
const clamp = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value));

type Plotted = RunTableRow & { readonly forgotten: number; readonly utility: number };

/** Runs that have both figures; the others are not drawn. */
export const plottable = (rows: readonly RunTableRow[]): readonly Plotted[] =>
  rows.filter((row): row is Plotted => row.forgotten !== null && row.utility !== null);

/** A multiple of 0.05 below the lowest and above the highest, at least 0.1 apart, inside 0 … 1. */
export function utilityDomain(values: readonly number[]): readonly [number, number] {
  if (values.length === 0) return [0, 1];
  const high = Math.max(0.1, Math.min(1, Math.ceil((Math.max(...values) + 0.005) * 20) / 20));
  const low = Math.max(0, Math.min(high - 0.1, Math.floor((Math.min(...values) - 0.02) * 20) / 20));
  return [low, high];
}

export function scatterLayout(width: number, height: number, rows: readonly RunTableRow[], original: number | null, selected = ''): ScatterLayout {
  const runs = plottable(rows);
  const [low, high] = utilityDomain([...runs.map(({ utility }) => utility), ...(original === null ? [] : [original])]);
  const right = width - margin.right;
  const bottom = height - margin.bottom;
  const x = (value: number) => margin.left + (clamp(value, 0, lastX) / lastX) * (right - margin.left);
  const y = (value: number) => margin.top + (1 - (clamp(value, low, high) - low) / (high - low)) * (bottom - margin.top);
  const places = runs.map((row) => ({ row, x: x(row.forgotten), y: y(row.utility) }));
  const front = places.filter(({ row }) => row.onFront).sort((a, b) => a.x - b.x || a.y - b.y);
  const path = front.map((place, i) => `H${place.x.toFixed(1)}V${(front[i + 1]?.y ?? bottom).toFixed(1)}`).join('');
  return {
    left: margin.left,
    right,
    top: margin.top,
    bottom,
    xTicks: [0, 0.25, 0.5, 0.75, 1].map((value) => ({ value, x: x(value) })),
    yTicks: [0, 0.5, 1].map((share) => ({ value: low + share * (high - low), y: y(low + share * (high - low)) })),
    marks: places.map((place) => {
      const twins = places.filter((other) => Math.hypot(other.x - place.x, other.y - place.y) < 1);
      const speaker = twins.find(({ row }) => row.id === selected) ?? twins[twins.length - 1];
      const text = speaker !== place ? '' : twins.length === 1 ? String(place.row.run) : `${place.row.run} +${twins.length - 1}`;
      const isCrowded = places.some((other) => !twins.includes(other) && other.x >= place.x && other.x - place.x < 30 && Math.abs(other.y - place.y) < 22);
      const isByChance = place.x < x(1) + 4 && place.x > x(1) - 34;
      return {
        id: place.row.id,
        number: place.row.run,
        method: place.row.method,
        x: place.x,
        y: place.y,
        onFront: place.row.onFront,
        label: isCrowded || isByChance ? { text, x: place.x - 12, y: place.y + 18, anchor: 'end' } : { text, x: place.x + 15, y: place.y - 7, anchor: 'start' },
      };
    }),
    front: front.length === 0 ? '' : `M${margin.left} ${front[0].y.toFixed(1)}${path}`,
    original: original === null ? null : y(original),
    chance: x(1),
  };
}
