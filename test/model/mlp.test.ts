/** The closed gradient of gated MLPs equals that of the tape, and its halves are the block. */
import { expect } from 'chai';
import { clampedExpertBlock } from '../../src/model/clamped-mlp';
import type { Block, TensorNames } from '../../src/model/family';
import { gatedSharedBlock, mlpBlock } from '../../src/model/mlp';
import { unwrap } from '../../src/protocol/fault';
import { openBackend } from '../../src/tensor/backend';
import { inScope, read, upload, uploadMatrix } from '../../src/tensor/host';
import { grads, mul, type Tensor, type Tensor2D } from '../../src/tensor/tf';
import { backends } from '../backends';
import { randomOf } from '../oracle/random';

const names: TensorNames = { has: () => true, stored: (name) => name };
const [d, m, rows] = [12, 20, 17];
const mlp = mlpBlock('mlp', names, d, m);
const cases: Record<string, { block: Block; trained: readonly string[] }> = {
  plain: { block: mlp, trained: ['gate', 'up', 'down'] },
  'with biases': { block: mlpBlock('mlp', names, d, m, true), trained: ['gate', 'up', 'down', 'gateBias', 'upBias', 'downBias'] },
  // Gates of a spread of 3: both sides of the limit.
  "gpt-oss's expert": {
    block: clampedExpertBlock('experts', 1, names, { d, m, alpha: 1.702, limit: 2 }),
    trained: ['gateUp', 'gateUpBias', 'down', 'downBias'],
  },
  'shared expert with its gate': { block: gatedSharedBlock(mlp, { name: 'shared_gate', shape: [1, d] }), trained: [] },
};

/** Largest difference, relative to the largest value expected. */
function difference(own: Float32Array, expected: Float32Array): number {
  expect(own.length).to.equal(expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  expect(largest).to.be.greaterThan(1e-3);
  return Math.max(...own.map((value, i) => Math.abs(value - expected[i]))) / largest;
}

for (const backend of backends) {
  describe(`closed gradients of gated MLPs (${backend})`, () => {
    before(async () => void unwrap(await openBackend(backend, 1)));

    for (const [name, { block, trained }] of Object.entries(cases)) {
      for (const scaled of [true, false]) {
        it(`${name}, ${scaled ? 'scaled by row' : 'as it is'}`, () =>
          inScope(() => {
            const random = randomOf(`${name} ${scaled}`);
            const normal = (count: number) => Float32Array.from({ length: count }, random.normal);
            const w: Record<string, Tensor> = Object.fromEntries(
              Object.entries(block.parts).map(([part, { shape }]) => [part, upload(normal(shape.reduce((size, side) => size * side, 1)), shape)]),
            );
            const x = uploadMatrix(normal(rows * d), rows, d);
            const dy = uploadMatrix(normal(rows * d), rows, d);
            const scale = uploadMatrix(scaled ? normal(rows) : new Float32Array(rows).fill(1), rows, 1);
            const { closed } = block;
            if (!closed) throw new Error('no closed form');
            const inner = closed.inner(w, x);
            expect(inner.reduce((sum, { shape }) => sum + shape[1], 0)).to.equal(closed.width);
            expect([...read(closed.output(w, inner))]).to.deep.equal([...read(block.run(w, x))]);

            const expected = grads((input, gate, ...parts) =>
              mul(block.run({ ...w, ...Object.fromEntries(trained.map((part, i) => [part, parts[i]])) }, input as Tensor2D), gate),
            )([x, scale, ...trained.map((part) => w[part])], dy);
            const own = closed.pullBack(w, () => x, inner, dy, scaled ? scale : null, { input: true, parts: new Set(trained) });
            // Sums of up to 20 products in f32, in another order.
            const tolerance = 2e-6;
            expect(difference(read(own.input as Tensor2D), read(expected[0])), 'input').to.be.at.most(tolerance);
            if (scaled) expect(difference(read(own.scale as Tensor2D), read(expected[1])), 'scale').to.be.at.most(tolerance);
            expect([...own.parts.keys()]).to.deep.equal(trained);
            trained.forEach((part, i) => {
              expect(difference(read(own.parts.get(part) as Tensor), read(expected[2 + i])), part).to.be.at.most(tolerance);
            });
          }));
      }
    }
  });
}
