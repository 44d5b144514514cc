import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { fileSystem } from '../../src/files/file-system';
import { isLockHeld, takeLock } from '../../src/files/lock';
import { sentence, unwrap } from '../../src/protocol/fault';
import { withFault } from './faults';
import { temporaryFolder } from './temporary-folder';

const owner = (change: object) => ({ pid: process.pid, host: os.hostname(), since: '2026-01-01T00:00:00Z', started: null, token: 'other', ...change });

describe('locks', () => {
  it('of many who try at once one gets it; after its release the next', async () => {
    const at = path.join(temporaryFolder(), 'lock');
    const tries = await Promise.all(Array.from({ length: 8 }, () => takeLock(at, 'the run')));
    const winners = tries.filter(({ ok }) => ok);
    expect(winners).to.have.length(1);
    const loser = tries.find(({ ok }) => !ok);
    expect(loser && !loser.ok ? sentence(loser.fault) : '').to.match(
      new RegExp(`the run is in use by process ${process.pid} on .* since 20.*Wait until it is done`),
    );
    await unwrap(winners[0]).release();
    expect(fs.readdirSync(path.dirname(at))).to.deep.equal([]);
    await unwrap(await takeLock(at)).release();
  });

  it('one left by a dead process of this host is taken over', async () => {
    const at = path.join(temporaryFolder(), 'lock');
    const { pid } = spawnSync(process.execPath, ['-e', '0']);
    fs.writeFileSync(at, JSON.stringify(owner({ pid })));
    const lock = unwrap(await takeLock(at));
    expect(JSON.parse(fs.readFileSync(at, 'utf8'))).to.deep.equal(lock.owner);
    await lock.release();
  });

  it('one whose process id was given to another process since is taken over', async function () {
    if (process.platform !== 'linux') this.skip();
    const at = path.join(temporaryFolder(), 'lock');
    fs.writeFileSync(at, JSON.stringify(owner({ pid: process.ppid, started: '1' })));
    expect((await takeLock(at)).ok).to.equal(true);
  });

  it('one with our own process id that we do not hold is taken over: from before a restart, or a release that failed', async () => {
    const at = path.join(temporaryFolder(), 'lock');
    fs.writeFileSync(at, JSON.stringify(owner({})));
    const lock = unwrap(await takeLock(at));
    await withFault({ at: 0, code: 'KILL' }, () => lock.release());
    expect(fs.existsSync(at)).to.equal(true);
    expect((await takeLock(at)).ok).to.equal(true);
    expect((await takeLock(at)).ok).to.equal(false);
  });

  it('one taken before the machine was started again is taken over, whoever has its process id now', async function () {
    if (process.platform !== 'linux') this.skip();
    const at = path.join(temporaryFolder(), 'lock');
    fs.writeFileSync(at, JSON.stringify(owner({ pid: process.ppid, boot: 'an earlier one' })));
    expect((await takeLock(at)).ok).to.equal(true);
  });

  it('one that can not be looked at, of another machine or container, is taken over once its owner has not touched it for long', async () => {
    const at = path.join(temporaryFolder(), 'lock');
    for (const change of [{ host: 'elsewhere' }, ...(process.platform === 'linux' ? [{ space: 'pid:[1]', pid: 999_999_999 }] : [])]) {
      fs.writeFileSync(at, JSON.stringify(owner({ ...change, lease: 60_000 })));
      expect((await takeLock(at)).ok, 'just touched').to.equal(false);
      expect(await isLockHeld(at)).to.equal(true);
      const earlier = new Date(Date.now() - 61_000);
      fs.utimesSync(at, earlier, earlier);
      expect(await isLockHeld(at)).to.equal(false);
      await unwrap(await takeLock(at)).release();
    }
  });

  it('is touched while it is held, and its owner hears when somebody else has it', async () => {
    const at = path.join(temporaryFolder(), 'lock');
    const lock = unwrap(await takeLock(at, 'the run', { every: 10 }));
    const earlier = new Date(Date.now() - 3_600_000);
    fs.utimesSync(at, earlier, earlier);
    while (fs.statSync(at).mtimeMs < Date.now() - 60_000) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(JSON.parse(fs.readFileSync(at, 'utf8'))).to.deep.equal(lock.owner);
    fs.writeFileSync(at, JSON.stringify(owner({})));
    while (!lock.lost.aborted) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(() => lock.lost.throwIfAborted()).to.throw(
      `the run was in work here, but its lock ${at} is held by process ${process.pid} on ${os.hostname()} now.`,
    );
    await lock.release();
    expect(fs.existsSync(at)).to.equal(true);
  });

  it('that is gone, or somebody else’s, is told at the next look, long before the next touch', async () => {
    const at = path.join(temporaryFolder(), 'lock');
    const said = async (spoil: () => void): Promise<string> => {
      const lock = unwrap(await takeLock(at, 'the run'));
      await lock.check();
      spoil();
      const look = await lock.check().then(
        () => 'nothing',
        (error: Error) => error.message,
      );
      expect(lock.lost.aborted).to.equal(true);
      await lock.release();
      fs.rmSync(at, { force: true });
      return look.replace(at, 'LOCK');
    };
    const after = 'This process has stopped; see what the other one made of it before you go on.';
    expect(await said(() => fs.rmSync(at))).to.equal(
      `the run was in work here, but its lock LOCK is gone: it was removed, or taken over by a process that is done by now. ${after}`,
    );
    expect(await said(() => fs.writeFileSync(at, JSON.stringify(owner({ pid: 7, host: 'elsewhere' }))))).to.equal(
      `the run was in work here, but its lock LOCK is held by process 7 on elsewhere now. ${after}`,
    );
    expect(await said(() => fs.writeFileSync(at, 'what?'))).to.equal(`the run was in work here, but its lock LOCK names no owner any more. ${after}`);
  });

  it('of many who find one left behind one gets it', async () => {
    const at = path.join(temporaryFolder(), 'lock');
    const { pid } = spawnSync(process.execPath, ['-e', '0']);
    for (let i = 0; i < 20; i++) {
      fs.writeFileSync(at, JSON.stringify(owner({ pid })));
      const tries = await Promise.all(Array.from({ length: 6 }, () => takeLock(at)));
      expect(tries.filter(({ ok }) => ok)).to.have.length(1);
      for (const one of tries) if (one.ok) await one.value.release();
      expect(fs.readdirSync(path.dirname(at))).to.deep.equal([]);
    }
  });

  it('of two who remove one left behind none removes what the other has put there since', async () => {
    const at = path.join(temporaryFolder(), 'lock');
    const { pid } = spawnSync(process.execPath, ['-e', '0']);
    fs.writeFileSync(at, JSON.stringify(owner({ pid })));
    // When the first is about to remove it the second comes by and has all the time it needs.
    const { rm } = fileSystem;
    let second: Awaited<ReturnType<typeof takeLock>> | null = null;
    let begun = false;
    fileSystem.rm = async (...given) => {
      if (given[0] === at && !begun) {
        begun = true;
        second = await takeLock(at);
      }
      return rm(...given);
    };
    try {
      const first = await takeLock(at);
      expect([first, second].filter((one) => one?.ok)).to.have.length(1);
    } finally {
      fileSystem.rm = rm;
    }
  });

  it('is not taken for one left behind while its owner gives it back', async () => {
    const at = path.join(temporaryFolder(), 'lock');
    const lock = unwrap(await takeLock(at));
    const { rm } = fileSystem;
    let during: Awaited<ReturnType<typeof takeLock>> | null = null;
    fileSystem.rm = async (...given) => {
      if (given[0] === at && during === null) {
        fileSystem.rm = rm;
        during = await takeLock(at);
      }
      return rm(...given);
    };
    await lock.release();
    expect(during).to.deep.include({ ok: false });
    expect((await takeLock(at)).ok).to.equal(true);
  });

  it('what processes left that were killed while they took it goes with the next; what a living one is about to place stays', async () => {
    const folder = temporaryFolder();
    const at = path.join(folder, 'lock');
    const { pid } = spawnSync(process.execPath, ['-e', '0']);
    const name = (digit: string) => `.lock.${digit.repeat(12)}.uoe-tmp`;
    fs.writeFileSync(path.join(folder, name('0')), JSON.stringify(owner({ pid })));
    fs.writeFileSync(path.join(folder, name('1')), JSON.stringify(owner({ pid: process.ppid })));
    fs.writeFileSync(path.join(folder, name('2')), '{"pid"');
    fs.writeFileSync(path.join(folder, name('3')), '');
    const earlier = new Date(Date.now() - 3_600_000);
    fs.utimesSync(path.join(folder, name('3')), earlier, earlier);
    fs.writeFileSync(`${at}.takeover`, JSON.stringify(owner({ pid })));
    fs.writeFileSync(at, JSON.stringify(owner({ pid })));
    await unwrap(await takeLock(at)).release();
    expect(fs.readdirSync(folder)).to.deep.equal([name('1'), name('2')]);
  });

  it('one of another host, or of a living process, stays', async () => {
    const at = path.join(temporaryFolder(), 'lock');
    for (const change of [{ host: 'elsewhere', pid: 1 }, { pid: process.ppid }]) {
      fs.writeFileSync(at, JSON.stringify(owner(change)));
      const taken = await takeLock(at);
      expect(taken.ok ? '' : taken.fault.code).to.equal('conflict');
    }
  });

  it('one that says nothing is not removed, and a release takes only its own', async () => {
    const at = path.join(temporaryFolder(), 'lock');
    fs.writeFileSync(at, 'what?');
    const taken = await takeLock(at);
    expect(taken.ok ? '' : taken.fault.message).to.match(/doesn't say by whom/);
    // What a power failure left of one has been so for long.
    const earlier = new Date(Date.now() - 3_600_000);
    fs.utimesSync(at, earlier, earlier);
    await unwrap(await takeLock(at)).release();
    const lock = unwrap(await takeLock(at));
    fs.writeFileSync(at, JSON.stringify(owner({})));
    await lock.release();
    expect(fs.existsSync(at)).to.equal(true);
  });
});
