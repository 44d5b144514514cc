/** Gradients of all parameters, and AdamW on them and on LoRA adapters, against torch autograd (tools/reference/make_gradients.py). */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { unwrap } from '../../src/protocol/fault';
import { type Recipe, resolveRecipe } from '../../src/protocol/recipe';
import type { Target } from '../../src/protocol/records';
import { freshState } from '../../src/unlearn/adamw';
import { evaluateStep, type TrainState, takeStep } from '../../src/unlearn/step';
import { openTraining } from '../../src/unlearn/training';
import { backends, inTurn } from '../backends';
import { readSafetensors } from '../oracle/safetensors';
import { closeGolden, type GoldenCase, openGolden } from '../passes/golden-case';

interface Sample {
  readonly norm: number;
  readonly at: readonly number[];
  readonly values: readonly number[];
}

interface Samples {
  readonly trace: {
    readonly checkpoint: string;
    readonly rank: number;
    readonly alpha: number;
    readonly lr: number;
    readonly losses: Record<'full' | 'lora', number[]>;
  };
  readonly checkpoints: Readonly<
    Record<
      string,
      {
        readonly target: readonly [number, number];
        readonly amplitude: number;
        readonly losses: Readonly<Record<Loss, { readonly value: number; readonly tensors: Readonly<Record<string, Sample>> }>>;
      }
    >
  >;
}

type Loss = 'logits' | 'kl' | 'rmu';

const fixtures = path.resolve('test/fixtures/gradients');
const { trace, checkpoints } = JSON.parse(fs.readFileSync(path.join(fixtures, 'samples.json'), 'utf8')) as Samples;
const variant = (name: string): string => path.resolve('test/fixtures/variants', name);

const losses: Readonly<Record<Loss, Partial<Recipe>>> = {
  logits: { method: 'npo', methodOptions: { beta: 0.1 }, retainLoss: { kind: 'nll' }, anchor: { weight: 1 } },
  kl: { method: 'ga', retainLoss: { kind: 'kl' } },
  rmu: { method: 'rmu', methodOptions: { c: 20, retainWeight: 100 } },
};

/** A whole batch of the fixture's sequences. */
function open(given: GoldenCase, target: Target, fields: Partial<Recipe>): ReturnType<typeof openTraining> {
  const written = { model: 'm', forget: 'f', retain: 'r', batchSize: 'all', order: 'sequential', steps: 10, ...fields, train: target.train } as Recipe;
  const u = given.golden.arrays.get('rmu_u');
  return openTraining({
    model: given.model,
    recipe: unwrap(resolveRecipe(written)).recipe,
    target,
    rows: given.sequences,
    controlVector: u ? Float32Array.from(u.values) : undefined,
  });
}

/** Values of a tensor as it lies on disk: a unit, or the slices of an aggregated tensor one behind the other; null where nothing of it is there. */
function onDisk(units: ReadonlyMap<string, Float32Array>, name: string): Float32Array | null {
  const whole = units.get(name);
  if (whole) return whole;
  const slices: Float32Array[] = [];
  for (let slice = units.get(`${name}[0]`); slice; slice = units.get(`${name}[${slices.length}]`)) slices.push(slice);
  if (slices.length === 0) return null;
  const joined = new Float32Array(slices.reduce((sum, { length }) => sum + length, 0));
  slices.reduce((at, slice) => {
    joined.set(slice, at);
    return at + slice.length;
  }, 0);
  return joined;
}

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
const valuesOf = (tensors: ReadonlyMap<string, { readonly values: Float32Array }>) => new Map([...tensors].map(([unit, { values }]) => [unit, values]));

describe('gradients of all parameters equal torch autograd', () => {
  for (const [i, [name, { target, amplitude, losses: expected }]] of Object.entries(checkpoints).entries()) {
    const backend = inTurn(i);
    it(`${name} (${backend})`, async () => {
      const given = await openGolden(variant(name), backend);
      try {
        const whole = path.join(fixtures, `${name}.safetensors`);
        const kept = fs.existsSync(whole) ? readSafetensors(whole).tensors : null;
        for (const [loss, { value, tensors }] of Object.entries(expected) as [Loss, (typeof expected)[Loss]][]) {
          const { training, initial } = await open(given, { experts: [{ layer: target[0], expert: target[1] }], train: 'full' }, losses[loss]);
          const params = new Map([...initial.params].map(([unit, values]) => [unit, values.map((own, at) => own * (1 + amplitude * Math.cos(at)))]));
          const result = await evaluateStep(training, params, 1);
          expect(result.forget + result.retain + result.anchor, loss).to.be.closeTo(value, 1e-4 * Math.abs(value));
          const gradients = valuesOf(result.gradients);
          // f32 sums in another order: 1e-3 of a tensor's largest slope, as for experts and routers; 2e-6 of the largest of all where a tensor's slopes nearly cancel.
          const ofAll = Math.max(...Object.values(tensors).flatMap(({ values }) => values.map(Math.abs)));
          for (const [tensor, { norm: size, at, values }] of Object.entries(tensors)) {
            const own = onDisk(gradients, tensor);
            if (!own) {
              expect([loss, size], `${tensor} trains`).to.deep.equal(['rmu', 0]);
              continue;
            }
            const tolerance = 1e-3 * Math.max(...values.map(Math.abs)) + 2e-6 * ofAll;
            expect(norm(own), `${loss}: norm of ${tensor}`).to.be.closeTo(size, 1e-3 * size + 2e-6 * ofAll * Math.sqrt(own.length));
            for (const [n, place] of at.entries()) expect(own[place], `${loss}: ${tensor} at ${place}`).to.be.closeTo(values[n], tolerance);
            const all = kept?.get(`${loss}.${tensor}`)?.values;
            if (all)
              for (let n = 0; n < all.length; n++) if (!(Math.abs(own[n] - all[n]) <= tolerance)) expect(own[n], `${loss}: ${tensor} at ${n}`).to.equal(all[n]);
          }
        }
      } finally {
        await closeGolden(given);
      }
    }).timeout(60_000);
  }
});

describe('three steps of AdamW equal torch', () => {
  const target = (train: Target['train']): Target => ({
    experts: [{ layer: checkpoints[trace.checkpoint].target[0], expert: checkpoints[trace.checkpoint].target[1] }],
    train,
  });
  const fields: Partial<Recipe> = { method: 'ga', retainLoss: { kind: 'nll' }, anchor: { weight: 0 }, optimizer: { lr: trace.lr } };
  const stored = readSafetensors(path.join(fixtures, 'trace.safetensors')).tensors;

  async function stepped(training: Parameters<typeof takeStep>[0], initial: TrainState, expected: readonly number[]): Promise<TrainState> {
    let state = initial;
    for (const total of expected) {
      const { record, next } = await takeStep(training, state);
      expect(record.total).to.be.closeTo(total, 1e-4 * Math.abs(total));
      state = next as TrainState;
    }
    return state;
  }

  /** A step of Adam is as long for the smallest slope as for the largest: where a slope is rounding alone, 2 lr a step lie between two right answers. */
  function compare(own: Float32Array, expected: ArrayLike<number>, what: string): void {
    const off = Array.from(own, (value, i) => Math.abs(value - expected[i]));
    expect(off.filter((difference) => difference > 2e-5).length, what).to.be.at.most(Math.max(1, own.length / 500));
    expect(Math.max(...off), what).to.be.at.most(2 * 3 * trace.lr);
  }

  for (const backend of backends) {
    it(`all parameters (${backend})`, async () => {
      const given = await openGolden(variant(trace.checkpoint), backend);
      try {
        const { training, initial } = await open(given, target('full'), fields);
        const { params } = await stepped(training, initial, trace.losses.full);
        const names = [...stored.keys()].filter((name) => name.startsWith('full.'));
        expect(names.length).to.equal(params.size);
        for (const name of names) compare(onDisk(params, name.slice(5)) as Float32Array, stored.get(name)?.values ?? [], name);
      } finally {
        await closeGolden(given);
      }
    }).timeout(60_000);

    it(`LoRA (${backend})`, async () => {
      const given = await openGolden(variant(trace.checkpoint), backend);
      try {
        const { training, initial } = await open(given, target({ lora: { rank: trace.rank, alpha: trace.alpha } }), fields);
        const adapters = [...stored.keys()].filter((name) => name.startsWith('lora.end.')).map((name) => name.slice('lora.end.'.length));
        expect([...initial.params.keys()].sort(), 'what LoRA adapts').to.deep.equal(adapters.sort());
        for (const [name, values] of initial.params) {
          if (name.endsWith('lora_B')) expect(values.every((value) => value === 0)).to.equal(true);
          else {
            const bound = 1 / Math.sqrt(values.length / trace.rank);
            expect(Math.max(...values.map(Math.abs)), 'A is within Kaiming’s bound').to.be.within(bound / 2, bound);
          }
        }
        const params = new Map(
          [...initial.params].map(([name, values]) => [
            name,
            stored.has(`lora.start.${name}`) ? Float32Array.from(stored.get(`lora.start.${name}`)?.values ?? []) : values,
          ]),
        );
        const state = await stepped(training, { step: 0, params, optimizer: freshState(params) }, trace.losses.lora);
        for (const name of adapters) compare(state.params.get(name) as Float32Array, stored.get(`lora.end.${name}`)?.values ?? [], name);
        const merged = training.parametrisation.overlay(state.params);
        expect([...merged.keys()].sort()).to.deep.equal(training.units.map(({ name }) => name).sort());
      } finally {
        await closeGolden(given);
      }
    }).timeout(60_000);
  }
});
