/** The wasm backend's BatchMatMul is ours: every shape, transpose and broadcast against a plain float64 product. */
import { expect } from 'chai';
import fc from 'fast-check';
import { unwrap } from '../../src/protocol/fault';
import { openBackend } from '../../src/tensor/backend';
import { backendMemory, inScope, read, upload } from '../../src/tensor/host';
import { matMul } from '../../src/tensor/tf';
import { randomOf } from '../oracle/random';

const product = (sizes: readonly number[]) => sizes.reduce((all, size) => all * size, 1);

/** Position in an operand's outer axes for a position in the result's (numpy's broadcasting). */
function operandMatrix(at: number, result: readonly number[], own: readonly number[]): number {
  let rest = at;
  const place = result.map((_, axis) => {
    const below = product(result.slice(axis + 1));
    const index = Math.floor(rest / below);
    rest -= index * below;
    return index;
  });
  const shift = result.length - own.length;
  return own.reduce((flat, size, axis) => flat * size + (size === 1 ? 0 : place[axis + shift]), 0);
}

interface Case {
  readonly M: number;
  readonly K: number;
  readonly N: number;
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly result: readonly number[];
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly seed: number;
}

/** Outer axes of the result, and of each operand: an axis may be 1 in one of them, leading axes may be missing. */
const outerAxes = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom('both', 'both', 'a', 'b')), { maxLength: 3 })
  .chain((axes) => fc.tuple(fc.constant(axes), fc.integer({ min: 0, max: axes.length }), fc.boolean()))
  .map(([axes, dropped, fromA]) => {
    const result = axes.map(([size]) => size);
    const own = (name: 'a' | 'b') =>
      axes.map(([size, whole], axis) => (whole === 'both' || whole === name ? size : 1) * (axis < dropped && (name === 'a') === fromA ? 0 : 1));
    // A leading axis that an operand drops must be the other's alone.
    const cut = (name: 'a' | 'b') =>
      (name === 'a') === fromA ? own(name).slice(dropped) : axes.map(([size], axis) => (axis < dropped ? size : own(name)[axis]));
    return { result, a: cut('a'), b: cut('b') };
  });

const side = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 70 }));
const cases: fc.Arbitrary<Case> = fc
  .tuple(side, fc.oneof(side, fc.constant(0)), side, outerAxes, fc.boolean(), fc.boolean(), fc.nat())
  .map(([M, K, N, { result, a, b }, transposeA, transposeB, seed]) => ({ M, K, N, a, b, result, transposeA, transposeB, seed }));

function check({ M, K, N, a, b, result, transposeA, transposeB, seed }: Case): void {
  const random = randomOf(seed);
  const left = Float32Array.from({ length: product(a) * M * K }, random.normal);
  const right = Float32Array.from({ length: product(b) * K * N }, random.normal);
  const own = inScope(() =>
    read(matMul(upload(left, [...a, ...(transposeA ? [K, M] : [M, K])]), upload(right, [...b, ...(transposeB ? [N, K] : [K, N])]), transposeA, transposeB)),
  );
  expect(own.length).to.equal(product(result) * M * N);
  for (let i = 0; i < own.length; i++) {
    const matrix = Math.floor(i / (M * N));
    const [row, column] = [Math.floor((i % (M * N)) / N), i % N];
    const [fromA, fromB] = [operandMatrix(matrix, result, a) * M * K, operandMatrix(matrix, result, b) * K * N];
    let sum = 0;
    let size = 0;
    for (let k = 0; k < K; k++) {
      const term = left[fromA + (transposeA ? k * M + row : row * K + k)] * right[fromB + (transposeB ? column * K + k : k * N + column)];
      sum += term;
      size += Math.abs(term);
    }
    if (!(Math.abs(own[i] - sum) <= 1e-6 * size + 1e-30))
      expect.fail(`element ${i} of ${JSON.stringify({ M, K, N, a, b, transposeA, transposeB })}: ${own[i]} instead of ${sum}`);
  }
}

describe('matMul on wasm', () => {
  before(async () => {
    unwrap(await openBackend('wasm', 1));
  });

  it('equals the float64 product for all shapes, transposes and broadcasts, and leaves nothing behind', () => {
    const before = backendMemory();
    fc.assert(fc.property(cases, check), { numRuns: 250 });
    expect(backendMemory()).to.deep.equal(before);
  });

  it('equals it past the edges of its blocks (64 rows, 512 columns, 512 of K) too', () => {
    for (const [M, K, N] of [
      [67, 1029, 6],
      [5, 515, 521],
      [131, 70, 1030],
      [1, 1100, 9],
    ]) {
      for (const transposeA of [false, true])
        for (const transposeB of [false, true]) check({ M, K, N, a: [], b: [], result: [], transposeA, transposeB, seed: M });
    }
  });

  it('refuses inner sizes that differ', () => {
    expect(() => inScope(() => matMul(upload(new Float32Array(6), [2, 3]), upload(new Float32Array(8), [4, 2])))).to.throw(/inner|shapes/i);
  });
});
