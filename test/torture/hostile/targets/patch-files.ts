import fs from 'node:fs';
import path from 'node:path';
import { checkPatch } from '../../../../src/checkpoint/check-patch';
import { readPatch } from '../../../../src/checkpoint/patch-file';
import { faultOfResult, type OpenTarget } from '../target';

export const patchFiles: OpenTarget = ({ folder, checkpoint, patchFile }) => ({
  name: 'patch files',
  form: 'wrapped',
  share: 5,
  seeds: [fs.readFileSync(patchFile)],
  run: async (input) => {
    const at = path.join(folder, 'hostile.safetensors');
    fs.writeFileSync(at, input);
    const patch = await readPatch(at);
    return patch.ok ? faultOfResult(await checkPatch(patch.value, checkpoint)) : patch.fault;
  },
});
