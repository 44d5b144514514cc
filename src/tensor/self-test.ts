/** What the backend in use computes, against the same in float64, and how fast. */
import { inScope, read, uploadMatrix } from './host';
import { matMul } from './tf';

/** Side of the product that is timed: large enough to be about arithmetic, small enough for a slow machine. */
const timedSide = 512;
const timedSeconds = 0.3;
const mostRounds = 200;
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

/** GFLOP/s of f32 products, copies in and out included; the first round warms up. */
export function gigaflops(): number {
  const [a, b] = [values(timedSide ** 2, 0), values(timedSide ** 2, 7)];
  const product = () => inScope(() => read(matMul(uploadMatrix(a, timedSide, timedSide), uploadMatrix(b, timedSide, timedSide))));
  product();
  const began = performance.now();
  let rounds = 0;
  while (rounds < mostRounds && (rounds === 0 || performance.now() - began < timedSeconds * 1000)) {
    product();
    rounds++;
  }
  return (2 * timedSide ** 3 * rounds) / ((performance.now() - began) * 1e6);
}
