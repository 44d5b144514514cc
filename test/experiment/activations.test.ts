/** Runs that keep the original's activations on disk: the same bits as runs that don't, and no pass for what an earlier run left. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { resumeRun, startRun } from '../../src/experiment/run';
import { temporaryFolder } from '../files/temporary-folder';
import { goldenFolder, recipeFor, sharedModels, traceOf, writeData } from './run-case';

const passes = ['Finding the expert', 'Preparing'];

describe('Runs with an activation store', function () {
  this.timeout(120_000);
  const models = sharedModels();
  const { open } = models;
  after(models.close);

  const workspaceWithData = (): string => {
    const workspace = temporaryFolder();
    writeData(workspace);
    return workspace;
  };

  /** Runs; gives its trace and how often a layer of a pass of the original was reported. */
  async function run(workspace: string, recipe: Record<string, unknown>, worthKeeping: number) {
    let layers = 0;
    const progress = (phase: string) => {
      if (passes.includes(phase)) layers++;
    };
    const { folder } = await startRun(recipe, workspace, workspace, { open, worthKeeping, progress });
    return { trace: traceOf(folder), layers };
  }

  for (const fields of [
    { method: 'npo', retainLoss: { kind: 'kl' } },
    { method: 'rmu', methodOptions: { c: { timesHiddenNorm: 3 } } },
  ]) {
    it(`${fields.method}: end, to the bit, as those without; a second one makes no pass`, async () => {
      const recipe = recipeFor(goldenFolder('olmoe'), fields);
      const without = await run(workspaceWithData(), recipe, Number.POSITIVE_INFINITY);
      expect(without.layers).to.be.above(0);
      const workspace = workspaceWithData();
      const first = await run(workspace, recipe, 0);
      expect(first.layers).to.be.above(0);
      expect(first.trace).to.deep.equal(without.trace);
      expect(fs.readdirSync(path.join(workspace, '.uoe')).sort()).to.deep.equal(['activations', 'runs']);
      const second = await run(workspace, recipe, 0);
      expect(second.layers, 'layers of passes').to.equal(0);
      expect(second.trace).to.deep.equal(without.trace);
      const other = await run(workspace, recipeFor(goldenFolder('olmoe'), { method: 'ga', target: { layer: 1, expert: 3 } }), 0);
      expect(other.layers, 'another method, another target').to.equal(0);
    });
  }

  for (const method of ['npo', 'rmu']) {
    it(`${method}: with a target given, one pass serves the steps and the comparison of routing, to the same bits`, async () => {
      const given = { method, target: { layer: 1, expert: 3 }, retainLoss: { kind: 'none' } };
      const { checks: _checks, stop: _stop, evaluate: _evaluate, ...recipe } = recipeFor(goldenFolder('olmoe'), given);
      const without = await run(workspaceWithData(), recipe, Number.POSITIVE_INFINITY);
      const workspace = workspaceWithData();
      const { trace } = await run(workspace, recipe, 0);
      expect(trace).to.deep.equal(without.trace);
      const [store] = fs.readdirSync(path.join(workspace, '.uoe', 'activations'));
      const blocks = fs.readdirSync(path.join(workspace, '.uoe', 'activations', store)).filter((name) => name.endsWith('.safetensors'));
      expect(blocks, 'blocks of passes').to.have.length(1);
    });
  }

  it('resume to the same bits, also when the store is gone by then', async () => {
    const recipe = recipeFor(goldenFolder('olmoe'), { keep: 'best' });
    const { trace } = await run(workspaceWithData(), recipe, Number.POSITIVE_INFINITY);
    for (const gone of [false, true]) {
      const workspace = workspaceWithData();
      const cancel = new AbortController();
      let folder = '';
      const ended = await startRun(recipe, workspace, workspace, {
        open,
        worthKeeping: 0,
        signal: cancel.signal,
        started: (at) => {
          folder = at;
        },
        step: ({ step }) => {
          if (step === 3) cancel.abort();
        },
      }).catch((error: Error) => error.message);
      expect(ended).to.contain('Cancelled');
      if (gone) fs.rmSync(path.join(workspace, '.uoe', 'activations'), { recursive: true });
      await resumeRun(folder, { open, worthKeeping: gone ? Number.POSITIVE_INFINITY : 0 });
      expect(traceOf(folder)).to.deep.equal(trace);
    }
  });
});
