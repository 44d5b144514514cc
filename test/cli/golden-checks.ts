/** What the answers of `attribute`, `score`, `generate` and `gradients` must be on a golden case, within the golden README's tolerances. */
import { expect } from 'chai';
import type { GradientsResult, ScoreResult } from '../../src/protocol/engine';
import type { AttributionRecord } from '../../src/protocol/records';
import type { PointName, SetName } from '../oracle/golden';
import { maxDifference } from '../passes/golden-case';
import { type GoldenFiles, placeOf, readArrays, trainedNames } from './golden-files';

const tolerances: Readonly<Record<string, number>> = { probs: 1e-5, topk_index: 0, gates: 1e-5, u: 1e-4, moe_out: 2e-4 };

export function checkAttribution({ golden }: GoldenFiles, record: AttributionRecord): void {
  const expected = golden.scalars.attribution;
  if (!expected) throw new Error('The golden set has no attribution.');
  expect(record.layers.map(({ layer }) => layer)).to.deep.equal(golden.scalars.moe_layers);
  for (const { layer, experts } of record.layers) {
    expect(experts.map(({ expert }) => expert)).to.deep.equal(experts.map((_, e) => e));
    expect(
      maxDifference(
        experts.map(({ affinity }) => affinity),
        expected.affinity[layer],
      ),
      `affinity of layer ${layer}`,
    ).to.be.at.most(1e-5);
    expect(
      maxDifference(
        experts.map(({ share }) => share),
        expected.token_share[layer],
      ),
      `share of layer ${layer}`,
    ).to.be.at.most(1e-8);
  }
  for (const { layer, experts } of record.against?.layers ?? []) {
    expect(
      maxDifference(
        experts.map(({ affinity }) => affinity),
        expected.retain_affinity[layer],
      ),
      `retain affinity of layer ${layer}`,
    ).to.be.at.most(1e-5);
  }
  expect(record.ranking.slice(0, 10).map(({ layer, expert }) => [layer, expert])).to.deep.equal(expected.ranking.map(({ layer, expert }) => [layer, expert]));
  expect([record.target.layer, record.target.expert]).to.deep.equal([golden.scalars.target.layer, golden.scalars.target.expert]);
}

/** NLL of every target in order, logits and routing of every row. */
export function checkScore({ golden }: GoldenFiles, set: SetName, result: ScoreResult, logits: string, routing: string): void {
  const scale = golden.scalars.family === 'deepseek_v2' || golden.scalars.family === 'deepseek_v3' ? 16 : 1;
  const made = { logits: readArrays(logits).tensors, routing: readArrays(routing).tensors };
  let compared = 0;
  golden.scalars.input[set].forEach(({ labels }, j) => {
    const row = result.rows[j];
    if (!('perToken' in row)) throw new Error('A row of tokens was scored as a question.');
    const nll = golden.arrays.get(`${set}.${j}.nll`)?.values ?? [];
    expect(
      maxDifference(
        row.perToken,
        Array.from(nll).filter((_, t) => t > 0 && labels[t] !== -100),
      ),
      `NLL of ${set} ${j}`,
    ).to.be.at.most(1e-4);
    expect(row.tokens).to.equal(row.perToken.length);
    for (const [key, { shape, values }] of golden.arrays) {
      const match = new RegExp(`^${set}\\.${j}\\.((logits)|(?:hidden|layer\\.\\d+)\\.(?!router_logits)(\\w+))$`).exec(key);
      if (!match) continue;
      const own = (match[2] ? made.logits : made.routing).get(`row.${j}.${match[1]}`);
      expect(own?.shape, key).to.deep.equal(shape);
      const tolerance = match[2] ? 1e-4 : (tolerances[match[3]] ?? 2e-4) * (match[3] === 'gates' ? scale : 1);
      expect(maxDifference(own?.values ?? [], values), key).to.be.at.most(tolerance);
      compared++;
    }
  });
  expect(compared).to.be.greaterThan(golden.scalars.moe_layers.length * 5);
}

/** Ways to forbid that the golden case has numbers for: sigmoid routers have no logit mask. */
export const forcedBy = ({ golden }: GoldenFiles): ('score' | 'logit')[] => (['score', 'logit'] as const).filter((by) => golden.scalars.forced?.[`${by}_mask`]);

export function checkForced({ golden }: GoldenFiles, by: 'score' | 'logit', result: ScoreResult): void {
  const expected = golden.scalars.forced?.[`${by}_mask`]?.forget_nll as number;
  expect(result.mean.nll, `forced NLL by ${by}`).to.be.closeTo(expected, Math.abs(expected) * 1e-4);
}

/** Parts of a gradients file that a recipe has, and the golden losses they are. */
export interface ExpectedLosses {
  readonly recipe: object;
  readonly parts: Readonly<Partial<Record<'forget' | 'retain' | 'anchor', string>>>;
}

/** Recipes whose three parts cover a loss on log-probabilities, both retain losses and both anchors. */
export const lossRecipes: readonly ExpectedLosses[] = [
  { recipe: { method: 'ga', retainLoss: { kind: 'nll' } }, parts: { forget: 'ga', retain: 'nll_retain', anchor: 'anchor_paper' } },
  {
    recipe: { method: 'npo', methodOptions: { beta: 0.1 }, retainLoss: { kind: 'kl' }, anchor: { form: 'released' } },
    parts: { forget: 'npo_0.1', retain: 'kl_retain', anchor: 'anchor_released' },
  },
];

export function checkGradients({ golden }: GoldenFiles, point: PointName, { parts }: ExpectedLosses, file: string, result: GradientsResult): void {
  const { tensors, metadata } = readArrays(file);
  const losses = JSON.parse(metadata.losses) as GradientsResult['losses'];
  expect(losses).to.deep.equal(result.losses);
  expect(losses.total).to.be.closeTo(losses.forget + losses.retain + losses.anchor, 1e-9);
  for (const unit of result.units) {
    const sum = tensors.get(`loss.total.${unit}`)?.values ?? [];
    const addends = (['forget', 'retain', 'anchor'] as const).map((part) => tensors.get(`loss.${part}.${unit}`)?.values ?? []);
    expect(
      maxDifference(
        sum,
        Array.from(sum, (_, i) => addends[0][i] + addends[1][i] + addends[2][i]),
      ),
      `total of ${unit}`,
    ).to.be.at.most(1e-6);
  }
  for (const [part, loss] of Object.entries(parts)) {
    const expected = golden.scalars.points?.[point]?.loss[loss] as number;
    expect(losses[part as 'forget'], `${loss} at ${point}`).to.be.closeTo(expected, Math.max(Math.abs(expected) * 1e-4, loss === 'kl_retain' ? 1e-5 : 0));
    for (const name of trainedNames(golden)) {
      const array = golden.arrays.get(`grad.${point}.${loss}.${name}`);
      if (!array) continue;
      const { unit, rows } = placeOf(golden.scalars.trainable?.[name].disk as string);
      const values = tensors.get(`loss.${part}.${unit}`)?.values ?? new Float64Array();
      const own = rows ? values.subarray(rows[0] * array.shape[1], rows[1] * array.shape[1]) : values;
      const largest = Array.from(array.values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(maxDifference(own, array.values), `d ${loss} / d ${name} at ${point}`).to.be.at.most(largest * 1e-3);
    }
  }
}
