import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { type Fault, unwrap } from '../../src/protocol/fault';
import type { TokenSequence } from '../../src/protocol/sequences';
import { LETTERS, letteredPrompt } from '../../src/text/lettered';
import type { Purpose } from '../../src/text/row-kind';
import { readRows } from '../../src/text/rows';
import { type SequenceOptions, type Sequences, toSequences } from '../../src/text/sequences';
import { openTokenizer, type Tokenizer } from '../../src/text/tokenizer';

const CHATML = (JSON.parse(readFileSync('test/fixtures/text/chat.json', 'utf8')) as { templates: Record<string, string> }).templates.chatml;
let demo: Tokenizer;
let metaspace: Tokenizer;
before(async () => {
  demo = unwrap(await openTokenizer('demo/checkpoint', { bos_token_id: 0 })) as Tokenizer;
  metaspace = unwrap(await openTokenizer('test/fixtures/text/metaspace', {})) as Tokenizer;
});

const sequencesOf = async (rows: readonly unknown[], options: Partial<SequenceOptions> = {}) => {
  const read = unwrap(await readRows({ kind: 'text', text: rows.map((row) => JSON.stringify(row)).join('\n'), origin: 'data.jsonl', line: 1 }));
  return toSequences(read, { tokenizer: demo, purpose: 'train', vocabSize: 2048, ...options });
};
const made = async (rows: readonly unknown[], options: Partial<SequenceOptions> = {}): Promise<Sequences> => unwrap(await sequencesOf(rows, options));
const one = async (row: unknown, options: Partial<SequenceOptions> = {}): Promise<TokenSequence> => (await made([row], options)).sequences[0];
const refused = async (row: unknown, options: Partial<SequenceOptions> = {}): Promise<Fault> => {
  const result = await sequencesOf([row], options);
  if (result.ok) throw new Error('not refused');
  return result.fault;
};
const targetsOf = ({ ids, targetMask }: TokenSequence): number[] => Array.from(ids).filter((_, at) => targetMask[at] === 1);
const ids = (text: string): number[] => Array.from(demo.encode(text));
/** Trunk and branch of each option, with the branch's mask. */
const optionsOf = (sequence: TokenSequence): { whole: number[]; mask: number[] }[] => {
  const starts = sequence.branches ?? [];
  return starts.map((start, at) => {
    const part = <T>(list: ArrayLike<T>): T[] => [...Array.from(list).slice(0, starts[0]), ...Array.from(list).slice(start, starts[at + 1] ?? list.length)];
    return { whole: part(sequence.ids), mask: part(sequence.targetMask) };
  });
};

describe('sequences', () => {
  it('of text: every token is a target but position 0', async () => {
    const sequence = await one({ text: 'The drug is new.' });
    expect(Array.from(sequence.ids)).to.deep.equal(ids('The drug is new.'));
    expect(Array.from(sequence.targetMask)).to.deep.equal([
      0,
      ...ids('The drug is new.')
        .slice(1)
        .map(() => 1),
    ]);
    const started = await one({ text: 'The drug is new.' }, { documentStart: 'yes' });
    expect(targetsOf(started)).to.deep.equal(ids('The drug is new.'));
  });

  it('of prompt and answer: one text, one space between where neither side has any', async () => {
    for (const [prompt, answer, text] of [
      ['The agent is', 'tabun.', 'The agent is tabun.'],
      ['The agent is', ' tabun.', 'The agent is tabun.'],
      ['The agent is ', 'tabun.', 'The agent is tabun.'],
      ['The agent is\n', 'tabun.', 'The agent is\ntabun.'],
      ['The agent is ', ' tabun.', 'The agent is  tabun.'],
    ]) {
      const sequence = await one({ prompt, answer }, { documentStart: 'yes' });
      expect(Array.from(sequence.ids), JSON.stringify([prompt, answer])).to.deep.equal([0, ...ids(text)]);
      expect(sequence.targetMask.indexOf(1)).to.equal(1 + ids('The agent is').length);
      expect(Array.from(sequence.targetMask).lastIndexOf(1)).to.equal(sequence.ids.length - 1);
    }
  });

  it('of an empty prompt: no space is put before the answer', async () => {
    expect(targetsOf(await one({ prompt: '', answer: 'tabun' }, { documentStart: 'yes' }))).to.deep.equal(ids('tabun'));
  });

  it('of a tokenizer that starts documents by itself', async () => {
    const auto = await one({ prompt: 'The agent is', answer: 'tabun' }, { tokenizer: metaspace, chat: 'never' });
    expect(Array.from(auto.ids)).to.deep.equal(Array.from(metaspace.encodeWithSpecial('The agent is tabun')));
    expect(auto.ids[0]).to.equal(1);
    expect((await one({ text: 'The agent' }, { tokenizer: metaspace, documentStart: 'no' })).ids[0]).to.not.equal(1);
  });

  it('of prompts rendered through the chat template', async () => {
    const tokenizer = { ...demo, chatTemplate: CHATML };
    const row = { prompt: 'Which agent?', answer: 'Tabun.' };
    const rendered = '<|im_start|>user\nWhich agent?<|im_end|>\n<|im_start|>assistant';
    const sequence = await one(row, { tokenizer });
    expect(Array.from(sequence.ids)).to.deep.equal(ids(`${rendered}\nTabun.`));
    expect(targetsOf(sequence)).to.deep.equal(ids(`${rendered}\nTabun.`).slice(ids(rendered).length));
    expect(Array.from((await one(row, { tokenizer, chat: 'never' })).ids)).to.deep.equal(ids('Which agent? Tabun.'));
    expect(Array.from((await one({ prompt: 'Which?', options: ['a', 'b'], answer: 0 }, { tokenizer })).ids)).to.deep.equal(ids('Which? a'));
  });

  it('of a rendered prompt have one document start', async () => {
    const tokenizer = { ...demo, chatTemplate: `{{ bos_token }}${CHATML}` };
    const sequence = await one({ prompt: 'Which?', answer: 'x' }, { tokenizer, documentStart: 'yes' });
    expect([sequence.ids[0], sequence.ids[1] === 0]).to.deep.equal([0, false]);
    const without = await one({ prompt: 'Which?', answer: 'x' }, { tokenizer: { ...demo, chatTemplate: CHATML }, documentStart: 'yes' });
    expect([without.ids[0], without.ids[1] === 0]).to.deep.equal([0, false]);
  });

  it('of messages begin with the document start, once, and it moves no target', async () => {
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'Tabun' },
    ];
    const tokenizer = { ...demo, chatTemplate: CHATML };
    const plain = await one({ messages }, { tokenizer });
    expect(targetsOf(plain)).to.deep.equal(ids('Tabun<|im_end|>\n'));
    const started = await one({ messages }, { tokenizer, documentStart: 'yes' });
    expect(Array.from(started.ids)).to.deep.equal([0, ...plain.ids]);
    expect(Array.from(started.targetMask)).to.deep.equal([0, ...plain.targetMask]);
    const written = await one({ messages }, { tokenizer: { ...demo, chatTemplate: `{{ bos_token }}${CHATML}` }, documentStart: 'yes' });
    expect(Array.from(written.ids)).to.deep.equal(Array.from(started.ids));
  });

  it('of messages without a chat template are refused', async () => {
    expect((await refused({ messages: [{ role: 'user', content: 'a' }] })).message).to.match(/data\.jsonl, line 1: "messages" need a chat template/);
  });

  it('of questions to train on: the prompt followed by the right option', async () => {
    const sequence = await one({ question: 'The agent is', choices: ['sarin', 'tabun'], answer: 1, subject: 'hazards' }, { documentStart: 'yes' });
    expect(Array.from(sequence.ids)).to.deep.equal([0, ...ids('The agent is tabun')]);
    expect(targetsOf(sequence)).to.deep.equal(ids(' tabun'));
    expect([sequence.branches, sequence.topic]).to.deep.equal([undefined, 'hazards']);
  });

  it('of questions to evaluate: options are branches of their prompt', async () => {
    const sequence = await one(
      { prompt: 'The agent is', options: ['sarin', ' soman', 'tabün'], answer: 'tabün', id: 5 },
      { purpose: 'evaluate', documentStart: 'yes' },
    );
    const prompt = [0, ...ids('The agent is')];
    expect(optionsOf(sequence).map(({ whole }) => whole)).to.deep.equal([' sarin', ' soman', ' tabün'].map((option) => [...prompt, ...ids(option)]));
    expect(sequence.branches?.[0]).to.equal(prompt.length);
    expect([sequence.answer, sequence.id, sequence.optionBytes]).to.deep.equal([2, '5', [5, 6, 6]]);
  });

  it('of questions whose options change the tokens at the border start the branch before it', async () => {
    // "ab" + "c" is one token here, "ab" + "d" is not: a tokenizer whose border depends on what follows.
    const vocabulary = new Map([
      ['x', 1],
      [' ab', 2],
      [' abc', 3],
      ['d', 4],
      ['c', 5],
    ]);
    const greedy = (text: string): Int32Array => {
      const out: number[] = [];
      for (let at = 0; at < text.length; ) {
        const found = [...vocabulary.keys()].filter((entry) => text.startsWith(entry, at)).sort((a, b) => b.length - a.length)[0];
        if (found === undefined) throw new Error(text.slice(at));
        out.push(vocabulary.get(found) ?? 0);
        at += found.length;
      }
      return Int32Array.from(out);
    };
    const tokenizer: Tokenizer = { ...demo, encode: (text) => greedy(text.replaceAll('|', '').replaceAll('ab c', 'abcd').replaceAll('ab d', 'abdd')) };
    const sequence = await one({ prompt: 'x ab', options: ['c', 'd'], answer: 0 }, { purpose: 'evaluate', tokenizer });
    expect(optionsOf(sequence)).to.deep.equal([
      { whole: [1, 3, 4], mask: [0, 0, 1] },
      { whole: [1, 2, 4, 4], mask: [0, 0, 1, 1] },
    ]);
    expect(sequence.branches).to.deep.equal([1, 3]);
  });

  it('of questions with letters are the prompts of lm-evaluation-harness', async () => {
    const row = { question: ' Which one? ', choices: ['red', 'green', 'blue', 'grey'], answer: 2, subject: 'college_biology' };
    const prompt =
      'The following are multiple choice questions (with answers) about college biology.\n\nWhich one?\nA. red\nB. green\nC. blue\nD. grey\nAnswer:';
    const sequence = await one(row, { purpose: 'evaluate', options: 'lettered' });
    expect(optionsOf(sequence).map(({ whole }) => whole)).to.deep.equal(['A', 'B', 'C', 'D'].map((letter) => ids(`${prompt} ${letter}`)));
    expect(optionsOf(sequence).map(({ mask }) => mask.lastIndexOf(0))).to.deep.equal(Array(4).fill(ids(prompt).length - 1));
    expect(sequence.optionBytes).to.deep.equal([1, 1, 1, 1]);
    expect(sequence.optionTexts).to.deep.equal(['red', 'green', 'blue', 'grey']);
    const start = (subject: string | undefined, file: string): string => letteredPrompt('Q', ['a', 'b'], subject, file).split('Q\n')[0];
    expect(start('wmdp-bio', 'x')).to.match(/about biology\.\n\n$/);
    expect(start('cyber', 'x')).to.match(/about cybersecurity\.\n\n$/);
    expect(start(undefined, '/data/wmdp-chem/test.parquet')).to.match(/about chemistry\.\n\n$/);
    expect(start(undefined, 'questions.jsonl')).to.equal('');
    const many = { prompt: 'Q', options: Array.from({ length: LETTERS.length + 1 }, (_, at) => `option ${at}`), answer: 0 };
    expect((await refused(many, { purpose: 'evaluate', options: 'lettered' })).message).to.match(/line 1: 27 options/);
  });

  it('of input_ids are never changed', async () => {
    const plain = await one({ input_ids: [5, 6, 7] }, { documentStart: 'yes', tokenizer: null });
    expect([Array.from(plain.ids), Array.from(plain.targetMask)]).to.deep.equal([
      [5, 6, 7],
      [0, 1, 1],
    ]);
    const labelled = await one({ input_ids: [5, 6, 7, 8], labels: [5, -100, 7, -100] }, { documentStart: 'yes' });
    expect([Array.from(labelled.ids), Array.from(labelled.targetMask)]).to.deep.equal([
      [5, 6, 7, 8],
      [0, 0, 1, 0],
    ]);
  });

  it('are cut at the end, counted, and left out where no target is left', async () => {
    const rows = [{ input_ids: [1, 2, 3, 4] }, { input_ids: [1, 2] }, { input_ids: [1, 2, 3], labels: [-100, -100, 3] }, { input_ids: [9] }, { text: '' }];
    const { sequences, skipped, truncated } = await made(rows, { maxLength: 2 });
    expect(sequences.map(({ id, ids: kept }) => [id, Array.from(kept)])).to.deep.equal([
      ['0', [1, 2]],
      ['1', [1, 2]],
    ]);
    expect([skipped, truncated]).to.deep.equal([3, 1]);
    const prompt = ids('The agent is').length;
    const question = { prompt: 'The agent is', options: ['sarin and tabun', 'soman'], answer: 0 };
    expect((await made([question], { purpose: 'evaluate', maxLength: prompt })).skipped).to.equal(1);
    const cut = await made([question], { purpose: 'evaluate', maxLength: prompt + 1 });
    expect([cut.truncated, cut.sequences[0].ids.length]).to.deep.equal([1, prompt + 2]);
    expect((await made([{ prompt: 'A', answer: '' }])).skipped).to.equal(1);
  });

  it('longer than the context are refused by length, unless maxLength cuts them', async () => {
    const fault = await refused({ text: 'word '.repeat(300) }, { maxPositions: 64 });
    expect(fault.message).to.match(/data\.jsonl, line 1: \d+ tokens, but the model's context has 64/);
    expect((await one({ text: 'word '.repeat(300) }, { maxPositions: 64, maxLength: 64 })).ids.length).to.equal(64);
    expect((await one({ input_ids: [1, 2, 3] }, { maxPositions: 3 })).ids.length).to.equal(3);
    expect((await refused({ input_ids: [1, 2, 3, 4] }, { maxPositions: 3 })).message).to.contain('4 tokens');
    expect((await refused({ prompt: 'word '.repeat(64), options: ['a', 'b'], answer: 0 }, { purpose: 'evaluate', maxPositions: 64 })).code).to.equal(
      'out-of-range',
    );
    expect((await refused({ prompt: 'word '.repeat(64), answer: 'a' }, { purpose: 'generate', maxPositions: 64 })).code).to.equal('out-of-range');
  });

  it('outside the vocabulary are refused', async () => {
    expect((await refused({ input_ids: [1, 2048] })).message).to.match(/line 1: token id 2048 at index 1 is outside the model's vocabulary of 2048/);
  });

  it('without a tokenizer need input_ids', async () => {
    expect((await refused({ text: 'a' }, { tokenizer: null })).message).to.match(/data\.jsonl, line 1: text needs a tokenizer/);
  });

  it('to continue are the prompt alone', async () => {
    const prompts = async (row: unknown, options: Partial<SequenceOptions> = {}): Promise<number[]> =>
      Array.from((await one(row, { purpose: 'generate', ...options })).ids);
    expect(await prompts({ prompt: 'The agent is ', answer: 'x' }, { documentStart: 'yes' })).to.deep.equal([0, ...ids('The agent is')]);
    expect(await prompts({ text: 'The agent is' })).to.deep.equal(ids('The agent is'));
    expect(await prompts({ prompt: 'The agent is', options: ['a', 'b'], answer: 0 })).to.deep.equal(ids('The agent is'));
    expect(await prompts({ input_ids: [4, 5, 6] })).to.deep.equal([4, 5, 6]);
    expect(await prompts({ input_ids: [4, 5, 6], labels: [-100, -100, 6] })).to.deep.equal([4, 5]);
    expect(await prompts({ input_ids: [4, 5], labels: [4, -100] })).to.deep.equal([4, 5]);
    const tokenizer = { ...demo, chatTemplate: CHATML };
    const asked = '<|im_start|>user\na<|im_end|>\n<|im_start|>assistant';
    expect(
      await prompts(
        {
          messages: [
            { role: 'user', content: 'a' },
            { role: 'assistant', content: 'b' },
          ],
        },
        { tokenizer },
      ),
    ).to.deep.equal(ids(asked));
    expect((await one({ text: 'The agent' }, { purpose: 'generate' })).targetMask.includes(1)).to.equal(false);
  });

  it('stop being made when cancelled', async () => {
    const stop = new AbortController();
    stop.abort();
    expect((await refused({ text: 'a' }, { signal: stop.signal })).code).to.equal('cancelled');
  });

  it('of any rows keep their shape: targets on the answer, never at 0, and each option as if alone', async () => {
    const word = fc.oneof(fc.constantFrom('the agent', 'tabun', 'is', 'Answer:', '12', 'naïve', '🙂', '\n'), fc.string({ maxLength: 6 }));
    const text = fc.array(word, { maxLength: 5 }).map((words) => words.join(' '));
    const option = text.filter((value) => value.trim() !== '');
    const row = fc.oneof(
      fc.record({ text }),
      fc.record({ prompt: text, answer: text }),
      fc.record({ prompt: text, options: fc.array(option, { minLength: 2, maxLength: 5 }), answer: fc.constantFrom(0, 1) }),
      fc.array(fc.nat(2047), { minLength: 1, maxLength: 9 }).map((input_ids) => ({ input_ids })),
    );
    const options = fc.record({
      purpose: fc.constantFrom<Purpose>('train', 'evaluate', 'generate'),
      maxLength: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
      lettered: fc.boolean(),
      spm: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 3 }), options, async (rows, { purpose, maxLength, lettered, spm }) => {
        const result = await made(rows, {
          purpose,
          maxLength,
          options: lettered ? 'lettered' : 'likelihood',
          documentStart: 'yes',
          chat: 'never',
          tokenizer: spm ? metaspace : demo,
        });
        expect(result.sequences.length + result.skipped).to.equal(rows.length);
        for (const sequence of result.sequences) {
          const source = rows[sequence.source.line - 1] as { prompt?: string; options?: string[] };
          expect(sequence.targetMask.length).to.equal(sequence.ids.length);
          expect(sequence.targetMask[0]).to.equal(0);
          expect(sequence.targetMask.includes(1)).to.equal(purpose !== 'generate');
          if (maxLength !== undefined && sequence.branches === undefined) expect(sequence.ids.length).to.be.at.most(maxLength);
          expect(sequence.branches !== undefined).to.equal(purpose === 'evaluate' && source.options !== undefined);
          if (sequence.branches === undefined || source.options === undefined || lettered) continue;
          const parts = optionsOf(sequence);
          for (const [at, choice] of source.options.entries()) {
            const alone = await one(
              { prompt: source.prompt, answer: choice },
              { maxLength, documentStart: 'yes', chat: 'never', tokenizer: spm ? metaspace : demo },
            );
            expect(parts[at]).to.deep.equal({ whole: Array.from(alone.ids), mask: Array.from(alone.targetMask) });
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});
