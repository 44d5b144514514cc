import { expect } from 'chai';
import fc from 'fast-check';
import { unwrap } from '../../src/protocol/fault';
import { nearDuplicates } from '../../src/text/near-duplicates';
import { previewOf } from '../../src/text/preview';
import { readRows } from '../../src/text/rows';
import { toSequences } from '../../src/text/sequences';
import { openTokenizer } from '../../src/text/tokenizer';

const setOf = async (name: string, rows: readonly unknown[]) => {
  const tokenizer = unwrap(await openTokenizer('demo/checkpoint', {}));
  const read = unwrap(await readRows({ kind: 'text', text: rows.map((row) => JSON.stringify(row)).join('\n'), origin: `${name}.jsonl`, line: 1 }));
  return { set: { name, rows: read, made: unwrap(await toSequences(read, { tokenizer, purpose: 'train', vocabSize: 2048, maxLength: 12 })) }, tokenizer };
};

describe('preview', () => {
  it('counts kinds, tokens, targets, cut and skipped rows, and shows the first', async () => {
    const forget = await setOf('forget', [
      { text: 'Tabun is a nerve agent.' },
      { prompt: 'Which agent?', answer: 'Tabun.' },
      { input_ids: [66, 67] },
      { input_ids: [5] },
      { text: 'word '.repeat(40) },
    ]);
    const retain = await setOf('retain', [{ text: 'tabun is a nerve agent' }, { text: 'Helsinki is the capital of Finland.' }]);
    const preview = unwrap(await previewOf([forget.set, retain.set], forget.tokenizer));
    const [first] = preview.sets;
    expect([first.name, first.rows, first.skipped, first.truncated]).to.deep.equal(['forget', 5, 1, 1]);
    expect(first.kinds).to.deep.equal({ text: 2, 'prompt and answer': 1, input_ids: 2 });
    const { sequences } = forget.set.made;
    expect(first.tokens).to.equal(sequences.reduce((sum, sequence) => sum + sequence.ids.length, 0));
    expect(first.targetTokens).to.equal(first.tokens - 3 - sequences[1].targetMask.indexOf(1));
    expect(first.examples.map(({ line, text }) => [line, text.slice(0, 23)])).to.deep.equal([
      [1, 'Tabun is a nerve agent.'],
      [2, 'Which agent? Tabun.'],
      [3, 'ab'],
      [5, 'word word word word wor'],
    ]);
    expect(preview.nearDuplicates).to.deep.equal([
      { forget: '0', retain: '0', similarity: 1, text: 'Tabun is a nerve agent.', retainText: 'tabun is a nerve agent' },
    ]);
    expect(unwrap(await previewOf([forget.set], null)).nearDuplicates).to.deep.equal([]);
  });
});

describe('near-duplicates', () => {
  it('are texts that overlap in words, or long ones that contain the other', async () => {
    const long = 'one two three four five six seven eight nine ten eleven twelve';
    const found = await nearDuplicates(
      ['The drug X acts as a herbicide', long, 'one two', '', '!'],
      ['The drug Y acts as a herbicide', `before it ${long.toUpperCase()}, and much after it that is of no concern here at all`, 'one two!', ''],
    );
    expect(found).to.deep.equal([
      { left: 1, right: 1, similarity: 1 },
      { left: 2, right: 2, similarity: 1 },
    ]);
  });

  it('are found at exactly the threshold', async () => {
    expect(await nearDuplicates(['a b c d e'], ['z a b c d e'])).to.deep.equal([{ left: 0, right: 0, similarity: 0.8 }]);
    expect(await nearDuplicates(['z a b c d e'], ['a b c d e'])).to.deep.equal([{ left: 0, right: 0, similarity: 0.8 }]);
    expect(await nearDuplicates(['a b c d e'], ['a b c d f'])).to.deep.equal([]);
  });

  it('are those that a comparison of every pair finds', async () => {
    const words = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 14 }).map((list) => list.join(' '));
    const shingles = (text: string): Set<string> => {
      const list = text.split(' ').filter((word) => word !== '');
      return new Set(list.length === 1 ? list : list.slice(1).map((word, at) => `${list[at]} ${word}`));
    };
    const overlap = (one: string, other: string): number => {
      const [a, b] = [shingles(one), shingles(other)];
      const shared = [...a].filter((shingle) => b.has(shingle)).length;
      const shorter = Math.min(a.size, b.size);
      return shorter === 0 ? 0 : shared / (shorter >= 8 ? shorter : a.size + b.size - shared);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(words, { maxLength: 8 }), fc.array(words, { maxLength: 8 }), async (left, right) => {
        const best = left.map((text) => Math.max(0, ...right.map((other) => overlap(text, other))));
        const expected = best.flatMap((similarity, at) => (similarity >= 0.8 ? [[at, similarity]] : []));
        const found = (await nearDuplicates(left, right)).map(({ left: at, similarity }) => [at, similarity]);
        expect(found.sort((a, b) => a[0] - b[0])).to.deep.equal(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('are found without comparing every pair, and the search can be cancelled', async () => {
    // 10,000 against 10,000 rows of one template: pairs would be 10^8.
    const rows = (offset: number): string[] =>
      Array.from(
        { length: 10_000 },
        (_, at) => `The hazard list classes substance ${at + offset} of plant ${(at * 7919 + offset) % 10_007} as a herbicide of kind ${at % 17}`,
      );
    expect(
      await nearDuplicates(
        rows(0),
        rows(0).map((row) => `${row} indeed`),
      ),
    ).to.have.length(1000);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 1);
    const preview = nearDuplicates(rows(0), rows(1), stop.signal).then(
      () => 'finished',
      (error: Error) => error.message,
    );
    expect(await preview).to.match(/Cancelled/);
  });
});
