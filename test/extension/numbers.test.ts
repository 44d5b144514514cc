import { expect } from 'chai';
import { bytes, count, difference, duration, fraction, loss, missing, parameters, percent, pValue, setting, times } from '../../src/protocol/numbers';

const plain = (text: string) => text.replaceAll('\u202f', ' ');

describe('numbers of the interface', () => {
  it('have fixed digits', () => {
    expect(fraction(0.2109)).to.equal('0.211');
    expect([0.375, 0.001, 0.00099, undefined].map(pValue)).to.deep.equal(['0.375', '0.001', '< 0.001', '–']);
    expect(loss(-0.24366)).to.equal('−0.2437');
    expect(plain(percent(0.1013))).to.equal('10.1 %');
    expect([13.52, 9.333, 0.0164].map((value) => plain(times(value)))).to.deep.equal(['13.5 ×', '9.33 ×', '0.016 ×']);
  });

  it('sign a difference, and zero not at all', () => {
    expect([-0.094, 0.037, 0.0001, -0.0001, 0].map((value) => difference(value))).to.deep.equal(['−0.094', '+0.037', '0.000', '0.000', '0.000']);
  });

  it('group counts and scale bytes, parameters and time', () => {
    expect([7, 1664, 600192, 1234567].map((value) => plain(count(value)))).to.deep.equal(['7', '1 664', '600 192', '1 234 567']);
    expect([512, 17_600_000, 205_000, 31.4e9].map((value) => plain(bytes(value)))).to.deep.equal(['512 B', '17.6 MB', '205 kB', '31.4 GB']);
    expect([15.71e9, 1_263_360, 18432].map((value) => plain(parameters(value)))).to.deep.equal(['15.71 B', '1.26 M', '18 432']);
    expect([0.04, 3.21, 58, 125, 12300].map((value) => plain(duration(value)))).to.deep.equal(['0.04 s', '3.2 s', '58 s', '2 min 05 s', '3 h 25 min']);
    expect([1e-4, 0.003, 16, 1e-9].map(setting)).to.deep.equal(['1e-4', '0.003', '16', '1e-9']);
  });

  it('write what is missing as a dash', () => {
    for (const format of [fraction, loss, percent, times, difference, count, bytes, parameters, duration]) {
      for (const value of [null, undefined, Number.NaN]) expect(format(value)).to.equal(missing);
    }
  });
});
