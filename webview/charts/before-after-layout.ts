/** Geometry of one score on a track from 0 to 1, in CSS pixels: pure. */

export interface BeforeAfterInput {
  readonly width: number;
  readonly before: number;
  readonly after: number;
  readonly interval: readonly [low: number, high: number] | null;
  readonly chance: number | null;
}

export interface BeforeAfterLayout {
  readonly ticks: readonly { readonly value: number; readonly x: number; readonly anchor: 'start' | 'middle' | 'end' }[];
  readonly before: number;
  readonly after: number;
  readonly band: { readonly x: number; readonly width: number } | null;
  /** Its text is anchored so that it stays inside at both ends. */
  readonly chance: { readonly x: number; readonly anchor: 'start' | 'middle' | 'end' } | null;
}

const side = 8;
const clamp = (value: number) => Math.max(0, Math.min(1, value));

export function beforeAfterLayout({ width, before, after, interval, chance }: BeforeAfterInput): BeforeAfterLayout {
  const x = (value: number) => side + clamp(value) * (width - 2 * side);
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  return {
    ticks: ticks.map((value) => ({ value, x: x(value), anchor: value === 0 ? 'start' : value === 1 ? 'end' : 'middle' })),
    before: x(before),
    after: x(after),
    band: interval && { x: x(interval[0]), width: x(interval[1]) - x(interval[0]) },
    chance: chance === null ? null : { x: x(chance), anchor: chance < 0.12 ? 'start' : chance > 0.88 ? 'end' : 'middle' },
  };
}
