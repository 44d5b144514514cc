import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { writeAtomic } from '../../src/files/atomic-write';
import { fileSystem } from '../../src/files/file-system';
import { makeFolder } from '../../src/files/folder';
import { unwrap } from '../../src/protocol/fault';
import { temporaryFolder } from '../files/temporary-folder';
import { randomOf } from '../oracle/random';
import { recordDisk } from './power-cut';

/** What a file may hold after a cut at any instant, and after the work was done. */
async function outcomes(write: (at: string) => Promise<void>): Promise<{ ever: Set<string>; after: Set<string> }> {
  const root = path.join(temporaryFolder(), 'disk');
  fs.mkdirSync(root);
  fs.writeFileSync(path.join(root, 'file'), 'old');
  const { recording } = await recordDisk(root, async (mark) => {
    await write(path.join(root, 'file'));
    mark('done');
  });
  const ever = new Set<string>();
  const after = new Set<string>();
  const random = randomOf('cuts');
  for (let i = 0; i < 300; i++) {
    const cut = random.integer(0, recording.instants);
    const to = path.join(root, '..', `cut-${i}`);
    recording.lay(cut, random, to);
    const at = path.join(to, 'file');
    const found = fs.existsSync(at) ? fs.readFileSync(at, 'latin1') : 'absent';
    ever.add(found);
    if (cut > recording.marks[0].at) after.add(found);
    fs.rmSync(to, { recursive: true });
  }
  return { ever, after };
}

describe('a disk whose power is cut', () => {
  it('of an atomic write leaves the old or the new file, and the new one once it was done', async () => {
    const { ever, after } = await outcomes(async (at) => unwrap(await writeAtomic(at, 'the new one')));
    expect([...ever].sort()).to.deep.equal(['old', 'the new one']);
    expect([...after]).to.deep.equal(['the new one']);
  });

  it('of a write in place leaves a torn file; of a rename without syncs an empty one, or the old one after it was done', async () => {
    const inPlace = await outcomes(async (at) => {
      const handle = await fileSystem.open(at, 'w');
      await handle.write(Buffer.from('the new one'));
      await handle.sync();
      await handle.close();
    });
    expect(inPlace.ever.size).to.be.above(4);
    expect([...inPlace.after]).to.deep.equal(['the new one']);
    const unsynced = await outcomes(async (at) => {
      const handle = await fileSystem.open(`${at}.new`, 'wx');
      await handle.write(Buffer.from('the new one'));
      await handle.close();
      await fileSystem.rename(`${at}.new`, at);
    });
    expect([...unsynced.after]).to.include.members(['old', '', 'the new one']);
  });

  it('leaves every folder that makeFolder made', async () => {
    const root = path.join(temporaryFolder(), 'disk');
    fs.mkdirSync(root);
    const { recording } = await recordDisk(root, async () => unwrap(await makeFolder(path.join(root, 'a', 'b', 'c'))));
    const random = randomOf('folders');
    for (let i = 0; i < 20; i++) {
      const to = path.join(root, '..', `after-${i}`);
      recording.lay(recording.instants, random, to);
      expect(fs.existsSync(path.join(to, 'a', 'b', 'c'))).to.equal(true);
    }
  });
});
