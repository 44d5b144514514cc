/** What training reads instead of the layers below the target: equal to the oracle, and of the original. */

import { expect } from 'chai';
import { route } from '../../src/passes/forward';
import { asStored } from '../../src/passes/model';
import { type OriginalPass, originalPass } from '../../src/passes/original-pass';
import { start, sweep } from '../../src/passes/sweep';
import type { Recipe } from '../../src/protocol/recipe';
import type { Target } from '../../src/protocol/records';
import { unitName } from '../../src/protocol/tensors';
import { type TrainState, takeStep } from '../../src/unlearn/step';
import { trainedUnits } from '../../src/unlearn/trained-units';
import { expertsByLayer, prepareTraining, type StepRange, stepWindow, type TrainingRows, usesRetain } from '../../src/unlearn/training-set';
import { noOverlay, type Overlay, type WeightStore } from '../../src/weights/store';
import { fast, inTurn } from '../backends';
import { families } from '../oracle/config';
import { logProbability, scoreAll } from '../oracle/losses';
import { maxDifference } from '../passes/golden-case';
import { seedWhere, type TinyCase, withTiny } from '../passes/tiny-case';
import { openTiny, patched, recipeOf, rowsOf, trainable, trainableSeed } from './tiny-training';

/** Prepares for expert 1 of the highest MoE layer, or for one of the lowest too. */
async function prepared(given: TinyCase, fields: Partial<Recipe>, { overlay = noOverlay, both = false }: { overlay?: Overlay; both?: boolean } = {}) {
  const { moeLayers } = given.model.shape;
  const high = moeLayers[moeLayers.length - 1];
  const experts = [{ layer: high, expert: 1 }, ...(both ? [{ layer: moeLayers[0], expert: 2 }] : [])];
  const recipe = recipeOf(fields);
  const steps = { from: 1, to: recipe.steps };
  const set = await prepareTraining(given.model, recipe, { experts, train: 'expert+router' }, rowsOf(given), steps, overlay, null);
  return { set, high, low: moeLayers[0] };
}

describe('trained units', () => {
  for (const layout of ['separate', 'fused'] as const) {
    it(`experts' matrices and routers, layer by layer, as they lie on disk (${layout})`, async () => {
      // Which layout a seed draws shows only in the folder.
      for (let seed = trainableSeed('deepseek_v2'); ; seed = seedWhere('deepseek_v2', trainable, seed + 1)) {
        let found = false;
        await withTiny('deepseek_v2', seed, 'cpu', async ({ model, checkpoint }) => {
          if ([...checkpoint.weights.keys()].some((name) => name.endsWith('gate_up_proj')) !== (layout === 'fused')) return;
          found = true;
          const [low, high] = [model.shape.moeLayers[0], model.shape.moeLayers[model.shape.moeLayers.length - 1]];
          const experts = [
            { layer: high, expert: 3 },
            { layer: low, expert: 2 },
            { layer: high, expert: 0 },
          ];
          const expertNames = (layer: number, e: number) =>
            layout === 'fused'
              ? ['gate_up_proj', 'down_proj'].map((part) => `model.layers.${layer}.mlp.experts.${part}[${e}]`)
              : ['gate_proj', 'up_proj', 'down_proj'].map((part) => `model.layers.${layer}.mlp.experts.${e}.${part}.weight`);
          const router = (layer: number) => `model.layers.${layer}.mlp.gate.weight`;
          const units = (train: 'expert' | 'router' | 'expert+router') => trainedUnits(model, { experts, train }).map(unitName);
          expect(units('router')).to.deep.equal([router(low), router(high)]);
          expect(units('expert')).to.deep.equal([...expertNames(low, 2), ...expertNames(high, 3), ...expertNames(high, 0)]);
          expect(units('expert+router')).to.deep.equal([...expertNames(low, 2), router(low), ...expertNames(high, 3), ...expertNames(high, 0), router(high)]);
          for (const unit of trainedUnits(model, { experts, train: 'expert+router' })) {
            const stored = checkpoint.weights.get(unit.name)?.shape as number[];
            expect(unit.shape).to.deep.equal(unit.index === undefined ? stored : stored.slice(1));
            expect(unit.rows).to.equal(undefined);
          }
          expect([...expertsByLayer(experts)]).to.deep.equal([
            [low, [2]],
            [high, [0, 3]],
          ]);
        });
        if (found) return;
      }
    });
  }
});

describe('training set', () => {
  for (const [i, family] of families.entries()) {
    it(`${family}: streams, choices and references equal the oracle's`, () =>
      withTiny(family, trainableSeed(family, 200), inTurn(i + 1), async (given) => {
        const { set, high } = await prepared(given, { method: 'npo', retainLoss: { kind: 'kl' } });
        const { hiddenSize: d, topK, moeLayers, layers } = given.model.shape;
        expect([set.lowest, set.highest]).to.deep.equal([high, high]);
        expect([...set.choices.keys()]).to.deep.equal(moeLayers.filter((layer) => layer >= high));
        const all = [...given.forget, ...given.retain];
        expect([set.forgetCount, set.batch.sequences.length]).to.deep.equal([given.forget.length, all.length]);
        const scored = scoreAll(given.checkpoint, all);
        const own = (stream: Float32Array, j: number) => stream.subarray(set.batch.offsets[j] * d, (set.batch.offsets[j] + all[j].ids.length) * d);
        scored.forEach(({ pass }, j) => {
          const record = pass.layers.get(high);
          expect(maxDifference(own(set.routed?.u as Float32Array, j), record?.u.flatMap((row) => [...row]) ?? []), 'router inputs').to.be.at.most(2e-4);
          expect(
            maxDifference(
              own(set.original.last as Float32Array, j),
              pass.hidden[layers - 1].flatMap((row) => [...row]),
            ),
            'last hidden state',
          ).to.be.at.most(2e-4);
          const choice = set.choices.get(high)?.subarray(set.batch.offsets[j] * topK, (set.batch.offsets[j] + all[j].ids.length) * topK) as Uint16Array;
          expect([...choice]).to.deep.equal(record?.topk_index.flat());
          if (j < given.forget.length) expect(set.reference?.[j]).to.be.closeTo(logProbability(scored[j]), 1e-3);
        });
        expect(set.original.afterTarget, 'only RMU needs it').to.equal(null);
      })).timeout(120_000);
  }

  it('holds the rows that some step reads, and where each lies', () =>
    withTiny('mixtral', trainableSeed('mixtral', 200), 'cpu', async (given) => {
      const { set } = await prepared(given, { method: 'gdiff', batchSize: 1, steps: 2, order: 'sequential' });
      expect([...set.position.forget]).to.deep.equal([
        [0, 0],
        [1, 1],
      ]);
      expect([...set.position.retain]).to.deep.equal([
        [0, 2],
        [1, 3],
      ]);
      expect(set.batch.sequences.map(({ id }) => id)).to.deep.equal(['forget 0', 'forget 1', 'retain 0', 'retain 1']);
      const alone = await prepared(given, { method: 'ga', batchSize: 'all' });
      expect(alone.set.batch.sequences).to.have.length(given.forget.length);
      expect([alone.set.reference, alone.set.original.last, alone.set.original.afterTarget]).to.deep.equal([null, null, null]);
    }));

  for (const fields of [
    { method: 'npo', retainLoss: { kind: 'kl' } },
    { method: 'rmu', methodOptions: { c: { timesHiddenNorm: 3 } } },
  ] satisfies Partial<Recipe>[]) {
    it(`${fields.method}: a step from a pass over all rows (attribution's) is the step from a pass of its own`, () =>
      withTiny('deepseek_v3', trainableSeed('deepseek_v3', 200), fast, async (given) => {
        const rows = rowsOf(given);
        const all = { forget: [...rows.forget.keys()], retain: [...rows.retain.keys()] };
        const pass = await originalPass(given.model, rows, all, asStored, {
          keep: new Set(given.model.shape.moeLayers),
          last: new Set(['forget', 'retain']),
        });
        const [low, high] = [given.model.shape.moeLayers[0], given.model.shape.moeLayers[given.model.shape.moeLayers.length - 1]];
        const target: Target = {
          experts: [
            { layer: low, expert: 0 },
            { layer: high, expert: 1 },
          ],
          train: 'expert+router',
        };
        const stepFrom = async (made: OriginalPass | null) => {
          const { training, initial } = await openTiny(given, { ...fields, batchSize: 2, steps: 1 }, target, { pass: made });
          const { record, next } = await takeStep(training, initial);
          return { losses: [record.forget, record.retain, record.anchor, record.overlapForget], params: [...(next?.params ?? [])] };
        };
        const [own, shared] = [await stepFrom(null), await stepFrom(pass)];
        for (const [i, value] of own.losses.entries()) {
          if (value === null) expect(shared.losses[i]).to.equal(null);
          else expect(shared.losses[i]).to.be.closeTo(value, 1e-5 * Math.abs(value) + 1e-9);
        }
        own.params.forEach(([unit, values], i) => {
          expect(shared.params[i][0]).to.equal(unit);
          expect(maxDifference(shared.params[i][1], values)).to.be.at.most(1e-5);
        });
        expect(own.params.length).to.be.greaterThan(0);
      })).timeout(120_000);
  }

  it('steps prepared for two of them at a time are, to the bit, those prepared all at once', () =>
    withTiny('qwen2_moe', trainableSeed('qwen2_moe', 200), fast, async (given) => {
      const [layer] = given.model.shape.moeLayers;
      const target: Target = { experts: [{ layer, expert: 1 }], train: 'expert+router' };
      const fields = { method: 'npo', retainLoss: { kind: 'kl' }, batchSize: 1, steps: 4 } satisfies Partial<Recipe>;
      const run = async (ranges: readonly StepRange[]) => {
        let state: TrainState | null = null;
        const journal: unknown[] = [];
        for (const steps of ranges) {
          const { training, initial } = await openTiny(given, fields, target, { steps });
          state ??= initial;
          for (let step = steps.from; step <= steps.to; step++) {
            const { record, next } = await takeStep(training, state);
            if (!next) throw new Error('A step was not finite.');
            journal.push({ ...record, ms: 0 });
            state = next;
          }
        }
        return { journal, params: [...(state?.params ?? [])] };
      };
      const parts = [
        { from: 1, to: 2 },
        { from: 3, to: 4 },
      ];
      expect(await run(parts)).to.deep.equal(await run([{ from: 1, to: 4 }]));
      const { training, initial } = await openTiny(given, fields, target, { steps: parts[1] });
      const refused = await takeStep(training, initial).catch((error: Error) => error.message);
      expect(refused).to.equal('Step 1 is not prepared.');
    })).timeout(120_000);

  it('prepares the rows of a window of steps where that is much less than all, and weights stay in memory', () =>
    withTiny('mixtral', trainableSeed('mixtral', 200), 'cpu', async (given) => {
      const [row] = rowsOf(given).forget;
      const sets = (forget: number, retain: number): TrainingRows => ({ forget: Array(forget).fill(row), retain: Array(retain).fill(row) });
      const window = (rows: TrainingRows, step: number, fields: Partial<Recipe> = {}) =>
        stepWindow(given.model, recipeOf({ method: 'npo', retainLoss: { kind: 'nll' }, batchSize: 16, steps: 100, ...fields }), rows, step);
      expect([window(sets(100, 2000), 1), window(sets(100, 2000), 48), window(sets(100, 2000), 49), window(sets(100, 2000), 100)]).to.deep.equal([
        { from: 1, to: 48 },
        { from: 1, to: 48 },
        { from: 49, to: 96 },
        { from: 97, to: 100 },
      ]);
      const whole = { from: 1, to: 100 };
      expect([window(sets(100, 800), 60), window(sets(100, 2000), 60, { batchSize: 'all' })]).to.deep.equal([whole, whole]);
      const read = { ...given.model, weights: { ...given.model.weights, staysWidened: false } };
      expect(stepWindow(read, recipeOf({ method: 'npo', batchSize: 16, steps: 100 }), sets(100, 2000), 1)).to.deep.equal(whole);
    }));

  it("of weights that don't stay in memory, a step of RMU reads no frozen expert again, and ends in the same bits", () =>
    withTiny('qwen3_moe', trainableSeed('qwen3_moe', 200), fast, async (given) => {
      const [layer] = given.model.shape.moeLayers;
      const target: Target = { experts: [{ layer, expert: 1 }], train: 'expert' };
      const fields = { method: 'rmu', batchSize: 1, steps: 2 } satisfies Partial<Recipe>;
      const run = async (staysWidened: boolean) => {
        const leased: string[] = [];
        const weights: WeightStore = {
          ...given.model.weights,
          staysWidened,
          lease: (parts, overlay) => {
            leased.push(...Object.values(parts).map(unitName));
            return given.model.weights.lease(parts, overlay);
          },
        };
        const { training, initial } = await openTiny({ ...given, model: { ...given.model, weights } }, fields, target);
        leased.length = 0;
        const first = await takeStep(training, initial);
        const second = await takeStep(training, first.next as TrainState);
        return { leased, values: [...(second.next?.params ?? [])] };
      };
      const [kept, read] = [await run(true), await run(false)];
      expect(read.values).to.deep.equal(kept.values);
      const frozen = (names: readonly string[]) => names.filter((name) => name.includes('.experts.') && !/\.experts\.1\.|\[1\]$/.test(name));
      expect(frozen(kept.leased), 'experts of new rows, where they are at hand').to.not.deep.equal([]);
      expect(frozen(read.leased)).to.deep.equal([]);
    })).timeout(120_000);

  it('reads retain rows only for a loss that has weight', () => {
    const uses = (fields: Partial<Recipe>) => usesRetain(recipeOf(fields));
    expect(uses({ method: 'gdiff' })).to.equal(true);
    expect(uses({ method: 'gdiff', retainLoss: { weight: 0 } })).to.equal(false);
    expect(uses({ method: 'ga' })).to.equal(false);
    expect(uses({ method: 'rmu' })).to.equal(true);
    expect(uses({ method: 'rmu', methodOptions: { retainWeight: 0 } })).to.equal(false);
    expect(uses({ method: 'rmu', methodOptions: { retainWeight: 0 }, retainLoss: { kind: 'kl' } })).to.equal(true);
  });

  it("RMU: hidden states after the highest target layer, their mean norm over the forget tokens, no layer's choices", () =>
    withTiny('qwen2_moe', trainableSeed('qwen2_moe', 200), 'cpu', async (given) => {
      const { set, high, low } = await prepared(given, { method: 'rmu', methodOptions: { c: { timesHiddenNorm: 2 } } }, { both: true });
      expect([set.lowest, set.highest, set.choices.size]).to.deep.equal([low, high, 0]);
      const { hiddenSize: d } = given.model.shape;
      const forget = scoreAll(given.checkpoint, given.forget).map(({ pass }) => pass.hidden[high]);
      const norms = forget.flat().map((row) => Math.sqrt(row.reduce((sum, value) => sum + value * value, 0)));
      expect(set.hiddenNorm).to.be.closeTo(norms.reduce((a, b) => a + b, 0) / norms.length, 1e-4);
      forget.forEach((rows, j) => {
        const from = set.batch.offsets[j] * d;
        expect(
          maxDifference(
            (set.original.afterTarget as Float32Array).subarray(from, from + rows.length * d),
            rows.flatMap((row) => [...row]),
          ),
        ).to.be.at.most(2e-4);
      });
      const withKl = await prepared(given, { method: 'rmu', methodOptions: { c: 1 }, retainLoss: { kind: 'kl' } }, { both: true });
      expect(maxDifference(withKl.set.original.afterTarget as Float32Array, set.original.afterTarget as Float32Array)).to.equal(0);
      expect(withKl.set.hiddenNorm).to.equal(0);
    }));

  it('with a patch below the target: streams of the patched model, references of the original', () =>
    withTiny('olmoe', trainableSeed('olmoe', 200), fast, async (given) => {
      const { model } = given;
      const low = model.shape.moeLayers[0];
      const units = trainedUnits(model, {
        experts: [
          { layer: low, expert: 0 },
          { layer: low, expert: 1 },
        ],
        train: 'expert',
      });
      const overlay: Overlay = new Map(
        await Promise.all(
          units.map(
            async (unit) => [unitName(unit), { shape: unit.shape, values: (await model.weights.values(unit, noOverlay)).map((value) => 2 * value) }] as const,
          ),
        ),
      );
      const plain = await prepared(given, { method: 'npo' });
      const { set, high } = await prepared(given, { method: 'npo' }, { overlay });
      const current = { ...asStored, overlay };
      const expected = await sweep(model, set.batch, await start(model, set.batch, current), current, { layer: high, at: 'feed' });
      expect(maxDifference(set.routed?.u ?? [], (await route(model, high, expected.x, current)).u)).to.equal(0);
      expect(maxDifference(set.routed?.u ?? [], plain.set.routed?.u ?? []), 'the patch does something').to.be.greaterThan(1e-3);
      expect(set.reference).to.deep.equal(plain.set.reference);
      expect([...set.choices]).to.deep.equal([...plain.set.choices]);
      const start0 = patched(given.checkpoint, new Map([...overlay].map(([unit, { values }]) => [unit, values])));
      const changed = scoreAll(start0, given.forget).map(logProbability);
      expect(Math.abs(changed[0] - (set.reference as Float64Array)[0]), 'the reference is not that of the patched model').to.be.greaterThan(1e-3);
    }));
});
