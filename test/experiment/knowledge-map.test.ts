/** The knowledge map: effects and ranks from scores, disagreement with affinity, its cost in advance, its file. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import type { Ablated } from '../../src/audit/ablate';
import { createSession } from '../../src/engine/session';
import { spearman } from '../../src/evaluate/rank-correlation';
import { agreementOf, componentsOfMap } from '../../src/experiment/knowledge-map';
import type { MapParams } from '../../src/protocol/engine';
import { unwrap } from '../../src/protocol/fault';
import type { SetScore } from '../../src/protocol/records';
import type { RequestAnswer, RequestName, RequestParams } from '../../src/protocol/rpc';
import { goldenFiles } from '../cli/golden-files';
import { goldenFolders } from '../oracle/golden';

/** Right answers of `rows` questions: the first `right` of them. */
const answers = (rows: number, right: number, nll = 1): SetScore => ({
  name: 'set',
  kind: 'accuracy',
  score: { value: right / rows, n: rows, perExample: Array.from({ length: rows }, (_, i) => ({ id: `${i}`, value: i < right ? 1 : 0 })) },
  nll,
  blind: null,
});

describe('knowledge map', () => {
  it('an effect is what is lost, with its interval turned round; rank, specificity and disagreement follow from it', () => {
    const original = [answers(40, 40), answers(40, 36)];
    const untouched = { scores: original, rows: [0, 0] };
    const experts = Array.from({ length: 20 }, (_, expert): Ablated => ({ component: { kind: 'expert', layer: 0, expert }, ...untouched }));
    // Expert 0 is used most and does nothing; expert 19 is used least and holds a quarter.
    experts[19] = { ...experts[19], scores: [answers(40, 30, 1.5), answers(40, 34)], rows: [12, 40] };
    const attention: Ablated = { component: { kind: 'attention', layer: 0 }, scores: [answers(40, 10, 4), answers(40, 9, 5)], rows: [40, 40] };
    const components = componentsOfMap(original, [attention, ...experts], ({ expert }) => 1 / (1 + expert));
    const [whole, first] = components;
    const last = components[20];
    expect(whole).to.deep.include({ kind: 'attention', rank: 1, affinity: null, affinityRank: null, effectRank: null, disagrees: null });
    expect(whole.forget.score).to.equal(0.75);
    expect(whole.forget.nll).to.equal(3);
    expect(last.forget.score).to.equal(0.25);
    expect(last.forget.rows).to.equal(12);
    const [low, high] = last.forget.interval ?? [];
    expect(low).to.be.within(0.05, 0.25);
    expect(high).to.be.within(0.25, 0.45);
    expect(last.retain?.score).to.be.closeTo(0.05, 1e-12);
    expect(last.specificity).to.be.closeTo(0.2, 1e-12);
    expect(last).to.deep.include({ rank: 2, affinityRank: 20, effectRank: 1, disagrees: 'hidden' });
    expect(first).to.deep.include({ affinityRank: 1, disagrees: 'used' });
    expect(first.forget).to.deep.equal({ score: 0, interval: null, nll: 0, rows: 0 });
    expect(components[10].disagrees).to.equal(null);
    expect(agreementOf(components)).to.deep.include({ experts: 20 });
    expect(agreementOf(components).score).to.be.below(0);
  });

  it("Spearman's correlation is scipy's, ties included", () => {
    // scipy.stats.spearmanr([1, 2, 2, 4, 5], [2, 1, 3, 3, 9]).statistic
    expect(spearman([1, 2, 2, 4, 5], [2, 1, 3, 3, 9])).to.be.closeTo(0.763157894736842, 1e-12);
    expect(spearman([1, 2, 3], [3, 2, 1])).to.equal(-1);
    expect(spearman([1, 2, 3], [4, 4, 4])).to.equal(null);
    expect(spearman([1, 2], [1, 2])).to.equal(null);
  });

  it('costs what was announced, and is not measured twice', async () => {
    const { folder } = goldenFolders().find(({ name }) => name === 'golden/qwen2_moe') ?? goldenFolders()[0];
    const files = goldenFiles(folder);
    const workspace = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-map-'));
    const phases: string[] = [];
    const session = createSession((event, payload) => void (event === 'progress' && phases.push((payload as { phase: string }).phase)), {
      threads: 1,
      memory: 4e9,
    });
    const ask = async <K extends RequestName>(request: K, params: RequestParams<K>): Promise<RequestAnswer<K>> =>
      unwrap(await session.handle(request, params, { request, signal: new AbortController().signal }));
    const source = (at: string) => [{ kind: 'file', path: at } as const];
    const params: MapParams = { model: files.folder, forget: source(files.forget), retain: source(files.retain), workspace };
    try {
      const plan = await ask('planMap', params);
      expect(plan.known).to.equal(false);
      expect(plan.seconds).to.be.above(0);
      expect(await ask('measureMap', { ...params, known: true })).to.equal(null);
      const map = await ask('measureMap', params);
      // All rows are in the sample, so nothing is estimated.
      expect(map?.rowPasses).to.equal(plan.rowPasses);
      expect(plan.rowPasses).to.be.below(plan.wholePasses);
      expect(map?.components).to.have.length(plan.components);
      expect(phases).to.include('Measuring effects');
      const attributed = await ask('attribute', { model: files.folder, prompts: source(files.forget) });
      const [best] = attributed.record.ranking;
      const top = map?.components.find(({ affinityRank }) => affinityRank === 1);
      expect([top?.layer, top?.expert, top?.affinity]).to.deep.equal([best.layer, best.expert, best.affinity]);

      phases.length = 0;
      expect(await ask('measureMap', params)).to.deep.equal(map);
      expect(phases).to.not.include('Measuring effects');
      expect((await ask('planMap', params)).known).to.equal(true);
      // Another question, another map.
      const dense = await ask('measureMap', { ...params, layers: [0] });
      expect(new Set(dense?.components.map(({ layer }) => layer))).to.deep.equal(new Set([0]));
      expect(dense?.key).to.not.equal(map?.key);
    } finally {
      await session.dispose?.();
      fs.rmSync(workspace, { recursive: true, force: true });
    }
  });
});
