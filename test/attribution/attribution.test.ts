/** Eq. 2 on every golden checkpoint, and what is made of it: subsets, stability, targets, ESFT's sets. */

import { expect } from 'chai';
import fc from 'fast-check';
import { aggregate, type RoutingRecord, ranking } from '../../src/attribution/affinity';
import { attributionRecord } from '../../src/attribution/attribute';
import { expertSet, parseExpertSet } from '../../src/attribution/expert-set';
import { expertSlots, keptSlots } from '../../src/attribution/routing';
import { stability } from '../../src/attribution/stability';
import { checkExperts, chooseTarget, needsAttribution } from '../../src/attribution/target';
import { routingOf } from '../../src/engine/routing';
import type { Shape } from '../../src/model/family';
import { asStored, type OpenModel } from '../../src/passes/model';
import { unwrap } from '../../src/protocol/fault';
import type { RankedExpert } from '../../src/protocol/records';
import type { TokenSequence } from '../../src/protocol/sequences';
import { fast } from '../backends';
import { goldenFolders } from '../oracle/golden';
import { randomOf } from '../oracle/random';
import { closeGolden, openGolden } from '../passes/golden-case';

const memoryOnly = { store: null, blockTokens: Number.POSITIVE_INFINITY };
const routed = async (model: OpenModel, sequences: readonly TokenSequence[]): Promise<RoutingRecord> =>
  (await routingOf(model, sequences, asStored, memoryOnly, () => undefined)).record;

for (const { name, folder } of goldenFolders()) {
  it(`attribution of ${name} equals Hugging Face: affinity, share, ranking, target`, async () => {
    const given = await openGolden(folder, fast);
    const { model, golden, sequences } = given;
    const { attribution, target } = golden.scalars;
    if (!attribution) throw new Error(`${name} holds no attribution.`);
    const record = await routed(model, sequences.forget);
    const against = await routed(model, sequences.retain);
    const made = attributionRecord(model.family, record, 0, against);
    const compare = (layers: typeof made.layers, affinity: Readonly<Record<string, readonly number[]>>, share: Readonly<Record<string, readonly number[]>>) => {
      expect(layers.map(({ layer }) => String(layer))).to.deep.equal(Object.keys(affinity));
      for (const { layer, experts } of layers) {
        experts.forEach((own, e) => {
          expect(own.expert).to.equal(e);
          expect(own.affinity).to.be.closeTo(affinity[layer][e], 1e-5);
          expect(own.share).to.be.closeTo(share[layer][e], 1e-8);
        });
      }
    };
    compare(made.layers, attribution.affinity, attribution.token_share);
    compare(made.against?.layers ?? [], attribution.retain_affinity, attribution.retain_token_share);
    const names = (list: readonly { layer: number; expert: number }[]) => list.map(({ layer, expert }) => `${layer}:${expert}`);
    expect(names(made.ranking.slice(0, attribution.ranking.length))).to.deep.equal(names(attribution.ranking));
    expect(names([made.target])).to.deep.equal(names([target]));
    expect(made.target.affinity).to.be.closeTo(target.affinity, 1e-5);
    expect(made.tokens).to.equal(sequences.forget.reduce((sum, { ids }) => sum + ids.length, 0));
    expect([made.sequences, made.topK]).to.deep.equal([sequences.forget.length, golden.scalars.top_k]);

    // A subset aggregates to what a pass over it alone records.
    const some = [1, 0];
    const alone = aggregate(
      await routed(
        model,
        some.map((z) => sequences.forget[z]),
      ),
    );
    const subset = aggregate(record, some);
    expect([subset.sequences, subset.tokens]).to.deep.equal([alone.sequences, alone.tokens]);
    for (const [i, value] of subset.affinity.entries()) expect(value).to.be.closeTo(alone.affinity[i], 1e-12);
    expect([...subset.share]).to.deep.equal([...alone.share]);
    await closeGolden(given);
  });
}

/** A record of Z sequences over two layers of E experts; affinity as drawn, slots from it. */
function recordOf(perSequence: readonly (readonly number[])[], experts: number): RoutingRecord {
  return {
    layers: [1, 3],
    experts,
    topK: 2,
    lengths: Int32Array.from(perSequence, () => 5),
    affinity: Float64Array.from(perSequence.flat()),
    slots: Int32Array.from(perSequence.flat(), (value) => Math.round(value * 5)),
  };
}
const E = 4;
const records = fc
  .array(
    fc.array(
      fc.integer({ min: 0, max: 20 }).map((value) => value / 20),
      { minLength: 2 * E, maxLength: 2 * E },
    ),
    { minLength: 1, maxLength: 9 },
  )
  .map((perSequence) => recordOf(perSequence, E));

describe('ranking and stability', () => {
  it('ranks every expert once, best first, ties to the lower layer and expert', () => {
    fc.assert(
      fc.property(records, (record) => {
        const order = ranking(record, aggregate(record));
        expect(new Set(order.map(({ layer, expert }) => `${layer}:${expert}`)).size).to.equal(2 * E);
        order.slice(1).forEach((next, i) => {
          const before = order[i];
          expect(
            before.affinity > next.affinity ||
              (before.affinity === next.affinity && (before.layer < next.layer || (before.layer === next.layer && before.expert < next.expert))),
          ).to.equal(true);
        });
      }),
    );
  });

  it('aggregates nothing to zeros', () => {
    const none = aggregate(recordOf([], E));
    expect([none.sequences, none.tokens]).to.deep.equal([0, 0]);
    expect([...aggregate(recordOf([Array(8).fill(1)], E), []).affinity].every((value) => value === 0)).to.equal(true);
  });

  it('is null below two sequences, 1 and 1 where all sequences agree, and the same for the same seed', () => {
    const row = [0.1, 0.2, 0.9, 0.3, 0.4, 0.5, 0.6, 0.7];
    expect(stability(recordOf([row], E), 1)).to.equal(null);
    expect(stability(recordOf([row, row, row, row], E), 1)).to.deep.equal({ halves: 10, sameTarget: 1, topOverlap: 1 });
    const random = randomOf('mixed');
    const mixed = recordOf(
      Array.from({ length: 9 }, () => row.map(random.uniform)),
      E,
    );
    expect(stability(mixed, 3)).to.deep.equal(stability(mixed, 3));
    expect([1, 2, 3, 4, 5, 6].map((seed) => JSON.stringify(stability(mixed, seed))).filter((one, i, all) => all.indexOf(one) === i).length).to.be.greaterThan(
      1,
    );
  });

  it('counts a halving only when both halves name the target of the whole', () => {
    // Two prompts that disagree: the whole prefers expert 2 of layer 1, and so does one half of every halving.
    const one = [0, 0, 0.9, 0, 0, 0, 0, 0];
    const other = [0.8, 0, 0, 0, 0, 0, 0, 0];
    expect(stability(recordOf([one, other], E), 5)?.sameTarget).to.equal(0);
  });

  it('stays within what two sets of six out of eight can be', () => {
    fc.assert(
      fc.property(records, fc.nat({ max: 1000 }), (record, seed) => {
        const found = stability(record, seed);
        if (record.lengths.length < 2) {
          expect(found).to.equal(null);
          return;
        }
        expect(found?.sameTarget).to.be.within(0, 1);
        expect(found?.topOverlap).to.be.within(0, 1);
        // Of 8 experts any two sets of 6 share at least 4.
        expect(found?.topOverlap).to.be.at.least(4 / 6 - 1e-12);
      }),
    );
  });
});

describe('overlap of choices', () => {
  it('counts what a token kept, whatever the order', () => {
    expect(keptSlots([0, 1, 2, 3], [1, 0, 3, 5], 2)).to.equal(3);
    expect(keptSlots([0, 1, 2, 3], [2, 3, 0, 1], 2)).to.equal(0);
    expect(expertSlots([4, 1, 4, 0], 4)).to.equal(2);
  });
});

const shape: Shape = { layers: 5, moeLayers: [1, 2, 4], experts: 6, topK: 2, hiddenSize: 8, vocabSize: 9, maxPositions: 10, eps: 1e-6 };
const best: RankedExpert = { layer: 2, expert: 5, affinity: 0.4, share: 0.3 };

describe('target', () => {
  it('auto is the best; a named one must exist', () => {
    expect(unwrap(chooseTarget('auto', shape, best))).to.deep.equal([{ layer: 2, expert: 5 }]);
    expect(unwrap(chooseTarget({ layer: 4, expert: 0 }, shape, null))).to.deep.equal([{ layer: 4, expert: 0 }]);
    expect(
      unwrap(
        chooseTarget(
          {
            experts: [
              { layer: 1, expert: 1 },
              { layer: 4, expert: 5 },
            ],
          },
          shape,
          null,
        ),
      ),
    ).to.have.length(2);
    const message = (experts: { layer: number; expert: number }[]) => {
      const result = checkExperts(experts, shape);
      return result.ok ? '' : result.fault.message;
    };
    expect(message([{ layer: 3, expert: 0 }])).to.match(/layer 3 is dense/);
    expect(message([{ layer: 5, expert: 0 }])).to.match(/layer 5 does not exist .*0 to 4/);
    expect(message([{ layer: 1, expert: 6 }])).to.match(/expert 6 of layer 1 does not exist/);
    expect(needsAttribution('auto')).to.equal(true);
    expect(needsAttribution({ random: 1 })).to.equal(true);
    expect(needsAttribution({ layer: 1, expert: 1 })).to.equal(false);
  });

  it('random is an expert of another MoE layer, the same for the same seed, any of them for some seed', () => {
    const drawn = new Set<string>();
    for (let seed = 0; seed < 400; seed++) {
      const [one] = unwrap(chooseTarget({ random: seed }, shape, best));
      expect(unwrap(chooseTarget({ random: seed }, shape, best))).to.deep.equal([one]);
      expect([1, 4]).to.include(one.layer);
      expect(checkExperts([one], shape).ok).to.equal(true);
      drawn.add(`${one.layer}:${one.expert}`);
    }
    expect(drawn.size).to.equal(12);
    const only = chooseTarget({ random: 0 }, { ...shape, moeLayers: [2] }, best);
    expect(only.ok ? '' : only.fault.message).to.match(/only one/);
  });
});

describe("ESFT's expert sets", () => {
  it('what goes out comes in again', () => {
    fc.assert(
      fc.property(records, fc.constantFrom('affinity' as const, 'share' as const), fc.double({ min: 0.05, max: 1, noNaN: true }), (routing, score, p) => {
        const record = attributionRecord('mixtral', routing, 0);
        const set = expertSet(record, score, p);
        for (const { layer, experts } of record.layers) {
          const chosen = set.experts[String(layer)];
          const total = experts.reduce((sum, own) => sum + own[score], 0);
          const reached = (list: readonly number[]) => list.reduce((sum, e) => sum + experts[e][score], 0);
          if (total === 0) {
            expect(chosen).to.deep.equal([]);
            continue;
          }
          expect(reached(chosen)).to.be.at.least(p * total - 1e-12);
          expect(reached(chosen.slice(0, -1)), 'one less is not enough').to.be.lessThan(p * total);
          const rest = experts.filter(({ expert }) => !chosen.includes(expert)).map((own) => own[score]);
          expect(Math.min(...chosen.map((e) => experts[e][score]))).to.be.at.least(Math.max(0, ...rest));
        }
        const list = Object.entries(set.experts).flatMap(([layer, ids]) => ids.map((expert) => ({ layer: Number(layer), expert })));
        const parsed = parseExpertSet(JSON.stringify(set), 'set.json');
        if (list.length > 0) expect(unwrap(parsed)).to.deep.equal(list);
        else expect(parsed.ok).to.equal(false);
      }),
    );
  });

  it('names what is wrong with a file', () => {
    const message = (text: string) => {
      const parsed = parseExpertSet(text, 'set.json');
      return parsed.ok ? '' : parsed.fault.message;
    };
    expect(message('{')).to.equal('set.json is not JSON.');
    expect(message('null')).to.match(/no "experts"/);
    expect(message('{"experts": [1]}')).to.match(/no "experts"/);
    expect(message('{"experts": {}}')).to.match(/names no expert/);
    expect(message('{"experts": {"a": [1]}}')).to.match(/layer "a"/);
    expect(message('{"experts": {"1": [1.5]}}')).to.match(/layer "1"/);
    expect(message('{"experts": {"1": [1]}, "shared_experts": true}')).to.match(/shared experts/);
    expect(message('{"experts": {"1": [1]}, "shared_experts": false, "non_expert_modules": false}')).to.equal('');
    const outside = chooseTarget({ esft: 'set.json' }, shape, null, '{"experts": {"1": [6]}}');
    expect(outside.ok ? '' : outside.fault.message).to.match(/expert 6 of layer 1/);
  });
});
