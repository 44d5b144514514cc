import { expect } from 'chai';
import fc from 'fast-check';
import type { TokenStrip } from '../../src/protocol/prompts-view';
import { concentrationLayout } from '../../webview/charts/concentration-layout';
import { contrast, ramp, themes } from '../../webview/heatmap/colour';
import { heatmapRows, heatmapSvg } from '../../webview/heatmap/figure';
import { matching, movedRow, rowHeight, scrolledTo, windowOf } from '../../webview/prompts/rows';
import { barHeight, cellsOf, chosenExperts, inkOn, shownToken, strongest, tintOf } from '../../webview/prompts/strip-cells';
import { heatmapFigures } from './heatmap-figures';

describe('rows of the prompt list', () => {
  it('are drawn where they are seen, and few of them', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(200_000), fc.integer({ min: 26, max: 600 }), (count, top, height) => {
        const { first, end } = windowOf(top, height, count);
        expect(first).to.be.within(0, count);
        expect(end).to.be.within(first, count);
        expect(end - first).to.be.lessThan(height / rowHeight + 20);
        const seen = Math.floor(top / rowHeight);
        if (seen < count) expect(seen).to.be.within(first, end - 1);
      }),
    );
  });

  it('are moved to by the keys of a list, and scrolled into view', () => {
    expect(['ArrowDown', 'ArrowUp', 'Home', 'End', 'PageDown', 'PageUp', 'x'].map((key) => movedRow(5, key, 20, 8))).to.deep.equal([6, 4, 0, 19, 13, 0, null]);
    expect(movedRow(19, 'ArrowDown', 20, 8)).to.equal(19);
    expect(scrolledTo(0, 100, 234)).to.equal(0);
    expect(scrolledTo(4, 100, 234)).to.equal(100);
    expect(scrolledTo(20, 100, 234)).to.equal(21 * rowHeight - 234);
  });

  it('are found by every word of the filter, whatever the case', () => {
    const items = ['Tabun is a nerve agent', 'Sarin is an agent', 'Lassa virus'].map((text) => ({ text }));
    expect(matching(items, '')).to.deep.equal([0, 1, 2]);
    expect(matching(items, 'agent IS')).to.deep.equal([0, 1]);
    expect(matching(items, 'nerve virus')).to.deep.equal([]);
  });
});

describe('token strip', () => {
  /** Layers 1 and 3, two tokens, two of them chosen. */
  const strip: TokenStrip = {
    prompt: 0,
    tokens: ['A', ' virus'],
    layers: [1, 3],
    topK: 2,
    experts: Int32Array.of(4, 5, 6, 4, 1, 2, 2, 0),
    scores: Float32Array.of(0.5, 0.25, 0.75, 0.125, 1, 0, 0.5, 0.25),
  };

  it('finds the score of one expert at each token, 0 where it was not chosen', () => {
    expect(cellsOf(strip, 1, 4)).to.deep.equal([
      { text: 'A', score: 0.5 },
      { text: ' virus', score: 0.125 },
    ]);
    expect(cellsOf(strip, 3, 0).map(({ score }) => score)).to.deep.equal([0, 0.25]);
    expect(strongest(cellsOf(strip, 3, 0))).to.equal(1);
    expect(chosenExperts(strip, 3, 1)).to.deep.equal([
      { expert: 2, score: 0.5 },
      { expert: 0, score: 0.25 },
    ]);
    expect(chosenExperts(strip, 2, 0)).to.deep.equal([]);
  });

  it('tints on a linear scale with ink that can be read, in every theme', () => {
    for (const theme of themes) {
      const colours = ramp(theme, 'magnitude');
      expect([tintOf(colours, 0), tintOf(colours, 0.5), tintOf(colours, 1), tintOf(colours, 2)]).to.deep.equal([
        colours[0],
        colours[16],
        colours[32],
        colours[32],
      ]);
      for (const colour of colours) expect(contrast(colour, inkOn(colour)), `${theme} ${colour}`).to.be.at.least(4.5);
    }
    expect([0, 0.5, 1].map(barHeight)).to.deep.equal([2, 9, 16]);
    expect([' of', '\n', ''].map(shownToken)).to.deep.equal(['·of', '↵', '∅']);
  });
});

describe('concentration curve', () => {
  it('has its dot on the curve at one half, and its word inside the figure', () => {
    const input = { width: 400, height: 140, experts: 4, retain: null };
    const figure = concentrationLayout({ ...input, forget: [0, 0.4, 0.6, 0.9, 1], half: 2 });
    const [top, middle] = [figure.yTicks[2].y, figure.yTicks[1].y];
    expect(figure.half.y).to.be.closeTo(middle, 1);
    expect(figure.half.x).to.be.closeTo(figure.left + (1.5 / 4) * (figure.right - figure.left), 0.01);
    expect(figure.half.anchor).to.equal('start');
    expect(top).to.be.lessThan(middle);
    const flat = concentrationLayout({ ...input, forget: [0, 0.1, 0.2, 0.3, 1], half: 4 });
    expect(flat.half.anchor).to.equal('end');
    expect(flat.retain).to.equal(null);
  });
});

describe('the heatmap as a file', () => {
  it('has a row per expert in full precision', () => {
    const figures = heatmapFigures();
    const rows = heatmapRows(figures);
    expect(rows).to.have.length(1 + figures.affinity.length);
    expect(rows[0].slice(0, 3)).to.deep.equal(['layer', 'expert', 'affinity']);
    expect(rows[5]).to.deep.equal([3, 0, figures.affinity[4], figures.affinity[4] * 4, 0.25, null, 50, 4, figures.rank[4]]);
  });

  it('has a cell per expert as SVG, and the target’s ring', () => {
    const figures = heatmapFigures();
    const picture = { figures, measure: 'affinity', order: 'rank', width: 400, colours: ramp('dark', 'magnitude') } as const;
    const ink = { foreground: '#fff', background: '#000', soft: '#888' };
    const svg = heatmapSvg({ ...picture, ink, target: { layer: 3, expert: 3 } });
    expect(svg.match(/<rect/g)).to.have.length(1 + 7 + 1);
    expect(svg.match(/<path/g), 'never routed').to.have.length(1);
    expect(svg).to.match(/#1</);
    expect(svg).to.match(/<title>L3·E3<\/title>/);
  });
});
