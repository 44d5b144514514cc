import { expect } from 'chai';
import fc from 'fast-check';
import { ranksOf } from '../../src/extension/workbench/heatmap';
import { cellOf, cellState, cellWords, columnExperts, layerSlots, readout } from '../../webview/heatmap/cells';
import { heatmapFigures } from './heatmap-figures';

describe('heatmap cells', () => {
  it('count the slots of a layer: as many in each', () => {
    expect([0, 3, 4, 7].map((index) => layerSlots(heatmapFigures(), index))).to.deep.equal([200, 200, 200, 200]);
  });

  it('draws affinity against an equal share', () => {
    expect(cellState(heatmapFigures(), 'affinity', 0)).to.deep.include({ kind: 'value', log2: 1, index: 20 });
    expect(cellState(heatmapFigures(), 'affinity', 1)).to.deep.include({ log2: 0, index: 16 });
    expect(cellState(heatmapFigures(), 'affinity', 3)).to.deep.equal({ kind: 'never' });
  });

  it('draws the difference as forget ÷ retain and refuses to compare rare experts', () => {
    const compared = heatmapFigures(Float32Array.of(0.125, 0.25, 0.5, 0, 0, 0, 0, 0));
    const state = cellState(compared, 'difference', 0);
    if (state.kind !== 'value') throw new Error(state.kind);
    expect(state.log2).to.be.closeTo(2, 0.01);
    expect(cellState(compared, 'difference', 3)).to.deep.equal({ kind: 'rare' });
    const scarce = { ...compared, slots: Float32Array.of(2, 1, 1, 0, 1, 1, 1, 1) };
    expect(cellState(scarce, 'difference', 0)).to.deep.equal({ kind: 'rare' });
  });

  it('shows each expert of a layer exactly once in either order, and finds it where it is drawn', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }), (values) => {
        const affinity = Float32Array.from([...values, ...values.slice().reverse()]);
        const base = heatmapFigures();
        const rankInLayer = Float32Array.of(...ranksOf(affinity.subarray(0, 4)), ...ranksOf(affinity.subarray(4)));
        const shown = { ...base, affinity, rank: ranksOf(affinity), rankInLayer };
        for (const order of ['number', 'rank'] as const) {
          const columns = columnExperts(shown, order);
          expect([...columns.subarray(0, 4)].sort()).to.deep.equal([0, 1, 2, 3]);
          for (let expert = 0; expert < 4; expert++) {
            const at = cellOf(shown, order, { layer: 3, expert });
            expect(at && columns[at.row * 4 + at.col]).to.equal(expert);
          }
        }
      }),
    );
    expect(cellOf(heatmapFigures(), 'number', { layer: 2, expert: 0 })).to.equal(null);
  });

  it('says a cell in one sentence with the checkpoint’s own layer number', () => {
    expect(cellWords(heatmapFigures(), 7, true)).to.match(
      /^Layer 3, expert 3\. Affinity 0\.400, 1\.60.× an equal share, token share 25\.0.%, rank 1 of 4 in the layer\. Target\.$/,
    );
    expect(cellWords(heatmapFigures(), 3, false)).to.match(/Never routed.*Press Enter/);
    const compared = heatmapFigures(Float32Array.of(0.125, 0.25, 0.5, 0, 0, 0, 0, 0));
    expect(cellWords(compared, 0, false, 'difference')).to.match(/50\.0.% on forget prompts, 12\.5.% on the retain set, 4\.00.×\. Press Enter/);
    expect(cellWords(compared, 3, false, 'difference')).to.match(/Too rare to compare/);
    expect(readout(compared, 0, 'difference')).to.deep.include(['forget ÷ retain', '4.00\u202f×']);
    expect(readout(heatmapFigures(), 0).map(([name]) => name)).to.include.members(['affinity', 'share', 'rank']);
  });
});
