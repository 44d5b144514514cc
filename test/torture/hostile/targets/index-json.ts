import fs from 'node:fs';
import path from 'node:path';
import { openCheckpoint } from '../../../../src/checkpoint/open-checkpoint';
import type { OpenTarget } from '../target';

export const indexJson: OpenTarget = ({ folder, checkpoint }) => {
  const model = path.join(folder, 'indexed');
  fs.cpSync(checkpoint.folder, model, { recursive: true });
  const file = path.join(model, 'model.safetensors.index.json');
  return {
    name: 'index.json',
    form: 'json',
    share: 6,
    seeds: [fs.readFileSync(file)],
    words: ['"weight_map"', 'model-00001-of-00003.safetensors', '../', '/'],
    run: async (input) => {
      fs.writeFileSync(file, input);
      const opened = await openCheckpoint(model);
      if (!opened.ok) return opened.fault;
      for (const { path: at } of opened.value.shards) if (path.dirname(at) !== model) throw new Error(`${at} was opened.`);
      await opened.value.close();
      return null;
    },
  };
};
