/** Every differentiable operation behind the door, against central differences. */

import { expect } from 'chai';
import { rmsNorm } from '../../src/model/norm';
import { unwrap } from '../../src/protocol/fault';
import { openBackend } from '../../src/tensor/backend';
import { inScope, read, upload } from '../../src/tensor/host';
import * as tf from '../../src/tensor/tf';
import { backends } from '../backends';
import { randomOf } from '../oracle/random';

type Operation = (x: tf.Tensor, y: tf.Tensor) => tf.Tensor;

/** x `[3, 4]`, y `[3, 4]` positive. */
const operations: Record<string, Operation> = {
  add: (x, y) => tf.add(x, y),
  'add to a row': (x, y) => tf.add(x, tf.slice(y, [0, 0], [1, 4])),
  sub: (x, y) => tf.sub(x, y),
  mul: (x, y) => tf.mul(x, y),
  'mul by a column': (x, y) => tf.mul(x, tf.slice(y, [0, 1], [3, 1])),
  div: (x, y) => tf.div(x, y),
  exp: (x) => tf.exp(x),
  log: (_, y) => tf.log(y),
  neg: (x) => tf.neg(x),
  rsqrt: (_, y) => tf.rsqrt(y),
  sigmoid: (x) => tf.sigmoid(x),
  square: (x) => tf.square(x),
  softmax: (x) => tf.softmax(x),
  sum: (x) => tf.sum(x, 1),
  mean: (x) => tf.mean(x, -1, true),
  max: (x) => tf.max(x, 1),
  clipByValue: (x) => tf.clipByValue(x, -0.6, 0.6),
  concat: (x, y) => tf.concat([x, y], 1),
  slice: (x) => tf.slice(x, [1, 1], [2, 3]),
  tile: (x) => tf.tile(x, [2, 1]),
  transpose: (x) => tf.transpose(tf.reshape(x, [3, 2, 2]), [2, 0, 1]),
  reshape: (x) => tf.reshape(x, [2, 6]),
  matMul: (x, y) => tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D, true, false),
  'matMul, right turned': (x, y) => tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D, false, true),
  'matMul, batches': (x, y) => tf.matMul(tf.reshape(x, [3, 2, 2]), tf.reshape(y, [3, 2, 2]), false, true),
  rmsNorm: (x, y) => rmsNorm(x, tf.slice(y, [0, 0], [1, 4]), 1e-5),
};

for (const backend of backends) {
  describe(`gradients of operations on ${backend}`, () => {
    before(async () => {
      unwrap(await openBackend(backend, 1));
    });

    for (const [name, operation] of Object.entries(operations)) {
      it(name, () => {
        const random = randomOf('gradients');
        const x = Float32Array.from({ length: 12 }, random.normal);
        const y = Float32Array.from({ length: 12 }, () => 0.5 + random.uniform());
        const shape = [3, 4];
        const weights = inScope(() => Float32Array.from(read(operation(upload(x, shape), upload(y, shape))), random.normal));
        const value = (ownX: Float32Array, ownY: Float32Array) =>
          inScope(() => read(operation(upload(ownX, shape), upload(ownY, shape))).reduce((sum, part, i) => sum + part * weights[i], 0));
        const [dx, dy] = inScope(() => {
          const out = operation(upload(x, shape), upload(y, shape));
          return tf
            .grads((ownX, ownY) => tf.add(operation(ownX, ownY), tf.mul(tf.add(tf.sum(ownX), tf.sum(ownY)), 0)))(
              [upload(x, shape), upload(y, shape)],
              upload(weights, out.shape),
            )
            .map(read);
        });
        const step = 1e-2;
        const differences = (which: 0 | 1) =>
          Array.from({ length: 12 }, (_, i) => {
            const at = (offset: number) => {
              const moved = [x.slice(), y.slice()];
              moved[which][i] += offset;
              return value(moved[0], moved[1]);
            };
            return (at(step) - at(-step)) / (2 * step);
          });
        for (const [own, expected] of [
          [dx, differences(0)],
          [dy, differences(1)],
        ] as const) {
          own.forEach((slope, i) => {
            if (!(Math.abs(slope - expected[i]) <= 2e-3 * (1 + Math.abs(expected[i])))) expect.fail(`slope ${i} is ${slope}, differences say ${expected[i]}`);
          });
        }
      });
    }
  });
}
