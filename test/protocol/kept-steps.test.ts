import { expect } from 'chai';
import { mostSteps, thinnedRows, withRow } from '../../src/protocol/kept-steps';
import type { StepRecord } from '../../src/protocol/records';
import { doubledDomain } from '../../webview/charts/line-layout';

const row = (step: number): StepRecord => ({ step, forget: step, ms: 100 }) as StepRecord;

describe('steps of a long run', () => {
  it('a night of them is held in a bounded list: the first, the newest, and of the rest equally many from every hour', () => {
    let rows: readonly StepRecord[] = [];
    let largest = 0;
    for (let step = 1; step <= 30_000; step++) {
      rows = withRow(rows, row(step));
      largest = Math.max(largest, rows.length);
    }
    expect(largest).to.be.at.most(mostSteps);
    expect(rows.length).to.be.above(mostSteps / 4);
    expect(rows[0].step).to.equal(1);
    expect(rows.slice(-64).map(({ step }) => step)).to.deep.equal(Array.from({ length: 64 }, (_, i) => 30_000 - 63 + i));
    const gaps = rows.slice(1).map(({ step }, i) => step - rows[i].step);
    // 30,000 steps in 4,096 rows: every eighth, or every sixteenth until the list is full again.
    expect(Math.max(...gaps)).to.be.within(8, 16);
    expect(Math.min(...gaps)).to.equal(1);
  });

  it('a resumed run does steps of its journal again: the old rows from there on go', () => {
    const rows = [1, 2, 3, 4].map(row);
    expect(withRow(rows, row(3)).map(({ step }) => step)).to.deep.equal([1, 2, 3]);
    expect(thinnedRows(rows, 2)).to.equal(rows);
  });

  it('the scale of a chart holds any number of values', () => {
    const values = Array.from({ length: 500_000 }, (_, i) => i / 100_000);
    expect(doubledDomain([0, 2], values)).to.deep.equal([0, 8]);
    expect(doubledDomain([0, 1], [Number.NaN, -0.5, 0.5])).to.deep.equal([-1, 1]);
  });
});
