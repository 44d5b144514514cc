import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { bytesOf, writeSafetensors } from '../../src/checkpoint/safetensors';
import { openRecipe } from '../../src/experiment/open-recipe';
import { startRun } from '../../src/experiment/run';
import { type Fault, unwrap } from '../../src/protocol/fault';
import type { RunRecord } from '../../src/protocol/records';
import { temporaryFolder } from '../files/temporary-folder';
import { readSafetensors } from '../oracle/safetensors';
import { faultOfWork, goldenFolder, readJson, recipeFor, runNames, writeData, writeRows } from './run-case';

const model = goldenFolder('deepseek_v2');

/** A workspace with data rows. */
function workspaceWithData(): string {
  const workspace = temporaryFolder();
  writeData(workspace);
  return workspace;
}

/** A copy of a golden checkpoint with another config.json. */
function changedModel(change: (config: Record<string, unknown>) => Record<string, unknown>, from = 'mixtral'): string {
  const folder = temporaryFolder();
  for (const file of ['config.json', 'model.safetensors']) fs.copyFileSync(path.join(goldenFolder(from), file), path.join(folder, file));
  fs.writeFileSync(path.join(folder, 'config.json'), JSON.stringify(change(readJson(folder, 'config.json'))));
  return folder;
}

/** What starting a run says, in one sentence that names what is wrong; no run folder is left. */
async function refused(fields: Record<string, unknown>, workspace = workspaceWithData()): Promise<Fault> {
  const fault = await faultOfWork(startRun(recipeFor(model, fields), workspace, workspace));
  expect(runNames(workspace).filter((name) => !name.startsWith('.lock'))).to.deep.equal([]);
  expect(fault.code).to.not.equal('internal');
  expect(fault.message).to.match(/\.$/);
  expect(fault.message).to.not.include('\n');
  return fault;
}

describe('A recipe that can not be run is refused before a folder is made:', function () {
  this.timeout(60_000);

  describe('a target', () => {
    const cases: [string, unknown, RegExp][] = [
      ['of a layer that is dense', { layer: 0, expert: 1 }, /layer 0 is dense/i],
      ['of a layer that is not there', { layer: 4, expert: 1 }, /layer 4 does not exist.*0 to 3/],
      ['expert that is not there', { layer: 2, expert: 8 }, /expert 8 of layer 2 does not exist/i],
      [
        'among several',
        {
          experts: [
            { layer: 1, expert: 0 },
            { layer: 9, expert: 0 },
          ],
        },
        /layer 9 does not exist/,
      ],
      [
        'named twice',
        {
          experts: [
            { layer: 1, expert: 0 },
            { layer: 1, expert: 0 },
          ],
        },
        /layer 1 expert 0 twice/,
      ],
    ];
    for (const [name, target, sentence] of cases) {
      it(name, async () => expect((await refused({ target })).message).to.match(sentence));
    }

    it('in an ESFT list that is missing, no list, out of range, or doubled', async () => {
      const workspace = workspaceWithData();
      const at = path.join(workspace, 'experts.json');
      const target = { esft: 'experts.json' };
      expect((await refused({ target }, workspace)).message)
        .to.include(at)
        .and.match(/no such file/);
      const given: [unknown, RegExp][] = [
        ['not JSON', /is not JSON/],
        [{ layers: {} }, /no "experts" by layer/],
        [{ experts: {} }, /names no expert/],
        [{ experts: { 1: ['a'] } }, /layer "1" are not a list of numbers/],
        [{ experts: { 1: [8] } }, /expert 8 of layer 1 does not exist/i],
        [{ experts: { 1: [3, 3] } }, /layer 1 expert 3 twice/],
        [{ experts: { 1: [3] }, shared_experts: true }, /shared experts/],
      ];
      for (const [content, sentence] of given) {
        fs.writeFileSync(at, typeof content === 'string' ? content : JSON.stringify(content));
        expect((await refused({ target }, workspace)).message).to.match(sentence);
      }
      fs.writeFileSync(at, JSON.stringify({ experts: { 2: [4], 1: [3, 0] }, shared_experts: false, non_expert_modules: false }));
      const { record } = await startRun(recipeFor(model, { target, steps: 1, checks: null, evaluate: null }), workspace, workspace);
      expect(record.target.experts).to.have.deep.members([
        { layer: 1, expert: 3 },
        { layer: 1, expert: 0 },
        { layer: 2, expert: 4 },
      ]);
    });
  });

  describe('a data file', () => {
    const broken = async (content: string): Promise<Fault> => {
      const workspace = workspaceWithData();
      fs.writeFileSync(path.join(workspace, 'forget.jsonl'), content);
      const fault = await refused({}, workspace);
      expect(fault.message).to.include(path.join(workspace, 'forget.jsonl'));
      return fault;
    };

    it('that is missing', async () => {
      for (const field of ['forget', 'retain']) expect((await refused({ [field]: 'nowhere.jsonl' })).message).to.match(/nowhere\.jsonl: there is no such file/);
      expect((await refused({ evaluate: { near: 'nowhere.jsonl' } })).message).to.match(/nowhere\.jsonl: there is no such file/);
      expect((await refused({ checks: { forget: 'nowhere.jsonl' } })).message).to.match(/nowhere\.jsonl: there is no such file/);
    });

    it('that is empty', async () => expect((await broken('')).message).to.match(/empty/));
    it('with other columns', async () => expect((await broken('{"body":"x"}\n')).message).to.match(/line 1.*"body"/));
    it('that is not JSON on its second line', async () => expect((await broken('{"input_ids":[3,4,5]}\n{"input_ids":[3,4\n')).message).to.match(/line 2/));
    it('with a row longer than the context', async () => {
      const workspace = workspaceWithData();
      writeRows(path.join(workspace, 'forget.jsonl'), [{ input_ids: [3, 4] }, { input_ids: Array.from({ length: 2561 }, () => 5) }]);
      const fault = await refused({ maxLength: 4000 }, workspace);
      expect(fault.message).to.match(/forget\.jsonl, line 2: 2561 tokens, but the model's context has 2560/);
    });
    it('with a token that the model lacks', async () => expect((await broken('{"input_ids":[3,97]}\n')).message).to.match(/line 1: token id 97/));
    it('without a target', async () => expect((await broken('{"input_ids":[3,4],"labels":[-100,-100]}\n')).message).to.match(/no row with a target/));
    it('of text, for a checkpoint without a tokenizer', async () => expect((await broken('{"text":"hello"}\n')).message).to.match(/no tokenizer\.json/));
  });

  describe('a control vector', () => {
    const rmu = (controlVector: unknown) => ({ method: 'rmu', methodOptions: { controlVector } });

    it('that is missing, not in the file, of another shape or kind', async () => {
      const workspace = workspaceWithData();
      const at = path.join(workspace, 'u.safetensors');
      const vector = { file: 'u.safetensors', tensor: 'u' };
      expect((await refused(rmu(vector), workspace)).message).to.match(/u\.safetensors: there is no such file/);
      unwrap(
        await writeSafetensors(at, [
          { name: 'u', dtype: 'F32', shape: [31], bytes: new Uint8Array(124) },
          { name: 'whole', dtype: 'I32', shape: [32], bytes: new Uint8Array(128) },
        ]),
      );
      expect((await refused(rmu(vector), workspace)).message).to.match(/tensor "u" is F32 \[31\]; a control vector is \[32\]/);
      expect((await refused(rmu({ ...vector, tensor: 'whole' }), workspace)).message).to.match(/is I32 \[32\]/);
      expect((await refused(rmu({ ...vector, tensor: 'v' }), workspace)).message).to.match(/holds no tensor "v"/);
      fs.writeFileSync(at, 'short');
      expect((await refused(rmu(vector), workspace)).message).to.include(at);
    });

    it('is else used as it is given', async () => {
      const workspace = workspaceWithData();
      const u = Float32Array.from({ length: 32 }, (_, i) => i - 3);
      unwrap(await writeSafetensors(path.join(workspace, 'u.safetensors'), [{ name: 'u', dtype: 'F32', shape: [1, 32], bytes: bytesOf(u) }]));
      const opened = await openRecipe(recipeFor(model, rmu({ file: 'u.safetensors', tensor: 'u' })), workspace);
      expect(opened.controlVector).to.deep.equal(u);
      await opened.release();
    });
  });

  describe('a checkpoint', () => {
    it('that is missing', async () => expect((await refused({ model: 'nowhere' })).message).to.match(/nowhere/));
    it('of an unknown type', async () => {
      const folder = changedModel((config) => ({ ...config, model_type: 'granitemoe' }));
      const fault = await refused({ model: folder });
      expect(`${fault.message} ${fault.remedy}`).to.match(/granitemoe.*mixtral/);
    });
    it('that is dense', async () => {
      const fault = await refused({ model: changedModel((config) => ({ ...config, model_type: 'llama' })) });
      expect(`${fault.message} ${fault.remedy}`).to.match(/llama/);
      const layers = await refused({ model: changedModel((config) => ({ ...config, mlp_only_layers: [0, 1, 2] }), 'qwen2_moe') });
      expect(layers.message).to.match(/no Mixture-of-Experts layer/);
    });
    it('that is quantised', async () => {
      const folder = changedModel((config) => ({ ...config, quantization_config: { quant_method: 'gptq', bits: 4 } }));
      expect((await refused({ model: folder })).message).to.match(/quantised.*gptq/);
    });
  });

  it('a field out of range, unknown, or of another method', async () => {
    expect((await refused({ stepz: 3 })).message).to.match(/"stepz"/);
    expect((await refused({ steps: 0 })).message).to.match(/"steps"/);
    expect((await refused({ methodOptions: { beta: 1 } })).message).to.match(/"methodOptions\.beta"/);
    expect((await refused({ stop: { patience: 1 }, checks: null })).message).to.match(/"stop".*"checks"/);
    expect((await refused({ retain: null, retainLoss: { kind: 'nll' } })).message).to.match(/"retainLoss".*"retain"/);
  });

  it('a file that is not the one whose fingerprint the recipe carries, which is named', async () => {
    const workspace = workspaceWithData();
    const { folder } = await startRun(recipeFor(model, { steps: 1, checks: null }), workspace, workspace);
    const recipe = readJson<Record<string, unknown>>(folder, 'recipe.json');
    const prints = recipe.fingerprints as Record<string, string>;
    for (const field of Object.keys(prints)) {
      const fault = await faultOfWork(startRun({ ...recipe, fingerprints: { ...prints, [field]: 'sha256:0' } }, workspace, workspace));
      const file = field === 'model' ? model : path.join(workspace, `${field.replace('evaluate.', 'eval/').replace('utility[0]', 'retain')}.jsonl`);
      expect(fault.message, field).to.include(file).and.include('fingerprint');
    }
    expect(runNames(workspace).filter((name) => !name.startsWith('.'))).to.have.length(1);
  });
});

describe('A checkpoint with a NaN', () => {
  it('is found as its weights are read, and the run says which tensor', async () => {
    const folder = temporaryFolder();
    const from = goldenFolder('mixtral');
    fs.copyFileSync(path.join(from, 'config.json'), path.join(folder, 'config.json'));
    const bytes = fs.readFileSync(path.join(from, 'model.safetensors'));
    const header = Number(bytes.readBigUInt64LE());
    const name = 'model.layers.1.block_sparse_moe.gate.weight';
    const {
      data_offsets: [start],
    } = (JSON.parse(bytes.toString('utf8', 8, 8 + header)) as Record<string, { data_offsets: [number, number] }>)[name];
    bytes.writeFloatLE(Number.NaN, 8 + header + start + 20);
    fs.writeFileSync(path.join(folder, 'model.safetensors'), bytes);
    expect(Number.isNaN(readSafetensors(path.join(folder, 'model.safetensors')).tensors.get(name)!.values[5])).to.equal(true);
    const workspace = workspaceWithData();
    const fault = await faultOfWork(startRun(recipeFor(folder), workspace, workspace));
    expect(fault.code).to.equal('not-finite');
    expect(fault.message).to.include(name);
    const [run] = runNames(workspace).filter((own) => !own.startsWith('.'));
    expect(readJson<RunRecord>(workspace, '.uoe/runs', run, 'run.json')).to.include({ status: 'failed', steps: 0 });
  });
});
