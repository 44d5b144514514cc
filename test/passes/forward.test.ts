import { expect } from 'chai';
import type { LayerRouting } from '../../src/passes/forward';
import { logitsAt, scoreTargets } from '../../src/passes/head';
import { asStored } from '../../src/passes/model';
import { sweepAll } from '../../src/passes/sweep';
import { backends } from '../backends';
import { goldenFolders } from '../oracle/golden';
import { closeGolden, type GoldenCase, maxDifference, openGolden } from './golden-case';

// Tolerances: test/fixtures/golden/README.md, "Recommended tolerances".
for (const backend of backends) {
  for (const { name, folder } of goldenFolders()) {
    describe(`forward pass of ${name} on ${backend} equals Hugging Face`, () => {
      let given: GoldenCase;
      before(async () => {
        given = await openGolden(folder, backend);
      });
      after(() => closeGolden(given));

      for (const set of ['forget', 'retain'] as const) {
        it(`${set}: logits, NLL, hidden states, routing`, async () => {
          const { model, golden, batches, sequences } = given;
          const batch = batches[set];
          const { hiddenSize: d, vocabSize: V, experts: E, topK: K, layers } = model.shape;
          const hidden = new Map<number, Float32Array>();
          const routing = new Map<number, LayerRouting>();
          const feeds = new Map<number, Float32Array>();
          const last = await sweepAll(model, batch, asStored, {
            entrance: (layer, x) => hidden.set(layer - 1, x),
            routing: (own) => routing.set(own.layer, own),
            feedEntrance: (layer, x) => feeds.set(layer, x),
          });
          const rows = Int32Array.from({ length: batch.tokens }, (_, row) => row);
          const logits = await logitsAt(model, last.x, rows, asStored);
          const next = batch.ids.map((_, row) => batch.ids[Math.min(row + 1, batch.tokens - 1)]);
          const scores = await scoreTargets(model, last.x, rows, Int32Array.from(next), asStored, { argmax: true });
          let compared = 0;
          const compare = (key: string, values: ArrayLike<number>, tolerance: number) => {
            const array = golden.arrays.get(key);
            if (!array) return;
            compared++;
            expect(maxDifference(values, array.values), key).to.be.at.most(tolerance);
          };
          sequences[set].forEach((sequence, j) => {
            const L = sequence.ids.length;
            const at = batch.offsets[j];
            const cut = (stream: Float32Array, width: number) => stream.subarray(at * width, (at + L) * width);
            compare(`${set}.${j}.logits`, cut(logits, V), 1e-4);
            compare(`${set}.${j}.nll`, [0, ...Array.from(scores.logp.subarray(at, at + L - 1), (value) => -value)], 1e-4);
            for (let t = 0; t < L; t++) {
              const row = logits.subarray((at + t) * V, (at + t + 1) * V);
              expect(scores.argmax?.[at + t]).to.equal(row.indexOf(Math.max(...row)));
            }
            for (let layer = 0; layer < layers; layer++) {
              const own = hidden.get(layer);
              if (own) compare(`${set}.${j}.hidden.${layer}`, cut(own, d), 2e-4);
            }
            for (const [layer, own] of routing) {
              const key = `${set}.${j}.layer.${layer}`;
              const gates = new Float32Array(L * E);
              for (let t = 0; t < L; t++) for (let k = 0; k < K; k++) gates[t * E + own.choice[(at + t) * K + k]] = own.gates[(at + t) * K + k];
              const before = feeds.get(layer) as Float32Array;
              const after = hidden.get(layer) as Float32Array;
              compare(`${key}.u`, cut(own.u, d), 1e-4);
              compare(`${key}.probs`, cut(own.scores, E), 1e-5);
              compare(`${key}.topk_index`, own.choice.subarray(at * K, (at + L) * K), 0);
              compare(`${key}.gates`, gates, 1e-5 * Math.max(1, Number(model.weights.checkpoint.config.routed_scaling_factor ?? 1)));
              compare(
                `${key}.moe_out`,
                cut(after, d).map((value, i) => value - before[at * d + i]),
                2e-4,
              );
            }
          });
          expect(compared).to.be.greaterThan(0);
        });
      }
    });
  }
}
