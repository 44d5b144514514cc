/**
 * When weights were read and widened and when the backend computed with them: spans of one piece of work, as a file for any viewer of
 * Chrome's trace events, and how far the two went on at the same time. Nothing is kept while no trace is open.
 */
import type { WeightOverlap } from '../protocol/records';

/** `computing`: a part is on lease, so its arithmetic runs; `waiting`: for a read that is under way. */
export type Activity = 'reading' | 'widening' | 'waiting' | 'computing';

interface Span {
  readonly activity: Activity;
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** ms since 1970, the same clock on every thread. */
export const traceClock = (): number => performance.timeOrigin + performance.now();

export interface Trace {
  overlap(): WeightOverlap;
  /** The JSON Object Format of trace events. */
  json(): object;
  close(): void;
}

/** About 200 MB of JSON: what comes later is left out. */
const mostSpans = 2 ** 20;

let spans: Span[] | null = null;

export const isTracing = (): boolean => spans !== null;

/** Notes a span; `from` and `to` by `traceClock`. */
export function span(activity: Activity, name: string, from: number, to: number): void {
  if (spans && spans.length < mostSpans) spans.push({ activity, name, from, to });
}

/** Begins a trace; the one before it, if any, gets no more spans. */
export function openTrace(): Trace {
  const own: Span[] = [];
  spans = own;
  return {
    overlap: () => overlapOf(own),
    json: () => eventsOf(own),
    close() {
      if (spans === own) spans = null;
    },
  };
}

type Interval = readonly [from: number, to: number];

/** Ascending and apart from one another. */
function union(list: readonly Interval[]): Interval[] {
  const joined: [number, number][] = [];
  for (const [from, to] of [...list].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}

const length = (list: readonly Interval[]): number => list.reduce((sum, [from, to]) => sum + to - from, 0);

/** Of two lists as `union` gives them. */
function common(a: readonly Interval[], b: readonly Interval[]): Interval[] {
  const both: Interval[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [from, to] = [Math.max(a[i][0], b[j][0]), Math.min(a[i][1], b[j][1])];
    if (from < to) both.push([from, to]);
    if (a[i][1] < b[j][1]) i++;
    else j++;
  }
  return both;
}

function overlapOf(list: readonly Span[]): WeightOverlap {
  const of = (...activities: Activity[]) => union(list.filter(({ activity }) => activities.includes(activity)).map(({ from, to }) => [from, to]));
  const [reading, widening, waiting, leased] = [of('reading'), of('widening'), of('waiting'), of('computing')];
  const loading = of('reading', 'widening');
  // A lease may be held while another is waited for: then nothing is computed.
  const idle = common(leased, waiting);
  const computing = length(leased) - length(idle);
  const together = length(common(loading, leased)) - length(common(loading, idle));
  const shorter = Math.min(length(loading), computing);
  const seconds = (ms: number) => ms / 1000;
  return {
    reading: seconds(length(reading)),
    widening: seconds(length(widening)),
    computing: seconds(computing),
    waiting: seconds(length(waiting)),
    together: seconds(together),
    share: shorter > 0 ? together / shorter : null,
  };
}

/** Rows of the viewer. Reads go on beside one another: they take as many rows as they need. */
const rowOf: Readonly<Record<Activity, number>> = { computing: 1, waiting: 1, widening: 2, reading: 3 };
const rowNames: readonly (readonly [number, string])[] = [
  [1, 'arithmetic'],
  [2, 'checking and widening'],
  [3, 'reading'],
];

function eventsOf(list: readonly Span[]): object {
  const start = list.reduce((least, { from }) => Math.min(least, from), Number.POSITIVE_INFINITY);
  const ends: number[] = [];
  const rows = [...list]
    .sort((a, b) => a.from - b.from)
    .map((one) => {
      if (one.activity !== 'reading') return { one, row: rowOf[one.activity] };
      const free = ends.findIndex((end) => end <= one.from);
      const lane = free < 0 ? ends.length : free;
      ends[lane] = one.to;
      return { one, row: rowOf.reading + lane };
    });
  const names = [...rowNames, ...ends.slice(1).map((_, i) => [rowOf.reading + 1 + i, 'reading'] as const)];
  return {
    displayTimeUnit: 'ms',
    traceEvents: [
      ...names.map(([tid, name]) => ({ name: 'thread_name', ph: 'M', pid: 1, tid, args: { name } })),
      ...names.map(([tid]) => ({ name: 'thread_sort_index', ph: 'M', pid: 1, tid, args: { sort_index: tid } })),
      ...rows.map(({ one, row }) => ({
        name: one.name,
        cat: one.activity,
        ph: 'X',
        pid: 1,
        tid: row,
        ts: Math.round((one.from - start) * 1000),
        dur: Math.round((one.to - one.from) * 1000),
      })),
    ],
  };
}
