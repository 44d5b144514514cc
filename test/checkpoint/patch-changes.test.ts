import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { applyPatch, openOriginal } from '../../src/checkpoint/apply-patch';
import { CARD_NAME, exportCheckpoint } from '../../src/checkpoint/export-checkpoint';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { unitChanges } from '../../src/checkpoint/patch-changes';
import { unwrap } from '../../src/protocol/fault';
import { threeShards, writeFolder } from './small-checkpoint';
import { movedBy, SOME_UNITS } from './small-patch';

describe('changes of a patch', () => {
  it('are measured on the values as stored, for whole tensors and slices', async () => {
    const checkpoint = unwrap(await openCheckpoint(writeFolder(threeShards())));
    const changes = unwrap(await unitChanges(await movedBy(checkpoint, SOME_UNITS), checkpoint));
    expect(changes.map(({ unit }) => unit)).to.deep.equal([...SOME_UNITS].sort());
    const gate = changes.find(({ unit }) => unit === 'layers.0.gate');
    if (!gate) throw new Error();
    const old = unwrap(await checkpoint.readValues({ name: 'layers.0.gate', shape: [4, 6] }));
    expect(gate).to.deep.include({ shape: [4, 6], dtype: 'F32', bytes: 96 });
    // 24 values moved by a half each, up to the rounding of f32.
    expect(gate.norm).to.be.closeTo(0.5 * Math.sqrt(24), 1e-6);
    expect(gate.largest).to.be.closeTo(0.5, 1e-6);
    expect(gate.weightNorm).to.be.closeTo(Math.hypot(...old), 1e-9);
    const slice = changes.find(({ unit }) => unit === 'layers.0.experts.up[2]');
    expect(slice).to.deep.include({ shape: [3, 5], dtype: 'BF16', bytes: 30 });
    // bf16 has 8 bits: a half is not hit exactly, and what counts is what is stored.
    expect(slice?.largest).to.be.greaterThan(0.49).and.not.equal(0.5);
    await checkpoint.close();
  });

  it('are the same while the patch is applied: the original is read from where it is kept', async () => {
    const folder = writeFolder(threeShards());
    const checkpoint = unwrap(await openCheckpoint(folder));
    const patch = await movedBy(checkpoint, SOME_UNITS);
    const before = unwrap(await unitChanges(patch, checkpoint));
    unwrap(await applyPatch(checkpoint, patch, { source: 'run-7' }));
    await checkpoint.close();
    const original = unwrap(await openOriginal(folder));
    expect(unwrap(await unitChanges(patch, original))).to.deep.equal(before);
    expect(unwrap(await original.fingerprint())).to.equal(patch.base);
    await original.close();
    expect(JSON.parse(fs.readFileSync(path.join(folder, '.uoe-original', 'manifest.json'), 'utf8')).source).to.equal('run-7');
  });
});

describe('model card of an export', () => {
  it('replaces the base’s in the new folder only, and is not part of the proof', async () => {
    for (const base of [null, '# The base\n']) {
      const folder = writeFolder(threeShards());
      if (base !== null) fs.writeFileSync(path.join(folder, CARD_NAME), base);
      const checkpoint = unwrap(await openCheckpoint(folder));
      const to = path.join(path.dirname(folder), 'out');
      const seen: (string | null)[] = [];
      const card = (text: string | null) => {
        seen.push(text);
        return `Edited.\n${text ?? ''}`;
      };
      const { proof, bytesWritten } = unwrap(await exportCheckpoint({ checkpoint, patch: await movedBy(checkpoint, SOME_UNITS), to, card }));
      expect(seen).to.deep.equal([base]);
      expect(fs.readFileSync(path.join(to, CARD_NAME), 'utf8')).to.equal(`Edited.\n${base ?? ''}`);
      expect(fs.existsSync(path.join(folder, CARD_NAME)) ? fs.readFileSync(path.join(folder, CARD_NAME), 'utf8') : null).to.equal(base);
      expect(proof).to.deep.include({ differing: [] });
      const sizes = fs.readdirSync(to, { recursive: true }).map((name) => fs.statSync(path.join(to, String(name))));
      expect(bytesWritten).to.equal(sizes.reduce((sum, status) => sum + (status.isFile() ? status.size : 0), 0));
      await checkpoint.close();
    }
  });
});
