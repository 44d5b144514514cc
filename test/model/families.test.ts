/** Every family on configurations nobody wrote down: logits and routing equal to the oracle's float64. */

import { expect } from 'chai';
import type { LayerRouting } from '../../src/passes/forward';
import { logitsAt } from '../../src/passes/head';
import { asStored } from '../../src/passes/model';
import { pack } from '../../src/passes/packing';
import { sweepAll } from '../../src/passes/sweep';
import { inTurn } from '../backends';
import { completeConfig, families } from '../oracle/config';
import { forward } from '../oracle/model';
import { maxDifference } from '../passes/golden-case';
import { asSequence, withTiny } from '../passes/tiny-case';

const seeds = [1000, 1001, 1002, 1003, 1004, 1005];

// Tolerances: test/fixtures/golden/README.md.
for (const family of families) {
  describe(`${family}: random configurations equal the oracle`, () => {
    for (const seed of seeds) {
      // The odd seeds on plain JavaScript.
      const backend = inTurn(seed);
      it(`seed ${seed} on ${backend}`, () =>
        withTiny(family, seed, backend, async ({ model, checkpoint, config, forget, retain }) => {
          const all = [...forget, ...retain];
          const batch = pack(all.map((sequence) => asSequence(sequence)));
          const { topK: K, experts: E, vocabSize: V, moeLayers } = model.shape;
          const oracleConfig = completeConfig(config);
          expect(moeLayers).to.deep.equal([...oracleConfig.moe.keys()].filter((layer) => oracleConfig.moe[layer]));
          const routing = new Map<number, LayerRouting>();
          const last = await sweepAll(model, batch, asStored, { routing: (own) => routing.set(own.layer, own) });
          const logits = await logitsAt(
            model,
            last.x,
            Int32Array.from({ length: batch.tokens }, (_, row) => row),
            asStored,
          );
          const gateTolerance = 1e-5 * Math.max(1, oracleConfig.routed_scaling_factor);
          all.forEach(({ ids }, j) => {
            const pass = forward(checkpoint, ids);
            const at = batch.offsets[j];
            expect(
              maxDifference(
                logits.subarray(at * V, (at + ids.length) * V),
                pass.logits.flatMap((row) => [...row]),
              ),
              'logits',
            ).to.be.at.most(1e-4);
            for (const [layer, record] of pass.layers) {
              const own = routing.get(layer) as LayerRouting;
              const choice = own.choice.subarray(at * K, (at + ids.length) * K);
              expect([...choice], `choice of layer ${layer}`).to.deep.equal(record.topk_index.flat());
              expect(
                maxDifference(
                  own.scores.subarray(at * E, (at + ids.length) * E),
                  record.probs.flatMap((row) => [...row]),
                ),
                `probs of layer ${layer}`,
              ).to.be.at.most(1e-5);
              const gates = record.topk_index.flatMap((chosen, t) => chosen.map((e) => record.gates[t][e]));
              expect(maxDifference(own.gates.subarray(at * K, (at + ids.length) * K), gates), `gates of layer ${layer}`).to.be.at.most(gateTolerance);
            }
          });
        }));
    }
  });
}
