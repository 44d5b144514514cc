/** Passes from a stream on: cut anywhere they give the same; forbidden experts; nothing stays in the backend. */

import { expect } from 'chai';
import { scoreTargets } from '../../src/passes/head';
import { asStored, type Conditions, forbidding } from '../../src/passes/model';
import { targetsOf } from '../../src/passes/packing';
import { start, sweep, sweepAll } from '../../src/passes/sweep';
import { backendMemory } from '../../src/tensor/host';
import { fast } from '../backends';
import { goldenFolders } from '../oracle/golden';
import { closeGolden, type GoldenCase, openGolden } from './golden-case';

for (const { name, folder } of goldenFolders()) {
  describe(`sweep of ${name}`, () => {
    let given: GoldenCase;
    before(async () => {
      given = await openGolden(folder, fast);
    });
    after(() => closeGolden(given));

    it('cut at any place equals the whole, bit for bit, and runs each part once', async () => {
      const { model, batches } = given;
      const batch = batches.forget;
      const whole = await sweepAll(model, batch, asStored);
      for (let layer = 0; layer < model.shape.layers; layer++) {
        for (const at of ['attention', 'feed'] as const) {
          const ran: string[] = [];
          const taps = { ran: (own: number, part: string) => ran.push(`${own} ${part}`) };
          const prefix = await sweep(model, batch, await start(model, batch, asStored), asStored, { layer, at }, taps);
          expect([prefix.layer, prefix.at]).to.deep.equal([layer, at]);
          const before = prefix.x.slice();
          const { x } = await sweep(model, batch, prefix, asStored, undefined, taps);
          expect(prefix.x, 'the given stream').to.deep.equal(before);
          expect(Buffer.from(x.buffer).equals(Buffer.from(whole.x.buffer)), `cut at the ${at} of layer ${layer}`).to.equal(true);
          expect(ran).to.deep.equal(Array.from({ length: model.shape.layers }, (_, own) => [`${own} attention`, `${own} feed`]).flat());
        }
      }
    });

    for (const [rule, by] of [
      ['score_mask', 'score'],
      ['logit_mask', 'logit'],
    ] as const) {
      it(`forget NLL with the target forbidden by ${by}`, async () => {
        const { model, batches, golden } = given;
        const { forced, target } = golden.scalars;
        const expected = forced?.[rule];
        if (!forced || !expected) {
          // A sigmoid has no softmax to take a logit out of.
          expect(rule).to.equal('logit_mask');
          expect(golden.scalars.family).to.be.oneOf(['deepseek_v3', 'glm4_moe']);
          return;
        }
        const nllOf = async (conditions: Conditions) => {
          const targets = targetsOf(batches.forget);
          const chosen = new Set<number>();
          const { x } = await sweepAll(model, batches.forget, conditions, {
            routing: ({ layer, choice }) => {
              if (layer === target.layer) for (const e of choice) chosen.add(e);
            },
          });
          const { logp } = await scoreTargets(model, x, targets.rows, targets.ids, conditions);
          const sums = new Array<number>(batches.forget.sequences.length).fill(0);
          logp.forEach((value, n) => {
            sums[targets.sequence[n]] -= value;
          });
          return { nll: sums.reduce((a, b) => a + b, 0) / logp.length, sums, chosen };
        };
        const plain = await nllOf(asStored);
        expect(plain.nll).to.be.closeTo(forced.forget_nll_unforced, 1e-4 * forced.forget_nll_unforced);
        expect(plain.chosen.has(target.expert)).to.equal(true);
        const without = await nllOf({ ...asStored, forbidden: forbidding([target], by) });
        expect(without.nll).to.be.closeTo(expected.forget_nll, 1e-4 * expected.forget_nll);
        for (const [j, sum] of without.sums.entries()) expect(sum).to.be.closeTo(expected.per_sequence_nll_sum[j], 1e-4 * expected.per_sequence_nll_sum[j]);
        expect(without.chosen.has(target.expert)).to.equal(false);
      });
    }

    it('leaves no tensor behind, nor does one that is cancelled', async () => {
      const { model, batches } = given;
      await sweepAll(model, batches.retain, asStored);
      const before = backendMemory();
      await sweepAll(model, batches.forget, asStored);
      expect(backendMemory()).to.deep.equal(before);
      const stop = new AbortController();
      const cancelled = sweepAll(model, batches.forget, { ...asStored, signal: stop.signal }, { routing: () => stop.abort() });
      await cancelled.then(
        () => expect.fail('it went on'),
        (error: Error) => expect(error.message).to.equal('Cancelled.'),
      );
      expect(backendMemory()).to.deep.equal(before);
    });
  });
}
