/** What faults of the disk once broke, and what the user reads now. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { exportCheckpoint } from '../../src/checkpoint/export-checkpoint';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { leaving } from '../../src/engine/lane';
import { knownRuns } from '../../src/experiment/comparison-runs';
import { nextNumber, readRunFolder, resolveRun, runsFolder } from '../../src/experiment/history';
import { diskReader } from '../../src/experiment/run-reader';
import { fileSystem } from '../../src/files/file-system';
import { listFolder, makeFolder } from '../../src/files/folder';
import { takeLock } from '../../src/files/lock';
import { rangedPool } from '../../src/files/ranged';
import { readText } from '../../src/files/read';
import { type Fault, type Result, sentence, unwrap } from '../../src/protocol/fault';
import { openReadAhead } from '../../src/weights/read-ahead';
import { threeShards, writeFolder } from '../checkpoint/small-checkpoint';
import { movedBy } from '../checkpoint/small-patch';
import { runFolder } from '../experiment/run-fixture';
import { plantFault, withFault } from '../files/faults';
import { temporaryFolder } from '../files/temporary-folder';
import { newEngine } from './fault-scene';

const said = <T>(result: Result<T>): string => (result.ok ? expect.fail('it went well') : sentence(result.fault));

/** A workspace with one run that is done. */
function workspaceWithRun(): { workspace: string; run: string; id: string } {
  const workspace = temporaryFolder();
  const { record, recipe, evaluation } = runFolder();
  const run = path.join(runsFolder(workspace), record.id);
  fs.mkdirSync(run, { recursive: true });
  for (const [name, value] of Object.entries({ run: record, recipe, evaluation })) fs.writeFileSync(path.join(run, `${name}.json`), JSON.stringify(value));
  return { workspace, run, id: record.id };
}

describe('what faults of the disk once broke', () => {
  it('a network drive that is away has a sentence of its own', async () => {
    const at = path.join(temporaryFolder(), 'a');
    fs.writeFileSync(at, 'a');
    const { value } = await withFault({ at: 0, code: 'ENOTCONN' }, () => readText(at));
    expect(said(value)).to.equal(`Can't open ${at}: the network drive is no longer connected. Mount it again, then try again.`);
  });

  it('a run that can not be read just now is not said to be missing, by its id or by its number', async () => {
    const { workspace, run, id } = workspaceWithRun();
    const counts = (operation: string) => operation === 'open';
    for (const name of [id, '1']) {
      const { value } = await withFault({ at: 0, code: 'EIO', counts }, () => resolveRun(diskReader, workspace, name));
      expect(said(value)).to.equal(
        `Can't open ${path.join(run, 'run.json')}: the disk reports an input/output error. Check the disk and its cable or network, then try again.`,
      );
      expect(unwrap(await resolveRun(diskReader, workspace, name))).to.equal(run);
    }
    expect(nextNumber([], 1), 'a number that an unreadable run may have is not given again').to.equal(2);
  });

  it('a drive that goes away while a run is read does not make it one that was never evaluated', async () => {
    const { workspace, run } = workspaceWithRun();
    const away = (at: string) => at.startsWith(run);
    let gone = false;
    const counts = (_: string, at: string) => {
      gone ||= at.endsWith('steps.jsonl');
      return gone && away(at);
    };
    const { value } = await withFault({ at: 0, code: 'ENOENT', lasting: true, counts }, () => readRunFolder(diskReader, run));
    expect(said(value)).to.equal(`Can't open ${path.join(run, 'run.json')}: there is no such file or folder. Check the path.`);
    expect(unwrap(await readRunFolder(diskReader, unwrap(await resolveRun(diskReader, workspace, '1')))).evaluation).to.not.equal(null);
  });

  it('the table of all runs says what it could not read, and reads it the next time', async () => {
    const { workspace, run } = workspaceWithRun();
    const known = knownRuns(diskReader);
    const unread: Fault[] = [];
    const table = () => known.table(runsFolder(workspace), undefined, (fault) => unread.push(fault));
    const counts = (operation: string, at: string) => operation === 'open' && at.endsWith('evaluation.json');
    const { value } = await withFault({ at: 0, code: 'ESTALE', counts }, table);
    expect(unread.map(sentence)).to.deep.equal([
      `Can't open ${path.join(run, 'evaluation.json')}: the network file system lost the file. Mount it again, then try again.`,
    ]);
    expect(value.rows).to.have.length(1);
    const whole = await table();
    expect(unread).to.have.length(1);
    expect(whole).to.not.deep.equal(value);
    const { value: listed } = await withFault({ at: 0, code: 'EIO', counts: (operation) => operation === 'readdir' }, () =>
      table().catch((error: Error) => error),
    );
    expect((listed as Error).message).to.equal(
      `Can't list ${runsFolder(workspace)}: the disk reports an input/output error. Check the disk and its cable or network, then try again.`,
    );
  });

  it('a link whose target the disk does not say is no file that may be left out', async () => {
    const folder = temporaryFolder();
    fs.writeFileSync(path.join(folder, 'card.md'), '#');
    fs.symlinkSync('card.md', path.join(folder, 'README.md'));
    fs.symlinkSync('nothing', path.join(folder, 'dangling'));
    const counts = (operation: string) => operation === 'stat';
    const { value } = await withFault({ at: 0, code: 'EIO', counts }, () => listFolder(folder));
    expect(said(value)).to.equal(
      `Can't look at ${path.join(folder, 'README.md')}: the disk reports an input/output error. Check the disk and its cable or network, then try again.`,
    );
    expect(unwrap(await listFolder(folder)).map(({ name, kind }) => `${name} ${kind}`)).to.deep.equal(['README.md file', 'card.md file', 'dangling absent']);
  });

  it('files that were open when a drive went away are opened anew once it is back', async () => {
    const folder = temporaryFolder();
    const names = ['a', 'b', 'c'].map((name) => path.join(folder, name));
    for (const name of names) fs.writeFileSync(name, path.basename(name).repeat(9));
    const pool = rangedPool();
    const planted = plantFault({ at: 0, code: 'ESTALE', lasting: true });
    try {
      for (const name of names) unwrap(await pool.read(name, 0, 3));
      planted.arm();
      expect(said(await pool.read(names[0], 0, 3))).to.equal(`Can't open ${names[0]}: the network file system lost the file. Mount it again, then try again.`);
      planted.disarm();
      for (const name of names) expect(Buffer.from(unwrap(await pool.read(name, 0, 3))).toString()).to.equal(path.basename(name).repeat(3));
    } finally {
      planted.remove();
      await pool.close();
    }
    expect(said(await pool.read(names[0], 0, 3))).to.equal(`${names[0]} was read after its checkpoint was closed. Open the checkpoint again.`);
  });

  it('a file written over while it is open is noticed, and so is one replaced before the thread that reads ahead has opened it', async () => {
    const at = path.join(temporaryFolder(), 'a');
    fs.writeFileSync(at, 'old');
    const pool = rangedPool();
    unwrap(await pool.read(at, 0, 1));
    fs.writeFileSync(at, 'new');
    fs.utimesSync(at, 1, 1);
    expect(said(await pool.read(at, 0, 3))).to.equal(`${at} was changed while it was in use. Open the checkpoint again.`);
    await pool.close();
    const other = rangedPool();
    other.expect(at, 'another version');
    expect(said(await other.read(at, 0, 3))).to.equal(`${at} was changed while it was in use. Open the checkpoint again.`);
    await other.close();
  });

  it('a checkpoint that was changed on disk is opened as it is now', async () => {
    const folder = path.join(temporaryFolder(), 'model');
    fs.cpSync(path.resolve('test/fixtures/golden/olmoe'), folder, { recursive: true });
    const engine = newEngine();
    const open = async () => unwrap(await engine.ask('openModel', { path: folder })).fingerprint;
    const first = await open();
    expect(await open()).to.equal(first);
    const config = path.join(folder, 'config.json');
    fs.writeFileSync(config, fs.readFileSync(config, 'utf8').replace('"rope_theta": 10000.0', '"rope_theta": 20000.0'));
    expect(await open()).to.not.equal(first);
    await engine.dispose();
  });

  it('an export whose name could not be made to last is taken back, so that it can be tried again', async () => {
    const checkpoint = unwrap(await openCheckpoint(writeFolder(threeShards())));
    const patch = await movedBy(checkpoint, ['layers.0.gate']);
    const home = temporaryFolder();
    const to = path.join(home, 'edited');
    let placed = false;
    const counts = (operation: string, at: string) => {
      placed ||= operation === 'rename' && at.startsWith(path.join(home, '.edited.')) && path.dirname(at) === home;
      return placed && operation === 'handle.sync';
    };
    const { value } = await withFault({ at: 0, code: 'EIO', counts }, () => exportCheckpoint({ checkpoint, patch, to }));
    expect(said(value)).to.equal(`Can't rename ${to}: the disk reports an input/output error. Check the disk and its cable or network, then try again.`);
    expect(fs.readdirSync(home)).to.deep.equal([]);
    unwrap(await exportCheckpoint({ checkpoint, patch, to }));
    await checkpoint.close();
  });

  it('a folder that can not be made says why, and leaves none of those above it', async () => {
    const home = temporaryFolder();
    const to = path.join(home, 'a', 'b', 'c');
    const counts = (operation: string, at: string) => operation === 'mkdir' && at.endsWith('b');
    // The first try finds that the folder above is missing.
    const { value } = await withFault({ at: 1, code: 'EROFS', counts }, () => makeFolder(to));
    expect(said(value)).to.equal(`Can't make the folder ${to}: the file system is read-only. Use a place you may write to.`);
    expect(fs.readdirSync(home)).to.deep.equal([]);
    expect(unwrap(await makeFolder(to))).to.equal(path.join(home, 'a'));
    expect(unwrap(await makeFolder(to))).to.equal(undefined);
    const { value: away } = await withFault({ at: 0, code: 'ETIMEDOUT', counts: (operation) => operation === 'stat' }, () => makeFolder(to));
    expect(said(away)).to.equal(`Can't make the folder ${to}: the file system did not answer in time. Check the network, then try again.`);
  });

  it('a lock is given back although the disk was away for a moment', async () => {
    const at = path.join(temporaryFolder(), '.lock');
    const lock = unwrap(await takeLock(at));
    await withFault({ at: 0, code: 'ETIMEDOUT' }, () => lock.release());
    expect(fs.existsSync(at)).to.equal(false);
  });

  it('a cancel is answered at once, although the disk does not answer at all', async () => {
    const stop = new AbortController();
    const { open } = fileSystem;
    let answer = () => undefined as unknown;
    const at = path.join(temporaryFolder(), 'a');
    fs.writeFileSync(at, 'a');
    const hanging: typeof open = async (...args) => {
      await new Promise((resolve) => {
        answer = () => resolve(undefined);
      });
      return open(...args);
    };
    Object.assign(fileSystem, { open: hanging });
    try {
      const reading = leaving(readText(at), stop.signal).catch((error: Error) => error.message);
      stop.abort();
      expect(await reading).to.equal('Cancelled.');
    } finally {
      answer();
      Object.assign(fileSystem, { open });
    }
  });

  it('a thread that has ended keeps nobody waiting for what it was to read', async () => {
    const at = path.join(temporaryFolder(), 'a');
    fs.writeFileSync(at, Buffer.alloc(1 << 20));
    const ahead = openReadAhead(2 ** 22);
    if (!ahead) return expect.fail('no shared memory');
    const place = { file: at, version: '', offset: 0, bytes: 1 << 20, dtype: 'F32', shape: [1 << 18] } as const;
    const slot = ahead.take('a', place);
    ahead.close();
    expect((await slot)?.fault ?? null).to.satisfy((fault: Fault | null) => fault === null || fault.code === 'conflict');
  });
});
