/** A little of `npm run torture -- --only hostile`, without coverage: every reader takes or refuses what it is given, and throws nothing. */
import { expect } from 'chai';
import fc from 'fast-check';
import { temporaryFolder } from '../files/temporary-folder';
import { nextInput } from './hostile/inputs';
import { randomOf } from './hostile/mutations';
import { faultProblem } from './hostile/sentences';
import { type Target, targetsIn } from './hostile/targets';

/** Inputs of each reader. */
const count = Number(process.env.UOE_TORTURE_COUNT ?? 25);

async function refusalProblem(target: Target, input: Uint8Array): Promise<string | null> {
  const fault = await target.run(input);
  return fault === null ? null : faultProblem(fault);
}

describe('hostile input', () => {
  it('made of small changes to real input is taken or refused in a sentence', async () => {
    const { targets, close } = await targetsIn(temporaryFolder());
    for (const target of targets) {
      const property = fc.asyncProperty(fc.nat(), async (seed) => {
        const random = randomOf(seed);
        const once = nextInput(target, target.seeds, random);
        const input = seed % 3 === 0 ? nextInput(target, [once], random) : once;
        expect(await refusalProblem(target, input), `${target.name}, seed ${seed}`).to.equal(null);
      });
      await fc.assert(property, { numRuns: count, seed: 1 });
    }
    await close();
    expect(Object.keys(Object.prototype)).to.deep.equal([]);
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
