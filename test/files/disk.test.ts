import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { UNFINISHED, writeAtomic, writeJson, writeStreamed } from '../../src/files/atomic-write';
import { copyFile, linkOrCopy } from '../../src/files/copy';
import { freeBytes } from '../../src/files/disk-fault';
import { fileSystem } from '../../src/files/file-system';
import { kindOf, listFolder, makeFolder, makeNewFolder, removeFolder } from '../../src/files/folder';
import { openRanged, rangedPool } from '../../src/files/ranged';
import { readBytes, readJson, readText } from '../../src/files/read';
import { readableSize } from '../../src/files/readable-size';
import { sha256File, sha256Of } from '../../src/files/sha256';
import { type Result, sentence, unwrap } from '../../src/protocol/fault';
import { withFault } from './faults';
import { temporaryFolder } from './temporary-folder';

const said = <T>(result: Result<T>): string => (result.ok ? expect.fail('it went well') : sentence(result.fault));

describe('reading files', () => {
  it('reads exactly the range asked for, and a short file is a fault that counts what is missing', async () => {
    const at = path.join(temporaryFolder(), 'a');
    fs.writeFileSync(at, 'hello world');
    const file = unwrap(await openRanged(at));
    expect(Buffer.from(unwrap(await file.read(6, 5))).toString()).to.equal('world');
    const into = new Uint8Array(8);
    expect(unwrap(await file.read(0, 5, into)).buffer).to.equal(into.buffer);
    expect(said(await file.read(8, 5))).to.match(/ends at byte 11: 2 bytes are missing there/);
    await file.close();
  });

  it('a folder, a missing file, a file that is too large, text that is none: one sentence each', async () => {
    const folder = temporaryFolder();
    expect(said(await openRanged(folder))).to.match(/is not a plain file|is a folder/);
    expect(said(await readText(path.join(folder, 'none')))).to.equal(
      `Can't open ${path.join(folder, 'none')}: there is no such file or folder. Check the path.`,
    );
    fs.writeFileSync(path.join(folder, 'b'), Buffer.from([0xff, 0xfe, 0x41]));
    expect(said(await readText(path.join(folder, 'b')))).to.match(/is not UTF-8 text/);
    expect(said(await readBytes(path.join(folder, 'b'), 2))).to.match(/has 3 bytes; at most 2 bytes/);
    fs.writeFileSync(path.join(folder, 'c'), '{"a": 1');
    expect(said(await readJson(path.join(folder, 'c')))).to.match(/c is not valid JSON/);
  });

  it('a key __proto__ in JSON changes nothing', async () => {
    const at = path.join(temporaryFolder(), 'a.json');
    fs.writeFileSync(at, '{"__proto__": {"evil": 1}, "a": {"__proto__": {"evil": 2}}}');
    const value = unwrap(await readJson(at)) as { a: object };
    expect(Object.assign({}, value)).to.not.have.property('evil');
    expect(Object.assign({}, value.a)).to.not.have.property('evil');
  });

  it('a pool keeps few files open, and notices a file that was replaced', async () => {
    const folder = temporaryFolder();
    const names = ['a', 'b', 'c', 'd', 'e'].map((name) => path.join(folder, name));
    for (const name of names) fs.writeFileSync(name, path.basename(name).repeat(100));
    const pool = rangedPool(2);
    const reads = await Promise.all([...names, ...names].map((name) => pool.read(name, 10, 3)));
    expect(reads.map((read) => Buffer.from(unwrap(read)).toString())).to.deep.equal([...names, ...names].map((name) => path.basename(name).repeat(3)));
    expect(pool.open()).to.be.at.most(2);
    // Read last, the others are the two that are still open.
    for (const name of names.slice(1)) unwrap(await pool.read(name, 0, 1));
    fs.writeFileSync(`${names[0]}.new`, 'x'.repeat(100));
    fs.renameSync(`${names[0]}.new`, names[0]);
    expect(said(await pool.read(names[0], 0, 1))).to.match(/was changed while it was in use. Open the checkpoint again/);
    await pool.close();
    expect(pool.open()).to.equal(0);
    expect(said(await pool.read(names[1], 0, 1))).to.match(/after its checkpoint was closed/);
  });

  it('hashes a file and a range of it in pieces', async () => {
    const at = path.join(temporaryFolder(), 'a');
    const content = Buffer.alloc(9 << 20, 'abcdefg');
    fs.writeFileSync(at, content);
    expect(unwrap(await sha256File(at))).to.equal(`sha256:${createHash('sha256').update(content).digest('hex')}`);
    expect(unwrap(await sha256File(at, { offset: 5, length: 5 << 20 }))).to.equal(sha256Of(content.subarray(5, 5 + (5 << 20))));
    const stopped = await sha256File(at, undefined, AbortSignal.abort());
    expect(stopped).to.deep.include({ ok: false });
    expect(said(stopped)).to.equal('Cancelled.');
  });
});

describe('writing files', () => {
  it('a failure at any file operation leaves the old content or the new, and nothing else', async () => {
    const folder = temporaryFolder();
    const at = path.join(folder, 'run.json');
    let failures = 0;
    for (let number = 0; ; number++) {
      fs.writeFileSync(at, 'old');
      const { value, operations } = await withFault({ at: number, code: 'EIO' }, () => writeAtomic(at, 'new'));
      if (operations <= number) {
        expect(value.ok).to.equal(true);
        break;
      }
      expect(value.ok, `operation ${number}`).to.equal(false);
      // Only syncing the folder comes after the rename.
      expect(fs.readFileSync(at, 'utf8')).to.be.oneOf(['old', 'new']);
      expect(fs.readdirSync(folder)).to.deep.equal(['run.json']);
      failures++;
    }
    expect(failures).to.be.at.least(5);
    expect(fs.readFileSync(at, 'utf8')).to.equal('new');
  });

  it('cancelled while it streams, nothing is left', async () => {
    const folder = temporaryFolder();
    const stopped = await writeStreamed(path.join(folder, 'a'), async (write) => {
      await write(new Uint8Array(10));
      AbortSignal.abort().throwIfAborted();
    });
    expect(said(stopped)).to.equal('Cancelled.');
    expect(fs.readdirSync(folder)).to.deep.equal([]);
  });

  it('writes what one call of the operating system does not take at once', async () => {
    const at = path.join(temporaryFolder(), 'a');
    const { open } = fileSystem;
    Object.assign(fileSystem, {
      open: async (name: string, flags: string, mode?: number) => {
        const handle = await open(name, flags, mode);
        const write = handle.write.bind(handle);
        return new Proxy(handle, {
          get: (target, key) =>
            key === 'write'
              ? (bytes: Uint8Array, offset: number, length: number) => write(bytes, offset, Math.min(length, 3))
              : typeof Reflect.get(target, key) === 'function'
                ? (Reflect.get(target, key) as () => unknown).bind(target)
                : Reflect.get(target, key),
        });
      },
    });
    try {
      unwrap(await writeAtomic(at, '0123456789'));
    } finally {
      Object.assign(fileSystem, { open });
    }
    expect(fs.readFileSync(at, 'utf8')).to.equal('0123456789');
  });

  const sentences: [string, RegExp][] = [
    ['EACCES', /permission denied\. Change its permissions, or use a place you may write to/],
    ['EROFS', /file system is read-only\. Use a place you may write to/],
    ['ENOSPC', /the disk is full \(3 bytes needed, .* free\)\. Free some space/],
    ['EDQUOT', /quota is used up/],
    ['EIO', /input\/output error\. Check the disk/],
    ['EMFILE', /too many open files\. Raise the limit/],
    ['ENOTDIR', /part of the path is a file/],
    ['EWEIRD', /the system says EWEIRD/],
  ];
  for (const [code, text] of sentences) {
    it(`${code} is a sentence with the path and the remedy`, async () => {
      const at = path.join(temporaryFolder(), 'a');
      const { value } = await withFault({ at: 0, code }, () => writeAtomic(at, 'new'));
      expect(said(value)).to.match(text).and.include(at);
    });
  }

  it('a really full disk leaves nothing', function () {
    const mount = temporaryFolder();
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mount]).status !== 0) this.skip();
    return (async () => {
      try {
        fs.writeFileSync(path.join(mount, 'a'), 'old');
        expect(said(await writeAtomic(path.join(mount, 'a'), new Uint8Array(1 << 20)))).to.match(/the disk is full \(1 MB needed, .* kB free\)/);
        expect(fs.readdirSync(mount)).to.deep.equal(['a']);
        expect(fs.readFileSync(path.join(mount, 'a'), 'utf8')).to.equal('old');
      } finally {
        execFileSync('umount', [mount]);
      }
    })();
  });

  it('writes JSON, and copies or links with the same bytes', async () => {
    const folder = temporaryFolder();
    const at = path.join(folder, 'a.json');
    unwrap(await writeJson(at, { a: [1] }));
    expect(fs.readFileSync(at, 'utf8')).to.equal('{\n  "a": [\n    1\n  ]\n}\n');
    fs.chmodSync(at, 0o640);
    unwrap(await copyFile(at, path.join(folder, 'b')));
    expect(fs.statSync(path.join(folder, 'b')).mode & 0o777).to.equal(0o640);
    expect(unwrap(await linkOrCopy(at, path.join(folder, 'c')))).to.equal('linked');
    expect(fs.statSync(path.join(folder, 'c')).ino).to.equal(fs.statSync(at).ino);
    const { value } = await withFault({ at: 0, code: 'EXDEV', counts: (operation) => operation === 'link' }, () => linkOrCopy(at, path.join(folder, 'd')));
    expect(unwrap(value)).to.equal('copied');
    expect(fs.readFileSync(path.join(folder, 'd'))).to.deep.equal(fs.readFileSync(at));
    expect(said(await linkOrCopy(at, path.join(folder, 'd')))).to.match(/exists already/);
  });
});

describe('folders', () => {
  it('are made, listed, told apart and removed', async () => {
    const folder = temporaryFolder();
    unwrap(await makeFolder(path.join(folder, 'x', 'y')));
    expect(said(await makeNewFolder(path.join(folder, 'x')))).to.match(/exists already/);
    fs.writeFileSync(path.join(folder, 'b'), '');
    fs.symlinkSync('b', path.join(folder, 'a'));
    fs.symlinkSync('nowhere', path.join(folder, 'c'));
    expect(unwrap(await listFolder(folder))).to.deep.equal([
      { name: 'a', kind: 'file', link: true },
      { name: 'b', kind: 'file', link: false },
      { name: 'c', kind: 'absent', link: true },
      { name: 'x', kind: 'folder', link: false },
    ]);
    unwrap(await removeFolder(path.join(folder, 'x')));
    unwrap(await removeFolder(path.join(folder, 'x')));
    expect(unwrap(await kindOf(path.join(folder, 'x')))).to.equal('absent');
  });

  it('know the free space of a path that does not exist yet', async () => {
    expect(await freeBytes(path.join(os.tmpdir(), 'no', 'such', 'folder'))).to.be.greaterThan(0);
  });

  it('sizes are readable', () => {
    expect([0, 1, 999, 1000, 1549, 999_949, 999_999, 15e8, 2e15].map(readableSize)).to.deep.equal([
      '0 bytes',
      '1 byte',
      '999 bytes',
      '1 kB',
      '1.5 kB',
      '999.9 kB',
      '1 MB',
      '1.5 GB',
      '2000 TB',
    ]);
    expect(UNFINISHED).to.match(/^\./);
  });
});
