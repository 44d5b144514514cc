import fs from 'node:fs';
import { parseJson } from '../../../../src/files/read';
import { openArchitecture } from '../../../../src/model/families';
import { allParts } from '../../../../src/passes/model';
import { fixtures, type OpenTarget, refused, textOf } from '../target';

const names = { has: () => true, stored: (name: string) => name };

export const configJson: OpenTarget = () => {
  const configs = [
    ...fixtures('test/fixtures/golden', 'config.json'),
    ...fixtures('test/fixtures/variants', 'config.json'),
    'demo/checkpoint/config.json',
  ].filter((file) => fs.existsSync(file) && fs.statSync(file).size < 20_000);
  return {
    name: 'config.json',
    form: 'json',
    share: 14,
    seeds: configs.map((at) => fs.readFileSync(at)),
    run: async (input) =>
      refused(() => {
        const raw = parseJson(textOf(input), '/models/config.json');
        if (!raw.ok) return raw.fault;
        const opened = openArchitecture(raw.value, names);
        if (!opened.ok) return opened.fault;
        if (opened.value.layers.length * opened.value.shape.experts < 10_000) allParts(opened.value);
        opened.value.layers[0].attention.rope.rows(Int32Array.of(0, 1, 2));
        return null;
      }),
  };
};
