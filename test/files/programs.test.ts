import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { runProgram } from '../../src/files/programs';
import { pinned, pinnedCuda, pinnedGpu } from '../../src/tensor/native/pinned';
import { temporaryFolder } from './temporary-folder';

describe('programs that the set-up starts', () => {
  it('find nothing in the folder that the user is in', async () => {
    const folder = temporaryFolder();
    fs.writeFileSync(path.join(folder, 'zipfile.py'), 'raise SystemExit(7)');
    const before = process.cwd();
    process.chdir(folder);
    try {
      const { out } = await runProgram(process.execPath, ['-p', 'process.cwd()']);
      expect(out.trim()).to.equal(path.parse(folder).root);
      const python = await runProgram('python3', ['-c', 'import zipfile; print(len(zipfile.__name__))']);
      if (!python.absent) expect(python.code, python.errors).to.equal(0);
    } finally {
      process.chdir(before);
    }
  });

  it('fetch only files whose SHA-256 is written down', () => {
    for (const { name, sha256, version } of [pinned, pinnedGpu, ...pinnedCuda]) {
      expect(sha256, name).to.match(/^[0-9a-f]{64}$/);
      expect(version, name).to.match(/^[\d.]+$/);
    }
    const source = fs.readFileSync('src/tensor/native/library.ts', 'utf8');
    const fetching = source.match(/await pip\(\[[^\]]*/g) ?? [];
    expect(fetching).to.have.length(3);
    for (const call of fetching) expect(call).to.match(/'--version'|'download'.*'--require-hashes'|'install'.*'--no-index'/);
  });
});
