import { expect } from 'chai';
import fc from 'fast-check';
import { lineProgress } from '../../src/cli/progress';
import { ranges } from '../../src/cli/verbs/inspect';
import { plainJson, plainText } from '../../src/protocol/plain-text';

describe('what the command line prints', () => {
  it('holds no control character but line ends and tabs, whatever the data', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(plainText(text)).not.to.match(/[^\P{Cc}\n\t]|[\p{Bidi_Control}\p{Zl}\p{Zp}]/u);
      }),
    );
    expect(plainText('a\u001b[31mred\r\u009b2J\u202e\u{e0041}')).to.equal('a\\u001b[31mred\\u000d\\u009b2J\\u202e\\u{e0041}');
    expect(plainText('line\r\n\tnext ‘é’ 漢 👩‍🔬')).to.equal('line\n\tnext ‘é’ 漢 👩‍🔬');
  });

  it('JSON reads back as it was and holds no raw control character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = plainJson({ text });
        expect(JSON.parse(json)).to.deep.equal({ text });
        expect(json).not.to.match(/[^\P{Cc}\n]|[\p{Bidi_Control}\p{Zl}\p{Zp}]/u);
      }),
    );
  });

  it('says nothing of phases that last only a moment', () => {
    const written: string[] = [];
    const display = lineProgress((text) => written.push(text));
    for (let done = 0; done <= 100; done++) display.show({ request: 'r', phase: 'Scoring', done, total: 100, unit: 'rows' });
    display.note('A warning\u0007.');
    expect(written).to.deep.equal(['A warning\\u0007.\n']);
  });

  it('layers as ranges', () => {
    expect(ranges([0, 1, 2, 5, 7, 8])).to.equal('0-2, 5, 7-8');
    expect(ranges([])).to.equal('');
  });
});
