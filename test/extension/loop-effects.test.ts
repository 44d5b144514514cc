import { expect } from 'chai';
import type { WorkbenchState } from '../../src/protocol/workbench';
import { openedPage } from './loop-page';

const until = async (store: { get(): WorkbenchState }, wanted: (state: WorkbenchState) => boolean): Promise<void> => {
  while (!wanted(store.get())) await new Promise((resolve) => setTimeout(resolve, 10));
};

describe('effects in the loop', function () {
  this.timeout(120_000);
  it('are offered with their cost, measured, and at hand the next time; other prompts are another map', async () => {
    const { store, loop, figures, faults } = await openedPage();
    await until(store, ({ effects }) => effects !== null);
    expect(store.get().effects).to.deep.equal({ forget: 'forget.jsonl', retain: null, plan: null, measured: null });
    await loop.effects.plan();
    // Attention and dense of layer 0; attention, shared and 16 experts of three layers.
    expect(store.get().effects?.plan).to.deep.include({ components: 56, rows: { forget: 8, retain: 0 }, known: false });
    expect(store.get().effects?.plan?.seconds).to.be.above(0);
    loop.effects.dismiss();
    expect(store.get().effects?.plan).to.equal(null);
    await loop.effects.measure();
    const { measured } = store.get().effects ?? {};
    expect(measured?.components).to.equal(56);
    expect(measured?.top[0].rank).to.equal(1);
    expect(measured?.forget).to.deep.include({ kind: 'probability', rows: 8 });
    const shown = figures.get().effects;
    expect(shown?.layers).to.deep.equal([0, 1, 2, 3]);
    expect(shown?.score).to.have.length(4 * 18);

    await loop.read();
    await until(store, ({ effects }) => (effects?.measured ?? null) !== null);
    expect(figures.get().effects).to.deep.equal(shown);
    loop.setData('retain', loop.forgetSources());
    expect(figures.get().effects).to.equal(null);
    expect(store.get().effects).to.deep.include({ retain: 'forget.jsonl', measured: null });
    expect(faults).to.deep.equal([]);
    loop.dispose();
  });
});
