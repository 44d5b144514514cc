import { expect } from 'chai';
import { effectFigures } from '../../src/extension/workbench/effects';
import type { KnowledgeMap, MapComponent } from '../../src/protocol/knowledge-map';
import { effectCells, effectReadout, effectRows, effectState, effectWords, expertAt, indexOfExpert } from '../../webview/heatmap/effects';
import { heatmapSvg } from '../../webview/heatmap/figure';
import { sheetOf } from '../../webview/heatmap/sheet';
import { heatmapFigures } from './heatmap-figures';

const component = (kind: MapComponent['kind'], layer: number, score: number, more: Partial<MapComponent> = {}): MapComponent => ({
  kind,
  layer,
  forget: { score, interval: [score - 0.01, score + 0.01], nll: 10 * score, rows: 12 },
  retain: { score: 0.01, interval: null, nll: 0, rows: 3 },
  specificity: score - 0.01,
  rank: 1,
  affinity: null,
  affinityRank: null,
  effectRank: null,
  disagrees: null,
  ...more,
});
const expert = (layer: number, id: number, score: number, more: Partial<MapComponent> = {}) =>
  component('expert', layer, score, { expert: id, affinity: 0.1, affinityRank: 7, effectRank: 2, ...more });

/** Layer 0 dense; layers 1 and 3 of four experts, 3 with shared ones. */
const map = {
  key: 'k',
  components: [
    component('attention', 0, 0.64),
    component('dense', 0, 0.9),
    component('attention', 1, 0),
    ...[0, 1, 2].map((id) => expert(1, id, 0.04 * (id - 1), id === 2 ? { disagrees: 'hidden' } : {})),
    expert(1, 3, 0, { forget: { score: 0, interval: null, nll: 0, rows: 0 } }),
    component('attention', 3, 0.001),
    component('shared', 3, 0.02),
    ...[0, 1, 2, 3].map((id) => expert(3, id, 0)),
  ],
} as unknown as KnowledgeMap;
const figures = effectFigures(map);
const colour = (index: number) => {
  const state = effectState(figures, index);
  return state.kind === 'value' ? state.index : state.kind;
};

describe('effect map', () => {
  it('has a column for attention, one for shared or dense, and the experts, on a scale that never follows the data', () => {
    expect(figures.layers).to.deep.equal([0, 1, 3]);
    expect(figures.second).to.deep.equal(['dense', null, 'shared']);
    // 64 points and beyond end the scale, 4 are half way, nothing and a thousandth are neutral.
    expect([0, 1].map(colour)).to.deep.equal([32, 32]);
    expect(effectState(figures, 1)).to.deep.include({ beyond: true });
    expect(effectState(figures, 0)).to.deep.include({ beyond: false });
    expect(Array.from({ length: 6 }, (_, col) => colour(6 + col))).to.deep.equal([16, 'fixed', 8, 16, 24, 'never']);
    expect([12, 13].map(colour)).to.deep.equal([16, 22]);
    expect(colour(2), 'a dense layer has no experts').to.equal('fixed');
  });

  it('finds an expert where it is drawn, in the order of the heatmap', () => {
    const routing = heatmapFigures();
    for (const order of ['number', 'rank'] as const) {
      const places = effectCells(figures, routing, order);
      expect([...places].sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 18 }, (_, index) => index));
      const sheet = sheetOf({ figures: routing, effects: figures, measure: 'effect', order, target: { layer: 3, expert: 3 } });
      // The best of layer 3 by affinity.
      expect(sheet.target).to.deep.equal({ row: 2, col: order === 'rank' ? 2 : 5 });
      expect(expertAt(figures, sheet.places[2 * 6 + (sheet.target?.col ?? 0)])).to.deep.equal({ layer: 3, expert: 3 });
    }
    expect(indexOfExpert(figures, { layer: 2, expert: 0 })).to.equal(null);
    expect(expertAt(figures, 6)).to.equal(null);
  });

  it('says each cell in words, with its interval, its rank and where affinity disagrees', () => {
    expect(effectWords(figures, 10, false)).to.equal(
      'Layer 1, expert 2. Left out, it costs +4.0 points on forget (+3.0 … +5.0), rank 1. +1.0 on retain. much effect, little used. Press Enter to make it the target.',
    );
    expect(effectWords(figures, 11, true)).to.equal('Layer 1, expert 3. No row uses it: no effect. Target.');
    expect(effectWords(figures, 1, false)).to.match(/^Layer 0, dense block\. Left out, it costs \+90\.0 points/);
    expect(effectWords(figures, 7, false)).to.equal('Layer 1. There is none in this layer.');
    expect(effectReadout(figures, 10)).to.deep.include(['rank by affinity', '7']);
    expect(effectReadout(figures, 6).map(([name]) => name)).to.not.include('rank by affinity');
  });

  it('is saved with every component and drawn as a file', () => {
    const [titles, ...rows] = effectRows(figures);
    expect(rows).to.have.length(map.components.length);
    expect(rows.every((row) => row.length === titles.length)).to.equal(true);
    expect(rows[1].slice(0, 2)).to.deep.equal([0, 'dense']);
    const ink = { foreground: '#000000', background: '#ffffff', soft: '#888888' };
    const colours = Array.from({ length: 33 }, (_, i) => `#0000${(i + 16).toString(16)}`);
    const svg = heatmapSvg({ figures: heatmapFigures(), effects: figures, measure: 'effect', order: 'number', target: null, width: 400, colours, ink });
    // Values and the ground; what is not there is not drawn.
    expect(svg.match(/<rect/g)).to.have.length(1 + map.components.length - 1);
    expect(svg).to.include('>A<').and.to.include('>L3<');
  });
});
