/** Losses and gradients of the oracle equal the reference at the original, the perturbed and the trained weights. */
import { expect } from 'chai';
import { type Checkpoint, loadCheckpoint, withUnits } from '../oracle/checkpoint';
import { type Golden, goldenFolders, loadGolden, type PointName, unitsAt } from '../oracle/golden';
import { centralDifferences } from '../oracle/gradients';
import { anchor, ga, klRetain, logProbability, nll, npo, rmu, type Scored, scoreAgain, scoreAll, simnpo } from '../oracle/losses';
import { randomOf } from '../oracle/random';

interface Batch {
  readonly forget: Scored[];
  readonly retain: Scored[];
}

for (const { name, folder, complete } of goldenFolders()) {
  describe(`Oracle losses: ${name}`, () => {
    let golden: Golden;
    let original: Checkpoint;
    let reference: Batch;
    const batchOf = (model: Checkpoint): Batch => ({
      forget: scoreAll(model, golden.sequences.forget),
      retain: scoreAll(model, golden.sequences.retain),
    });
    const rmuParts = ({ forget, retain }: Batch) => {
      const { rmu_layer: layer, rmu_c: c, rmu_lambda: weight } = golden.scalars.constants!;
      const parts = rmu(forget, retain, reference.retain, { layer, c, u: golden.arrays.get('rmu_u')!.values });
      return { rmu_forget: parts.forget, rmu_retain: weight * parts.retain };
    };
    /** Every loss of the reference, under its name there. */
    const lossesOf = (batch: Batch): Record<string, number> => {
      const { forget, retain } = batch;
      const { rmu_forget, rmu_retain } = rmuParts(batch);
      return {
        ga: ga(forget),
        nll_retain: nll(retain),
        kl_retain: klRetain(retain, reference.retain),
        'npo_0.1': npo(forget, reference.forget, 0.1),
        'npo_0.001': npo(forget, reference.forget, 0.001),
        simnpo: simnpo(forget, 4.5, 0),
        'simnpo_beta0.2': simnpo(forget, 0.2, 0),
        simnpo_delta24: simnpo(forget, 4.5, 24),
        rmu: rmu_forget + rmu_retain,
        anchor_paper: anchor(forget, [golden.scalars.target], 'paper'),
        anchor_released: anchor(forget, [golden.scalars.target], 'released'),
      };
    };
    const modelAt = (point: PointName): Checkpoint | null => {
      const units = unitsAt(golden, point);
      return units && withUnits(original, units);
    };
    before(() => {
      golden = loadGolden(folder);
      original = loadCheckpoint(folder);
      reference = batchOf(original);
    });

    for (const point of ['init', 'pert', 'step3'] as const) {
      it(`equals every loss at ${point}`, function () {
        const expected = golden.scalars.points?.[point];
        const model = modelAt(point);
        if (!complete && (!expected || !model)) this.skip();
        const batch = batchOf(model!);
        const actual = lossesOf(batch);
        const exact = expected!.loss_float64;
        for (const [loss, value] of Object.entries(exact ?? expected!.loss)) {
          expect(actual, loss).to.have.property(loss);
          // Against float64 only the nine digits of the file count; SimNPO's saturated value (about 1e-11) is compared relatively in both.
          const absolute = loss === 'simnpo' ? 0 : exact ? 1e-12 : loss === 'npo_0.001' ? 2e-3 : 1e-5;
          expect(actual[loss], loss).to.be.closeTo(value, (exact ? 1e-7 : 1e-4) * Math.abs(value) + absolute);
        }
        for (const [part, value] of Object.entries(expected!.extra ?? {})) {
          if (part === 'rmu_forget' || part === 'rmu_retain') expect(rmuParts(batch)[part], part).to.be.closeTo(value, 1e-5 * Math.abs(value) + 1e-5);
        }
        for (const set of ['forget', 'retain'] as const) {
          expected!.logp_sum?.[set].forEach((value, j) => {
            expect(logProbability(batch[set][j]), `${set} ${j}`).to.be.closeTo(value, 1e-4);
          });
        }
      });
    }

    const gradientPoints: PointName[] = complete ? ['pert', 'step3'] : ['pert'];
    it(`equals the gradients at ${gradientPoints.join(' and ')} on three random coordinates of every tensor`, function () {
      let compared = 0;
      for (const point of gradientPoints) {
        const model = modelAt(point);
        if (!model) continue;
        const batch = batchOf(model);
        const random = randomOf(`${name} ${point}`);
        for (const [tensor, { disk, shape }] of Object.entries(golden.scalars.trainable!)) {
          if (!golden.arrays.has(`grad.${point}.ga.${tensor}`) && !golden.arrays.has(`grad.${point}.kl_retain.${tensor}`)) continue;
          const coordinates = Array.from({ length: 3 }, () => random.integer(0, shape[0] * (shape[1] ?? 1) - 1));
          const actual = centralDifferences(model, disk, coordinates, (moved, layer) =>
            lossesOf({ forget: scoreAgain(moved, batch.forget, layer), retain: scoreAgain(moved, batch.retain, layer) }),
          );
          for (const loss of Object.keys(actual)) {
            const expected = golden.arrays.get(`grad.${point}.${loss}.${tensor}`);
            if (!expected) continue;
            const largest = expected.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
            coordinates.forEach((coordinate, i) => {
              expect(actual[loss][i], `${point} ${loss} ${tensor}[${coordinate}]`).to.be.closeTo(expected.values[coordinate], 1e-4 * largest);
              compared++;
            });
          }
        }
      }
      if (!complete && compared === 0) this.skip();
      expect(compared).to.be.at.least(complete ? 3 * (4 * 9 + 2 + 4 * 3) : 1);
    });
  });
}
