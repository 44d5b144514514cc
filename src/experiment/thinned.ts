import type { Point } from '../protocol/report-page';

/** More points than this are thinned to the extremes of equal stretches. */
const MOST_POINTS = 800;

const isNumber = (value: number | null): value is number => value !== null && Number.isFinite(value);

/** Lowest and highest of each stretch, in order of steps, so that no peak is lost. Gaps are kept. */
export function thinned(points: readonly Point[]): readonly Point[] {
  if (points.length <= MOST_POINTS) return points;
  const stretch = Math.ceil(points.length / (MOST_POINTS / 2));
  const kept: Point[] = [];
  for (let start = 0; start < points.length; start += stretch) {
    const part = points.slice(start, start + stretch);
    const known = part.filter(([, value]) => isNumber(value));
    if (known.length < part.length) kept.push([part[0][0], null]);
    if (known.length === 0) continue;
    const low = known.reduce((a, b) => (Number(b[1]) < Number(a[1]) ? b : a));
    const high = known.reduce((a, b) => (Number(b[1]) > Number(a[1]) ? b : a));
    kept.push(...(low === high ? [low] : low[0] < high[0] ? [low, high] : [high, low]));
  }
  return kept;
}
