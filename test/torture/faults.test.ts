import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { randomOf } from '../oracle/random';
import { openScene, type Scene, works } from './fault-scene';
import { cancelled, codeAt, lastingCodes, trial, undisturbed } from './fault-trials';
import { fullDisks, meddledShards, readOnlyDisks, type World } from './fault-world';

const count = Number(process.env.UOE_TORTURE_COUNT ?? 1);

describe('faults of the disk', function () {
  this.timeout(60_000 + count * 30_000);
  let scene: Scene;
  before(async () => {
    scene = await openScene(fs.realpathSync(fs.mkdtempSync(path.join(path.resolve('.build'), 'faults-'))));
  });
  after(() => fs.rmSync(scene.home, { recursive: true, force: true }));

  it(`at ${count} seeded operations of every kind of work are a clear sentence, leave nothing, and the same engine gives the same bits`, async () => {
    const random = randomOf(process.env.UOE_SEED ?? 'faults');
    for (const work of works.filter(({ every = 1 }) => every < 10)) {
      const reference = await undisturbed(scene, work);
      const { operations } = reference;
      for (let i = 0; i < count; i++) {
        const at = random.integer(0, operations.length - 1);
        const once = codeAt(operations[at].operation, at);
        expect((await trial(scene, work, reference, { at, code: once })).wrong, `${work.name}: ${once} at operation ${at}`).to.deep.equal([]);
      }
      const at = random.integer(0, operations.length - 1);
      if (random.chance(0.5)) {
        const code = random.pick(lastingCodes);
        expect((await trial(scene, work, reference, { at, code, lasting: true })).wrong, `${work.name}: ${code} from operation ${at} on`).to.deep.equal([]);
        continue;
      }
      const stopped = await cancelled(scene, work, reference, at);
      expect(stopped.wrong, `${work.name}: cancelled at operation ${at}`).to.deep.equal([]);
    }
  });

  const real = (what: string, cases: () => Promise<World>) =>
    it(what, async function () {
      const made = await cases();
      if ('skipped' in made) return this.skip();
      expect(made.cases).to.not.have.length(0);
      for (const { place, wrong } of made.cases) expect(wrong, place).to.deep.equal([]);
    });
  real('a real disk that is full', () => fullDisks(scene, 2));
  real('a real disk that is read-only', () => readOnlyDisks(scene));
  real('a shard that another process changes while it is open', () => meddledShards(scene, 1, count, ['attribution', 'export as a copy']));
});
