/** Which rows a step reads: a pure function of the seed, so that resuming needs no state. */
import { random } from './random';

/** A stream of rows; forget and retain have their own, which don't depend on each other. */
export interface Stream {
  readonly set: 'forget' | 'retain';
  /** Rows of the set. */
  readonly rows: number;
  readonly batchSize: number | 'all';
  readonly order: 'shuffled' | 'sequential';
  readonly seed: number;
}

const purpose = { forget: 0, retain: 1 } as const;

/** The order of the rows in one pass (0 first): Fisher-Yates, anew for every pass, or as in the file. */
export function passOrder({ set, rows, order, seed }: Stream, pass: number): number[] {
  const indices = Array.from({ length: rows }, (_, i) => i);
  if (order === 'sequential') return indices;
  const { below } = random(seed, purpose[set], pass);
  for (let i = rows - 1; i > 0; i--) {
    const j = below(i + 1);
    [indices[i], indices[j]] = [indices[j], indices[i]];
  }
  return indices;
}

/** The rows of a step (1 first). 'all': every row in file order; else the next batchSize rows, across the end of a pass if need be. */
export function batchAt(stream: Stream, step: number): number[] {
  const { rows, batchSize } = stream;
  if (rows === 0) return [];
  if (batchSize === 'all') return Array.from({ length: rows }, (_, i) => i);
  return rowsBetween(stream, (step - 1) * batchSize, step * batchSize);
}

/** Rows at the positions `from` up to `to` of a stream that goes on pass after pass. */
export function rowsBetween(stream: Stream, from: number, to: number): number[] {
  const between: number[] = [];
  for (let position = from; position < to && stream.rows > 0; ) {
    const start = position % stream.rows;
    const taken = passOrder(stream, Math.floor(position / stream.rows)).slice(start, start + to - position);
    for (const row of taken) between.push(row);
    position += taken.length;
  }
  return between;
}

/** Cuts a batch into at most `accumulate` runs of rows whose lengths differ by at most one; none is empty. */
export function microBatches<T>(batch: readonly T[], accumulate: number): T[][] {
  const parts = Math.min(accumulate, batch.length);
  return Array.from({ length: parts }, (_, i) => batch.slice(Math.floor((i * batch.length) / parts), Math.floor(((i + 1) * batch.length) / parts)));
}
