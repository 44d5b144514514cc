/** Bits of a row do not depend on the rows computed beside it: operations that are not products (those: rows.test.ts). */
import { expect } from 'chai';
import { unwrap } from '../../src/protocol/fault';
import { openBackend } from '../../src/tensor/backend';
import { inScope, read, upload } from '../../src/tensor/host';
import * as tf from '../../src/tensor/tf';
import { backends } from '../backends';
import { randomOf } from '../oracle/random';

type Operation = (x: tf.Tensor) => tf.Tensor;

const slope =
  (operation: Operation): Operation =>
  (x) =>
    tf.grads((own) => operation(own))([x])[0];

const positive = (x: tf.Tensor) => tf.add(tf.square(x), 1);

const operations: Record<string, Operation> = {
  sigmoid: tf.sigmoid,
  exp: tf.exp,
  log: (x) => tf.log(positive(x)),
  rsqrt: (x) => tf.rsqrt(positive(x)),
  softmax: (x) => tf.softmax(x),
  sum: (x) => tf.sum(x, -1, true),
  mean: (x) => tf.mean(x, -1, true),
  max: (x) => tf.max(x, -1, true),
  div: (x) => tf.div(x, positive(x)),
  'slope of sigmoid': slope(tf.sigmoid),
  'slope of log': slope((x) => tf.log(positive(x))),
  'slope of rsqrt': slope((x) => tf.rsqrt(positive(x))),
  'slope of softmax': slope((x) => tf.square(tf.softmax(x))),
};

for (const backend of backends) {
  describe(`bits of a row on ${backend}`, () => {
    before(async () => {
      unwrap(await openBackend(backend, 2));
    });

    for (const [name, operation] of Object.entries(operations)) {
      it(name, () => {
        const random = randomOf('steady');
        for (const width of [1, 3, 8, 13, 64, 100, 1000]) {
          for (const rows of [3, 9, 33, 200]) {
            const x = Float32Array.from({ length: rows * width }, random.normal);
            const of = (from: number, to: number) => inScope(() => read(operation(upload(x.subarray(from * width, to * width), [to - from, width]))).slice());
            const all = of(0, rows);
            const out = all.length / rows;
            for (const [from, to] of [
              [0, 1],
              [1, 3],
              [rows - 1, rows],
            ])
              expect(of(from, to), `rows ${from} to ${to} of ${rows}x${width}`).to.deep.equal(all.slice(from * out, to * out));
          }
        }
      });
    }
  });
}
