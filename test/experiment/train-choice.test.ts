/** Runs that train more than an expert and its router: what the patch holds, what is measured before and after, and resuming. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { readPatch } from '../../src/checkpoint/patch-file';
import { roundPatch } from '../../src/checkpoint/round-patch';
import { measure } from '../../src/evaluate/measure';
import { setScore } from '../../src/evaluate/set-score';
import { openRecipe } from '../../src/experiment/open-recipe';
import { resumeRun, startRun } from '../../src/experiment/run';
import { asStored, parameterCounts } from '../../src/passes/model';
import { unwrap } from '../../src/protocol/fault';
import type { RunRecord } from '../../src/protocol/records';
import { temporaryFolder } from '../files/temporary-folder';
import { faultOfWork, goldenFolder, readJson, recipeFor, runNames, sharedModels, traceOf, writeData } from './run-case';

const model = goldenFolder('qwen2_moe');

describe('A run that trains', function () {
  this.timeout(120_000);
  const { open, close } = sharedModels();
  after(close);

  const workspaceWithData = (): string => {
    const workspace = temporaryFolder();
    writeData(workspace);
    fs.writeFileSync(path.join(workspace, 'esft.json'), JSON.stringify({ experts: { 1: [0, 2], 2: [1] }, shared_experts: false, non_expert_modules: false }));
    return workspace;
  };

  interface Case {
    readonly fields: Readonly<Record<string, unknown>>;
    /** Patterns of the patch's units, each of which is met. */
    readonly units: readonly RegExp[];
    readonly below: RegExp | null;
  }
  const cases: Readonly<Record<string, Case>> = {
    'all parameters': {
      fields: { train: 'full', target: { layer: 2, expert: 1 } },
      units: [/embed_tokens/, /q_proj\.bias/, /shared_expert_gate/, /lm_head/],
      below: null,
    },
    'LoRA adapters': {
      fields: { train: { lora: { rank: 2 } }, target: { layer: 2, expert: 1 } },
      units: [/q_proj\.weight/, /experts\.\d+\.up_proj/],
      below: /norm|gate\.weight|embed|lm_head|bias/,
    },
    'all routers': {
      fields: { train: { components: [{ kind: 'router' }] }, target: { layer: 2, expert: 1 } },
      units: [/mlp\.gate\.weight/],
      below: /experts|self_attn|norm/,
    },
    'attention of a layer above the first': {
      fields: { train: { components: [{ kind: 'attention', layers: [2] }] }, target: { layer: 2, expert: 1 } },
      units: [/layers\.2\.self_attn\.o_proj/],
      below: /layers\.[01]\.|mlp/,
    },
    "ESFT's experts without routers": {
      fields: { train: 'expert', target: { esft: 'esft.json' } },
      units: [/layers\.1\.mlp\.experts\.2\./, /layers\.2\.mlp\.experts\.1\./],
      below: /gate\.weight|experts\.3/,
    },
  };

  for (const [name, { fields, units, below }] of Object.entries(cases)) {
    it(`${name}: its patch, what is measured after it, and the same bits when it was cancelled and resumed`, async () => {
      const recipe = recipeFor(model, { ...fields, keep: 'last' });
      const workspace = workspaceWithData();
      const { folder, record, evaluation } = await startRun(recipe, workspace, workspace, { open });
      const patch = unwrap(await readPatch(path.join(folder, 'patch.safetensors')));
      const names = [...patch.units.keys()];
      for (const pattern of units)
        expect(
          names.some((unit) => pattern.test(unit)),
          String(pattern),
        ).to.equal(true);
      if (below) expect(names.filter((unit) => below.test(unit))).to.deep.equal([]);

      const handle = await open(model, 1e9);
      const { total } = parameterCounts(handle.model);
      expect(record.summary?.trainedShare).to.equal((record.summary?.trainedParameters ?? 0) / total);
      if (fields.train === 'full') expect(record.summary?.trainedParameters).to.equal(total);

      // Measured from the tokens on, with all that the patch changes in place.
      const opened = await openRecipe(recipe, workspace, { open });
      const { patch: exported } = unwrap(await roundPatch(patch, handle.checkpoint));
      for (const [i, set] of [opened.evaluate?.forget, opened.evaluate?.near, ...(opened.evaluate?.utility ?? [])].entries()) {
        const examples = await measure(handle.model, set?.sequences ?? [], { ...asStored, overlay: exported.units }, 1e9);
        expect(evaluation?.sets[i].after.nll).to.be.closeTo(setScore('', examples, 'none').nll, 1e-6);
        expect(evaluation?.sets[i].after.nll).to.not.equal(evaluation?.sets[i].before.nll);
      }

      const again = workspaceWithData();
      const stop = new AbortController();
      const hooks = { open, signal: stop.signal, step: ({ step }: { step: number }) => (step === 3 ? stop.abort() : undefined) };
      expect((await faultOfWork(startRun(recipe, again, again, hooks))).code).to.equal('cancelled');
      const run = path.join(again, '.uoe/runs', runNames(again)[0]);
      await resumeRun(run, { open });
      expect(readJson<RunRecord>(run, 'run.json').target).to.deep.equal(record.target);
      expect(traceOf(run)).to.deep.equal(traceOf(folder));
    });
  }

  it('what the model does not have is refused before a folder is made', async () => {
    const workspace = workspaceWithData();
    const train = { components: [{ kind: 'router', layers: [99] }] };
    const fault = await faultOfWork(startRun(recipeFor(model, { train }), workspace, workspace, { open }));
    expect(fault.message).to.match(/layer 99 does not exist/);
    expect(runNames(workspace)).to.deep.equal([]);
  });
});
