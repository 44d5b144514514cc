/** Geometry of the concentration curve in CSS pixels: pure. */
import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';

export interface ConcentrationInput {
  readonly width: number;
  readonly height: number;
  readonly experts: number;
  /** Share carried by the first 0, 1, 2 … experts. */
  readonly forget: readonly number[];
  readonly retain: readonly number[] | null;
  /** Experts that carry half on the forget prompts. */
  readonly half: number;
}

export interface ConcentrationLayout {
  readonly forget: string;
  readonly retain: string | null;
  readonly equal: string;
  readonly half: { readonly x: number; readonly y: number; readonly anchor: 'start' | 'end'; readonly textX: number };
  readonly yTicks: readonly { readonly value: number; readonly y: number }[];
  readonly xTicks: readonly { readonly value: number; readonly x: number; readonly anchor: 'start' | 'middle' | 'end' }[];
  readonly left: number;
  readonly right: number;
  readonly bottom: number;
}

/** Where the curve goes through one half: within the expert that completes it. */
function crossingOf(curve: readonly number[], half: number): number {
  const [before, after] = [curve[half - 1] ?? 0, curve[half] ?? 0];
  return half > 0 && after > before ? half - 1 + (0.5 - before) / (after - before) : half;
}

const margin = { left: 48, right: 8, top: 8, bottom: 32 };

export function concentrationLayout({ width, height, experts, forget, retain, half }: ConcentrationInput): ConcentrationLayout {
  const right = width - margin.right;
  const bottom = height - margin.bottom;
  const x = scaleLinear().domain([0, experts]).range([margin.left, right]);
  const y = scaleLinear().domain([0, 1]).range([bottom, margin.top]);
  const path = line<number>()
    .x((_, at) => x(at))
    .y((value) => y(value))
    .digits(1);
  const crossing = crossingOf(forget, half);
  const isRight = crossing > (2 * experts) / 3;
  const anchors = ['start', 'middle', 'end'] as const;
  return {
    forget: path([...forget]) ?? '',
    retain: retain && path([...retain]),
    equal: path(Array.from({ length: experts + 1 }, (_, at) => at / experts)) ?? '',
    half: { x: x(crossing), y: y(0.5), anchor: isRight ? 'end' : 'start', textX: x(crossing) + (isRight ? -7 : 7) },
    yTicks: [0, 0.5, 1].map((value) => ({ value, y: Math.round(y(value)) + 0.5 })),
    xTicks: anchors.map((anchor, index) => ({ value: Math.round((experts * index) / 2), x: x((experts * index) / 2), anchor })),
    left: margin.left,
    right,
    bottom,
  };
}
