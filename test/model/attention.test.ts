/** Attention of long sequences works on blocks of queries and leaves out the keys above them: the same values and slopes as over all keys. */
import { expect } from 'chai';
import { attend } from '../../src/model/attention';
import { unwrap } from '../../src/protocol/fault';
import { openBackend } from '../../src/tensor/backend';
import { inScope, read, upload } from '../../src/tensor/host';
import { grads, type Tensor, type Tensor3D } from '../../src/tensor/tf';
import { backends } from '../backends';
import { randomOf } from '../oracle/random';

const [count, length, heads, kvHeads, width] = [2, 300, 4, 2, 8];
const mask = Float32Array.from({ length: length * length }, (_, i) => (i % length > Math.floor(i / length) ? -1e30 : 0));

for (const backend of backends) {
  describe(`long attention on ${backend}`, () => {
    before(async () => {
      unwrap(await openBackend(backend, 1));
    });

    for (const sinks of [false, true])
      it(`equals attention over all keys${sinks ? ' and sinks' : ''}, with its gradients`, () => {
        const random = randomOf('attention');
        const normal = (rows: number, own: number) => Float32Array.from({ length: rows * own * width }, random.normal);
        const rows = count * length;
        const inputs = [normal(rows, heads), normal(rows, kvHeads), normal(rows, kvHeads)] as const;
        const dy = normal(rows, heads);
        const of = (causal: boolean): Float32Array[] =>
          inScope(() => {
            const tensors = inputs.map((values) => upload(values, [rows, values.length / rows / width, width]));
            const run = (q: Tensor, k: Tensor, v: Tensor, own?: Tensor) =>
              attend(q as Tensor3D, k as Tensor3D, v as Tensor3D, upload(mask, [1, 1, length, length]), count, width ** -0.5, causal, own);
            const all = sinks ? [...tensors, upload(Float32Array.of(0.5, -1, 2, 4), [heads])] : tensors;
            const [q, k, v, own] = all;
            return [run(q, k, v, own), ...grads(run)(all, upload(dy, [rows, heads * width]))].map((tensor) => read(tensor).slice());
          });
        const [whole, blocks] = [of(false), of(true)];
        // A sink of 4 takes most of the first query's attention from its one key.
        if (sinks) expect(Math.abs(whole[0][3 * width])).to.be.lessThan(0.2 * Math.abs(inputs[2][width]));
        whole.forEach((expected, n) => {
          const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
          // f32 sums of 300 terms in another order.
          expected.forEach((value, i) => {
            if (!(Math.abs(blocks[n][i] - value) <= 2e-6 * largest)) expect.fail(`output ${n}, value ${i}: ${blocks[n][i]} is not ${value}`);
          });
        });
      });
  });
}
