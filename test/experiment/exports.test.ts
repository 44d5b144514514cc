import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { exportLock } from '../../src/checkpoint/export-checkpoint';
import { cutExports, notedExport } from '../../src/experiment/exports';
import { takeLock } from '../../src/files/lock';
import { unwrap } from '../../src/protocol/fault';
import { withFault } from '../files/faults';
import { temporaryFolder } from '../files/temporary-folder';

describe('an export that was cut short', () => {
  it('is told of until there is one under that name; one under way, failed or whole is not', async () => {
    const workspace = temporaryFolder();
    const to = path.join(workspace, 'out');
    const run = path.join(workspace, '.uoe', 'runs', 'run-1');
    const during: (readonly string[])[] = [];
    await notedExport(run, to, async () => {
      const lock = unwrap(await takeLock(exportLock(to)));
      during.push(await cutExports(workspace));
      await lock.release();
    });
    await notedExport(run, to, () => Promise.reject(new Error('a full disk'))).catch(() => undefined);
    expect([...during, await cutExports(workspace)]).to.deep.equal([[], []]);

    let dead = false;
    await withFault({ at: 0, code: 'KILL', counts: () => dead }, () =>
      notedExport(run, to, async () => {
        dead = true;
      }),
    );
    const told = [`The export of run run-1 to ${to} was interrupted, nothing is under that name. Exporting there again clears up what it had written.`];
    expect(await cutExports(workspace)).to.deep.equal(told);
    expect(await cutExports(workspace)).to.deep.equal(told);
    fs.mkdirSync(to);
    fs.writeFileSync(path.join(to, 'config.json'), '{}');
    expect(await cutExports(workspace)).to.deep.equal([]);
    expect(fs.readdirSync(path.join(workspace, '.uoe', 'exports'))).to.deep.equal([]);
    // A run folder that lies anywhere is exported without a note.
    expect(await notedExport(path.join(workspace, 'archive', 'run-2'), to, async () => 'done')).to.equal('done');
    expect(fs.readdirSync(workspace).sort()).to.deep.equal(['.uoe', 'out']);
  });
});
