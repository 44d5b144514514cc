import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { unwrap } from '../../src/protocol/fault';
import { timely } from '../../src/text/time-limit';
import { openTokenizer } from '../../src/text/tokenizer';
import { temporaryFolder } from '../files/temporary-folder';

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

  it('grows with the vocabulary: one of 200,000 tokens opens', async () => {
    const folder = temporaryFolder();
    const vocab: Record<string, number> = {};
    const merges: string[][] = [];
    const letters = [...'abcdefghijklmnopqrstuvwxyz'];
    for (const letter of letters) vocab[letter] = Object.keys(vocab).length;
    let size = letters.length;
    for (let words = letters; size < 200_000; ) {
      const longer: string[] = [];
      for (const word of words)
        for (const letter of letters) {
          if (size >= 200_000) break;
          vocab[word + letter] = size++;
          merges.push([word, letter]);
          longer.push(word + letter);
        }
      words = longer;
    }
    fs.writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify({ version: '1.0', model: { type: 'BPE', vocab, merges } }));
    const tokenizer = unwrap(await openTokenizer(folder, {}));
    expect(tokenizer?.vocabularySize).to.equal(200_000);
    expect(tokenizer?.encode('abc')).to.have.length(1);
  });
});
