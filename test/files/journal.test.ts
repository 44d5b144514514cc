import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { openJournal, readJournal, truncateJournal } from '../../src/files/journal';
import { unwrap } from '../../src/protocol/fault';
import { withFault } from './faults';
import { temporaryFolder } from './temporary-folder';

const rowsOf = (count: number) => Array.from({ length: count }, (_, step) => ({ step: step + 1, note: 'é\n"x"' }));

async function write(at: string, rows: readonly object[]): Promise<void> {
  const journal = unwrap(await openJournal(at));
  for (const row of rows) unwrap(await journal.append(row));
  await journal.close();
}

describe('journals', () => {
  it('cut anywhere, every whole row is read, and appending goes on from there', async () => {
    const at = path.join(temporaryFolder(), 'steps.jsonl');
    await write(at, rowsOf(4));
    const whole = fs.readFileSync(at);
    for (let cut = 0; cut <= whole.length; cut++) {
      fs.writeFileSync(at, whole.subarray(0, cut));
      const { rows, torn } = unwrap(await readJournal(at));
      expect(rows).to.deep.equal(rowsOf(4).slice(0, rows.length));
      // A row that lacks only its newline is whole.
      const ends = [...whole.keys()].filter((index) => whole[index] === 0x0a).filter((end) => end <= cut);
      expect(rows.length, `cut at ${cut}`).to.equal(ends.length);
      if (torn === null) expect(cut === 0 || whole[cut - 1] === 0x0a || whole[cut] === 0x0a).to.equal(true);
      if (cut % 7 === 0) {
        await write(at, [{ step: 99 }]);
        expect(unwrap(await readJournal(at))).to.deep.include({ rows: [...rows, { step: 99 }], torn: null, ended: true });
      }
    }
  });

  it('zeros at the end, as a power failure leaves them, are a torn end', async () => {
    const at = path.join(temporaryFolder(), 'steps.jsonl');
    fs.writeFileSync(at, '{"step":1}\n\0\0\0\0');
    expect(unwrap(await readJournal(at)).rows).to.deep.equal([{ step: 1 }]);
    await write(at, [{ step: 2 }]);
    expect(fs.readFileSync(at, 'utf8')).to.equal('{"step":1}\n{"step":2}\n');
  });

  it('a last line whose beginning never reached the disk is a torn end, its newline there or not', async () => {
    const at = path.join(temporaryFolder(), 'steps.jsonl');
    for (const end of ['\n', '']) {
      fs.writeFileSync(at, `{"step":1}\n\0\0\0\0\0,"ms":2}${end}`);
      expect(unwrap(await readJournal(at)).rows).to.deep.equal([{ step: 1 }]);
      await write(at, [{ step: 2 }]);
      expect(fs.readFileSync(at, 'utf8')).to.equal('{"step":1}\n{"step":2}\n');
    }
  });

  it('a broken line in the middle is a fault that names it', async () => {
    const at = path.join(temporaryFolder(), 'steps.jsonl');
    fs.writeFileSync(at, '{"step":1}\n{"st\n{"step":3}\n');
    const read = await readJournal(at);
    expect(read.ok ? '' : read.fault.message).to.equal(`${at}, line 2 is not a JSON object.`);
    expect((await openJournal(at)).ok).to.equal(false);
  });

  it('keeps the first n rows', async () => {
    const at = path.join(temporaryFolder(), 'steps.jsonl');
    await fc.assert(
      fc.asyncProperty(fc.nat(5), fc.nat(5), fc.boolean(), async (have, keep, torn) => {
        fs.rmSync(at, { force: true });
        await write(at, rowsOf(have));
        if (torn) fs.appendFileSync(at, '{"step');
        const cut = await truncateJournal(at, keep);
        expect(cut.ok).to.equal(keep <= have);
        if (cut.ok) expect(unwrap(await readJournal(at))).to.deep.include({ rows: rowsOf(keep), torn: null });
      }),
      { numRuns: 40 },
    );
  });

  it('rows keep the order of the calls, and a failed append leaves no part of a row', async () => {
    const at = path.join(temporaryFolder(), 'steps.jsonl');
    const { value } = await withFault({ at: 2, code: 'ENOSPC', counts: (operation) => operation === 'handle.datasync' }, async () => {
      const journal = unwrap(await openJournal(at));
      const written = await Promise.all(rowsOf(5).map((row) => journal.append(row)));
      await journal.close();
      return written;
    });
    expect(value.map(({ ok }) => ok)).to.deep.equal([true, true, false, true, true]);
    expect(unwrap(await readJournal(at)).rows.map(({ step }) => step)).to.deep.equal([1, 2, 4, 5]);
  });
});
