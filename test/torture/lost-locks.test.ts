import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { temporaryFolder } from '../files/temporary-folder';
import { loseLocks } from './lost-locks';

const count = Number(process.env.UOE_TORTURE_COUNT ?? 5);

describe('locks that are lost while they are held', () => {
  it(`by a process that was stopped for long: ${count} times it says so, and the checkpoint is the old or the new one`, async function () {
    if (process.platform !== 'linux') this.skip();
    this.timeout(30_000 + count * 10_000);
    const folder = fs.realpathSync(temporaryFolder());
    const { failures } = await loseLocks(folder, path.join(__dirname, 'lost-lock.js'), count, Number(process.env.UOE_SEED ?? 2));
    expect(failures).to.deep.equal([]);
  });
});
