/** Gradients through the layers above a target, against central differences of the oracle. */

import { expect } from 'chai';
import type { LayerRouting } from '../../src/passes/forward';
import { pullBackTargets, scoreTargets } from '../../src/passes/head';
import { type KeptLayer, keptForward } from '../../src/passes/kept-forward';
import { asStored } from '../../src/passes/model';
import { pack, targetsOf } from '../../src/passes/packing';
import { pullBack } from '../../src/passes/pull-back';
import { sweepAll } from '../../src/passes/sweep';
import type { UnitGradients } from '../../src/passes/weight-gradients';
import { unitName } from '../../src/protocol/tensors';
import { inTurn } from '../backends';
import { type Family, families, type OracleConfig } from '../oracle/config';
import { centralDifferences } from '../oracle/gradients';
import { nll, scoreAgain, scoreAll } from '../oracle/losses';
import { randomOf } from '../oracle/random';
import { asSequence, seedWhere, withTiny } from './tiny-case';

const lowestMoe = (config: OracleConfig) => config.moe.indexOf(true);
/** With one expert a token, renormalised gates are 1 and a router has no gradient. */
const deepEnough = (config: OracleConfig) => config.num_hidden_layers - lowestMoe(config) >= 3 && config.num_experts_per_tok > 1;
const qwen = (family: Family) => family === 'qwen2_moe' || family === 'qwen3_moe';
/** Dense above the target where the family has that; else another draw. */
const denseAbove = (family: Family) => (config: OracleConfig) => deepEnough(config) && (!qwen(family) || config.moe.lastIndexOf(false) > lowestMoe(config));

for (const family of families) {
  const cases = [
    { backend: inTurn(0), seed: seedWhere(family, deepEnough), what: 'two layers above the target' },
    { backend: inTurn(1), seed: seedWhere(family, denseAbove(family), 100), what: qwen(family) ? 'a dense layer above the target' : 'another draw' },
  ] as const;
  for (const { backend, seed, what } of cases) {
    it(`pull-back, ${family}, ${what} (${backend}): expert and router of the lowest layer`, () =>
      withTiny(family, seed, backend, async ({ model, checkpoint, forget }) => {
        const lowest = model.shape.moeLayers[0];
        const { topK } = model.shape;
        const batch = pack(forget.map((sequence) => asSequence(sequence)));
        const routing = new Map<number, LayerRouting>();
        const entrances = new Map<number, Float32Array>();
        const feedEntrances = new Map<number, Float32Array>();
        const last = await sweepAll(model, batch, asStored, {
          routing: (own) => routing.set(own.layer, own),
          entrance: (layer, x) => entrances.set(layer, x),
          feedEntrance: (layer, x) => feedEntrances.set(layer, x),
        });
        const kept = Array.from(
          { length: model.shape.layers - lowest },
          (_, i): KeptLayer => ({
            layer: lowest + i,
            entrance: i === 0 ? undefined : entrances.get(lowest + i),
            feedEntrance: feedEntrances.get(lowest + i) as Float32Array,
            routing: routing.get(lowest + i) ?? null,
          }),
        );
        const slots = new Int32Array(model.shape.experts);
        for (const e of (routing.get(lowest) as LayerRouting).choice) slots[e]++;
        const target = slots.indexOf(Math.max(...slots));
        const { feed } = model.layers[lowest];
        if (feed.kind !== 'moe') throw new Error('not MoE');
        const units = [...new Set([...Object.values(feed.expert(target).parts), ...Object.values(feed.router.parts)].map(unitName))];

        const targets = targetsOf(batch);
        const { logSumExp } = await scoreTargets(model, last.x, targets.rows, targets.ids, asStored);
        const coefficient = new Float64Array(targets.rows.length).fill(-1 / targets.rows.length);
        const dy = await pullBackTargets(model, last.x, targets.rows, targets.ids, coefficient, logSumExp, asStored);
        const gradients: UnitGradients = new Map();
        const ran: string[] = [];
        const forward = keptForward(0, null);
        for (const layer of kept) await forward.push(layer);
        await pullBack(model, batch, forward, dy, asStored, {
          trained: new Set(units),
          gradients,
          dScores: new Map(),
          ran: (layer, part) => ran.push(`${layer} ${part}`),
        });
        const above = Array.from({ length: kept.length - 1 }, (_, i) => model.shape.layers - 1 - i);
        expect(ran).to.deep.equal([...above.flatMap((layer) => [`${layer} feed`, `${layer} attention`]), `${lowest} feed`]);

        expect([...gradients.keys()].sort()).to.deep.equal([...units].sort());
        expect(slots[target] * units.length, 'the target is used').to.be.greaterThan(topK);
        const scored = scoreAll(checkpoint, forget);
        const random = randomOf(`coordinates ${family}`);
        for (const [unit, { values }] of gradients) {
          // The three steepest places and some others.
          const steepest = [...values.keys()].sort((a, b) => Math.abs(values[b]) - Math.abs(values[a])).slice(0, 3);
          const coordinates = [...steepest, ...Array.from({ length: 5 }, () => random.integer(0, values.length - 1))];
          const { loss } = centralDifferences(checkpoint, unit, coordinates, (moved, layer) => ({ loss: nll(scoreAgain(moved, scored, layer)) }));
          const largest = Math.abs(values[steepest[0]]);
          expect(largest, unit).to.be.greaterThan(1e-6);
          for (const [i, coordinate] of coordinates.entries()) expect(values[coordinate], `${unit} at ${coordinate}`).to.be.closeTo(loss[i], 5e-4 * largest);
        }
      })).timeout(60_000);
  }
}
