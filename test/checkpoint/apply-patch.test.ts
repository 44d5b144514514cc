import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { appliedState } from '../../src/checkpoint/applied-state';
import { applyPatch, restoreOriginal } from '../../src/checkpoint/apply-patch';
import { type ChangeProgress, exportCheckpoint } from '../../src/checkpoint/export-checkpoint';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { roundPatch } from '../../src/checkpoint/round-patch';
import { type Result, sentence, unwrap } from '../../src/protocol/fault';
import { type Patch, parseUnitName } from '../../src/protocol/tensors';
import { changing, withFault } from '../files/faults';
import { temporaryFolder } from '../files/temporary-folder';
import { filled, shardName, snapshot, threeShards, writeFolder } from './small-checkpoint';
import { movedBy, SOME_UNITS } from './small-patch';

const said = <T>(result: Result<T>): string => (result.ok ? expect.fail('it went well') : sentence(result.fault));

async function prepare(folder = writeFolder(threeShards()), units: readonly string[] = SOME_UNITS): Promise<{ folder: string; patch: Patch; rounded: Patch }> {
  const checkpoint = unwrap(await openCheckpoint(folder));
  const patch = await movedBy(checkpoint, units);
  const rounded = unwrap(await roundPatch(patch, checkpoint)).patch;
  await checkpoint.close();
  return { folder, patch, rounded };
}

async function apply(folder: string, patch: Patch, signal?: AbortSignal) {
  const checkpoint = unwrap(await openCheckpoint(folder));
  try {
    return await applyPatch(checkpoint, patch, { signal });
  } finally {
    await checkpoint.close();
  }
}

async function expectPatched(folder: string, rounded: Patch): Promise<void> {
  const checkpoint = unwrap(await openCheckpoint(folder));
  for (const [unit, { shape, values }] of rounded.units)
    expect(unwrap(await checkpoint.readValues({ ...parseUnitName(unit), shape })), unit).to.deep.equal(values);
  await checkpoint.close();
}

/** The checkpoint without what UOE keeps beside it, and without unfinished files a kill may leave. */
const own = (folder: string) => Object.fromEntries(Object.entries(snapshot(folder)).filter(([name]) => !name.startsWith('.uoe') && !name.endsWith('.uoe-tmp')));

/** What opens is all original or all patched; a mix is refused. */
async function expectNoMix(folder: string, before: object, rounded: Patch): Promise<void> {
  const opened = await openCheckpoint(folder);
  if (opened.ok) {
    await opened.value.close();
    if (JSON.stringify(own(folder)) !== JSON.stringify(before)) await expectPatched(folder, rounded);
  } else expect(said(opened)).to.match(/was interrupted; its shards don't belong together\. Restore the original first/);
}

describe('applying a patch in place', () => {
  it('and restoring gives the very bytes, over several shards and slices', async () => {
    const { folder, patch, rounded } = await prepare();
    const before = snapshot(folder);
    const applied = unwrap(await apply(folder, patch));
    expect(applied).to.deep.include({ folder, changed: [...SOME_UNITS].sort(), warnings: [] });
    expect(applied.proof).to.deep.equal({ checked: 13, equal: 13, differing: [] });
    await expectPatched(folder, rounded);
    expect(unwrap(await appliedState(folder)).state).to.equal('applied');
    expect(own(folder)).to.not.deep.equal(before);
    expect(unwrap(await restoreOriginal(folder)).restored).to.deep.equal([shardName(0, 3), shardName(1, 3)]);
    expect(snapshot(folder)).to.deep.equal(before);
    expect(unwrap(await appliedState(folder)).state).to.equal('none');
  });

  it('twice without restoring, over a patch, or restoring nothing: one sentence each', async () => {
    const { folder, patch } = await prepare();
    expect(said(await restoreOriginal(folder))).to.match(/No patch is applied in .*There is nothing to restore/);
    unwrap(await apply(folder, patch));
    const applied = snapshot(folder);
    expect(said(await apply(folder, patch))).to.match(/A patch is applied to .* already\. Restore the original first/);
    const checkpoint = unwrap(await openCheckpoint(folder));
    expect(said(await exportCheckpoint({ checkpoint, patch, to: path.join(temporaryFolder(), 'out') }))).to.match(
      /so it is not the checkpoint that this patch was made from\. Restore the original first/,
    );
    await checkpoint.close();
    expect(snapshot(folder)).to.deep.equal(applied);
    expect(said(await restoreOriginal(path.join(folder, 'none')))).to.match(/There is no folder/);
  });

  it('never writes through a hard link', async () => {
    const { folder, patch } = await prepare();
    const exported = path.join(temporaryFolder(), 'out');
    const checkpoint = unwrap(await openCheckpoint(folder));
    unwrap(await exportCheckpoint({ checkpoint, patch: { ...patch, units: new Map([...patch.units].slice(4)) }, to: exported, link: true }));
    await checkpoint.close();
    expect(fs.statSync(path.join(exported, shardName(0, 3))).nlink).to.equal(2);
    const before = snapshot(exported);
    unwrap(await apply(folder, patch));
    expect(snapshot(exported)).to.deep.equal(before);
    unwrap(await restoreOriginal(folder));
    expect(snapshot(exported)).to.deep.equal(before);
  });

  it('in the cache of huggingface_hub the blob stays and the link comes back', async () => {
    const home = temporaryFolder();
    const folder = writeFolder(threeShards(), { folder: path.join(home, 'snapshots', 'abc') });
    fs.mkdirSync(path.join(home, 'blobs'));
    for (const name of fs.readdirSync(folder)) {
      fs.renameSync(path.join(folder, name), path.join(home, 'blobs', name));
      fs.symlinkSync(path.join('..', '..', 'blobs', name), path.join(folder, name));
    }
    const before = snapshot(home);
    const { patch, rounded } = await prepare(folder);
    unwrap(await apply(folder, patch));
    await expectPatched(folder, rounded);
    expect(snapshot(path.join(home, 'blobs'))).to.deep.equal(
      Object.fromEntries(
        Object.entries(before)
          .filter(([name]) => name.startsWith('blobs/'))
          .map(([name, content]) => [name.slice(6), content]),
      ),
    );
    unwrap(await restoreOriginal(folder));
    expect(snapshot(home)).to.deep.equal(before);
  });

  it('a damaged original is not restored, a shard changed since is not overwritten', async () => {
    const { folder, patch } = await prepare();
    unwrap(await apply(folder, patch));
    const shard = path.join(folder, shardName(0, 3));
    const applied = snapshot(folder);
    fs.appendFileSync(shard, 'mine');
    expect(said(await restoreOriginal(folder))).to.match(/was changed after the patch was applied/);
    fs.truncateSync(shard, fs.statSync(shard).size - 4);
    fs.appendFileSync(path.join(folder, '.uoe-original', shardName(1, 3)), 'x');
    expect(said(await restoreOriginal(folder))).to.match(/should be the original of model-00002-of-00003.safetensors, but its SHA-256 differs/);
    fs.truncateSync(path.join(folder, '.uoe-original', shardName(1, 3)), fs.statSync(path.join(folder, '.uoe-original', shardName(1, 3))).size - 1);
    expect(snapshot(folder)).to.deep.equal(applied);
    fs.writeFileSync(path.join(folder, '.uoe-original', 'manifest.json'), '{"format":"uoe-original"}');
    expect(said(await restoreOriginal(folder))).to.match(/is not a manifest of UOE/);
  });

  it('cancelled before the first shard is replaced, nothing has changed', async () => {
    const { folder, patch } = await prepare();
    const before = snapshot(folder);
    expect(said(await apply(folder, patch, AbortSignal.abort()))).to.equal('Cancelled.');
    expect(snapshot(folder)).to.deep.equal(before);
  });

  it('cancelled at any moment, also while the new shards are proven, is undone', async () => {
    const { folder, patch } = await prepare();
    const before = snapshot(folder);
    const seen = new Set<string>();
    for (let number = 0; ; number++) {
      const checkpoint = unwrap(await openCheckpoint(folder));
      const cancel = new AbortController();
      let told = 0;
      const onProgress = ({ phase }: ChangeProgress): void => {
        if (told++ !== number) return;
        seen.add(phase);
        cancel.abort();
      };
      const applied = await applyPatch(checkpoint, patch, { signal: cancel.signal, onProgress });
      await checkpoint.close();
      if (told <= number) {
        unwrap(applied);
        break;
      }
      expect(said(applied)).to.equal('Cancelled.');
      // Nothing more is read or written for it.
      expect(told).to.equal(number + 1);
      expect(snapshot(folder)).to.deep.equal(before);
    }
    expect([...seen]).to.deep.equal(['write', 'prove']);
  });

  it('on a full disk nothing has changed, whether the lack is seen before or while writing', async function () {
    const mount = temporaryFolder();
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mount]).status !== 0) this.skip();
    try {
      const { folder, patch } = await prepare(writeFolder([{ w: filled('F32', [5000]) }], { folder: path.join(mount, 'model') }), ['w']);
      fs.writeFileSync(path.join(mount, 'filler'), Buffer.alloc(20 << 10));
      const before = snapshot(mount);
      expect(said(await apply(folder, patch))).to.match(/the disk is full \(20\.1 kB needed, .* free\)/);
      expect(snapshot(mount)).to.deep.equal(before);
      const { value } = await withFault({ at: 0, code: 'ENOSYS', counts: (operation) => operation === 'statfs' }, () => apply(folder, patch));
      expect(said(value)).to.match(/Can't write .*: the disk is full/);
      expect(snapshot(mount)).to.deep.equal(before);
    } finally {
      execFileSync('umount', [mount]);
    }
  });

  it('a patch of another checkpoint changes nothing', async () => {
    const { folder, patch } = await prepare();
    const before = snapshot(folder);
    expect(said(await apply(folder, { ...patch, base: 'sha256:0' }))).to.match(/made from another checkpoint/);
    expect(snapshot(folder)).to.deep.equal(before);
  });

  for (const units of [SOME_UNITS, ['lm_head']]) {
    it(`killed at any file operation (${units.length} units), the shards are old or new and restoring gives the very bytes`, async function () {
      this.timeout(120_000);
      const seen = new Set<string>();
      const { folder: model, patch, rounded } = await prepare(undefined, units);
      const before = snapshot(model);
      let finished = false;
      for (let number = 0; !finished; number++) {
        const folder = path.join(temporaryFolder(), 'model');
        fs.cpSync(model, folder, { recursive: true });
        const { operations, value } = await withFault({ at: number, code: 'KILL', counts: changing }, async () => {
          const checkpoint = await openCheckpoint(folder);
          if (!checkpoint.ok) return checkpoint;
          const applied = await applyPatch(checkpoint.value, patch);
          await checkpoint.value.close();
          return applied;
        });
        finished = operations <= number;
        // Giving back the lock comes after all is done.
        if (value.ok) await expectPatched(folder, rounded);
        else expect(finished).to.equal(false);
        const state = unwrap(await appliedState(folder));
        seen.add(`${state.state}${'content' in state && state.content === 'mixed' ? ' mixed' : ''}`);
        await expectNoMix(folder, before, rounded);
        if (state.state === 'none') expect(own(folder)).to.deep.equal(before);
        else unwrap(await restoreOriginal(folder));
        expect(own(folder)).to.deep.equal(before);
        expect(fs.existsSync(path.join(folder, '.uoe-original'))).to.equal(false);
        fs.rmSync(folder, { recursive: true });
      }
      expect([...seen].sort()).to.deep.equal(units.length > 1 ? ['applied', 'interrupted', 'interrupted mixed', 'none'] : ['applied', 'interrupted', 'none']);
    });
  }

  it('a fault that passes is undone at once', async () => {
    const { folder: model, patch } = await prepare();
    const before = snapshot(model);
    let renames = 0;
    for (let number = 0; ; number++) {
      const folder = path.join(temporaryFolder(), 'model');
      fs.cpSync(model, folder, { recursive: true });
      const { operations, value } = await withFault(
        { at: number, code: 'EIO', counts: (operation) => operation === 'rename' || operation === 'link' || operation === 'mkdir' },
        () => apply(folder, patch),
      );
      if (operations <= number) break;
      expect(value.ok).to.equal(false);
      expect(snapshot(folder)).to.deep.equal(before);
      renames++;
    }
    expect(renames).to.be.at.least(8);
  });

  it('killed while restoring, restoring again gives the very bytes', async function () {
    this.timeout(120_000);
    const { folder: model, patch, rounded } = await prepare();
    const before = snapshot(model);
    unwrap(await apply(model, patch));
    let finished = false;
    for (let number = 0; !finished; number++) {
      const folder = path.join(temporaryFolder(), 'model');
      fs.cpSync(model, folder, { recursive: true });
      const { operations } = await withFault({ at: number, code: 'KILL', counts: changing }, () => restoreOriginal(folder));
      finished = operations <= number;
      await expectNoMix(folder, before, rounded);
      if (unwrap(await appliedState(folder)).state !== 'none') unwrap(await restoreOriginal(folder));
      expect(own(folder)).to.deep.equal(before);
      expect(fs.existsSync(path.join(folder, '.uoe-original'))).to.equal(false);
      fs.rmSync(folder, { recursive: true });
    }
  });
});
