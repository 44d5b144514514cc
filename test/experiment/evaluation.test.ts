import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { exportCheckpoint } from '../../src/checkpoint/export-checkpoint';
import { readPatch } from '../../src/checkpoint/patch-file';
import { measure } from '../../src/evaluate/measure';
import { setScore } from '../../src/evaluate/set-score';
import { openHandle, openRecipe } from '../../src/experiment/open-recipe';
import { combinedScore } from '../../src/experiment/role-score';
import { spreadRows } from '../../src/experiment/routing-change';
import { startRun } from '../../src/experiment/run';
import { asStored, forbidding } from '../../src/passes/model';
import { unwrap } from '../../src/protocol/fault';
import type { CheckRecord, SetScore } from '../../src/protocol/records';
import { temporaryFolder } from '../files/temporary-folder';
import { randomOf } from '../oracle/random';
import { goldenFolder, readLines, recipeFor, sharedModels, writeData, writeRows } from './run-case';

const hashes = (folder: string): Record<string, string> =>
  Object.fromEntries(
    fs
      .readdirSync(folder)
      .sort()
      .map((file) => [
        file,
        createHash('sha256')
          .update(fs.readFileSync(path.join(folder, file)))
          .digest('hex'),
      ]),
  );

/** A golden checkpoint with a tokenizer of the words w0, w1, ... `[vocabulary]`. */
function modelWithWords(): string {
  const folder = temporaryFolder();
  for (const file of ['config.json', 'model.safetensors']) fs.copyFileSync(path.join(goldenFolder('qwen3_moe'), file), path.join(folder, file));
  const vocab = Object.fromEntries(Array.from({ length: 97 }, (_, id) => [`w${id}`, id]));
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: null,
    decoder: null,
    model: { type: 'WordLevel', vocab, unk_token: 'w0' },
  };
  fs.writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  fs.writeFileSync(path.join(folder, 'tokenizer_config.json'), JSON.stringify({ bos_token: 'w1', eos_token: 'w2' }));
  return folder;
}

describe('Before and after', function () {
  this.timeout(60_000);
  const models = sharedModels();
  after(models.close);

  it('of a bf16 checkpoint are measured on what an export holds, and its files stay as they are', async () => {
    const model = path.resolve('test/fixtures/variants/mixtral_window');
    const untouched = hashes(model);
    const workspace = temporaryFolder();
    writeData(workspace);
    const { folder, record, evaluation } = await startRun(recipeFor(model, { optimizer: { lr: 3e-3 } }), workspace, workspace);
    expect(hashes(model)).to.deep.equal(untouched);
    expect(record.summary?.roundingLoss).to.be.within(1e-4, 0.5);

    const original = await openHandle(model, 1e9);
    const patch = unwrap(await readPatch(path.join(folder, 'patch.safetensors')));
    const to = path.join(workspace, 'exported');
    unwrap(await exportCheckpoint({ checkpoint: original.checkpoint, patch, to }));
    const edited = await openHandle(to, 1e9);
    const read = await openRecipe(recipeFor(model), workspace);
    const forbidden = forbidding(record.target.experts, 'score');
    const sets = [read.evaluate?.forget, read.evaluate?.near, ...(read.evaluate?.utility ?? [])];
    for (const [i, set] of sets.entries()) {
      if (!set) throw new Error('A set is missing.');
      const score = async (handle: typeof edited, conditions = asStored) =>
        JSON.parse(JSON.stringify(setScore(set.file, await measure(handle.model, set.sequences, conditions, 1e9, { wantArgmax: true })))) as SetScore;
      const measured = JSON.parse(JSON.stringify(evaluation?.sets[i])) as Record<string, SetScore>;
      expect(measured.before).to.deep.equal(await score(original));
      expect(measured.after).to.deep.equal(await score(edited));
      if (i > 0) continue;
      expect(measured.forbiddenBefore).to.deep.equal(await score(original, { ...asStored, forbidden }));
      expect(measured.forbiddenAfter).to.deep.equal(await score(edited, { ...asStored, forbidden }));
    }
    // A check measures the weights of its step as they train, which are not yet rounded.
    expect(evaluation?.sets[0].after.score.value).to.not.equal(readLines<CheckRecord>(folder, 'checks.jsonl').at(-1)?.forget);
    for (const { model: opened, checkpoint } of [original, edited]) {
      opened.weights.close();
      await checkpoint.close();
    }
    await read.release();
  });

  it('of questions are accuracies over topics; utility is the mean over the topics of its sets', async () => {
    const model = modelWithWords();
    const workspace = temporaryFolder();
    writeData(workspace);
    const random = randomOf('questions');
    const word = () => `w${random.integer(3, 90)}`;
    const questions = (topics: readonly string[]) =>
      topics.map((topic, i) => ({
        id: String(i),
        topic,
        prompt: `${word()} ${word()}`,
        options: [word(), `${word()} ${word()}`, word()],
        answer: random.integer(0, 2),
      }));
    writeRows(path.join(workspace, 'eval/a.jsonl'), questions(['x', 'x', 'x', 'y']));
    writeRows(path.join(workspace, 'eval/b.jsonl'), questions(['y', 'z', 'z', 'z', 'z']));
    writeRows(path.join(workspace, 'eval/near.jsonl'), questions(['x', 'n']));
    const evaluate = { forget: 'eval/forget.jsonl', near: 'eval/near.jsonl', utility: ['eval/a.jsonl', 'eval/b.jsonl', 'eval/retain.jsonl'] };
    const { record, evaluation } = await startRun(recipeFor(model, { evaluate, steps: 2, checks: null }), workspace, workspace);
    const [forget, near, a, b, text] = evaluation?.sets ?? [];
    expect([forget, near, a, b, text].map(({ before }) => before.kind)).to.deep.equal(['probability', 'accuracy', 'accuracy', 'accuracy', 'probability']);
    for (const moment of ['before', 'after'] as const) {
      const hits = new Map<string, number[]>();
      for (const { score } of [a[moment], b[moment]])
        for (const { topic, value } of score.perExample ?? []) hits.set(topic as string, [...(hits.get(topic as string) ?? []), value as number]);
      const means = [...hits.values()].map((values) => values.reduce((sum, value) => sum + value, 0) / values.length);
      expect(means).to.have.length(3);
      expect(record.summary?.utility?.[moment]).to.be.closeTo(means.reduce((sum, value) => sum + value, 0) / 3, 1e-12);
      expect(record.summary?.near?.[moment]).to.equal(near[moment].score.value);
      expect(record.summary?.forget?.[moment]).to.be.closeTo(Math.exp(-forget[moment].nll), 1e-12);
    }
  });

  it('of text alone: the mean of exp(-NLL) of the sets', () => {
    const text = (value: number): SetScore => ({ name: String(value), kind: 'probability', score: { value, n: 1 }, nll: -Math.log(value), blind: null });
    expect(combinedScore([text(0.5), text(0.25)])).to.equal(0.375);
    expect(combinedScore([])).to.equal(null);
  });

  it('compare routing on rows spread over a set, all of a small one', () => {
    expect(spreadRows(3)).to.deep.equal([0, 1, 2]);
    expect(spreadRows(256, 256)).to.deep.equal(Array.from({ length: 256 }, (_, i) => i));
    const rows = spreadRows(1758, 256);
    expect(rows).to.have.length(256);
    expect([rows[0], rows[128], rows[255]]).to.deep.equal([0, 879, 1751]);
    expect(new Set(rows).size).to.equal(256);
  });
});

describe('A recipe’s reading', () => {
  it('passes document start, chat, maximum length and scoring on to every set', async () => {
    const model = modelWithWords();
    const workspace = temporaryFolder();
    writeRows(path.join(workspace, 'text.jsonl'), [{ text: 'w5 w6 w7 w8 w9' }]);
    writeRows(path.join(workspace, 'asked.jsonl'), [{ question: 'w5 w6', choices: ['w7', 'w8'], answer: 1 }]);
    const read = async (fields: Record<string, unknown>) => {
      const opened = await openRecipe(
        {
          model,
          forget: 'text.jsonl',
          retain: 'asked.jsonl',
          checks: { forget: 'asked.jsonl', utility: ['text.jsonl'] },
          evaluate: { near: 'text.jsonl' },
          ...fields,
        },
        workspace,
      );
      await opened.release();
      const ids = (set: { readonly sequences: readonly { readonly ids: Int32Array }[] } | null | undefined) => Array.from(set?.sequences[0].ids ?? []);
      return {
        forget: ids(opened.forget),
        retain: ids(opened.retain),
        check: ids(opened.checks?.forget),
        utility: ids(opened.checks?.utility[0]),
        near: ids(opened.evaluate?.near),
        truncated: opened.forget.truncated,
      };
    };
    // This tokenizer itself puts nothing before a text.
    const auto = await read({});
    expect(auto).to.deep.equal({
      forget: [5, 6, 7, 8, 9],
      retain: [5, 6, 8],
      check: [5, 6, 7, 8],
      utility: [5, 6, 7, 8, 9],
      near: [5, 6, 7, 8, 9],
      truncated: 0,
    });
    expect(await read({ addDocumentStart: false })).to.deep.equal(auto);
    const started = await read({ addDocumentStart: true, maxLength: 4 });
    expect(started).to.deep.equal({
      forget: [1, 5, 6, 7],
      retain: [1, 5, 6, 8],
      check: [1, 5, 6, 7, 8],
      utility: [1, 5, 6, 7],
      near: [1, 5, 6, 7],
      truncated: 1,
    });
    expect((await read({ scoring: { options: 'lettered' } })).check).to.not.deep.equal(auto.check);
  });
});
