import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import type { DataSource } from '../../src/protocol/engine';
import { unwrap } from '../../src/protocol/fault';
import { chosenRows } from '../../src/text/chosen-rows';
import { readRows } from '../../src/text/rows';
import { toSequences } from '../../src/text/sequences';
import { openTokenizer } from '../../src/text/tokenizer';
import { temporaryFolder } from '../files/temporary-folder';

const csv = 'question,choices,answer,note\n"Which, then?","[""a"", ""b""]",1,x\nWho?,"[""c"", ""d""]",d,\n';
const text: DataSource = { kind: 'text', text: 'One.\n\nTwo\nlines.', origin: 'notes.md', line: 12 };

describe('chosen rows', () => {
  it('read back as the same rows: id, tokens and targets', async () => {
    const file: DataSource = { kind: 'file', path: path.join(temporaryFolder(), 'q.csv') };
    fs.writeFileSync(file.path, csv);
    const rows = [...unwrap(await readRows(file)), ...unwrap(await readRows(text))].filter((row) => row.at.line !== 12);
    const chosen = unwrap(
      await chosenRows(
        [file, text],
        [
          { source: 1, line: 14 },
          { source: 0, line: 2 },
          { source: 0, line: 3 },
        ],
      ),
    );
    const again = unwrap(await readRows({ kind: 'text', text: chosen, origin: 'chosen.jsonl', line: 1 }));
    const tokenizer = unwrap(await openTokenizer('demo/checkpoint', {}));
    const tokens = async (list: typeof rows) =>
      unwrap(await toSequences(list, { tokenizer, purpose: 'train', vocabSize: 2048 })).sequences.map(({ id, ids, targetMask }) => [
        id,
        [...ids],
        [...targetMask],
      ]);
    expect(again).to.have.length(3);
    expect(await tokens(again)).to.deep.equal(await tokens(rows));
    expect(again.map(({ id, kind }) => [id, kind])).to.deep.equal(rows.map(({ id, kind }) => [id, kind]));
  });

  it('are refused when the source has no such row any more', async () => {
    const found = await chosenRows([text], [{ source: 0, line: 13 }]);
    expect(found.ok ? '' : found.fault.code).to.equal('not-found');
  });
});
