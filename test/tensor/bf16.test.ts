/** Precision "fast" on TensorFlow: which products take bf16 operands, how near they are, and that a row's bits keep clear of its company. */
import { expect } from 'chai';
import { unwrap } from '../../src/protocol/fault';
import { openBackend } from '../../src/tensor/backend';
import { discard, hold, inScope, read, uploadMatrix } from '../../src/tensor/host';
import { exactProducts, markFrozen, withPrecision } from '../../src/tensor/precision';
import { grads, matMul, type Tensor2D } from '../../src/tensor/tf';
import { backends } from '../backends';
import { randomOf } from '../oracle/random';

const [rows, inner, outer] = [130, 96, 72];
const random = randomOf('bf16');
const x = Float32Array.from({ length: rows * inner }, random.normal);
/** Values that bf16 holds: 8 bits of fraction. */
const weights = Float32Array.from({ length: outer * inner }, () => Math.fround(Math.round(random.normal() * 64) / 64));
const bf16Step = 2 ** -8;

for (const backend of backends) {
  describe(`precision on ${backend}`, () => {
    before(async () => {
      unwrap(await openBackend(backend, 2));
    });

    const product = (frozen: boolean, of = x) => {
      const w = hold(weights, [outer, inner]);
      if (frozen) markFrozen(w);
      try {
        return inScope(() => read(matMul(uploadMatrix(of, of.length / inner, inner), w as Tensor2D, false, true)).slice());
      } finally {
        discard(w);
      }
    };
    const fast = <T>(work: () => T) => withPrecision('fast', async () => work());

    it('fast: bf16 operands for marked weights where the backend has them, f32 for all else', async () => {
      const exact = product(true);
      expect(await fast(() => product(false))).to.deep.equal(exact);
      expect(await fast(() => exactProducts(() => product(true)))).to.deep.equal(exact);
      const own = await fast(() => product(true));
      if (backend !== 'tensorflow') return expect(own).to.deep.equal(exact);
      expect(own).not.to.deep.equal(exact);
      // Each operand's and the result's rounding is half a step of its own size; errors of a sum of 96 products add up as a walk.
      const size = Math.sqrt(exact.reduce((sum, value) => sum + value * value, 0) / exact.length);
      own.forEach((value, i) => {
        expect(Math.abs(value - exact[i]), `value ${i}`).to.be.at.most(bf16Step * (Math.abs(exact[i]) + 2 * size));
      });
      expect(product(true), 'exact again').to.deep.equal(exact);
    });

    it('fast: a row has the same bits alone and among others', async () => {
      const all = await fast(() => product(true));
      for (const [from, to] of [
        [0, 1],
        [1, 3],
        [64, 97],
        [rows - 1, rows],
      ]) {
        const own = await fast(() => product(true, x.subarray(from * inner, to * inner)));
        expect(own, `rows ${from} to ${to}`).to.deep.equal(all.slice(from * outer, to * outer));
      }
    });

    it('fast: the gradient of the inputs goes through the same weights', async () => {
      const dy = Float32Array.from({ length: rows * outer }, random.normal);
      const slope = () => {
        const w = markFrozen(hold(weights, [outer, inner]));
        try {
          return inScope(() =>
            read(grads((own) => matMul(own as Tensor2D, w as Tensor2D, false, true))([uploadMatrix(x, rows, inner)], uploadMatrix(dy, rows, outer))[0]).slice(),
          );
        } finally {
          discard(w);
        }
      };
      const exact = slope();
      const own = await fast(slope);
      const size = Math.sqrt(exact.reduce((sum, value) => sum + value * value, 0) / exact.length);
      own.forEach((value, i) => {
        expect(Math.abs(value - exact[i]), `value ${i}`).to.be.at.most(bf16Step * (Math.abs(exact[i]) + 2 * size));
      });
    });
  });
}
