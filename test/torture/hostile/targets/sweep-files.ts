import { planSweep } from '../../../../src/experiment/sweep-plan';
import { parseJson } from '../../../../src/files/read';
import { ok } from '../../../../src/protocol/fault';
import { recipe } from '../recipe';
import { faultOfResult, jsonOf, type OpenTarget, textOf } from '../target';

const sweep = {
  recipe: { model: 'm', forget: 'f.jsonl', retain: 'r.jsonl' },
  vary: { 'anchor.weight': [0, 1], method: [{ label: 'GA', set: { method: 'ga', 'optimizer.lr': 0.001 } }, 'npo'], seed: [0, 1] },
  workers: 2,
};

export const sweepFiles: OpenTarget = () => ({
  name: 'sweep files',
  form: 'json',
  share: 5,
  seeds: [jsonOf(sweep)],
  run: async (input) => {
    const raw = parseJson(textOf(input), '/w/beta.sweep.json');
    return raw.ok ? faultOfResult(await planSweep(raw.value, '/w/beta.sweep.json', async () => ok(recipe))) : raw.fault;
  },
});
