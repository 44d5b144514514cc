import { expect } from 'chai';
import { scatterSvg } from '../../src/experiment/scatter-svg';
import type { RunTableRow } from '../../src/protocol/comparison-view';

const run = (fields: Partial<RunTableRow>): RunTableRow => ({
  ...{ run: 1, id: 'a', model: 'm', method: 'npo', alpha: null, target: [], train: 'expert', forget: 0.3, utility: 0.7, near: null, steps: 1, seconds: 1 },
  ...{ before: { forget: 0.9, utility: 0.8, near: null }, chance: 0.25, forgotten: 0.9, overlap: null, status: 'done', onFront: false },
  ...fields,
});

describe('the scatter of a sweep as a file', () => {
  it('has a mark and a number for each run with both figures, the front filled, and a legend of methods', () => {
    const rows = [run({ onFront: true }), run({ id: 'b', run: 12, method: 'rmu', utility: 0.5, forgotten: 0.4 }), run({ id: 'c', run: 13, forgotten: null })];
    const svg = scatterSvg({ rows }, 'Sweep <a & "b">') ?? '';
    expect(svg).to.include('<title>Sweep &lt;a &amp; &quot;b&quot;&gt;</title>');
    expect(svg.match(/class="mark on-front"/g)).to.have.length(1);
    // Runs 1 and 12, and the two methods of the legend.
    expect(svg.match(/<path class="mark"/g)).to.have.length(3);
    for (const text of ['>1<', '>12<', '>npo<', '>rmu<', '>original 0.800<', '>chance<']) expect(svg).to.include(text);
    expect(svg).not.to.include('>13<').and.not.to.include('NaN');
  });

  it('is none where no run has both figures', () => {
    expect(scatterSvg({ rows: [run({ utility: null })] }, 'x')).to.equal(null);
  });
});
