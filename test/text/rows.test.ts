import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Fault } from '../../src/protocol/fault';
import { unwrap } from '../../src/protocol/fault';
import { jsonFault } from '../../src/text/json-fault';
import { parseList } from '../../src/text/python-literal';
import type { Row } from '../../src/text/row-kind';
import { readAllRows, readRows } from '../../src/text/rows';

const FIXTURES = 'test/fixtures/text';
const folder = mkdtempSync(path.join(os.tmpdir(), 'uoe-rows-'));
const fileWith = (name: string, content: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return file;
};
const rowsOf = async (name: string, content: string): Promise<Row[]> => unwrap(await readRows(fileWith(name, content)));
const faultOf = async (name: string, content: string): Promise<Fault> => {
  const read = await readRows(fileWith(name, content));
  if (read.ok) throw new Error(`${name} was read: ${content}`);
  return read.fault;
};
const brief = (rows: readonly Row[]): unknown[] =>
  rows.map(({ kind, id, topic, text, at }) => ({ kind, id, ...(topic === undefined ? {} : { topic }), text, line: at.line }));

const MIXED = [
  '{"text":"plain","source":"x"}',
  '{"prompt":"P","answer":"A","id":"own","topic":"t"}',
  '{"question":"Q","answer":"A"}',
  '{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}',
  '{"question":"Q","choices":["w","x"],"answer":1,"subject":"s"}',
  '{"prompt":"P","options":[" y"," z"],"answer":"z"}',
  '{"input_ids":[3,4],"labels":[-100,4],"text":null}',
];

describe('data rows', () => {
  it('of every kind are recognised by their columns, kinds mixed', async () => {
    const rows = await rowsOf('mixed.jsonl', MIXED.join('\n'));
    expect(brief(rows)).to.deep.equal([
      { kind: 'text', id: '0', text: 'plain', line: 1 },
      { kind: 'prompt and answer', id: 'own', topic: 't', text: 'P A', line: 2 },
      { kind: 'prompt and answer', id: '2', text: 'Q A', line: 3 },
      { kind: 'messages', id: '3', text: 'u\na', line: 4 },
      { kind: 'multiple choice', id: '4', topic: 's', text: 'Q x', line: 5 },
      { kind: 'multiple choice', id: '5', text: 'P z', line: 6 },
      { kind: 'input_ids', id: '6', text: '3 4', line: 7 },
    ]);
    expect(rows[0].columns).to.deep.equal({ source: 'x' });
    expect(rows[1].columns).to.deep.equal({ id: 'own', topic: 't' });
  });

  it('may stand in jsonl with a byte order mark, CRLF and blank lines; lines are counted with them', async () => {
    const rows = await rowsOf('dos.jsonl', `\uFEFF{"text":"a"}\r\n\r\n  \r\n{"text":"b\u2028c"}\r\n`);
    expect(brief(rows)).to.deep.equal([
      { kind: 'text', id: '0', text: 'a', line: 1 },
      { kind: 'text', id: '1', text: 'b\u2028c', line: 4 },
    ]);
  });

  it('may be a JSON list, or one under "data" or "rows", or lines in a .json', async () => {
    const list = `[${MIXED.join(',')}]`;
    const expected = brief(await rowsOf('mixed.jsonl', MIXED.join('\n')));
    for (const content of [list, `{"data":${list}}`, `\uFEFF{"version":1,"rows":${list}}`, MIXED.join('\n')])
      expect(brief(await rowsOf('mixed.json', content))).to.deep.equal(expected);
  });

  it('may stand in csv: quoted line breaks, lists as JSON, as Python or NumPy print them', async () => {
    const rows = await rowsOf('a.csv', '\uFEFFprompt,answer,choices,text\r\n"two\r\nlines, quoted ""so""",1945,,\r\nQ,1,"[""a"", ""b""]",\r\n,,,just text\r\n');
    expect(brief(rows)).to.deep.equal([
      { kind: 'prompt and answer', id: '0', text: 'two\r\nlines, quoted "so" 1945', line: 2 },
      { kind: 'multiple choice', id: '1', text: 'Q b', line: 4 },
      { kind: 'text', id: '2', text: 'just text', line: 5 },
    ]);
    for (const name of ['numpy', 'python']) {
      const read = unwrap(await readRows(`${FIXTURES}/${name}.csv`));
      expect(read.map((row) => row.text)).to.deep.equal(['What is 2 + 2? 4', 'Which is a virus? ebola, "the"']);
    }
    const ids = await rowsOf('ids.csv', 'input_ids,labels\n"[1, 2]","[-100, 2]"\n[3],\n');
    expect(ids.map((row) => row.text)).to.deep.equal(['1 2', '3']);
  });

  it('may stand in parquet of every compression', async () => {
    for (const compression of ['snappy', 'zstd', 'gzip', 'brotli', 'lz4', 'none']) {
      const rows = unwrap(await readRows(`${FIXTURES}/questions.${compression}.parquet`));
      expect(brief(rows)).to.deep.equal([
        { kind: 'multiple choice', id: '0', topic: 'elementary_mathematics', text: 'What is 2 + 2? 4', line: 1 },
        { kind: 'multiple choice', id: '1', topic: 'virology', text: 'Which is a virus? ebola, "the"', line: 2 },
      ]);
    }
    expect(brief(unwrap(await readRows(`${FIXTURES}/mixed.parquet`)))).to.deep.equal([
      { kind: 'input_ids', id: 'a', text: '1 2 3', line: 1 },
      { kind: 'text', id: 'b', text: 'some text', line: 2 },
      { kind: 'messages', id: 'c', text: 'hi\nhello', line: 3 },
    ]);
  });

  it('are the paragraphs of plain text', async () => {
    const rows = await rowsOf('a.md', '\n# Title\r\n\r\nFirst line\nsecond line  \n \n\n  third\n');
    expect(brief(rows)).to.deep.equal([
      { kind: 'text', id: '0', text: '# Title', line: 2 },
      { kind: 'text', id: '1', text: 'First line\nsecond line', line: 4 },
      { kind: 'text', id: '2', text: 'third', line: 8 },
    ]);
  });

  it('may be selected text: paragraphs, or rows of a JSON file', async () => {
    const prose = unwrap(await readRows({ kind: 'text', text: 'one\n\ntwo', origin: 'notes.py', line: 10 }));
    expect(brief(prose)).to.deep.equal([
      { kind: 'text', id: '0', text: 'one', line: 10 },
      { kind: 'text', id: '1', text: 'two', line: 12 },
    ]);
    const lines = unwrap(await readRows({ kind: 'text', text: MIXED.slice(0, 2).join('\n'), origin: 'set.jsonl', line: 7 }));
    expect(lines.map((row) => [row.kind, row.at.line])).to.deep.equal([
      ['text', 7],
      ['prompt and answer', 8],
    ]);
  });

  it('of a long file are read in slices: others have their turn, and a cancel is heard', async () => {
    const file = fileWith('long.jsonl', Array.from({ length: 120_000 }, (_, i) => `{"id":"${i}","text":"row number ${i}"}`).join('\n'));
    let turns = 0;
    const count = setInterval(() => turns++, 0);
    const rows = unwrap(await readRows(file));
    clearInterval(count);
    expect(rows).to.have.length(120_000);
    expect(turns).to.be.above(1);
    const abort = new AbortController();
    const reading = readAllRows([file], abort.signal);
    setImmediate(() => abort.abort());
    const read = await reading;
    expect(read.ok ? '' : read.fault.code).to.equal('cancelled');
  });

  it('of several sources come in order', async () => {
    const found = unwrap(await readAllRows([fileWith('1.txt', 'a\n\nb'), { kind: 'text', text: 'c', origin: 'x', line: 1 }]));
    expect([...found.values()]).to.deep.equal([0, 0, 1]);
    const rows = [...found.keys()];
    expect(rows.map((row) => row.text)).to.deep.equal(['a', 'b', 'c']);
    expect((await readAllRows([fileWith('1.txt', 'a'), path.join(folder, 'missing.jsonl')])).ok).to.equal(false);
  });
});

describe('data rows that are wrong', () => {
  const field: readonly (readonly [string, string, RegExp])[] = [
    [
      'unknown columns',
      '{"text":"a"}\n{"txt":"b","n":1}',
      /bad\.jsonl, line 2: .*found: "txt", "n".*understood: .*"input_ids".*"messages".*"choices", "options".*"answer".*"text"/,
    ],
    ['no columns', '{}', /line 1.*found: none/],
    ['no object', '[1]', /line 1.*must be a JSON object, this is a list/],
    ['text that is none', '{"text":5}', /line 1: "text" is a number, not text/],
    ['an answer that is none', '{"prompt":"P","answer":5}', /line 1: "answer" is a number, not text/],
    ['answer out of range', '{"question":"Q","choices":["a","b"],"answer":2}', /line 1: "answer" is 2, but there are 2 options \(0 to 1\)/],
    ['a negative answer', '{"question":"Q","choices":["a","b"],"answer":-1}', /line 1: "answer" is -1/],
    ['half an answer', '{"question":"Q","choices":["a","b"],"answer":0.5}', /line 1: "answer" is 0.5/],
    ['an answer that is no option', '{"prompt":"Q","options":["a","b"],"answer":"c"}', /line 1: "answer" is "c", which is none of the options/],
    ['one option', '{"prompt":"Q","options":["a"],"answer":0}', /line 1: "options" has one option/],
    ['an empty option', '{"prompt":"Q","options":["a"," "],"answer":0}', /line 1: "options" has an empty option at index 1/],
    ['options that are no list', '{"prompt":"Q","options":"ab","answer":0}', /line 1: "options" is text, not a list/],
    ['ids with a fraction', '{"input_ids":[1,2.5]}', /line 1: "input_ids" has 2.5 at index 1/],
    ['negative ids', '{"input_ids":[1,-2]}', /line 1: "input_ids" has -2 at index 1/],
    ['ids as text', '{"input_ids":["1"]}', /line 1: "input_ids" has "1" at index 0/],
    ['no ids', '{"input_ids":[]}', /line 1: "input_ids" is empty/],
    ['labels of another length', '{"input_ids":[1,2],"labels":[1]}', /line 1: "labels" has 1 entries, but "input_ids" has 2/],
    ['shifted labels', '{"input_ids":[1,2,3],"labels":[2,3,-100]}', /line 1: "labels" has 2 at index 0, where "input_ids" has 1/],
    ['messages without role', '{"messages":[{"content":"a"}]}', /line 1: "messages" has no text "role" in message 0/],
    ['messages without text', '{"messages":[{"role":"user","content":[1]}]}', /line 1: "messages" has a list as "content" of message 0/],
    ['broken JSON', '{"text":"a"}\n{"text":"b",}', /bad\.jsonl, line 2, column 13: not valid JSON/],
  ];
  for (const [name, content, message] of field) {
    it(`name file, line and field: ${name}`, async () => {
      const fault = await faultOf('bad.jsonl', content);
      expect(fault.message).to.match(message);
      expect(fault.code).to.equal('bad-data');
    });
  }

  it('are refused in every format, with the place', async () => {
    expect((await faultOf('a.csv', 'prompt,answer\na,b\nc\n')).message).to.match(/a\.csv, line 3: not valid CSV/);
    expect((await faultOf('a.csv', 'question,choices,answer\nq,"[\'a\', oops]",0\n')).message).to.match(/a\.csv, line 2: "choices" is not a list/);
    expect((await faultOf('a.json', '{"a":\n [1,}')).message).to.match(/a\.json, line 2, column 5/);
    expect((await faultOf('a.json', '{"a":1}')).message).to.match(/expected a list of rows.*found an object with "a"/);
    expect((await faultOf('a.json', '[{"text":"a"},{"x":1}]')).message).to.match(/a\.json, row 2/);
    expect((await faultOf('a.parquet', 'PAR1 not really')).message).to.match(/a\.parquet can't be read as parquet/);
    expect((await faultOf('a.xlsx', 'x')).message).to.match(/a \.xlsx file; data files end in \.jsonl/);
    const whole = readFileSync(`${FIXTURES}/questions.snappy.parquet`);
    const cut = path.join(folder, 'cut.parquet');
    writeFileSync(cut, whole.subarray(400));
    expect((await readRows(cut)).ok).to.equal(false);
  });

  it('empty files are refused in every format', async () => {
    for (const [name, content] of [
      ['e.jsonl', ''],
      ['e.jsonl', '\n \n'],
      ['e.json', '[]'],
      ['e.json', '{"data":[]}'],
      ['e.csv', ''],
      ['e.csv', 'text\n'],
      ['e.txt', ' \n\n'],
      ['e.json', ''],
      ['e.parquet', ''],
    ]) {
      const fault = await faultOf(name, content);
      expect(fault.message).to.contain(name);
    }
  });

  it('never throw, whatever JSON is in the file', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.json(),
            fc.string(),
            fc.record({ input_ids: fc.jsonValue(), labels: fc.jsonValue() }).map((row) => JSON.stringify(row)),
            fc.record({ prompt: fc.string(), options: fc.jsonValue(), answer: fc.jsonValue() }).map((row) => JSON.stringify(row)),
          ),
          { maxLength: 4 },
        ),
        async (lines) => {
          for (const [name, content] of [
            ['f.jsonl', lines.join('\n')],
            ['f.json', `[${lines.join(',')}]`],
            ['f.csv', lines.join('\n')],
            ['f.txt', lines.join('\n')],
          ]) {
            const read = await readRows(fileWith(name, content));
            if (!read.ok) expect(read.fault.code).to.be.oneOf(['bad-data', 'bad-file']);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('written out and read again are the same rows', async () => {
    const column = fc.string().filter((text) => !text.includes('\uFEFF'));
    const row = fc.oneof(
      fc.record({ text: column }),
      fc.record({ prompt: column, answer: column, topic: column }),
      fc.record({
        prompt: column,
        options: fc.array(
          fc.string().filter((text) => text.trim() !== ''),
          { minLength: 2, maxLength: 4 },
        ),
        answer: fc.constant(1),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 5 }), async (list) => {
        const lines = await rowsOf('r.jsonl', list.map((entry) => JSON.stringify(entry)).join('\r\n'));
        const json = await rowsOf('r.json', JSON.stringify(list));
        expect(lines.map(({ kind, text, columns }) => ({ kind, text, columns }))).to.deep.equal(
          json.map(({ kind, text, columns }) => ({ kind, text, columns })),
        );
        expect(lines.length).to.equal(list.length);
      }),
      { numRuns: 40 },
    );
  });
});

describe('broken JSON', () => {
  it('is found where it breaks', () => {
    const cases: readonly (readonly [string, number])[] = [
      ['{"a":1', 6],
      ['{"a" 1}', 5],
      ['[1,]', 3],
      ['{a:1}', 1],
      ['"open', 0],
      ['[1 2]', 3],
      ['01', 0],
      ['{"a":tru}', 5],
      ['{} x', 3],
      ['[1,2]]', 5],
      ['', 0],
      ['{"a":"\n"}', 5],
      ['nul', 0],
      ['[}', 1],
    ];
    for (const [text, offset] of cases) expect(jsonFault(text).offset, text).to.equal(offset);
  });

  it('is never before the end of what could still become JSON', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (text, at) => {
        const cut = text.slice(0, at % text.length);
        try {
          JSON.parse(cut);
        } catch {
          const { offset } = jsonFault(cut);
          expect(offset).to.be.within(0, cut.length);
        }
      }),
    );
  });
});

describe('lists as Python prints them', () => {
  it('are read', () => {
    const cases: readonly (readonly [string, unknown])[] = [
      ["['a', 'b']", ['a', 'b']],
      ["['it\\'s' \"isn't\"\n 'two\\nlines']", ["it's", "isn't", 'two\nlines']],
      ['[1, -2, 3.5, None, True]', [1, -2, 3.5, null, true]],
      ['[ 1  2\n 3]', [1, 2, 3]],
      ["[{'role': 'user', 'content': 'caf\\xe9 \\u00e9'}]", [{ role: 'user', content: 'café é' }]],
      ["array(['a', 'b'], dtype=object)", ['a', 'b']],
      ["('a', 'b')", ['a', 'b']],
      ['[]', []],
    ];
    for (const [text, list] of cases) expect(parseList(text), text).to.deep.equal(list);
    for (const text of ['a', '[1', "['a]", '{}', "{'a': 1}", '[a]', '[1] x', '"text"', '['.repeat(1e5)])
      expect(parseList(text), text.slice(0, 20)).to.equal(null);
  });
});
