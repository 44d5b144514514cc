/** A few cycles of the window that `npm run torture` uses all day, and the rule that judges it. */
import path from 'node:path';
import { expect } from 'chai';
import { buildIfStale } from '../cli/command';
import { temporaryFolder } from '../files/temporary-folder';
import { type Held, judged, slopeOf, soak } from './soak';

const cycles = Number(process.env.UOE_TORTURE_COUNT ?? 4);

describe('a window used again and again', function () {
  this.timeout(240_000);
  before(buildIfStale);

  it('opens, runs, compares and closes without a descriptor, thread or process more', async () => {
    const { held, windows, left } = await soak({
      engine: path.resolve('dist/engine.js'),
      demo: path.resolve('demo'),
      folder: temporaryFolder(),
      cycles,
      window: 3,
    });
    expect(held).to.have.length(cycles);
    expect([windows, left]).to.deep.equal([Math.ceil(cycles / 3), 0]);
    // The first cycle of a window starts its engine and the thread that reads weights.
    const [first] = held;
    for (const { engineFiles, engineThreads, children } of held.slice(1)) {
      if (first.engineFiles !== null) expect(engineFiles).to.be.at.most(first.engineFiles);
      if (first.engineThreads !== null) expect(engineThreads).to.be.at.most(first.engineThreads);
      if (children !== null) expect(children).to.equal(1);
    }
  });
});

describe('the rule for growth', () => {
  const flat: Held = { hostHeap: 1e7, hostFiles: 20, engineMemory: 2e8, engineFiles: 21, engineThreads: 11, children: 1 };
  const day = (change: (turn: number) => Partial<Held>, left = 0) => ({
    held: Array.from({ length: 60 }, (_, turn) => ({ ...flat, ...change(turn) })),
    windows: 2,
    left,
  });
  const failures = (change: (turn: number) => Partial<Held>, left = 0) => judged(day(change, left), 30).flatMap(({ failure }) => failure ?? []);

  it('is a slope that a few odd cycles do not move', () => {
    expect(slopeOf([1, 2, 3, 100, 5, 6, 7])).to.equal(1);
    expect(slopeOf([5])).to.equal(0);
  });

  it('lets noise pass, and names what grows by a leak of each kind', () => {
    expect(failures((turn) => ({ engineMemory: 2e8 + 2e6 * Math.sin(turn * 7), hostHeap: 1e7 + 2e5 * Math.cos(turn * 3) }))).to.deep.equal([]);
    // Every window begins anew: what its engine held is gone with it.
    expect(failures((turn) => ({ engineMemory: 2e8 + 5e6 * (turn % 30) }))[0]).to.match(/^memory of the engine grow by 5000\.0 kB a cycle/);
    expect(failures((turn) => ({ hostHeap: 1e7 + 9e4 * turn }))[0]).to.match(/^memory of the window grow by 90\.0 kB/);
    expect(failures((turn) => ({ engineFiles: 21 + (turn % 30) }))[0]).to.match(/^descriptors of the engine/);
    expect(failures((turn) => ({ hostFiles: 20 + Math.floor(turn / 1) }))[0]).to.match(/^descriptors of the window/);
    expect(failures((turn) => ({ engineThreads: 11 + (turn % 30) }))[0]).to.match(/^threads/);
    expect(failures((turn) => ({ children: 1 + turn }))[0]).to.match(/^processes/);
    expect(failures(() => ({}), 1)).to.deep.equal(['1 engines outlived their window']);
  });
});
