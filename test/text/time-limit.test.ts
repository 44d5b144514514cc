import { expect } from 'chai';
import { timely } from '../../src/text/time-limit';

const pause = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

describe('the limit on a tokenizer’s time', () => {
  it('ends a pattern that never ends, with a sentence', () => {
    let calls = 0;
    const endless = () => {
      calls++;
      return /^(a+)+$/.test(`${'a'.repeat(60)}b`);
    };
    expect(() => timely('forget.jsonl, line 3', 61, endless)).to.throw('forget.jsonl, line 3: the checkpoint');
    expect(calls).to.be.at.least(2);
  });

  it('does not mistake a busy machine for one: work that was kept from computing is done again', () => {
    let calls = 0;
    const value = timely('forget.jsonl, line 3', 5, () => {
      if (++calls < 3) pause(1200);
      return calls;
    });
    expect(value).to.equal(3);
  });
});
