import { expect } from 'chai';
import fc from 'fast-check';
import { ranksOf } from '../../src/extension/workbench/heatmap';
import type { HeatmapFigures } from '../../src/protocol/workbench';
import { cellOf, cellState, cellWords, columnExperts, readout } from '../../webview/heatmap/cells';

/** Two layers, 1 and 3, of four experts; expert 3 of layer 1 is never routed. */
function figures(retainShare: Float32Array | null = null): HeatmapFigures {
  const affinity = Float32Array.of(0.5, 0.25, 0.25, 0, 0.1, 0.2, 0.3, 0.4);
  return {
    key: 'k',
    layers: [1, 3],
    experts: 4,
    affinity,
    share: Float32Array.of(0.5, 0.25, 0.25, 0, 0.25, 0.25, 0.25, 0.25),
    slots: Float32Array.of(100, 50, 50, 0, 50, 50, 50, 50),
    retainShare,
    rank: ranksOf(affinity),
    rankInLayer: Float32Array.of(...ranksOf(affinity.subarray(0, 4)), ...ranksOf(affinity.subarray(4))),
    half: Float32Array.of(1, 2),
    best: Float32Array.of(0.5, 0.4),
  };
}

describe('heatmap cells', () => {
  it('draws affinity against an equal share', () => {
    expect(cellState(figures(), 'affinity', 0)).to.deep.include({ kind: 'value', log2: 1, index: 20 });
    expect(cellState(figures(), 'affinity', 1)).to.deep.include({ log2: 0, index: 16 });
    expect(cellState(figures(), 'affinity', 3)).to.deep.equal({ kind: 'never' });
  });

  it('draws the difference as forget ÷ retain and refuses to compare rare experts', () => {
    const compared = figures(Float32Array.of(0.125, 0.25, 0.5, 0, 0, 0, 0, 0));
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
        const base = figures();
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
    expect(cellOf(figures(), 'number', { layer: 2, expert: 0 })).to.equal(null);
  });

  it('says a cell in one sentence with the checkpoint’s own layer number', () => {
    expect(cellWords(figures(), 7, true)).to.match(
      /^Layer 3, expert 3\. Affinity 0\.400, 1\.60.× an equal share, token share 25\.0.%, rank 1 of 4 in the layer\. Target\.$/,
    );
    expect(cellWords(figures(), 3, false)).to.match(/Never routed.*Press Enter/);
    expect(readout(figures(), 0).map(([name]) => name)).to.include.members(['affinity', 'share', 'rank']);
  });
});
