/** What the audits measure on random tiny checkpoints, against the oracle: forbidden, forced, rounded, completed, taught again. */
import { expect } from 'chai';
import type { AuditSet } from '../../src/audit/audit';
import { openBench } from '../../src/audit/bench';
import { groupInputs } from '../../src/audit/rounding';
import { decode } from '../../src/passes/decode';
import { asStored } from '../../src/passes/model';
import type { ExpertId } from '../../src/protocol/records';
import type { TokenSequence } from '../../src/protocol/sequences';
import { type HostTensor, unitName } from '../../src/protocol/tensors';
import { noOverlay, type Overlay } from '../../src/weights/store';
import { type Checkpoint, withUnits } from '../oracle/checkpoint';
import type { Family, OracleConfig } from '../oracle/config';
import { type Choices, type ForwardOptions, forward, type Pass } from '../oracle/model';
import { seedWhere, type TinyCase, withTiny } from '../passes/tiny-case';
import { recipeOf, rowsOf } from '../unlearn/tiny-training';

/** Nothing is closer to another choice than f32 can tell: NLL to 1e-4, as the golden values. */
const tolerance = 1e-4;

/** Families that renormalise over the chosen experts, and one that does not. */
const cases: readonly (readonly [Family, (config: OracleConfig) => boolean])[] = [
  ['mixtral', () => true],
  ['qwen3_moe', (config) => config.norm_topk_prob],
  ['qwen2_moe', (config) => !config.norm_topk_prob],
];
const wanted = (own: (config: OracleConfig) => boolean) => (config: OracleConfig) =>
  own(config) && config.num_experts_per_tok > 1 && config.num_experts - config.num_experts_per_tok >= 2 && config.moe.filter(Boolean).length > 1;

/** Pooled over target tokens. */
function nllOf(checkpoint: Checkpoint, rows: readonly TokenSequence[], options: (pass: Pass) => ForwardOptions): number {
  let sum = 0;
  let count = 0;
  for (const { ids, targetMask } of rows) {
    const pass = forward(checkpoint, ids, options(forward(checkpoint, ids)));
    targetMask.forEach((isTarget, t) => {
      if (isTarget) {
        sum += pass.nll[t];
        count++;
      }
    });
  }
  return sum / count;
}

/** An edit that matters: every value of the expert's tensors times 1.5. */
async function edit({ model }: TinyCase, { layer, expert }: ExpertId): Promise<Overlay> {
  const { feed } = model.layers[layer];
  const overlay = new Map<string, HostTensor>();
  if (feed.kind !== 'moe') return overlay;
  for (const ref of Object.values(feed.expert(expert).parts)) {
    const unit = model.weights.unitOf(ref);
    overlay.set(unitName(unit), { shape: unit.shape, values: (await model.weights.values(unit, noOverlay)).map((value) => value * 1.5) });
  }
  return overlay;
}

async function opened(given: TinyCase, steps = 2) {
  const { moeLayers } = given.model.shape;
  const target: ExpertId = { layer: moeLayers[1], expert: 1 };
  const rows = { forget: rowsOf(given).forget.map((row, i) => ({ ...row, source: { file: 'forget', line: i + 1 } })) };
  const edited = await edit(given, target);
  const set: AuditSet = { role: 'forget', file: 'forget', sequences: rows.forget };
  const bench = openBench({
    model: given.model,
    recipe: recipeOf({ optimizer: { lr: 0.01 } }),
    target: { experts: [target], train: 'expert+router' },
    edited,
    sets: [set],
    paraphrases: null,
    forget: rows.forget,
    asText: async ({ sequences }) => sequences,
    options: { steps, paraphrases: null },
    activations: { store: null, blockTokens: 16 },
  });
  return { bench, set, target, edited, checkpoints: { original: given.checkpoint, edited: withUnits(given.checkpoint, edited) } };
}

describe('audits on tiny checkpoints', function () {
  this.timeout(120_000);

  for (const [family, own] of cases) {
    const seed = seedWhere(family, wanted(own));

    it(`${family}: as they are, and with the expert forbidden before the family's renormalising`, () =>
      withTiny(family, seed, 'wasm', async (given) => {
        const { bench, set, target, checkpoints } = await opened(given);
        const [asIs, under] = [await bench.asIs(set), await bench.under(set, { forbidden: [target] })];
        for (const side of ['original', 'edited'] as const) {
          expect(asIs[side].nll, side).to.be.closeTo(
            nllOf(checkpoints[side], set.sequences, () => ({})),
            tolerance,
          );
          const forbidden = [{ layer: target.layer, experts: [target.expert], by: 'score_mask' as const }];
          expect(under[side].nll, `${side}, forbidden`).to.be.closeTo(
            nllOf(checkpoints[side], set.sequences, () => ({ forbidden })),
            tolerance,
          );
        }
        // The trained expert is the whole edit: without it the two are one model.
        expect(under.edited.nll).to.equal(under.original.nll);
        expect(asIs.edited.nll).to.not.be.closeTo(asIs.original.nll, 1e-4);
      }));

    it(`${family}: next-best experts forced`, () =>
      withTiny(family, seed, 'wasm', async (given) => {
        const { bench, set, target, checkpoints } = await opened(given);
        const forced: ExpertId = { layer: target.layer, expert: given.model.shape.experts - 1 };
        const under = await bench.under(set, { forbidden: [target], forced: [forced] });
        const { topK } = given.model.shape;
        const choices = ({ layers }: Pass): Choices => {
          const probs = layers.get(target.layer)?.probs ?? [];
          const chosen = probs.map((row) => {
            const others = [...row.keys()].filter((e) => e !== target.expert && e !== forced.expert).sort((a, b) => row[b] - row[a]);
            return [forced.expert, ...others.slice(0, topK - 1)];
          });
          return new Map([[target.layer, chosen]]);
        };
        for (const side of ['original', 'edited'] as const) {
          expect(under[side].nll, side).to.be.closeTo(
            nllOf(checkpoints[side], set.sequences, (pass) => ({ choices: choices(pass) })),
            tolerance,
          );
        }
      }));

    it(`${family}: all linear weights but the router's rounded, the edit's too`, () =>
      withTiny(family, seed, 'wasm', async (given) => {
        const { bench, set, checkpoints } = await opened(given);
        const under = await bench.under(set, { bits: 4 });
        for (const side of ['original', 'edited'] as const) {
          const rounded = withUnits(checkpoints[side], roundedUnits(checkpoints[side]));
          expect(under[side].nll, side).to.be.closeTo(
            nllOf(rounded, set.sequences, () => ({})),
            // A weight that f32 and f64 put on two sides of half a step would show: none does here.
            tolerance,
          );
        }
        // And nothing stays rounded.
        expect((await bench.asIs(set)).original.nll).to.be.closeTo(
          nllOf(checkpoints.original, set.sequences, () => ({})),
          tolerance,
        );
      }));
  }

  it('completion is what greedy decoding does from every prefix of the answer', () =>
    withTiny(
      'mixtral',
      seedWhere(
        'mixtral',
        wanted(() => true),
      ),
      'wasm',
      async (given) => {
        const { bench, set, edited } = await opened(given);
        const { model } = given;
        const { whole, strength } = await bench.completion(set);
        for (const [side, overlay] of [
          ['original', noOverlay],
          ['edited', edited],
        ] as const) {
          for (const [z, { ids, targetMask }] of set.sequences.entries()) {
            const start = targetMask.indexOf(1);
            const answer = Array.from(ids).slice(start);
            if (targetMask.slice(start).includes(0)) continue;
            let known = answer.length;
            while (known > 0) {
              const left = answer.length - known + 1;
              const [made] = await decode(model, [ids.slice(0, start + known - 1)], { maxNewTokens: left, endTokens: new Set() }, { ...asStored, overlay });
              if (Array.from(made).join() !== answer.slice(known - 1).join()) break;
              known--;
            }
            expect(strength[side].score.perExample?.[z].value, `${side}, row ${z}`).to.be.closeTo(1 - known / answer.length, 1e-12);
            expect(whole[side].score.perExample?.[z].value, `${side}, row ${z}`).to.equal(known === 0 ? 1 : 0);
          }
        }
      },
    ));

  it('relearning teaches both models the same half, from where each of them is', () =>
    withTiny(
      'mixtral',
      seedWhere(
        'mixtral',
        wanted(() => true),
      ),
      'wasm',
      async (given) => {
        const { bench, set } = await opened(given, 6);
        const { asked, taught, settings } = await bench.relearn('components');
        expect(settings).to.include({ steps: 6, lr: 0.01, by: 'row', groups: set.sequences.length });
        expect(asked.set.sequences.length).to.equal(set.sequences.length - Math.floor(set.sequences.length / 2));
        const before = await bench.asIs(taught.set);
        for (const side of ['original', 'edited'] as const) expect(taught.under[side].nll, side).to.be.below(before[side].nll - 0.01);
        expect(asked.under.original.nll).to.not.equal(asked.under.edited.nll);
      },
    ));
});

const halfToEven = (value: number): number => (Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

/** Round-to-nearest once more, in f64 on the oracle's own tensors: projections of attention, experts, shared experts and dense layers. */
function roundedUnits(checkpoint: Checkpoint): Map<string, { values: number[] }> {
  const units = new Map<string, { values: number[] }>();
  for (const [name, { shape, values }] of checkpoint.weights) {
    const isRouter = /(mlp|block_sparse_moe)\.gate\.weight$|shared_expert_gate/.test(name);
    if (shape.length < 2 || isRouter || !/\.(self_attn|mlp|block_sparse_moe)\./.test(name) || /norm/.test(name)) continue;
    const inputs = shape[shape.length - 1];
    const own = Array.from(values);
    for (let row = 0; row < own.length; row += inputs) {
      for (let from = row; from < row + inputs; from += groupInputs) {
        const group = own.slice(from, Math.min(from + groupInputs, row + inputs));
        const step = Math.fround(Math.max(...group.map(Math.abs)) / 7);
        group.forEach((value, i) => {
          own[from + i] = step === 0 ? 0 : halfToEven(value / step) * step;
        });
      }
    }
    units.set(name, { values: own });
  }
  return units;
}
