import { expect } from 'chai';
import { unwrap } from '../../src/protocol/fault';
import { type Recipe, type ResolvedRecipe, resolveRecipe } from '../../src/protocol/recipe';
import type { HostTensor } from '../../src/protocol/tensors';
import { freshState } from '../../src/unlearn/adamw';
import { evaluateStep, type LossPart, type TrainState, takeStep } from '../../src/unlearn/step';
import { openTraining } from '../../src/unlearn/training';
import { backends } from '../backends';
import { goldenFolders, type PointName, type TrainedName } from '../oracle/golden';
import { closeGolden, type GoldenCase, maxDifference, openGolden } from '../passes/golden-case';

const trainedNames = ({ scalars }: GoldenCase['golden']): readonly TrainedName[] => Object.keys(scalars.trainable ?? {});

/** A trained tensor's place on disk: unit name, and rows of it for one half of an aggregated tensor ("X[e,a:b,:]"). */
function placeOf(disk: string): { unit: string; rows: [number, number] | null } {
  const match = /^(.*)\[(\d+)(?:,\s*(\d+):(\d+))?.*\]$/.exec(disk);
  return match ? { unit: `${match[1]}[${match[2]}]`, rows: match[3] === undefined ? null : [Number(match[3]), Number(match[4])] } : { unit: disk, rows: null };
}

/** Reads one golden tensor's part out of unit values, or writes it in. */
function part(golden: GoldenCase['golden'], name: TrainedName, values: Float32Array): Float32Array {
  const { rows } = placeOf(golden.scalars.trainable?.[name].disk as string);
  const width = golden.scalars.trainable?.[name].shape[1] as number;
  return rows ? values.subarray(rows[0] * width, rows[1] * width) : values;
}

const recipeOf = (fields: Partial<Recipe>): ResolvedRecipe =>
  unwrap(resolveRecipe({ model: 'm', forget: 'f', retain: 'r', batchSize: 'all', steps: 10, ...fields } as Recipe)).recipe;

/** Golden loss name -> recipe fields, the part it is, its tolerance (relative unless it says absolute). */
const losses: Record<string, { fields: Partial<Recipe>; part: LossPart; absolute?: number }> = {
  ga: { fields: { method: 'ga' }, part: 'forget' },
  nll_retain: { fields: { method: 'ga', retainLoss: { kind: 'nll' } }, part: 'retain' },
  kl_retain: { fields: { method: 'ga', retainLoss: { kind: 'kl' } }, part: 'retain', absolute: 1e-5 },
  'npo_0.1': { fields: { method: 'npo', methodOptions: { beta: 0.1 } }, part: 'forget' },
  'npo_0.001': { fields: { method: 'npo', methodOptions: { beta: 0.001 } }, part: 'forget', absolute: 2e-3 },
  simnpo: { fields: { method: 'simnpo' }, part: 'forget', absolute: 1e-9 },
  'simnpo_beta0.2': { fields: { method: 'simnpo', methodOptions: { beta: 0.2 } }, part: 'forget' },
  simnpo_delta24: { fields: { method: 'simnpo', methodOptions: { delta: 24 } }, part: 'forget' },
  anchor_paper: { fields: { method: 'ga' }, part: 'anchor' },
  anchor_released: { fields: { method: 'ga', anchor: { form: 'released' } }, part: 'anchor' },
};

/** A loss on targets, on whole distributions, on routing. */
const oneOfEachKind = ['npo_0.1', 'kl_retain', 'anchor_paper'];

for (const backend of backends) {
  for (const { name, folder, complete } of goldenFolders()) {
    // A variant differs in its layers, not in its losses: one point for it, and on cpu one loss of each kind without the ten steps.
    const points = complete ? (['init', 'pert', 'step3'] as const) : (['pert'] as const);
    const everyLoss = backend === backends[0] || complete;
    describe(`training on ${name} (${backend}) equals Hugging Face autograd`, () => {
      let given: GoldenCase;
      /** Prepared once per recipe: no evaluation changes a training. */
      const opened = new Map<string, ReturnType<typeof openTraining>>();
      before(async () => {
        given = await openGolden(folder, backend);
      });
      after(() => {
        opened.clear();
        return closeGolden(given);
      });

      function open(fields: Partial<Recipe>): ReturnType<typeof openTraining> {
        const key = JSON.stringify(fields);
        const known = opened.get(key) ?? prepare(fields);
        opened.set(key, known);
        return known;
      }

      async function prepare(fields: Partial<Recipe>) {
        const { model, sequences, golden } = given;
        const { target, constants } = golden.scalars;
        const recipe = recipeOf({ target: { layer: target.layer, expert: target.expert }, ...fields });
        const u = golden.arrays.get('rmu_u');
        return openTraining({
          model,
          recipe,
          target: { experts: [{ layer: target.layer, expert: target.expert }], train: 'expert+router' },
          rows: sequences,
          controlVector: constants && u ? Float32Array.from(u.values) : undefined,
        });
      }

      /** The golden set's trained tensors at a point, laid over the checkpoint's units; null where it has none. */
      function paramsAt(point: PointName | 'trace_ga_final', initial: TrainState): Map<string, Float32Array> | null {
        const params = new Map([...initial.params].map(([unit, values]) => [unit, values.slice()]));
        if (point === 'init') return params;
        for (const name of trainedNames(given.golden)) {
          const array = given.golden.arrays.get(`weights.${point}.${name}`);
          if (!array) return null;
          part(given.golden, name, params.get(placeOf(given.golden.scalars.trainable?.[name].disk as string).unit) as Float32Array).set(
            Float32Array.from(array.values),
          );
        }
        return params;
      }

      function compareGradients(point: PointName, loss: string, gradients: ReadonlyMap<string, HostTensor>): number {
        let compared = 0;
        for (const name of trainedNames(given.golden)) {
          const expected = given.golden.arrays.get(`grad.${point}.${loss}.${name}`);
          if (!expected) continue;
          compared++;
          const unit = gradients.get(placeOf(given.golden.scalars.trainable?.[name].disk as string).unit) as HostTensor;
          const largest = Array.from(expected.values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          expect(maxDifference(part(given.golden, name, unit.values), expected.values), `d ${loss} / d ${name} at ${point}`).to.be.at.most(largest * 1e-3);
        }
        return compared;
      }

      for (const point of points) {
        for (const [loss, { fields, part: lossPart, absolute }] of Object.entries(losses)) {
          if (!everyLoss && !oneOfEachKind.includes(loss)) continue;
          it(`${loss} at ${point}: value and gradients`, async function () {
            const expected = given.golden.scalars.points?.[point]?.loss[loss];
            if (expected === undefined) return this.skip();
            const { training, initial } = await open(fields);
            const params = paramsAt(point, initial);
            if (!params) return this.skip();
            const result = await evaluateStep(training, params, 1, [lossPart]);
            expect(result[lossPart]).to.be.closeTo(expected, absolute ?? Math.abs(expected) * 1e-4);
            compareGradients(point, loss, result.gradients);
          });
        }

        it(`rmu at ${point}: value, parts and gradients`, async function () {
          const { scalars } = given.golden;
          const expected = scalars.points?.[point]?.loss.rmu;
          if (expected === undefined || !scalars.constants) return this.skip();
          const { training, initial } = await open({
            method: 'rmu',
            methodOptions: { c: scalars.constants.rmu_c, retainWeight: scalars.constants.rmu_lambda },
          });
          const params = paramsAt(point, initial);
          if (!params) return this.skip();
          const result = await evaluateStep(training, params, 1, ['forget', 'retain']);
          expect(result.forget + result.retain).to.be.closeTo(expected, Math.abs(expected) * 1e-4);
          expect(result.overlapForget).to.equal(null);
          compareGradients(point, 'rmu', result.gradients);
        });
      }

      for (const trace of everyLoss ? (['ga', 'rmu'] as const) : []) {
        it(`AdamW trace ${trace}: ten steps`, async function () {
          const { scalars, arrays } = given.golden;
          const steps = (
            scalars as unknown as {
              trace?: Record<string, { steps: Record<string, number>[]; overlap_after?: { forget: { mean: number }; retain: { mean: number } } }>;
            }
          ).trace?.[trace]?.steps;
          if (!steps || !scalars.constants) return this.skip();
          const { rmu_c: c, rmu_lambda: retainWeight } = scalars.constants;
          const { training, initial } = await open({
            ...(trace === 'ga'
              ? { method: 'ga' as const, retainLoss: { kind: 'nll' as const } }
              : { method: 'rmu' as const, methodOptions: { c, retainWeight } }),
            optimizer: { lr: 1e-3 },
          });
          let state = { ...initial, optimizer: freshState(initial.params) };
          for (let k = 0; k < 10; k++) {
            const { record, next } = await takeStep(training, state);
            const expected = steps[k];
            const total = expected.total ?? expected.loss;
            expect(record.total, `total of step ${k + 1}`).to.be.closeTo(total, Math.abs(total) * 1e-3);
            state = next as typeof state;
          }
          for (const name of trainedNames(given.golden)) {
            const expected = arrays.get(`weights.trace_${trace}_final.${name}`);
            if (!expected) continue;
            const unit = state.params.get(placeOf(scalars.trainable?.[name].disk as string).unit) as Float32Array;
            const own = part(given.golden, name, unit);
            const off = Array.from(own, (value, i) => Math.abs(value - expected.values[i]));
            expect(off.filter((difference) => difference > 1e-4).length, name).to.be.at.most(own.length / 1000);
            expect(Math.max(...off), name).to.be.at.most(2e-3);
          }
        });
      }

      it('routing overlap at pert', async function () {
        const expected = given.golden.scalars.overlap_at_pert;
        if (!expected) return this.skip();
        const { training, initial } = await open({ method: 'gdiff' });
        const params = paramsAt('pert', initial);
        if (!params) return this.skip();
        const result = await evaluateStep(training, params, 1, []);
        expect(result.overlapForget).to.be.closeTo(expected.forget.mean, 1e-8);
        expect(result.overlapRetain).to.be.closeTo(expected.retain.mean, 1e-8);
      });
    });
  }
}
