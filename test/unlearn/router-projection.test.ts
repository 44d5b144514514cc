/** GRIP: with one trained layer the retain rows choose exactly the experts they chose before, whatever the family's way of choosing. */
import { expect } from 'chai';
import { router } from '../../src/model/router';
import type { Target } from '../../src/protocol/records';
import { type HeldRouter, holdRouting, spanOf } from '../../src/unlearn/router-projection';
import { evaluateStep, type TrainState, takeStep } from '../../src/unlearn/step';
import { fast, inTurn } from '../backends';
import { families } from '../oracle/config';
import { allChoices, scoreAll } from '../oracle/losses';
import { randomOf } from '../oracle/random';
import { withTiny } from '../passes/tiny-case';
import { mostChosen, openTiny, trainableSeed } from './tiny-training';

const random = randomOf('projection');
const normals = (length: number, size = 1) => Float32Array.from({ length }, () => size * random.normal());

/** Logits `[T][E]`. */
function logitsOf({ u, d, weight, bias }: HeldRouter, params: ReadonlyMap<string, Float32Array>): number[][] {
  const w = params.get(weight) as Float32Array;
  const b = bias === null ? null : (params.get(bias) as Float32Array);
  return Array.from({ length: u.length / d }, (_, t) =>
    Array.from({ length: w.length / d }, (_, e) => {
      let sum = b?.[e] ?? 0;
      for (let k = 0; k < d; k++) sum += w[e * d + k] * u[t * d + k];
      return sum;
    }),
  );
}

/** Chosen experts of every input, as the family chooses from f32 scores. */
const choicesOf = (given: HeldRouter, params: ReadonlyMap<string, Float32Array>): number[][] =>
  logitsOf(given, params).map((logits) => {
    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
    const scores = Float32Array.from(logits, (logit) => (given.router.scoring === 'softmax' ? Math.exp(logit) / sum : 1 / (1 + Math.exp(-logit))));
    return [...given.router.choose(scores, given.selectionBias, null)].sort((a, b) => a - b);
  });

describe('routing that is held', () => {
  const settings = { weight: { name: 'w', shape: [8, 24] }, experts: 8, topK: 2, renormalise: false } as const;
  const kinds = {
    softmax: { ...settings, scoring: 'softmax' },
    'softmax with a bias': { ...settings, scoring: 'softmax', bias: { name: 'b', shape: [8] } },
    'sigmoid with a selection bias': { ...settings, scoring: 'sigmoid', selectionBias: { name: 's', shape: [8] } },
    groups: { ...settings, scoring: 'sigmoid', selectionBias: { name: 's', shape: [8] }, groups: { groups: 4, keep: 2, best: 2 } },
  } as const;

  for (const [name, kind] of Object.entries(kinds)) {
    it(`${name}: no retain input changes its experts, while rows of the router move`, () => {
      const given: HeldRouter = {
        layer: 0,
        router: router(kind),
        selectionBias: 'selectionBias' in kind ? normals(8, 0.1) : null,
        weight: 'w',
        bias: 'bias' in kind ? 'b' : null,
        u: normals(16 * 24),
        d: 24,
      };
      const start = new Map([['w', normals(8 * 24, 0.3)], ...('bias' in kind ? [['b', normals(8, 0.3)] as const] : [])]);
      const hold = holdRouting([given], start, 1);
      const before = choicesOf(given, start);
      let params: ReadonlyMap<string, Float32Array> = start;
      let free = 0;
      for (let step = 0; step < 6; step++) {
        const updated = new Map([...params].map(([unit, values]) => [unit, values.map((value) => value + 0.3 * random.normal())]));
        if (JSON.stringify(choicesOf(given, updated)) !== JSON.stringify(before)) free++;
        params = hold(updated);
        expect(choicesOf(given, params)).to.deep.equal(before);
        expect(hold(updated), 'the same bits again').to.deep.equal(params);
      }
      expect(free, 'such updates move inputs to other experts').to.be.greaterThan(0);
      const [then, now] = [logitsOf(given, start), logitsOf(given, params)];
      if (kind.scoring === 'softmax') {
        before.forEach((chosen, t) => {
          const least = Math.min(...chosen.map((e) => then[t][e]));
          for (let e = 0; e < 8; e++) {
            // f32 weights: 1e-5 of logits of about 1.
            if (chosen.includes(e)) expect(now[t][e], 'a chosen expert keeps its logit').to.be.closeTo(then[t][e], 1e-5);
            else expect(now[t][e], 'another keeps half of its distance').to.be.at.most((then[t][e] + least) / 2 + 1e-5);
          }
        });
      }
      const w = params.get('w') as Float32Array;
      expect(w.some((value, i) => Math.abs(value - (start.get('w')?.[i] as number)) > 0.1)).to.equal(true);
    });
  }

  it('a span is orthonormal, holds its inputs, and leaves out what others hold already', () => {
    const values = Float64Array.from(normals(5 * 7));
    for (let k = 0; k < 7; k++) values[3 * 7 + k] = values[k] - 2 * values[7 + k];
    const basis = spanOf({ values, width: 7 }, [0, 1, 2, 3]);
    expect(basis.length).to.equal(3);
    const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, value, i) => sum + value * b[i], 0);
    for (const [i, a] of basis.entries()) for (const [j, b] of basis.entries()) expect(dot(a, b)).to.be.closeTo(i === j ? 1 : 0, 1e-12);
    const input = values.subarray(3 * 7, 4 * 7);
    const rest = input.map((value, k) => value - basis.reduce((sum, own) => sum + dot(own, input) * own[k], 0));
    expect(Math.max(...rest.map(Math.abs))).to.be.below(1e-12);
  });
});

describe('a run with routing projection', () => {
  for (const [i, family] of families.entries()) {
    it(`${family} (${inTurn(i)}): the retain overlap of one trained layer is exactly 1`, () =>
      withTiny(family, trainableSeed(family, 400), inTurn(i), async (given) => {
        const { moeLayers } = given.model.shape;
        const layer = moeLayers[moeLayers.length - 1];
        const [expert] = mostChosen(given, allChoices(scoreAll(given.checkpoint, given.forget)), layer);
        const target: Target = { experts: [{ layer, expert }], train: 'expert+router' };
        const steppedWith = async (routerProjection: boolean) => {
          const fields = { method: 'gdiff', routerProjection, optimizer: { lr: 0.1 }, steps: 4 } as const;
          const { training, initial } = await openTiny(given, fields, target);
          let state = initial;
          const overlaps: (number | null)[] = [];
          for (let step = 1; step <= 4; step++) {
            const { record, next } = await takeStep(training, state);
            overlaps.push(record.overlapRetain);
            state = next as TrainState;
          }
          overlaps.push((await evaluateStep(training, state.params, 4, [])).overlapRetain);
          const unit = [...initial.params.keys()].find((name) => /(gate|router)\.weight$/.test(name)) as string;
          return { overlaps, moved: state.params.get(unit)?.some((value, k) => value !== initial.params.get(unit)?.[k]) };
        };
        const held = await steppedWith(true);
        expect(held.overlaps).to.deep.equal([1, 1, 1, 1, 1]);
        expect(held.moved, 'the router trains').to.equal(true);
        const free = await steppedWith(false);
        expect(free.overlaps.at(-1), 'without it retain inputs are moved').to.be.below(1);
      })).timeout(60_000);
  }

  it('holds retain rows that no loss reads', () =>
    withTiny('olmoe', trainableSeed('olmoe', 400), fast, async (given) => {
      const { moeLayers } = given.model.shape;
      const target: Target = { experts: [{ layer: moeLayers[moeLayers.length - 1], expert: 0 }], train: 'expert+router' };
      const { training } = await openTiny(given, { method: 'ga', routerProjection: true }, target);
      expect(training.holdRouting).to.not.equal(null);
      expect((await openTiny(given, { method: 'ga', routerProjection: true }, { ...target, train: 'expert' })).training.holdRouting).to.equal(null);
    }));
});
