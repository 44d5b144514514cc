/** One step: gradients against the oracle, micro-batches, what is run, what a run starts from, and what ends it. */

import { fail } from 'node:assert';
import fs from 'node:fs';
import { expect } from 'chai';
import type { Block } from '../../src/model/family';
import { frozenOutputs } from '../../src/passes/frozen-outputs';
import { layersToKeep, stepSize } from '../../src/passes/kept-products';
import type { OpenModel } from '../../src/passes/model';
import type { FaultError } from '../../src/protocol/fault';
import type { Recipe } from '../../src/protocol/recipe';
import type { Target } from '../../src/protocol/records';
import { unitName } from '../../src/protocol/tensors';
import { backendMemory } from '../../src/tensor/host';
import { batchAt } from '../../src/unlearn/batches';
import { type Evaluation, evaluateStep, type LossPart, type Training, type TrainState, takeStep } from '../../src/unlearn/step';
import { streamsOf } from '../../src/unlearn/training-set';
import type { Overlay } from '../../src/weights/store';
import { fast, inTurn } from '../backends';
import { withFault } from '../files/faults';
import { temporaryFolder } from '../files/temporary-folder';
import type { Checkpoint } from '../oracle/checkpoint';
import { families } from '../oracle/config';
import { centralDifferences } from '../oracle/gradients';
import { allChoices, anchor, ga, klRetain, nll, npo, rmu, type Scored, scoreAgain, scoreAll } from '../oracle/losses';
import { selectionGap } from '../oracle/model';
import { randomOf } from '../oracle/random';
import { type TinyCase, withTiny } from '../passes/tiny-case';
import { mostChosen, openTiny, patched, trainableSeed } from './tiny-training';

/** Parameters a little beside where they are. */
function moved(params: TrainState['params'], size: number): Map<string, Float32Array> {
  const random = randomOf('moved');
  return new Map([...params].map(([unit, values]) => [unit, values.map((value) => value + size * random.normal())]));
}

interface Passes {
  readonly forget: readonly Scored[];
  readonly retain: readonly Scored[];
}

/** Compares gradients at `params` with central differences, the choice of experts held; some places of every unit. */
function compareWithOracle(
  given: TinyCase,
  params: TrainState['params'],
  gradients: ReadonlyMap<string, { readonly values: Float32Array }>,
  loss: (passes: Passes) => number,
): void {
  const { forget, retain } = given;
  const at = patched(given.checkpoint, params);
  const here = { forget: scoreAll(at, forget), retain: scoreAll(at, retain) };
  expect(selectionGap([...here.forget, ...here.retain].map(({ pass }) => pass)), 'no choice is close').to.be.greaterThan(1e-5);
  const value = (checkpoint: Checkpoint, layer: number) => ({
    loss: loss({ forget: scoreAgain(checkpoint, here.forget, layer), retain: scoreAgain(checkpoint, here.retain, layer) }),
  });
  const random = randomOf('places');
  expect([...gradients.keys()]).to.deep.equal([...params.keys()]);
  for (const [unit, { values }] of gradients) {
    const steepest = [...values.keys()].sort((a, b) => Math.abs(values[b]) - Math.abs(values[a])).slice(0, 2);
    const places = [...steepest, ...Array.from({ length: 3 }, () => random.integer(0, values.length - 1))];
    const expected = centralDifferences(at, unit, places, value).loss;
    const largest = Math.max(Math.abs(values[steepest[0]]), 1e-9);
    for (const [i, place] of places.entries()) expect(values[place], `${unit} at ${place}`).to.be.closeTo(expected[i], 1e-3 * largest);
  }
}

const layersOf = (given: TinyCase) => ({ low: given.model.shape.moeLayers[0], high: given.model.shape.moeLayers[given.model.shape.moeLayers.length - 1] });

function targetsOf(given: TinyCase): Record<'one' | 'two' | 'layers', Target['experts']> {
  const { low, high } = layersOf(given);
  const choices = allChoices(scoreAll(given.checkpoint, given.forget));
  const [first, second] = mostChosen(given, choices, low);
  return {
    one: [{ layer: low, expert: first }],
    two: [
      { layer: low, expert: first },
      { layer: low, expert: second },
    ],
    layers: [
      { layer: high, expert: mostChosen(given, choices, high)[0] },
      { layer: low, expert: first },
    ],
  };
}

describe('gradients of a step equal central differences of the oracle', () => {
  for (const [i, family] of families.entries()) {
    const backend = inTurn(i);

    it(`${family} (${backend}): GDIFF with anchor, experts of two layers`, () =>
      withTiny(family, trainableSeed(family), backend, async (given) => {
        const experts = targetsOf(given).layers;
        const { training, initial } = await openTiny(
          given,
          { method: 'gdiff', anchor: { weight: 0.5 }, retainLoss: { weight: 0.8 } },
          { experts, train: 'expert+router' },
        );
        const { forget, retain, anchor: anchored, gradients } = await evaluateStep(training, initial.params, 1);
        const here = { forget: scoreAll(given.checkpoint, given.forget), retain: scoreAll(given.checkpoint, given.retain) };
        expect(forget).to.be.closeTo(ga(here.forget), 1e-4);
        expect(retain).to.be.closeTo(0.8 * nll(here.retain), 1e-4);
        expect(anchored).to.be.closeTo(0.5 * anchor(here.forget, experts, 'paper'), 1e-5);
        compareWithOracle(
          given,
          initial.params,
          gradients,
          (passes) => ga(passes.forget) + 0.8 * nll(passes.retain) + 0.5 * anchor(passes.forget, experts, 'paper'),
        );
      })).timeout(120_000);

    it(`${family} (${backend}): NPO with the released anchor, two experts of one layer, beside the start`, () =>
      withTiny(family, trainableSeed(family, 40), backend, async (given) => {
        const experts = targetsOf(given).two;
        const { training, initial } = await openTiny(
          given,
          { method: 'npo', methodOptions: { beta: 0.3 }, anchor: { form: 'released' } },
          { experts, train: 'expert+router' },
        );
        const params = moved(initial.params, 2e-4);
        const { gradients } = await evaluateStep(training, params, 1, ['forget', 'anchor']);
        const reference = scoreAll(given.checkpoint, given.forget);
        compareWithOracle(given, params, gradients, (passes) => npo(passes.forget, reference, 0.3) + anchor(passes.forget, experts, 'released'));
      })).timeout(120_000);
  }

  for (const train of ['router', 'expert'] as const) {
    it(`${train} only: these units and no others`, () =>
      withTiny('deepseek_v3', trainableSeed('deepseek_v3', 80), fast, async (given) => {
        const experts = targetsOf(given).layers;
        const { training, initial } = await openTiny(given, { method: 'gdiff', anchor: { weight: 1 } }, { experts, train });
        const { gradients } = await evaluateStep(training, initial.params, 1);
        expect([...gradients.keys()].every((unit) => /\.gate\.weight$/.test(unit) === (train === 'router'))).to.equal(true);
        compareWithOracle(given, initial.params, gradients, (passes) => ga(passes.forget) + nll(passes.retain) + anchor(passes.forget, experts, 'paper'));
      })).timeout(120_000);
  }

  it('KL over all positions of the retain rows, prompt and last position included', () =>
    withTiny('qwen2_moe', trainableSeed('qwen2_moe', 80), fast, async (given) => {
      const { training, initial } = await openTiny(
        given,
        { method: 'ga', retainLoss: { kind: 'kl', weight: 2 } },
        { experts: targetsOf(given).one, train: 'expert+router' },
      );
      const params = moved(initial.params, 1e-2);
      const { retain, gradients } = await evaluateStep(training, params, 1, ['retain']);
      const reference = scoreAll(given.checkpoint, given.retain);
      const expected = 2 * klRetain(scoreAll(patched(given.checkpoint, params), given.retain), reference);
      expect(retain).to.be.closeTo(expected, 1e-3 * expected);
      compareWithOracle(given, params, gradients, (passes) => 2 * klRetain(passes.retain, reference));
    })).timeout(120_000);

  it('RMU acts after the highest target layer and trains all of them', () =>
    withTiny('deepseek_v2', trainableSeed('deepseek_v2', 80), 'cpu', async (given) => {
      const experts = targetsOf(given).layers;
      const { high } = layersOf(given);
      const random = randomOf('u');
      const u = Float32Array.from({ length: given.model.shape.hiddenSize }, random.uniform);
      const options = { method: 'rmu', methodOptions: { c: 3, retainWeight: 5 } } as const;
      const { training, initial } = await openTiny(given, options, { experts, train: 'expert+router' }, { controlVector: u });
      const params = moved(initial.params, 1e-3);
      const { gradients, forget, retain } = await evaluateStep(training, params, 1, ['forget', 'retain']);
      const reference = scoreAll(given.checkpoint, given.retain);
      const loss = (passes: Passes) => rmu(passes.forget, passes.retain, reference, { layer: high, c: 3, u });
      const now = patched(given.checkpoint, params);
      const expected = loss({ forget: scoreAll(now, given.forget), retain: scoreAll(now, given.retain) });
      expect(forget).to.be.closeTo(expected.forget, 1e-4 * expected.forget);
      expect(retain).to.be.closeTo(5 * expected.retain, 1e-3 * 5 * expected.retain);
      compareWithOracle(given, params, gradients, (passes) => {
        const both = loss(passes);
        return both.forget + 5 * both.retain;
      });
    })).timeout(120_000);
});

describe('micro-batches', () => {
  const losses: Record<string, Partial<Recipe>> = {
    'GDIFF with NLL': { method: 'gdiff' },
    'NPO with KL': { method: 'npo', methodOptions: { beta: 0.1 }, retainLoss: { kind: 'kl' }, anchor: { form: 'released' } },
    SimNPO: { method: 'simnpo', methodOptions: { beta: 0.2 } },
    RMU: { method: 'rmu', methodOptions: { c: 2, retainWeight: 7 } },
  };
  for (const [name, fields] of Object.entries(losses)) {
    it(`${name}: 2, 3 or 5 of them add up to the undivided batch, whatever their numbers of targets`, () =>
      withTiny('qwen2_moe', trainableSeed('qwen2_moe', 120), fast, async (drawn) => {
        // Five forget rows and three retain rows: some micro-batches hold no retain row.
        const given = { ...drawn, forget: [...drawn.forget, ...drawn.retain], retain: [drawn.forget[1], ...drawn.retain] };
        const counts = given.forget.map(({ targetMask }) => targetMask.reduce((sum, one) => sum + one, 0));
        expect(new Set(counts).size, 'rows of different numbers of targets').to.be.greaterThan(1);
        const target: Target = { experts: targetsOf(given).layers, train: 'expert+router' };
        const at = async (accumulate: number) => {
          const { training, initial } = await openTiny(given, { ...fields, accumulate }, target);
          return evaluateStep(training, moved(initial.params, 1e-2), 1);
        };
        const whole = await at(1);
        for (const accumulate of [2, 3, 5]) {
          const parts = await at(accumulate);
          for (const part of ['forget', 'retain', 'anchor'] as const)
            expect(parts[part], part).to.be.closeTo(whole[part], 1e-5 * Math.abs(whole[part]) + 1e-12);
          expect([parts.targetShare, parts.overlapForget, parts.overlapRetain]).to.deep.equal([whole.targetShare, whole.overlapForget, whole.overlapRetain]);
          for (const [unit, { values }] of whole.gradients) {
            const largest = values.reduce((most, slope) => Math.max(most, Math.abs(slope)), 0);
            const own = parts.gradients.get(unit)?.values as Float32Array;
            for (const [i, slope] of values.entries()) expect(own[i], `${unit} of ${accumulate}`).to.be.closeTo(slope, 1e-5 * largest);
          }
        }
      })).timeout(120_000);
  }
});

describe('what a step runs', () => {
  const ranBy = async (given: TinyCase, fields: Partial<Recipe>, experts: Target['experts']) => {
    const ran: string[] = [];
    const { training, initial } = await openTiny(given, fields, { experts, train: 'expert+router' }, { ran: (layer, part) => ran.push(`${layer} ${part}`) });
    expect(ran, 'preparing is no step').to.deep.equal([]);
    await takeStep(training, initial);
    return ran;
  };
  const suffix = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => [`${from + 1 + i} attention`, `${from + 1 + i} feed`]).flat();
  const there = (from: number, to: number) => [`${from} feed`, ...suffix(from, to)];
  const thereAndBack = (from: number, to: number) => [...there(from, to), ...there(from, to).reverse()];

  it('RMU no layer above the target, GDIFF each layer above it once forward and once back, none anything below', () =>
    withTiny('olmoe', trainableSeed('olmoe', 7), fast, async (given) => {
      const top = given.model.shape.layers - 1;
      for (const layer of given.model.shape.moeLayers) {
        const experts = [{ layer, expert: 1 }];
        expect(await ranBy(given, { method: 'rmu', methodOptions: { c: 2 } }, experts)).to.deep.equal([`${layer} feed`, `${layer} feed`]);
        for (const method of ['gdiff', 'npo', 'simnpo', 'ga'] as const)
          expect(await ranBy(given, { method }, experts), method).to.deep.equal(thereAndBack(layer, top));
        expect(await ranBy(given, { method: 'rmu', retainLoss: { kind: 'kl' } }, experts)).to.deep.equal(thereAndBack(layer, top));
      }
      const { low, high } = layersOf(given);
      const experts = [
        { layer: low, expert: 0 },
        { layer: high, expert: 0 },
      ];
      expect(await ranBy(given, { method: 'rmu', methodOptions: { c: 2 } }, experts)).to.deep.equal(thereAndBack(low, high));
    }));

  it('leaves no tensor behind', () =>
    withTiny('deepseek_v3', trainableSeed('deepseek_v3'), fast, async (given) => {
      const { training, initial } = await openTiny(
        given,
        { method: 'npo', retainLoss: { kind: 'kl' } },
        { experts: targetsOf(given).layers, train: 'expert+router' },
      );
      const first = await takeStep(training, initial);
      const before = backendMemory();
      await takeStep(training, first.next as TrainState);
      expect(backendMemory()).to.deep.equal(before);
    }));
});

describe('a run that starts from a patch', () => {
  it('keeps the original as the reference of NPO, KL and RMU', () =>
    withTiny('qwen3_moe', trainableSeed('qwen3_moe', 60), fast, async (given) => {
      const { low, high } = layersOf(given);
      const experts = [{ layer: high, expert: targetsOf(given).layers[0].expert }];
      // The patch holds a layer below the target and the target itself.
      const earlier = await openTiny(given, {}, { experts: [{ layer: low, expert: 0 }, ...experts], train: 'expert+router' });
      const patch = moved(earlier.initial.params, 0.03);
      const overlay: Overlay = new Map(
        earlier.training.units.map((unit) => [unitName(unit), { shape: unit.shape, values: patch.get(unitName(unit)) as Float32Array }]),
      );
      const start = patched(given.checkpoint, patch);
      const now = { forget: scoreAll(start, given.forget), retain: scoreAll(start, given.retain) };
      const before = { forget: scoreAll(given.checkpoint, given.forget), retain: scoreAll(given.checkpoint, given.retain) };
      expect(selectionGap([...now.forget, ...now.retain].map(({ pass }) => pass))).to.be.greaterThan(1e-5);
      const target: Target = { experts, train: 'expert+router' };
      const at = async (fields: Partial<Recipe>) => {
        const { training, initial } = await openTiny(given, fields, target, {
          overlay,
          controlVector: new Float32Array(given.model.shape.hiddenSize).fill(0.25),
        });
        for (const [unit, values] of initial.params) expect(values, 'starts from the patch').to.deep.equal(patch.get(unit));
        return evaluateStep(training, initial.params, 1);
      };
      const kept = await at({ method: 'ga' });
      expect(kept.overlapForget, 'layers that no step runs are patched').to.equal(null);
      const beta = 0.7;
      const npoLoss = npo(now.forget, before.forget, beta);
      expect(Math.abs(npoLoss - npo(now.forget, now.forget, beta)), 'the reference matters').to.be.greaterThan(1e-3);
      expect((await at({ method: 'npo', methodOptions: { beta } })).forget).to.be.closeTo(npoLoss, 1e-4 * Math.abs(npoLoss));
      const kl = klRetain(now.retain, before.retain);
      const withKl = await at({ method: 'ga', retainLoss: { kind: 'kl' } });
      expect(withKl.retain).to.be.closeTo(kl, 1e-3 * kl);
      expect(withKl.forget).to.be.closeTo(ga(now.forget), 1e-4);
      const hidden = rmu(now.forget, now.retain, before.retain, { layer: high, c: 2, u: new Float64Array(given.model.shape.hiddenSize).fill(0.25) });
      const withRmu = await at({ method: 'rmu', methodOptions: { c: 2, retainWeight: 3 } });
      expect(withRmu.forget).to.be.closeTo(hidden.forget, 1e-4 * hidden.forget);
      expect(withRmu.retain).to.be.closeTo(3 * hidden.retain, 1e-3 * 3 * hidden.retain);
      const { gradients } = withKl;
      expect([...gradients.values()].some(({ values }) => values.some((slope) => slope !== 0))).to.equal(true);
    })).timeout(120_000);
});

describe('batches of a run', () => {
  const target = (given: TinyCase): Target => ({ experts: targetsOf(given).one, train: 'expert+router' });
  const sizes: Partial<Recipe> = { method: 'gdiff', batchSize: 2, steps: 7, seed: 3 };

  it("a step's losses are those of its rows: ids, mask and targets of the same rows, across the ends of passes", () =>
    withTiny('mixtral', trainableSeed('mixtral', 5), fast, async (given) => {
      const { training, initial } = await openTiny(given, { ...sizes, batchSize: 4 }, target(given));
      const streams = streamsOf(training.recipe, training.rows);
      const scored = { forget: scoreAll(given.checkpoint, given.forget), retain: scoreAll(given.checkpoint, given.retain) };
      const seen = new Set<string>();
      for (let step = 1; step <= 7; step++) {
        const rows = { forget: batchAt(streams.forget, step), retain: batchAt(streams.retain, step) };
        const { forget, retain } = await evaluateStep(training, initial.params, step, [] as LossPart[]);
        expect(forget).to.be.closeTo(ga(rows.forget.map((row) => scored.forget[row])), 1e-4);
        expect(retain).to.be.closeTo(nll(rows.retain.map((row) => scored.retain[row])), 1e-4);
        seen.add(rows.forget.join());
      }
      expect(seen.size).to.be.greaterThan(2);
    })).timeout(120_000);

  it('weights do not depend, bit for bit, on how many frozen outputs are kept', () =>
    withTiny('qwen2_moe', trainableSeed('qwen2_moe', 5), fast, async (given) => {
      const weightsAfter = async (keep: number | null) => {
        const { training: opened, initial } = await openTiny(given, sizes, target(given));
        const d = given.model.shape.hiddenSize;
        const frozen = keep === null ? opened.frozen : frozenOutputs(d, opened.set.batch.tokens, keep * (d * 4 + 96));
        const training: Training = { ...opened, frozen };
        let state = initial;
        for (let step = 0; step < 6; step++) {
          state = (await takeStep(training, state)).next as TrainState;
          if (keep !== null) expect(frozen.bytes()).to.be.at.most(keep * (d * 4 + 96));
        }
        expect(frozen.bytes()).to.be.greaterThan(0);
        return [...state.params].map(([unit, values]) => `${unit} ${Buffer.from(values.buffer).toString('base64')}`);
      };
      const usual = await weightsAfter(null);
      for (const keep of [1, 3, 11]) expect(await weightsAfter(keep), `room for ${keep}`).to.deep.equal(usual);
    })).timeout(120_000);
});

describe('products that are kept from the forward', () => {
  for (const [i, family] of families.entries()) {
    it(`change no bit of a gradient, whatever room there is, ${family} (${inTurn(i)})`, () =>
      withTiny(family, trainableSeed(family, 30), inTurn(i), async (given) => {
        const { model } = given;
        const { training, initial } = await openTiny(given, { method: 'gdiff' }, { experts: targetsOf(given).two, train: 'expert+router' });
        const { lowest } = training.set;
        const size = stepSize(training.set.batch.sequences.map(({ ids }) => ids.length));
        const all = layersToKeep(model.layers, lowest, model.shape.layers - 1, new Set([0, 1]), size, Number.POSITIVE_INFINITY);
        expect(all.layers).to.have.length(model.shape.layers - lowest);
        const gradientsWith = async (room: number) => {
          const { gradients } = await evaluateStep({ ...training, productRoom: room }, initial.params, 1);
          return [...gradients].map(([unit, { values }]) => `${unit} ${Buffer.from(values.buffer).toString('base64')}`);
        };
        const none = await gradientsWith(0);
        for (const room of [all.bytes, all.bytes - 1]) expect(await gradientsWith(room), `${room} bytes`).to.deep.equal(none);
      })).timeout(60_000);
  }
});

describe('streams that a step has no memory for', () => {
  it('go to a nameless file and come back: no bit of a gradient changes, and nothing is left', () =>
    withTiny('qwen2_moe', trainableSeed('qwen2_moe', 30), fast, async (given) => {
      const { training, initial } = await openTiny(given, { method: 'gdiff' }, { experts: targetsOf(given).two, train: 'expert+router' });
      const bits = ({ gradients }: Evaluation) => [...gradients].map(([unit, { values }]) => `${unit} ${Buffer.from(values.buffer).toString('base64')}`);
      const usual = bits(await evaluateStep(training, initial.params, 1));
      const spillFolder = temporaryFolder();
      const stepWith = (streamRoom: number) => evaluateStep({ ...training, spillFolder, streamRoom }, initial.params, 1);
      const counts = (operation: string) => operation === 'handle.write';
      const never = { at: -1, code: 'EIO', counts };
      const stream = training.set.batch.tokens * given.model.shape.hiddenSize * 4;
      const written: number[] = [];
      for (const room of [0, 6 * stream, Number.POSITIVE_INFINITY]) {
        const { value, operations } = await withFault(never, () => stepWith(room));
        expect(bits(value), `${room} bytes`).to.deep.equal(usual);
        expect(fs.readdirSync(spillFolder)).to.deep.equal([]);
        written.push(operations);
      }
      expect(written[0]).to.be.greaterThan(written[1]);
      expect(written[1]).to.be.greaterThan(0);
      expect(written[2]).to.equal(0);
      for (const at of [0, written[0] - 1]) {
        const full = await withFault({ at, code: 'ENOSPC', counts }, () => stepWith(0).catch((error: unknown) => error));
        expect((full.value as FaultError).fault.message).to.match(/^Can't write .*: the disk is full/);
        expect(fs.readdirSync(spillFolder)).to.deep.equal([]);
      }
    })).timeout(60_000);
});

/** The same model, whose blocks have no closed gradient. */
function onTheTape(model: OpenModel): OpenModel {
  const bare = ({ parts, run }: Block): Block => ({ parts, run });
  const layers = model.layers.map(({ attention, feed }) => {
    if (feed.kind === 'dense') return { attention, feed: { ...feed, block: bare(feed.block) } };
    return { attention, feed: { ...feed, expert: (e: number) => bare(feed.expert(e)), shared: feed.shared && bare(feed.shared) } };
  });
  return { ...model, layers };
}

describe('blocks without a closed gradient', () => {
  for (const family of ['qwen2_moe', 'deepseek_v3'] as const) {
    it(`are pulled back on the tape, ${family}: experts, shared experts, dense layers, fused and separate`, () =>
      withTiny(family, trainableSeed(family, 30), fast, async (given) => {
        const { training, initial } = await openTiny(given, { method: 'gdiff' }, { experts: targetsOf(given).two, train: 'expert+router' });
        const closed = await evaluateStep(training, initial.params, 1);
        const taped = await evaluateStep({ ...training, model: onTheTape(given.model) }, initial.params, 1);
        for (const [unit, { values }] of closed.gradients) {
          const other = taped.gradients.get(unit)?.values ?? fail(unit);
          const largest = Math.max(...values.map(Math.abs));
          expect(largest).to.be.greaterThan(0);
          // Sums of a few hundred products in f32, in another order.
          expect(Math.max(...values.map((value, i) => Math.abs(value - other[i]))), unit).to.be.at.most(1e-5 * largest);
        }
      }));
  }
});

describe('numbers that are none', () => {
  it('NaN weights: the record says so and nothing is updated', () =>
    withTiny('mixtral', trainableSeed('mixtral'), 'cpu', async (given) => {
      const { training, initial } = await openTiny(given, { method: 'gdiff' }, { experts: targetsOf(given).one, train: 'expert+router' });
      const [unit] = initial.params.keys();
      const params = new Map(initial.params).set(unit, new Float32Array((initial.params.get(unit) as Float32Array).length).fill(Number.NaN));
      const { record, next } = await takeStep(training, { ...initial, params });
      expect(Number.isFinite(record.total)).to.equal(false);
      expect(next).to.equal(null);
    }));

  for (const lr of [1e30, 1e39]) {
    it(`a learning rate of ${lr} ends the run within two steps`, () =>
      withTiny('mixtral', trainableSeed('mixtral'), 'cpu', async (given) => {
        const { training, initial } = await openTiny(given, { method: 'gdiff', optimizer: { lr } }, { experts: targetsOf(given).two, train: 'expert' });
        const first = await takeStep(training, initial);
        expect(Number.isFinite(first.record.total)).to.equal(true);
        if (lr > 3.4e38) expect(first.next, 'weights past the range of f32 are no state').to.equal(null);
        else expect((await takeStep(training, first.next as TrainState)).next).to.equal(null);
      }));
  }
});
