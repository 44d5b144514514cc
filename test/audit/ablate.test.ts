/** Components left out of random tiny checkpoints: against the oracle with their output zero, and against whole passes, bit for bit. */
import { expect } from 'chai';
import { ablations, componentsIn } from '../../src/audit/ablate';
import { measure } from '../../src/evaluate/measure';
import { setScore } from '../../src/evaluate/set-score';
import { type Component, changedTokens, jobsOf, originalBlock, rowPasses, seenStretches } from '../../src/passes/ablated-suffix';
import { asStored, type Conditions, forbidding } from '../../src/passes/model';
import type { TokenSequence } from '../../src/protocol/sequences';
import { type HostTensor, unitName } from '../../src/protocol/tensors';
import { noOverlay, type Overlay } from '../../src/weights/store';
import { fast } from '../backends';
import { withUnits } from '../oracle/checkpoint';
import type { Family, OracleConfig } from '../oracle/config';
import { forward } from '../oracle/model';
import { safeSelectionGap } from '../oracle/tiny';
import { seedWhere, type TinyCase, withTiny } from '../passes/tiny-case';
import { rowsOf } from '../unlearn/tiny-training';

/** Float32 against float64, as the golden values: NLL to 1e-4. */
const tolerance = 1e-4;
const budget = 2 ** 30;

const mixed = (config: OracleConfig) => config.num_experts_per_tok > 1 && config.moe.filter(Boolean).length > 1;
/** Dense layers, shared experts and latent attention; an open gate before the shared expert; neither; sinks and biases. */
const cases: readonly (readonly [Family, (config: OracleConfig) => boolean])[] = [
  ['deepseek_v2', (config) => mixed(config) && config.moe.some((moe) => !moe)],
  ['qwen2_moe', mixed],
  ['qwen3_moe', mixed],
  ['gpt_oss', mixed],
];

/** A component whose every weight is zero gives nothing, and its layer's routing stays. */
async function zeroed({ model }: TinyCase, component: Component): Promise<Overlay> {
  const { attention, feed } = model.layers[component.layer];
  const parts = () => {
    if (component.kind === 'attention') return attention.parts;
    if (feed.kind === 'dense') return feed.block.parts;
    return (component.kind === 'expert' ? feed.expert(component.expert).parts : feed.shared?.parts) ?? {};
  };
  const overlay = new Map<string, HostTensor>();
  for (const ref of Object.values(parts())) {
    const unit = model.weights.unitOf(ref);
    overlay.set(unitName(unit), { shape: unit.shape, values: (await model.weights.values(unit, noOverlay)).map(() => 0) });
  }
  return overlay;
}

/** Two options of two tokens behind a prompt of three, the right one first. */
const asQuestion = ({ ids }: TokenSequence, i: number): TokenSequence => ({
  id: `q${i}`,
  ids: Int32Array.from([...ids.slice(0, 3), ids[1], ids[0], ids[2], ids[ids.length - 1]]),
  targetMask: Uint8Array.from([0, 0, 0, 1, 1, 1, 1]),
  branches: [3, 5],
  answer: 0,
  source: { file: 'tiny', line: i + 1 },
});

const setsOf = (given: TinyCase) => {
  const { forget, retain } = rowsOf(given);
  return [
    { name: 'forget', sequences: forget.map((row, i) => ({ ...row, id: `f${i}` })) },
    { name: 'retain', sequences: retain.filter(({ ids }) => ids.length > 3).map(asQuestion) },
  ];
};

const run = (given: TinyCase, components: readonly Component[], more: Partial<Parameters<typeof ablations>[0]> = {}) =>
  ablations({ model: given.model, sets: setsOf(given), components, conditions: asStored, blockTokens: budget, poolTokens: budget, by: 'zero', ...more });

const label = (component: Component) => `${component.kind} of layer ${component.layer}${component.kind === 'expert' ? ` expert ${component.expert}` : ''}`;

describe('components left out', function () {
  this.timeout(120_000);
  for (const [family, wanted] of cases) {
    it(`${family}: equal the oracle with the component's output zero, and whole passes to the bit`, () =>
      withTiny(family, seedWhere(family, wanted), fast, async (given) => {
        const { model } = given;
        const components = componentsIn(model);
        const sets = setsOf(given);
        const { original, ablated } = await run(given, components);
        let compared = 0;
        for (const { component, scores, rows } of ablated) {
          const overlay = await zeroed(given, component);
          const conditions: Conditions = { ...asStored, overlay };
          for (const [s, { name, sequences }] of sets.entries()) {
            const whole = await measure(model, sequences, conditions, budget);
            expect(scores[s], `${label(component)}, ${name}`).to.deep.equal(setScore(name, whole));
            const asMeasured = await measure(model, sequences, asStored, budget);
            const differing = whole.filter((row, z) => JSON.stringify(row) !== JSON.stringify(asMeasured[z])).length;
            expect(differing, `rows that ${label(component)} touches in ${name}`).to.be.at.most(rows[s]);
            if (rows[s] === 0) expect(scores[s]).to.equal(original[s]);
          }
          // The oracle knows no branches; text rows stand for all.
          const checkpoint = withUnits(given.checkpoint, overlay);
          const passes = sets[0].sequences.map(({ ids }) => forward(checkpoint, ids));
          if (passes.some((pass) => [...pass.layers.values()].some(({ gap }) => gap < safeSelectionGap))) continue;
          compared++;
          const values = sets[0].sequences.flatMap(({ targetMask }, z) => [...passes[z].nll].filter((_, t) => targetMask[t]));
          expect(scores[0].nll, `${label(component)} and the oracle`).to.be.closeTo(values.reduce((a, b) => a + b, 0) / values.length, tolerance);
        }
        expect(compared).to.be.above(components.length / 2);
        expect(new Set(ablated.map(({ component }) => component.kind)).size).to.be.at.least(2);
      }));
  }

  it('what no row uses costs nothing and changes nothing; what one row uses runs the layers above it, once', () =>
    withTiny(
      'qwen3_moe',
      seedWhere('qwen3_moe', (config) => mixed(config) && config.num_experts > 2 * config.num_experts_per_tok),
      fast,
      async (given) => {
        const { model } = given;
        const [{ sequences }] = setsOf(given);
        const one = [{ name: 'one', sequences: sequences.slice(0, 1) }];
        const block = await originalBlock(model, one[0].sequences, asStored);
        const experts = componentsIn(model).filter(({ kind }) => kind === 'expert');
        const unused = experts.filter((component) => jobsOf(block, component).length === 0);
        const used = experts.find((component) => jobsOf(block, component).length > 0) as Component;
        expect(unused).to.have.length.above(0);
        const ran: string[] = [];
        const count = { sets: one, ran: (layer: number, part: string) => ran.push(`${layer} ${part}`) };
        const idle = await run(given, unused, count);
        expect(ran).to.deep.equal([]);
        for (const { scores, rows } of idle.ablated) {
          expect(scores[0]).to.equal(idle.original[0]);
          expect(rows).to.deep.equal([0]);
        }
        await run(given, [used], count);
        const above = Array.from({ length: model.shape.layers - used.layer - 1 }, (_, i) => used.layer + 1 + i);
        expect(ran).to.deep.equal(above.flatMap((layer) => [`${layer} attention`, `${layer} feed`]));
        expect(rowPasses(model, jobsOf(block, used)[0])).to.equal(jobsOf(block, used)[0].tokens.length * above.length);
      },
    ));

  it('blocks of prompts and of suffixes do not change a bit', () =>
    withTiny('deepseek_v2', seedWhere('deepseek_v2', mixed), fast, async (given) => {
      const components = componentsIn(given.model);
      const progress: number[] = [];
      const whole = await run(given, components);
      const cut = await run(given, components, { blockTokens: 12, poolTokens: 10, progress: (done, total) => progress.push(done / total) });
      expect(cut).to.deep.equal(whole);
      expect(progress[progress.length - 1]).to.equal(1);
    }));

  it('an expert that may not be chosen is a whole pass with it forbidden', () =>
    withTiny('qwen2_moe', seedWhere('qwen2_moe', mixed), fast, async (given) => {
      const { model } = given;
      const experts = componentsIn(model, [model.shape.moeLayers[0]]).flatMap((component) => (component.kind === 'expert' ? [component] : []));
      const { ablated } = await run(given, experts, { by: 'forbid' });
      for (const [i, expert] of experts.entries()) {
        for (const [s, { name, sequences }] of setsOf(given).entries()) {
          const whole = await measure(model, sequences, { ...asStored, forbidden: forbidding([expert], 'score') }, budget);
          expect(ablated[i].scores[s]).to.deep.equal(setScore(name, whole));
        }
      }
    }));

  it('only tokens that see the change and that a target can see are computed', () => {
    const question = asQuestion({ ids: Int32Array.from([1, 2, 3, 4]) } as TokenSequence, 0);
    const stretches = seenStretches(question);
    // The last token of an option predicts nothing.
    expect(stretches).to.deep.equal([
      { from: 0, to: 3 },
      { from: 3, to: 4 },
      { from: 5, to: 6 },
    ]);
    expect(changedTokens(stretches, (t) => t === 1)).to.deep.equal([1, 2, 3, 5]);
    expect(changedTokens(stretches, (t) => t === 5)).to.deep.equal([5]);
    expect(changedTokens(stretches, (t) => t === 4 || t === 6)).to.deep.equal([]);
  });
});
