/** Training more than an expert and its router: gradients of every part against the oracle's central differences, where a step begins and ends, what it saves. */
import { expect } from 'chai';
import type { Recipe } from '../../src/protocol/recipe';
import type { Target } from '../../src/protocol/records';
import { unitName } from '../../src/protocol/tensors';
import type { ComponentChoice, TrainChoice } from '../../src/protocol/train-choice';
import { evaluateStep, type TrainState, takeStep } from '../../src/unlearn/step';
import { trainedUnits } from '../../src/unlearn/trained-units';
import { fast, inTurn } from '../backends';
import type { Checkpoint } from '../oracle/checkpoint';
import { centralDifferences } from '../oracle/gradients';
import { allChoices, anchor, ga, klRetain, nll, npo, rmu, type Scored, scoreAgain, scoreAll } from '../oracle/losses';
import { randomOf } from '../oracle/random';
import { type TinyCase, withTiny } from '../passes/tiny-case';
import { mostChosen, openTiny, patched, trainableSeed } from './tiny-training';

interface Passes {
  readonly forget: readonly Scored[];
  readonly retain: readonly Scored[];
}

/** Parameters a little beside where they are, so that no gradient is zero by symmetry. */
const moved = (params: TrainState['params'], size: number): Map<string, Float32Array> => {
  const random = randomOf('moved parts');
  return new Map([...params].map(([unit, values]) => [unit, values.map((value) => value + size * random.normal())]));
};

/**
 * The two steepest places of every unit and another one. Differences in f64 are right to 1e-6 of the slope; sums over tokens in f32 are right to
 * 1e-3 of the unit's largest slope, as in the other tests of gradients, and where a unit's slopes nearly cancel to 2e-6 of the largest of all.
 */
function compareWithOracle(
  given: TinyCase,
  params: TrainState['params'],
  gradients: ReadonlyMap<string, { readonly values: Float32Array }>,
  loss: (passes: Passes) => number,
): void {
  const { forget, retain } = given;
  const at = patched(given.checkpoint, params);
  const here = { forget: scoreAll(at, forget), retain: scoreAll(at, retain) };
  const value = (checkpoint: Checkpoint, layer: number) => ({
    loss: loss({ forget: scoreAgain(checkpoint, here.forget, layer), retain: scoreAgain(checkpoint, here.retain, layer) }),
  });
  const random = randomOf('places of parts');
  const largestOf = (values: Float32Array) => values.reduce((most, slope) => Math.max(most, Math.abs(slope)), 0);
  const ofAll = Math.max(...[...gradients.values()].map(({ values }) => largestOf(values)));
  for (const [unit, { values }] of gradients) {
    const steepest = [...values.keys()].sort((a, b) => Math.abs(values[b]) - Math.abs(values[a])).slice(0, 2);
    const places = [...steepest, random.integer(0, values.length - 1)];
    const expected = centralDifferences(at, unit, places, value).loss;
    const tolerance = 1e-3 * largestOf(values) + 2e-6 * ofAll;
    for (const [i, place] of places.entries()) expect(values[place], `${unit} at ${place}`).to.be.closeTo(expected[i], tolerance);
  }
}

const { min, max } = Math;
const lowOf = (given: TinyCase) => min(...given.model.shape.moeLayers);
const highOf = (given: TinyCase) => max(...given.model.shape.moeLayers);

function targetOf(given: TinyCase, layer: number, train: TrainChoice): Target {
  return { experts: [{ layer, expert: mostChosen(given, allChoices(scoreAll(given.checkpoint, given.forget)), layer)[0] }], train };
}

/** Every tensor of the checkpoint that may train, with experts' slices of fused ones by themselves. */
const namesOf = (units: Iterable<string>): string[] => [...new Set([...units].map((unit) => unit.replace(/\[\d+\]$/, '')))].sort();

describe('gradients of all parameters equal central differences of the oracle', () => {
  // Every family is held to torch in golden-gradients.test.ts; these have latent attention, dense layers and shared experts, biases and sinks between them.
  for (const [i, family] of (['mixtral', 'deepseek_v3', 'gpt_oss'] as const).entries()) {
    const backend = inTurn(i);

    it(`${family} (${backend}): NPO with NLL on retain`, () =>
      withTiny(family, trainableSeed(family, 300), backend, async (given) => {
        const { training, initial } = await openTiny(given, { method: 'npo', methodOptions: { beta: 0.3 } }, targetOf(given, highOf(given), 'full'));
        const stored = [...given.checkpoint.weights.keys()].filter((name) => !name.endsWith('e_score_correction_bias'));
        expect(namesOf(initial.params.keys())).to.deep.equal(stored.sort());
        const params = moved(initial.params, 1e-3);
        const { gradients, forget, retain, anchor: anchored } = await evaluateStep(training, params, 1);
        const reference = scoreAll(given.checkpoint, given.forget);
        const now = patched(given.checkpoint, params);
        expect(forget).to.be.closeTo(npo(scoreAll(now, given.forget), reference, 0.3), 1e-4);
        expect(retain).to.be.closeTo(nll(scoreAll(now, given.retain)), 1e-4);
        expect(anchored, 'no anchor unless it is asked for').to.equal(0);
        compareWithOracle(given, params, gradients, (passes) => npo(passes.forget, reference, 0.3) + nll(passes.retain));
      })).timeout(240_000);
  }

  for (const family of ['qwen2_moe', 'deepseek_v2'] as const) {
    it(`${family} (${fast}): GA with KL and an anchor on a lower layer; the original keeps its own head and norm`, () =>
      withTiny(family, trainableSeed(family, 340), fast, async (given) => {
        const target = targetOf(given, lowOf(given), 'full');
        const { training, initial } = await openTiny(given, { method: 'ga', retainLoss: { kind: 'kl' }, anchor: { weight: 0.7 } }, target);
        const params = moved(initial.params, 3e-3);
        const { gradients, retain, anchor: anchored } = await evaluateStep(training, params, 1);
        const reference = scoreAll(given.checkpoint, given.retain);
        const now = patched(given.checkpoint, params);
        const kl = klRetain(scoreAll(now, given.retain), reference);
        expect(retain).to.be.closeTo(kl, 2e-3 * kl);
        expect(anchored).to.be.closeTo(0.7 * anchor(scoreAll(now, given.forget), target.experts, 'paper'), 1e-5);
        compareWithOracle(
          given,
          params,
          gradients,
          (passes) => ga(passes.forget) + klRetain(passes.retain, reference) + 0.7 * anchor(passes.forget, target.experts, 'paper'),
        );
      })).timeout(240_000);
  }

  it(`RMU trains nothing above the layer it acts after (${fast})`, () =>
    withTiny('deepseek_v3', trainableSeed('deepseek_v3', 300), fast, async (given) => {
      const low = lowOf(given);
      const random = randomOf('u of parts');
      const u = Float32Array.from({ length: given.model.shape.hiddenSize }, random.uniform);
      const options = { method: 'rmu', methodOptions: { c: 3, retainWeight: 5 } } as const;
      const ran: string[] = [];
      const { training, initial } = await openTiny(given, options, targetOf(given, low, 'full'), {
        controlVector: u,
        ran: (layer, part) => ran.push(`${layer} ${part}`),
      });
      const layers = new Set([...initial.params.keys()].map((name) => Number(/layers\.(\d+)\./.exec(name)?.[1] ?? -1)));
      expect([...layers].sort((a, b) => a - b)).to.deep.equal(Array.from({ length: low + 2 }, (_, i) => i - 1));
      const params = moved(initial.params, 1e-3);
      const { gradients } = await evaluateStep(training, params, 1);
      const there = Array.from({ length: low + 1 }, (_, layer) => [`${layer} attention`, `${layer} feed`]).flat();
      expect(ran).to.deep.equal([...there, ...[...there].reverse()]);
      const reference = scoreAll(given.checkpoint, given.retain);
      compareWithOracle(given, params, gradients, (passes) => {
        const both = rmu(passes.forget, passes.retain, reference, { layer: low, c: 3, u });
        return both.forget + 5 * both.retain;
      });
    })).timeout(240_000);
});

describe('components', () => {
  const kinds: readonly (readonly [string, readonly ComponentChoice[]])[] = [
    ['all routers', [{ kind: 'router' }]],
    ['all experts', [{ kind: 'expert' }]],
    ['shared experts', [{ kind: 'shared' }]],
    ['attention of the last layer', [{ kind: 'attention', layers: [-1] }]],
    ['norms and head', [{ kind: 'norm' }, { kind: 'head' }]],
    [
      'two experts of the last layer with its router',
      [
        { kind: 'expert', layers: [-1], experts: [0, 1] },
        { kind: 'router', layers: [-1] },
      ],
    ],
    ['dense layers and embedding', [{ kind: 'dense' }, { kind: 'embedding' }]],
    ['the head alone', [{ kind: 'head' }]],
  ];
  for (const [name, written] of kinds) {
    it(`${name}: the units of the choice, with the gradients that all parameters have`, () =>
      withTiny('qwen2_moe', trainableSeed('qwen2_moe', 300), fast, async (given) => {
        const { model } = given;
        const last = model.shape.layers - 1;
        const components = written.map((own) => (own.layers ? { ...own, layers: [last] } : own));
        const having = components.filter(({ kind }) => kind !== 'dense' || model.layers.some(({ feed }) => feed.kind === 'dense'));
        const target = targetOf(given, highOf(given), { components: having });
        const fields: Partial<Recipe> = { method: 'gdiff', anchor: { weight: 0.5 } };
        const part = await openTiny(given, fields, target);
        const full = await openTiny(given, fields, { ...target, train: 'full' });
        const own = await evaluateStep(part.training, part.initial.params, 1);
        const all = await evaluateStep(full.training, full.initial.params, 1);
        expect([own.forget, own.retain, own.anchor, own.targetShare, own.overlapForget]).to.deep.equal([
          all.forget,
          all.retain,
          all.anchor,
          all.targetShare,
          all.overlapForget,
        ]);
        expect(own.gradients.size).to.be.greaterThan(0);
        for (const [unit, { values }] of own.gradients) {
          const expected = all.gradients.get(unit)?.values as Float32Array;
          const largest = expected.reduce((most, slope) => Math.max(most, Math.abs(slope)), 0);
          // Tape and closed form add up in another order where one gradient is wanted and another is not.
          for (const [i, slope] of values.entries()) expect(slope, unit).to.be.closeTo(expected[i], 1e-5 * largest + 1e-12);
        }
      })).timeout(120_000);
  }

  it('a step runs no layer below what trains, and pulls back no further', () =>
    withTiny('olmoe', trainableSeed('olmoe', 7), fast, async (given) => {
      const { layers } = given.model.shape;
      const ranBy = async (components: readonly ComponentChoice[], layer = layers - 1) => {
        const ran: string[] = [];
        const target: Target = { experts: [{ layer, expert: 0 }], train: { components } };
        const { training, initial } = await openTiny(given, { method: 'gdiff' }, target, { ran: (at, part) => ran.push(`${at} ${part}`) });
        await takeStep(training, initial);
        return ran;
      };
      const top = layers - 1;
      expect(await ranBy([{ kind: 'attention', layers: [top] }])).to.deep.equal([`${top} attention`, `${top} feed`, `${top} feed`, `${top} attention`]);
      expect(await ranBy([{ kind: 'norm', layers: [top] }])).to.deep.equal([`${top} attention`, `${top} feed`, `${top} feed`, `${top} attention`]);
      expect(await ranBy([{ kind: 'router', layers: [top] }])).to.deep.equal([`${top} feed`, `${top} feed`]);
      expect(await ranBy([{ kind: 'head' }]), 'the target tells where routing is watched').to.deep.equal([`${top} feed`]);
      const all = Array.from({ length: layers }, (_, layer) => [`${layer} attention`, `${layer} feed`]).flat();
      expect(await ranBy([{ kind: 'embedding' }])).to.deep.equal([...all, ...[...all].reverse()]);
    }));

  it('says what the model does not have', () =>
    withTiny('mixtral', trainableSeed('mixtral'), fast, async (given) => {
      const { shape } = given.model;
      const target = (...components: ComponentChoice[]): Target => ({ experts: [{ layer: shape.moeLayers[0], expert: 0 }], train: { components } });
      const wrong: readonly (readonly [ComponentChoice, RegExp])[] = [
        [{ kind: 'shared' }, /no shared experts/],
        [{ kind: 'dense' }, /no dense feed-forward/],
        [{ kind: 'router', layers: [shape.layers] }, new RegExp(`layer ${shape.layers} does not exist`)],
        [{ kind: 'expert', experts: [shape.experts] }, /does not exist/],
      ];
      for (const [choice, words] of wrong) expect(() => trainedUnits(given.model, target(choice))).to.throw(words);
      expect(() => trainedUnits(given.model, target({ kind: 'head' }), true)).to.throw(/at or below layer/);
      const own = trainedUnits(given.model, { experts: [{ layer: shape.moeLayers[0], expert: 1 }], train: 'expert' }).map(unitName);
      const named: Target = {
        experts: [{ layer: shape.moeLayers[0], expert: 1 }],
        train: { components: [{ kind: 'target' }, { kind: 'shared' }, { kind: 'dense' }] },
      };
      expect(trainedUnits(given.model, named).map(unitName), 'the target; kinds that the model lacks have no effect beside it').to.deep.equal(own);
      expect(trainedUnits(given.model, target({ kind: 'router' })).map(unitName)).to.have.length(shape.moeLayers.length);
    }));
});
