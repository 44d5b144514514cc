/** What the backend in use computes, against the same in float64, and how fast. */
import { setImmediate } from 'node:timers/promises';
import { discard, hold, inScope, read, uploadMatrix } from './host';
import { markFrozen, type Precision, withPrecision } from './precision';
import { matMul } from './tf';

/** Side of the product that is timed: large enough to be about arithmetic, small enough for a slow machine. */
const timedSide = 512;
const checkedSide = 64;

/** Values in [-1, 1) that need no random numbers: the fraction of multiples of the golden ratio. */
const values = (count: number, offset: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => (((i + offset) * 0.6180339887498949) % 1) * 2 - 1);

/** Largest difference from the product in float64, relative to the largest element. */
export function productError(): number {
  const [a, b] = [values(checkedSide ** 2, 0), values(checkedSide ** 2, 7)];
  const own = inScope(() => read(matMul(uploadMatrix(a, checkedSide, checkedSide), uploadMatrix(b, checkedSide, checkedSide))));
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < checkedSide; i++) {
    for (let j = 0; j < checkedSide; j++) {
      let exact = 0;
      for (let k = 0; k < checkedSide; k++) exact += a[i * checkedSide + k] * b[k * checkedSide + j];
      largest = Math.max(largest, Math.abs(exact));
      worst = Math.max(worst, Math.abs(exact - own[i * checkedSide + j]));
    }
  }
  return worst / largest;
}

/** GFLOP/s of products over about `seconds`, results read back included: the median of the rounds; the first warms up. Between two rounds others have a turn. */
export async function gigaflops(seconds: number, { signal, precision = 'exact' }: { signal?: AbortSignal; precision?: Precision } = {}): Promise<number> {
  const [a, b] = [hold(values(timedSide ** 2, 0), [timedSide, timedSide]), markFrozen(hold(values(timedSide ** 2, 7), [timedSide, timedSide]))];
  const product = () => {
    const began = performance.now();
    inScope(() => read(matMul(a, b)));
    return performance.now() - began;
  };
  const timed = async () => {
    product();
    const end = performance.now() + seconds * 1000;
    const rounds: number[] = [];
    do {
      rounds.push(product());
      await setImmediate();
      signal?.throwIfAborted();
    } while (performance.now() < end);
    return (2 * timedSide ** 3) / (rounds.toSorted((x, y) => x - y)[rounds.length >> 1] * 1e6);
  };
  try {
    return await withPrecision(precision, timed);
  } finally {
    discard(a);
    discard(b);
  }
}
