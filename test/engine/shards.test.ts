/** A reading in parts: merged, it is to the last bit what it is in one; parts that don't belong together are told apart. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { scoreResult } from '../../src/engine/score-rows';
import { createSession } from '../../src/engine/session';
import { mergeAttribution, mergeScores } from '../../src/experiment/reading-parts';
import { faultOf, sentence, unwrap } from '../../src/protocol/fault';
import type { RequestName, RequestParams } from '../../src/protocol/rpc';
import { temporaryFolder } from '../files/temporary-folder';
import { randomOf } from '../oracle/random';

const model = path.resolve('test', 'fixtures', 'golden', 'mixtral');
const said = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'it went well',
    (error: unknown) => sentence(faultOf(error)),
  );

describe('attribution and scores in shards', () => {
  const session = createSession(() => undefined, { backend: 'wasm', threads: 1 });
  after(() => session.dispose());
  const ask = async <K extends RequestName>(name: K, params: RequestParams<K>) =>
    unwrap(await session.handle(name, params, { request: name, signal: new AbortController().signal }));

  /** 13 rows of 5 to 29 tokens with three topics. */
  function rows(folder: string, name: string, count: number, seed: number) {
    const at = path.join(folder, name);
    const { uniform } = randomOf(seed);
    const lines = Array.from({ length: count }, (_, i) => {
      const length = 5 + Math.floor(uniform() * 25);
      return JSON.stringify({ input_ids: Array.from({ length }, () => 1 + Math.floor(uniform() * 40)), topic: `t${i % 3}` });
    });
    fs.writeFileSync(at, lines.join('\n'));
    return [{ kind: 'file', path: at }] as const;
  }

  it('attribution merges to the unsharded record, bit for bit, in whatever order its parts come', async () => {
    const folder = temporaryFolder();
    const [prompts, against] = [rows(folder, 'a.jsonl', 13, 1), rows(folder, 'b.jsonl', 7, 2)];
    const whole = await ask('attribute', { model, prompts, against, seed: 5 });
    const part = (index: number, count: number) => path.join(folder, `${index}-of-${count}.safetensors`);
    const make = (index: number, count: number, more: object = {}) =>
      ask('attribute', { model, prompts, against, shard: { index, count, to: part(index, count) }, ...more });
    for (const index of [3, 1, 4, 2]) await make(index, 4);
    const merged = await mergeAttribution([part(2, 4), part(4, 4), part(1, 4), part(3, 4)], 5);
    expect(merged).to.deep.equal(whole.record);

    await make(1, 2);
    expect(await mergeAttribution([part(1, 2), part(3, 4), part(4, 4)], 5), 'ranges count, not how many parts there are').to.deep.equal(whole.record);
    expect(await said(mergeAttribution([part(1, 4), part(2, 4), part(4, 4)], 0))).to.match(/^The prompts 7 to 9 are in no part\. Give all parts\./);
    expect(await said(mergeAttribution([part(1, 4), part(2, 4), part(3, 4)], 0))).to.match(/^The prompts 10 to 13 are in no part\./);
    expect(await said(mergeAttribution([part(1, 2), part(2, 4), part(3, 4), part(4, 4)], 0))).to.match(/^The prompts 4 to 6 are in several parts/);
    await make(2, 2, { forbid: [{ layer: 0, expert: 1 }] });
    expect(await said(mergeAttribution([part(1, 2), part(2, 2)], 0))).to.match(/was made with other prompts or settings than/);
    expect(await said(make(14, 14))).to.match(/The prompts have 13 rows, which can't be cut into 14 shards/);
  });

  it('scores merge to the unsharded result, bit for bit', async () => {
    const folder = temporaryFolder();
    const data = rows(folder, 'a.jsonl', 11, 3);
    const whole = await ask('score', { model, data });
    const part = (index: number) => path.join(folder, `${index}.json`);
    for (const index of [1, 2, 3]) await ask('score', { model, data, shard: { index, count: 3, to: part(index) } });
    const { rows: all, topics, ...lost } = await mergeScores([part(3), part(1), part(2)]);
    expect(scoreResult(all, topics, lost)).to.deep.equal(whole);
    expect(Object.keys(whole.byTopic)).to.have.length(3);
    expect(await said(mergeScores([part(1), part(3)]))).to.match(/^The rows 4 to 7 are in no part\./);
  });
});
