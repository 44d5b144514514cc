/** Step rows of a run as views keep them: a night of steps is thinned, so that memory and drawing are bounded. The journal has every row. */
import type { StepRecord } from './records';

/** Curves are a few hundred pixels wide. */
export const mostSteps = 4096;
/** The newest rows stay as they are. */
const newest = 64;

/** At most about `most` rows: the first, the newest, and between them those at every second, fourth, eighth ... step. */
export function thinnedRows<R extends { readonly step: number }>(rows: readonly R[], most = mostSteps): readonly R[] {
  const between = most - newest - 1;
  if (rows.length <= Math.max(newest + 1, most)) return rows;
  const steps = rows[rows.length - 1].step - rows[0].step;
  let stride = 1;
  while (between > 0 && steps / stride > between) stride *= 2;
  return rows.filter(({ step }, index) => index === 0 || index >= rows.length - newest || (between > 0 && step % stride === 0));
}

/** The rows with one more. A resumed run does some steps of its journal again: rows from that step on are the old ones. */
export function withRow(rows: readonly StepRecord[], row: StepRecord): readonly StepRecord[] {
  const last = rows.at(-1);
  const earlier = last === undefined || last.step < row.step ? rows : rows.filter(({ step }) => step < row.step);
  return thinnedRows([...earlier, row]);
}
