import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import type { Checkpoint } from '../../src/checkpoint/checkpoint';
import { type ChangeProgress, exportCheckpoint } from '../../src/checkpoint/export-checkpoint';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { proveOnlyChanged } from '../../src/checkpoint/proof';
import { roundPatch } from '../../src/checkpoint/round-patch';
import { type Result, sentence, unwrap } from '../../src/protocol/fault';
import { type Patch, parseUnitName } from '../../src/protocol/tensors';
import { withFault } from '../files/faults';
import { temporaryFolder } from '../files/temporary-folder';
import { filled, shardName, snapshot, threeShards, writeFolder } from './small-checkpoint';
import { movedBy, SOME_UNITS } from './small-patch';

const said = <T>(result: Result<T>): string => (result.ok ? expect.fail('it went well') : sentence(result.fault));

/** A checkpoint of three shards, open, with a patch of two of them; closed after the work. */
async function patched(work: (given: { checkpoint: Checkpoint; patch: Patch; to: string; folder: string }) => Promise<void>): Promise<void> {
  const folder = writeFolder(threeShards());
  fs.writeFileSync(path.join(folder, 'pytorch_model.bin'), 'the original');
  fs.mkdirSync(path.join(folder, 'additional_chat_templates'));
  fs.writeFileSync(path.join(folder, 'additional_chat_templates', 'rag.jinja'), 'x');
  const checkpoint = unwrap(await openCheckpoint(folder));
  try {
    await work({ checkpoint, patch: await movedBy(checkpoint, SOME_UNITS), to: path.join(path.dirname(folder), 'out', 'exported'), folder });
  } finally {
    await checkpoint.close();
  }
}

/** The exported folder holds exactly the patch, rounded, and everything else as it was. */
async function expectExported(checkpoint: Checkpoint, patch: Patch, to: string): Promise<void> {
  const after = unwrap(await openCheckpoint(to));
  const rounded = unwrap(await roundPatch(patch, checkpoint)).patch;
  for (const [unit, { shape, values }] of rounded.units) expect(unwrap(await after.readValues({ ...parseUnitName(unit), shape })), unit).to.deep.equal(values);
  let frozen = 0;
  for (const entry of checkpoint.tensors.values()) {
    for (let index = 0; index < entry.shape[0]; index++) {
      if (patch.units.has(entry.name) || patch.units.has(`${entry.name}[${index}]`)) continue;
      const ref = { name: entry.name, index, shape: entry.shape.slice(1) };
      expect(unwrap(await after.read(ref)).bytes, `${entry.name}[${index}]`).to.deep.equal(unwrap(await checkpoint.read(ref)).bytes);
      frozen++;
    }
  }
  expect(frozen).to.be.greaterThan(10);
  expect(after.shards.map(({ file, bytes }) => [file, bytes])).to.deep.equal(checkpoint.shards.map(({ file, bytes }) => [file, bytes]));
  await after.close();
}

describe('exporting a checkpoint', () => {
  for (const link of [false, true]) {
    it(`${link ? 'with hard links' : 'by copying'}: only the patch is different, every other file comes along, the original stays`, () =>
      patched(async ({ checkpoint, patch, to, folder }) => {
        const before = snapshot(folder);
        const seen: ChangeProgress[] = [];
        const result = unwrap(await exportCheckpoint({ checkpoint, patch, to, link, onProgress: (progress) => seen.push(progress) }));
        await expectExported(checkpoint, patch, to);
        expect(snapshot(folder)).to.deep.equal(before);
        expect(fs.readdirSync(path.dirname(to))).to.deep.equal(['exported']);
        expect(Object.keys(snapshot(to))).to.deep.equal(Object.keys(before).filter((name) => name !== 'pytorch_model.bin'));
        expect(result).to.deep.include({ folder: to, changed: [...SOME_UNITS].sort(), linked: link ? 1 : 0, leftBehind: ['pytorch_model.bin'], warnings: [] });
        // 2 untouched tensors, 2 other slices of up, 3 of bias, 3 headers, config, tokenizer, index, template.
        expect(result.proof).to.deep.equal({ checked: 14, equal: 14, differing: [] });
        expect(fs.statSync(path.join(to, shardName(2, 3))).ino === fs.statSync(path.join(folder, shardName(2, 3))).ino).to.equal(link);
        expect(fs.statSync(path.join(to, shardName(0, 3))).ino).to.not.equal(fs.statSync(path.join(folder, shardName(0, 3))).ino);
        expect(seen.filter(({ phase }) => phase === 'write').at(-1)).to.deep.include({ done: result.bytesWritten, total: result.bytesWritten });
        expect(seen.at(-1)?.phase).to.equal('prove');
        for (const { done, total } of seen) expect(done).to.be.at.most(total);
      }));
  }

  it('copies where a hard link is not possible', () =>
    patched(async ({ checkpoint, patch, to }) => {
      const { value } = await withFault({ at: 0, code: 'EXDEV', counts: (operation, at) => operation === 'link' && !at.includes('.lock') }, () =>
        exportCheckpoint({ checkpoint, patch, to, link: true }),
      );
      expect(unwrap(value).linked).to.equal(0);
      await expectExported(checkpoint, patch, to);
    }));

  it('patches larger than a piece, across the borders of pieces', async () => {
    const big = filled('F32', [3, 1000, 600], 5);
    const checkpoint = unwrap(await openCheckpoint(writeFolder([{ a: filled('BF16', [101]), big, z: filled('F32', [4]) }])));
    const patch = await movedBy(checkpoint, ['big[1]', 'z'], 1);
    const to = path.join(temporaryFolder(), 'out');
    unwrap(await exportCheckpoint({ checkpoint, patch, to }));
    const after = unwrap(await openCheckpoint(to));
    const same = async (unit: string, shape: number[]) =>
      Buffer.compare(
        unwrap(await after.read({ ...parseUnitName(unit), shape })).bytes,
        unwrap(await checkpoint.read({ ...parseUnitName(unit), shape })).bytes,
      ) === 0;
    expect([
      await same('a', [101]),
      await same('big[0]', [1000, 600]),
      await same('big[1]', [1000, 600]),
      await same('big[2]', [1000, 600]),
      await same('z', [4]),
    ]).to.deep.equal([true, true, false, true, false]);
    expect(unwrap(await after.readValues({ name: 'big', index: 1, shape: [1000, 600] }))).to.deep.equal(patch.units.get('big[1]')?.values);
    await after.close();
    await checkpoint.close();
  });

  it('a place that will not do is one sentence', () =>
    patched(async ({ checkpoint, patch, folder, to }) => {
      const tried = async (place: string) => said(await exportCheckpoint({ checkpoint, patch, to: place }));
      const before = snapshot(folder);
      expect(await tried(folder)).to.match(/it is the opened checkpoint or lies inside it/);
      expect(await tried(path.join(folder, 'x', 'y'))).to.match(/it is the opened checkpoint or lies inside it/);
      fs.symlinkSync(folder, path.join(path.dirname(folder), 'alias'));
      expect(await tried(path.join(path.dirname(folder), 'alias', 'x'))).to.match(/lies inside it/);
      expect(await tried(path.join(folder, 'config.json'))).to.match(/lies inside it/);
      fs.mkdirSync(to, { recursive: true });
      fs.writeFileSync(path.join(to, 'mine'), 'x');
      expect(await tried(to)).to.match(/the folder is not empty/);
      expect(await tried(path.join(to, 'mine'))).to.match(/there is a file of that name/);
      fs.rmSync(path.join(to, 'mine'));
      expect((await exportCheckpoint({ checkpoint, patch, to })).ok).to.equal(true);
      expect(snapshot(folder)).to.deep.equal(before);
    }));

  it('takes no file of yours along that a link of the checkpoint points at; links within it are copied', () =>
    patched(async ({ checkpoint, patch, folder, to }) => {
      const [file] = checkpoint.otherFiles.filter((name) => name !== 'config.json');
      const [at, secret] = [path.join(folder, file), path.join(path.dirname(folder), 'secret')];
      fs.renameSync(at, secret);
      fs.symlinkSync(secret, at);
      expect(said(await exportCheckpoint({ checkpoint, patch, to }))).to.equal(
        `${at} is a link that points outside its folder (${fs.realpathSync(secret)}). Copy the file into the folder.`,
      );
      expect(fs.existsSync(to)).to.equal(false);
      fs.rmSync(at);
      fs.renameSync(secret, path.join(folder, 'elsewhere'));
      fs.symlinkSync(path.join(folder, 'elsewhere'), at);
      unwrap(await exportCheckpoint({ checkpoint, patch, to }));
    }));

  it('a failure at any file operation leaves nothing under the final name, and the original as it was', () =>
    patched(async ({ checkpoint, patch, to, folder }) => {
      const before = snapshot(folder);
      let finished = false;
      for (let number = 0; !finished; number += 1 + Math.floor(number / 12)) {
        const { value, operations } = await withFault({ at: number, code: 'EIO' }, () => exportCheckpoint({ checkpoint, patch, to, link: number % 2 === 0 }));
        finished = operations <= number;
        if (finished || value.ok) {
          // Some faults cost nothing: an unknown amount of free space, a process that can't be looked at.
          expect(value.ok).to.equal(true);
          await expectExported(checkpoint, patch, to);
        } else if (fs.existsSync(to)) {
          // Only syncing the folder comes after the last rename: what is there is whole.
          await expectExported(checkpoint, patch, to);
        }
        fs.rmSync(path.dirname(to), { recursive: true, force: true });
        expect(snapshot(folder)).to.deep.equal(before);
      }
    }));

  it('a disk that is too small is refused before anything is written; one that fills up leaves nothing', function () {
    const mount = temporaryFolder();
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=40k', 'tmpfs', mount]).status !== 0) this.skip();
    return patched(async ({ checkpoint, patch }) => {
      try {
        const to = path.join(mount, 'out');
        fs.writeFileSync(path.join(mount, 'filler'), Buffer.alloc(36 << 10));
        expect(said(await exportCheckpoint({ checkpoint, patch, to }))).to.match(/the disk is full \(.* needed, .* free\)/);
        expect(fs.readdirSync(mount)).to.deep.equal(['filler']);
        const { value } = await withFault({ at: 0, code: 'ENOSYS', counts: (operation) => operation === 'statfs' }, () =>
          exportCheckpoint({ checkpoint, patch, to }),
        );
        expect(said(value)).to.match(/Can't write .*: the disk is full/);
        expect(fs.readdirSync(mount)).to.deep.equal(['filler']);
      } finally {
        execFileSync('umount', [mount]);
      }
    });
  });

  it('cancelled anywhere, nothing is left', () =>
    patched(async ({ checkpoint, patch, to }) => {
      for (const phase of ['write', 'prove']) {
        const stop = new AbortController();
        const result = await exportCheckpoint({
          checkpoint,
          patch,
          to,
          signal: stop.signal,
          onProgress: (progress) => progress.phase === phase && stop.abort(),
        });
        expect(said(result)).to.equal('Cancelled.');
        expect(fs.existsSync(path.dirname(to))).to.equal(false);
      }
    }));
});

describe('the proof', () => {
  it('finds every byte that changed outside the patch', () =>
    patched(async ({ checkpoint, patch, to }) => {
      unwrap(await exportCheckpoint({ checkpoint, patch, to }));
      const flip = (file: string, at: number) => {
        const bytes = fs.readFileSync(path.join(to, file));
        bytes[at < 0 ? bytes.length + at : at] ^= 1;
        fs.writeFileSync(path.join(to, file), bytes);
      };
      const { offset } = checkpoint.tensors.get('layers.0.experts.up') ?? { offset: 0 };
      flip(shardName(0, 3), offset + 30 + 1);
      flip(shardName(2, 3), -1);
      flip('tokenizer.json', 3);
      fs.rmSync(path.join(to, 'additional_chat_templates', 'rag.jinja'));
      const after = unwrap(await openCheckpoint(to));
      const { checked, equal, differing } = unwrap(await proveOnlyChanged(checkpoint, after, patch.units.keys()));
      expect(differing).to.deep.equal(['layers.0.experts.up[1]', 'lm_head', path.join('additional_chat_templates', 'rag.jinja'), 'tokenizer.json']);
      expect([checked, equal]).to.deep.equal([14, 10]);
      await after.close();
    }));

  it('finds the changed units when they are not declared, and tensors that came or went', async () => {
    const [before, after] = [
      writeFolder([{ a: filled('F32', [2]), b: filled('F32', [3]) }]),
      writeFolder([{ a: filled('F32', [2], 9), c: filled('F32', [3]) }]),
    ];
    const [one, two] = [unwrap(await openCheckpoint(before)), unwrap(await openCheckpoint(after))];
    expect(unwrap(await proveOnlyChanged(one, two, [])).differing).to.deep.equal(['a', 'b', 'c', 'model.safetensors (header)']);
    await one.close();
    await two.close();
  });
});
