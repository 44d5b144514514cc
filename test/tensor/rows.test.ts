/** Rows of a stream: gathered and scattered with their gradients; and a row's bits, which may not depend on its company. */

import { gather } from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import fc from 'fast-check';
import { unwrap } from '../../src/protocol/fault';
import { type BackendName, openBackend } from '../../src/tensor/backend';
import { inScope, read, upload, uploadMatrix } from '../../src/tensor/host';
import { gatherRows, rowIndex, scatterRows } from '../../src/tensor/rows';
import { grads, reshape, type Tensor2D } from '../../src/tensor/tf';
import { backends } from '../backends';
import { randomOf } from '../oracle/random';
import type { Products } from './programs/products';
import { runProgram } from './programs/run';

const normal = (count: number, seed: number) => Float32Array.from({ length: count }, randomOf(seed).normal);

/** Adds rows of `from` where `to` says, in float64. */
function scattered(from: Float32Array, rows: readonly number[], height: number, width: number): number[] {
  const sums = new Float64Array(height * width);
  rows.forEach((row, i) => {
    for (let k = 0; k < width; k++) sums[row * width + k] += from[i * width + k];
  });
  return Array.from(sums);
}
const gathered = (from: Float32Array, rows: readonly number[], width: number): number[] =>
  rows.flatMap((row) => Array.from(from.subarray(row * width, (row + 1) * width)));

function expectClose(own: Float32Array, expected: readonly number[], tolerance: number): void {
  expect(own.length).to.equal(expected.length);
  own.forEach((value, i) => {
    if (!(Math.abs(value - expected[i]) <= tolerance)) expect.fail(`value ${i} is ${value}, expected ${expected[i]}`);
  });
}

const rowCases = fc.integer({ min: 1, max: 12 }).chain((height) =>
  fc.record({
    height: fc.constant(height),
    width: fc.integer({ min: 1, max: 5 }),
    rows: fc.array(fc.integer({ min: 0, max: height - 1 }), { minLength: 1, maxLength: 20 }),
    seed: fc.nat(),
  }),
);

for (const backend of backends) {
  describe(`rows on ${backend}`, () => {
    before(async () => {
      unwrap(await openBackend(backend, 1));
    });

    it('gatherRows picks rows, its gradient adds up what went to each, repeated rows too', () => {
      fc.assert(
        fc.property(rowCases, ({ height, width, rows, seed }) => {
          const [x, dy] = [normal(height * width, seed), normal(rows.length * width, seed + 1)];
          const run = (source: Tensor2D) => gatherRows(source, rowIndex(rows));
          expectClose(
            inScope(() => read(run(uploadMatrix(x, height, width)))),
            gathered(x, rows, width),
            0,
          );
          const dx = inScope(() => read(grads((source) => run(source as Tensor2D))([uploadMatrix(x, height, width)], uploadMatrix(dy, rows.length, width))[0]));
          expectClose(dx, scattered(dy, rows, height, width), 1e-5);
        }),
        { numRuns: 40 },
      );
    });

    it('scatterRows adds rows, its gradient picks them', () => {
      fc.assert(
        fc.property(rowCases, ({ height, width, rows, seed }) => {
          const [x, dy] = [normal(rows.length * width, seed), normal(height * width, seed + 1)];
          const run = (source: Tensor2D) => scatterRows(source, rowIndex(rows), height);
          expectClose(
            inScope(() => read(run(uploadMatrix(x, rows.length, width)))),
            scattered(x, rows, height, width),
            1e-5,
          );
          const dx = inScope(() => read(grads((source) => run(source as Tensor2D))([uploadMatrix(x, rows.length, width)], uploadMatrix(dy, height, width))[0]));
          expectClose(dx, gathered(dy, rows, width), 0);
        }),
        { numRuns: 40 },
      );
    });

    it('gather takes any axis and batches', () => {
      const x = upload(
        Float32Array.from({ length: 24 }, (_, i) => i),
        [2, 3, 4],
      );
      const along = (axis: number) => read(gather(x, rowIndex([2, 0, 1]), axis));
      inScope(() => expect(Array.from(along(2)).slice(0, 6)).to.deep.equal([2, 0, 1, 6, 4, 5]));
      inScope(() => expect(Array.from(along(1)).slice(0, 8)).to.deep.equal([8, 9, 10, 11, 0, 1, 2, 3]));
      if (backend === 'wasm') {
        const own = inScope(() => read(gather(x, reshape(rowIndex([2, 2, 0, 1]), [2, 2]), 1, 1)));
        expect(Array.from(own)).to.deep.equal([8, 9, 10, 11, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
      }
      x.dispose();
    });

    for (const row of [-1, 3]) {
      it(`gather refuses row ${row} of 3`, () => {
        expect(() => inScope(() => read(gatherRows(uploadMatrix(new Float32Array(6), 3, 2), rowIndex([0, row]))))).to.throw(/not in|outside/);
      });
    }
  });
}

const threadsOf = (name: BackendName): readonly number[] => (name === 'cpu' ? [1] : [1, 2]);

describe('bits of products', () => {
  const runs: Record<string, Products> = {};
  before(async function () {
    this.timeout(120_000);
    for (const name of backends)
      for (const threads of threadsOf(name)) runs[`${name} ${threads}`] = (await runProgram('products', [name, String(threads)])) as Products;
  });

  for (const name of backends) {
    for (const threads of threadsOf(name)) {
      it(`${name} runs with ${threads} thread${threads === 1 ? '' : 's'}, and they do not change a bit of a product`, () => {
        const own = runs[`${name} ${threads}`];
        expect(own.threads).to.equal(threads);
        expect(own.product).to.equal(runs[`${name} 1`].product);
        expect(own.transposed).to.equal(runs[`${name} 1`].transposed);
      });
    }
  }

  // passes/frozen-outputs.ts rests on this.
  for (const name of backends.flatMap((backend) => threadsOf(backend).map((threads) => `${backend} ${threads}`))) {
    it(`an expert's output for a row does not depend on the rows beside it (${name} thread)`, () => {
      for (const { size, rows, bits } of runs[name].expert) {
        const alone = runs[name].expert.find((other) => other.size === size);
        expect(bits, `${size}, ${rows} rows`).to.equal(alone?.bits);
      }
    });
  }
});
