import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { recipeOf, trainOf } from '../../src/cli/recipe-flags';
import { FaultError } from '../../src/protocol/fault';
import { temporaryFolder } from '../files/temporary-folder';

function written(recipe: object): { readonly file: string; readonly folder: string } {
  const folder = temporaryFolder();
  const file = path.join(folder, 'recipe.uoe.json');
  fs.writeFileSync(file, JSON.stringify(recipe));
  return { file, folder };
}

describe('recipe from the command line', () => {
  it("a file's paths are against its folder, a flag's against the current one; flags win, other fields stay", async () => {
    const { file, folder } = written({ model: 'm', forget: 'f.jsonl', retain: 'r.jsonl', optimizer: { lr: 1e-3, warmup: 5 }, addDocumentStart: true, seed: 4 });
    expect(await recipeOf(file, { retain: 'other.jsonl', lr: 0.5, documentStart: 'auto', normalise: 'bytes' })).to.deep.equal({
      model: path.join(folder, 'm'),
      forget: path.join(folder, 'f.jsonl'),
      retain: path.resolve('other.jsonl'),
      optimizer: { lr: 0.5, warmup: 5 },
      scoring: { normalise: 'bytes' },
      seed: 4,
    });
  });

  it('a preset wins over the file and loses to flags', async () => {
    const { file } = written({ model: 'm', forget: 'f', retain: 'r', method: 'ga', steps: 7 });
    const recipe = await recipeOf(file, { preset: 'demo-rmu', steps: 3 });
    expect(recipe).to.include({ method: 'rmu', steps: 3, addDocumentStart: true });
    expect(recipe.optimizer?.lr).to.equal(1e-2);
  });

  it("another method leaves the file's options behind", async () => {
    const { file } = written({ model: 'm', forget: 'f', method: 'npo', methodOptions: { beta: 0.2 } });
    expect(await recipeOf(file, { method: 'ga' })).not.to.have.property('methodOptions');
    expect(await recipeOf(file, { method: 'npo' })).to.have.deep.property('methodOptions', { beta: 0.2 });
  });

  it('what trains: parts of the target, all, LoRA, or whole kinds; the file’s anchor weight was for what the file trains', async () => {
    expect(['router', 'full', 'lora', 'lora:16', 'routers', 'experts, shared', 'lora:0', 'router,experts'].map(trainOf)).to.deep.equal([
      'router',
      'full',
      { lora: {} },
      { lora: { rank: 16 } },
      { components: [{ kind: 'router' }] },
      { components: [{ kind: 'expert' }, { kind: 'shared' }] },
      null,
      null,
    ]);
    const { file } = written({ model: 'm', forget: 'f', train: 'expert+router', anchor: { weight: 1, form: 'released' } });
    expect((await recipeOf(file, { train: 'full' })).anchor).to.deep.equal({ form: 'released' });
    expect((await recipeOf(file, { train: 'expert+router' })).anchor).to.deep.equal({ weight: 1, form: 'released' });
  });

  it('other data than a fingerprint was taken of loses that fingerprint only', async () => {
    const { file } = written({ model: 'm', forget: 'f', fingerprints: { model: 'a', forget: 'b' } });
    expect((await recipeOf(file, { forget: 'g' })).fingerprints).to.deep.equal({ model: 'a' });
  });

  it('without a file, model and forget must be given', async () => {
    expect(await recipeOf(undefined, { model: 'm', forget: 'f' })).to.deep.equal({ model: path.resolve('m'), forget: path.resolve('f') });
    const refusal = await recipeOf(undefined, { model: 'm' }).catch((error: unknown) => error);
    expect(refusal).to.be.instanceOf(FaultError).with.nested.property('fault.code', 'usage');
  });
});
