/** The grid of the rounding audits, against values worked out by hand. */
import { expect } from 'chai';
import { roundGroups } from '../../src/audit/rounding';

const rounded = (values: readonly number[], inputs: number, bits: number, group?: number): number[] => {
  const own = Float32Array.from(values);
  roundGroups(own, inputs, bits, group);
  return Array.from(own);
};
const f = Math.fround;

describe('rounding to nearest', () => {
  it('4 bit: the largest weight of a group is 7 steps, halves go to the even step, signs are kept', () => {
    // 7 steps of 0.5: 0.25 and 0.75 lie half-way and go to 0 and 2 steps, 1.25 and -1.25 to 2.
    expect(rounded([3.5, 0.25, 0.75, -1.25, 1.25, 0.3, -0.2, 0], 8, 4)).to.deep.equal([3.5, 0, 1, -1, 1, 0.5, 0, 0]);
  });

  it('8 bit: 127 steps', () => {
    const step = f(1 / 127);
    expect(rounded([1, 0.5, -0.004, 0.0039], 4, 8)).to.deep.equal([f(127 * step), f(64 * step), f(-step), 0].map((value) => (value === 0 ? 0 : value)));
  });

  it('every output has its own scales, one for each group of its inputs; a last group may be shorter', () => {
    // Two outputs of five inputs in groups of 3: (7, 1.4, 0.6) (0.7, 0.06) and (0, 0, 0) (70, 4).
    expect(rounded([7, 1.4, 0.6, 0.7, 0.06, 0, 0, 0, 70, 4], 5, 4, 3)).to.deep.equal([7, 1, 1, 0.7, 0.1, 0, 0, 0, 70, 0].map(f));
  });

  it('is its own fixed point', () => {
    const once = rounded(
      Array.from({ length: 300 }, (_, i) => Math.sin(i * i)),
      150,
      4,
    );
    expect(rounded(once, 150, 4)).to.deep.equal(once);
  });
});
