import path from 'node:path';
import { expect } from 'chai';
import { passPlan } from '../../src/experiment/memory-plan';
import { openHandle, openRecipe } from '../../src/experiment/open-recipe';
import { planRun, tooLarge } from '../../src/experiment/plan-run';
import { startRun } from '../../src/experiment/run';
import { temporaryFolder } from '../files/temporary-folder';
import { faultOfWork, goldenFolder, recipeFor, runNames, sharedModels, writeData, writeRows } from './run-case';

const model = goldenFolder('olmoe');

describe('The plan of a run', function () {
  this.timeout(60_000);
  const models = sharedModels();
  after(models.close);

  async function plan(fields: Record<string, unknown> = {}, prepare?: (workspace: string) => void, from = model) {
    const workspace = temporaryFolder();
    writeData(workspace);
    prepare?.(workspace);
    const made = await planRun(recipeFor(from, fields), workspace, { open: models.open, processBytes: 1e8 });
    expect(runNames(workspace)).to.deep.equal([]);
    return { ...made, workspace };
  }

  it('names the target where the recipe does, and counts what trains as the run does', async () => {
    const workspace = temporaryFolder();
    writeData(workspace);
    for (const fields of [
      {},
      { target: { layer: 2, expert: 3 }, train: 'expert' },
      {
        target: {
          experts: [
            { layer: 0, expert: 1 },
            { layer: 2, expert: 1 },
          ],
        },
        train: 'router',
      },
      { target: { layer: 1, expert: 0 }, train: 'full' },
      { target: { layer: 1, expert: 0 }, train: { lora: { rank: 2 } } },
      { target: { layer: 0, expert: 0 }, train: { components: [{ kind: 'router' }, { kind: 'attention', layers: [1] }] } },
      { target: { layer: 0, expert: 0 }, train: 'full', method: 'rmu' },
    ]) {
      const made = await plan(fields);
      const { record } = await startRun(recipeFor(model, { ...fields, steps: 1, checks: null, evaluate: null }), workspace, workspace, { open: models.open });
      expect(made.target).to.deep.equal('target' in fields ? record.target.experts : []);
      expect(made.trainedParameters).to.equal(record.summary?.trainedParameters);
      expect(made.trainedShare).to.equal(record.summary?.trainedShare);
      expect([made.forgetRows, made.retainRows]).to.deep.equal([7, 6]);
    }
  });

  it('says what is measured, and what is not and why', async () => {
    const full = await plan();
    expect(full.measured.join('\n'))
      .to.include('Forgetting: NLL, probability and extraction strength of 5 text rows')
      .and.include('target experts forbidden')
      .and.include('halves of 7 prompts')
      .and.include('Every 2 steps: the forget score on 4 check rows, and utility on 1 set.');
    expect(full.notMeasured.filter((sentence) => sentence.includes('no questions with options'))).to.have.length(3);
    const bare = await plan({ retain: null, checks: null, evaluate: null });
    const missing = bare.notMeasured.join('\n');
    for (const what of [/^Forgetting: no evaluation set/m, /^Neighbouring knowledge: no/m, /^Utility: no/m, /no retain set/, /recipe has no checks/])
      expect(missing).to.match(what);
    expect(bare.measured).to.have.length(3);
    expect(bare.warnings[0]).to.match(/"retain"/);
    const all = await plan({ target: { experts: [0, 1, 2, 3, 4, 5].map((expert) => ({ layer: 1, expert })) } });
    expect(all.notMeasured.join('\n')).to.match(/a token needs 3 experts/);
  });

  it('warns of few prompts, of rows that are cut, skipped, repeated or never read', async () => {
    const one = await plan({}, (workspace) => writeRows(path.join(workspace, 'forget.jsonl'), [{ input_ids: [3, 4, 5] }]));
    expect(one.notMeasured).to.include('Stability of the affinities: too few prompts, one has no halves.');
    expect(one.warnings.join('\n'))
      .to.match(/only 1 forget row:/)
      .and.match(/batch of 3 holds the 1 forget row more than once/);
    const cut = await plan({ maxLength: 4, steps: 1 }, (workspace) =>
      writeRows(path.join(workspace, 'retain.jsonl'), [{ input_ids: [3, 4, 5, 6, 7] }, { input_ids: [3, 4], labels: [-100, -100] }]),
    );
    const warnings = cut.warnings.join('\n');
    expect(warnings)
      .to.match(/1 row of .*retain\.jsonl is cut to 4 tokens/)
      .and.match(/1 row of .*retain\.jsonl without a target is skipped/)
      .and.match(/1 steps of 3 rows train on 3 of 7 forget rows/);
  });

  it('needs more for more tokens, more experts, more layers above the target; and warns beyond the budget', async () => {
    const peak = async (fields: Record<string, unknown>, prepare?: (workspace: string) => void) => (await plan(fields, prepare)).memory.peakBytes;
    const target = { layer: 1, expert: 0 };
    const long = (workspace: string) =>
      writeRows(
        path.join(workspace, 'forget.jsonl'),
        Array.from({ length: 40 }, () => ({ input_ids: Array.from({ length: 60 }, () => 5) })),
      );
    const base = await peak({ target });
    expect(await peak({ target }, long)).to.be.above(base);
    expect(await peak({ target: { experts: [0, 1, 2].map((expert) => ({ layer: 1, expert })) } })).to.be.above(base);
    expect(await peak({ target: { layer: 0, expert: 0 } })).to.be.at.least(base);
    expect(await peak({ target, batchSize: 'all' })).to.be.at.least(base);
    expect(await peak({ target, batchSize: 'all', accumulate: 4 })).to.be.at.most(await peak({ target, batchSize: 'all' }));
    const small = await plan({ memory: '1MB' });
    expect(small.memory.budgetBytes).to.equal(1e6);
    expect(small.warnings.join('\n')).to.match(/more than its budget of 1 MB/);
  });

  it('says what the peak is made of, and which changes need less: what each promises is what its own plan says', async () => {
    const long = (workspace: string) => {
      for (const name of ['forget', 'retain'])
        writeRows(
          path.join(workspace, `${name}.jsonl`),
          Array.from({ length: 40 }, () => ({ input_ids: Array.from({ length: 60 }, () => 5) })),
        );
    };
    const fields = { target: { layer: 1, expert: 0 }, batchSize: 32, checks: null, evaluate: null };
    const made = await plan(fields, long);
    const { memoryParts, memory, waysOut, disk } = made;
    expect(Object.values(memoryParts).reduce((sum, bytes) => sum + bytes, 0)).to.equal(memory.peakBytes);
    expect(memoryParts.process).to.equal(1e8);
    expect(disk.bytes).to.equal(made.trainedParameters * 24);
    expect(waysOut.map(({ change }) => Object.keys(change)[0]))
      .to.include('batchSize')
      .and.include('maxLength');
    for (const { change, peakBytes } of waysOut) {
      expect(peakBytes).to.be.below(memory.peakBytes);
      expect((await plan({ ...fields, ...change }, long)).memory.peakBytes, JSON.stringify(change)).to.equal(peakBytes);
    }
  });

  it('counts the rows that are prepared together, not all that a long run reads', async () => {
    const many = (workspace: string) =>
      writeRows(
        path.join(workspace, 'retain.jsonl'),
        Array.from({ length: 4000 }, () => ({ input_ids: Array.from({ length: 12 }, () => 5) })),
      );
    const fields = { target: { layer: 1, expert: 0 }, batchSize: 4, checks: null, evaluate: null };
    const cacheOf = async (steps: number) => (await plan({ ...fields, steps }, many)).memoryParts.cache;
    // 768 rows of 4000 at a time: a window, and the one before while the next is prepared.
    const [window, all] = [await cacheOf(192), await cacheOf(1000)];
    expect(all)
      .to.be.above(window)
      .and.below(2 * window);
  });

  it('is refused where it is far beyond its budget, with the changes that would fit', async () => {
    const workspace = temporaryFolder();
    writeData(workspace);
    writeRows(
      path.join(workspace, 'forget.jsonl'),
      Array.from({ length: 400 }, () => ({ input_ids: Array.from({ length: 400 }, () => 5) })),
    );
    const fields = { target: { layer: 1, expert: 0 }, method: 'ga', batchSize: 'all', steps: 1, checks: null, evaluate: null };
    const opened = await openRecipe(recipeFor(model, { ...fields, memory: '300MB' }), workspace);
    const least = 1e8;
    try {
      const fault = tooLarge(opened, least);
      expect(fault?.code).to.equal('no-memory');
      expect(fault?.message).to.match(/^The run needs about [\d.]+ MB of memory, and its budget is 300 MB\.$/);
      expect(fault?.remedy).to.match(/^Set "memory" to 0\.\dGB, or make it smaller: "(accumulate|batchSize)": \d+ needs about [\d.]+ MB/);
      expect(tooLarge({ ...opened, recipe: { ...opened.recipe, memory: 8e9 } }, least)).to.equal(null);
    } finally {
      await opened.release();
    }
  });

  it('of all parameters that do not fit is refused with what fits: fewer of them, or adapters', async () => {
    const workspace = temporaryFolder();
    writeData(workspace);
    const fields = { target: { layer: 2, expert: 10 }, train: 'full', steps: 1, checks: null, evaluate: null };
    const demo = path.resolve('demo/checkpoint');
    const opened = await openRecipe(recipeFor(demo, { ...fields, memory: '85MB' }), workspace);
    try {
      const fault = tooLarge(opened, 1e7);
      expect(fault?.code).to.equal('no-memory');
      expect(fault?.remedy).to.match(/"train": "expert\+router" needs about [\d.]+ MB, "train": \{"lora":\{"rank":8,"alpha":16\}\} needs about [\d.]+ MB/);
      const most = await planRun(recipeFor(demo, fields), workspace, { processBytes: 1e7 });
      for (const { change, peakBytes } of most.waysOut)
        expect((await planRun(recipeFor(demo, { ...fields, ...change }), workspace, { processBytes: 1e7 })).memory.peakBytes).to.equal(peakBytes);
      // Weights, gradient, moments, the next of three of them, and two checks: nine copies in f32.
      expect(most.memoryParts.optimizer).to.equal(9 * 4 * most.trainedParameters);
    } finally {
      await opened.release();
    }
  });

  it('reads every byte twice where all weights stay in memory: for the fingerprint, and once for all passes', async () => {
    const handle = await openHandle(model, 1e9);
    const { totalBytes } = handle.checkpoint;
    expect((await plan()).memory.bytesToRead).to.equal(2 * totalBytes);
    const pass = passPlan(handle, 100, 1e9, 5e6);
    expect(pass.bytesToRead).to.equal(totalBytes);
    const streams = 4 * 100 * 32 * 4;
    // What arithmetic holds besides is measured, not derived: 40 MB on wasm.
    expect(pass.peakBytes)
      .to.be.above(5e6 + totalBytes + streams + 40e6)
      .and.below(5e6 + totalBytes + streams + 40e6 + totalBytes);
    expect(passPlan(handle, 300, 1e9, 5e6).peakBytes - pass.peakBytes).to.equal(2 * streams);
    handle.model.weights.close();
    await handle.checkpoint.close();
  });

  it('refuses what a run would refuse', async () => {
    expect((await faultOfWork(plan({ target: { layer: 8, expert: 0 } }))).message).to.match(/layer 8 does not exist/);
    expect((await faultOfWork(plan({ forget: 'nowhere.jsonl' }))).message).to.match(/nowhere\.jsonl/);
  });
});
