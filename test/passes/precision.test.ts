/** Precision "fast" through a whole model: frozen bf16 weights take part, nothing else does. */
import path from 'node:path';
import { expect } from 'chai';
import { measure } from '../../src/evaluate/measure';
import { asStored } from '../../src/passes/model';
import { withPrecision } from '../../src/tensor/precision';
import { backends } from '../backends';
import { closeGolden, openGolden, sequenceOf } from './golden-case';

const folderOf = (variant: string) => path.resolve('test', 'fixtures', 'variants', variant);
const ids = [5, 9, 3, 17, 8, 2, 11, 30, 7, 21];

for (const backend of backends) {
  describe(`precision fast on ${backend}`, () => {
    for (const [variant, stored] of [
      ['qwen2_moe_llama3', 'BF16'],
      ['qwen3_moe_yarn_fused', 'F16'],
    ] as const) {
      it(`${variant}: ${stored} weights ${backend === 'tensorflow' && stored === 'BF16' ? 'are multiplied in bf16' : 'are multiplied as ever'}`, async () => {
        const given = await openGolden(folderOf(variant), backend);
        const losses = async () => Array.from((await measure(given.model, [sequenceOf(ids, null)], asStored, 1e9))[0].perToken);
        try {
          expect([...given.model.weights.checkpoint.tensors.values()][0].dtype).to.equal(stored);
          const exact = await losses();
          const fast = await withPrecision('fast', losses);
          if (backend !== 'tensorflow' || stored !== 'BF16') return expect(fast).to.deep.equal(exact);
          expect(fast).not.to.deep.equal(exact);
          // Eight bits in every product of a few layers: some percent of a nat.
          fast.forEach((loss, i) => {
            expect(loss).to.be.closeTo(exact[i], 0.1);
          });
        } finally {
          await closeGolden(given);
        }
      });
    }
  });
}
