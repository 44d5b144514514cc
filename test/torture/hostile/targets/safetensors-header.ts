import fs from 'node:fs';
import { readHeader } from '../../../../src/checkpoint/header';
import { ok } from '../../../../src/protocol/fault';
import type { OpenTarget } from '../target';

/** A file whose last bytes are missing: its tensors end beyond it. */
const cutShort = (file: string): Uint8Array[] => {
  const whole = fs.readFileSync(file);
  return [1, 4, 100].map((missing) => whole.subarray(0, whole.length - missing));
};

export const safetensorsHeader: OpenTarget = ({ checkpoint, patchFile }) => ({
  name: 'safetensors header',
  form: 'wrapped',
  share: 14,
  seeds: [fs.readFileSync(checkpoint.shards[0].path), fs.readFileSync(patchFile)],
  hostile: () => cutShort(patchFile),
  run: async (input) => {
    const read = await readHeader('/models/model.safetensors', input.length, async (offset, length) => ok(input.slice(offset, offset + length)));
    if (!read.ok) return read.fault;
    let end = read.value.headerBytes;
    for (const { name, shape, offset, bytes } of read.value.tensors) {
      const sizes = shape.every((size) => Number.isInteger(size) && size >= 0);
      if (offset !== end || bytes < 0 || !sizes) throw new Error(`Tensor ${name} was taken with wrong bounds.`);
      end += bytes;
    }
    if (end !== input.length) throw new Error('Tensors were taken that are not in the file.');
    return null;
  },
});
