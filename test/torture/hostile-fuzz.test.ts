/** A little of `npm run torture -- --only hostile`, without coverage: every reader takes or refuses what it is given, and throws nothing. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { temporaryFolder } from '../files/temporary-folder';
import { faultProblem } from './hostile/sentences';
import type { Target } from './hostile/target';
import { targetsIn } from './hostile/targets';

/** Inputs of each reader. */
const count = Number(process.env.UOE_TORTURE_COUNT ?? 25);

async function refusalProblem(target: Target, input: Uint8Array): Promise<string | null> {
  const fault = await target.run(input);
  return fault === null ? null : faultProblem(fault);
}

describe('hostile input', () => {
  it('made of small changes to real input, or that asks for more than anybody may have, is taken or refused in a sentence, in time and memory', () => {
    // A process of its own: what never ends can be ended, and said.
    const args = [path.join(__dirname, 'hostile.js'), '--short', String(count), '1', temporaryFolder()];
    const { stdout, stderr } = spawnSync(process.execPath, ['--max-old-space-size=1024', ...args], { encoding: 'utf8' });
    expect(stdout, stderr).to.match(/^\{/);
    const { tried, problems } = JSON.parse(stdout) as { tried: number; problems: readonly { readonly what: string }[] };
    expect(problems.map(({ what }) => what)).to.deep.equal([]);
    expect(tried).to.equal(count);
  });

  it('that is any JSON is taken or refused in a sentence', async () => {
    const all = await targetsIn(temporaryFolder());
    const targets = all.targets.filter(({ form }) => form === 'json');
    const key = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom('__proto__', 'constructor', 'toString', 'model', 'weight_map', 'text', 'params'));
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, -1, 0.5, 2 ** 63, 1e308, ''),
        fc.string({ unit: 'binary', maxLength: 8 }),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(key, tie('value'), { maxKeys: 4 }),
      ),
    }));
    const property = fc.asyncProperty(fc.constantFrom(...targets), value, async (target, own) => {
      expect(await refusalProblem(target, new TextEncoder().encode(JSON.stringify(own))), target.name).to.equal(null);
    });
    await fc.assert(property, { numRuns: 10 * count, seed: 1 });
    await all.close();
  });
});
