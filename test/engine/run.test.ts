import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { createSession } from '../../src/engine/session';
import type { EngineEvents } from '../../src/protocol/engine';
import { type Result, unwrap } from '../../src/protocol/fault';
import type { RequestAnswer, RequestName, RequestParams } from '../../src/protocol/rpc';
import { temporaryFolder } from '../files/temporary-folder';

const demo = path.resolve('demo');
const model = path.join(demo, 'checkpoint');

/** First rows of a file of the demo's data, in a folder of the test. */
function some(home: string, from: string, count: number): string {
  const to = path.join(home, from.replaceAll('/', '-'));
  fs.writeFileSync(
    to,
    fs
      .readFileSync(path.join(demo, 'data', from), 'utf8')
      .split('\n')
      .slice(0, count)
      .join('\n'),
  );
  return to;
}

describe('session: a run', () => {
  it('tells its events, is steered to its end, answers about it; other requests are answered meanwhile', async function () {
    this.timeout(120_000);
    const home = temporaryFolder();
    const events: string[] = [];
    let steered: Promise<Result<null>> | null = null;
    let meanwhile: Promise<Result<RequestAnswer<'tokenGates'>>> | null = null;
    const prompts = some(home, 'forget.jsonl', 8);
    const session = createSession(
      (event, payload) => {
        if (event === 'progress' || event === 'log') return;
        events.push(event);
        if (event !== 'step') return;
        const { step } = (payload as EngineEvents['step']).record;
        if (step === 1) meanwhile = result('tokenGates', { model, source: { kind: 'file', path: prompts }, id: '0' });
        if (step === 2) steered = result('steerRun', { action: 'keep' });
      },
      { threads: 1 },
    );
    const result = <K extends RequestName>(request: K, params: RequestParams<K>): Promise<Result<RequestAnswer<K>>> =>
      session.handle(request, params, { request, signal: new AbortController().signal });
    const ask = async <K extends RequestName>(request: K, params: RequestParams<K>): Promise<RequestAnswer<K>> => unwrap(await result(request, params));

    const recipe = {
      model,
      forget: prompts,
      retain: some(home, 'retain.jsonl', 8),
      target: { layer: 2, expert: 10 },
      method: 'gdiff',
      steps: 500,
      batchSize: 4,
      addDocumentStart: true,
      threads: 1,
      evaluate: { forget: some(home, 'eval/forget.jsonl', 4) },
      scoring: { normalise: 'tokens' },
    };
    expect((await ask('planRun', { recipe, folder: home })).time, 'no sample unless it is asked for').to.equal(null);
    const plan = await ask('planRun', { recipe, folder: home, time: true });
    const phases = new Map(plan.time?.phases.map((phase) => [phase.name, phase]));
    for (const name of ['preparation', 'training', 'evaluation']) expect(phases.get(name)?.seconds, name).to.be.above(0);
    expect(phases.get('attribution'), 'the recipe names its target').to.deep.include({ flops: 0, seconds: 0 });
    expect([plan.forgetRows, plan.retainRows, plan.target]).to.deep.equal([8, 8, [{ layer: 2, expert: 10 }]]);
    const resolved = await ask('resolveRecipe', { recipe: { ...recipe, forget: path.basename(recipe.forget) }, folder: home });
    expect(resolved).to.deep.include({ forget: recipe.forget, order: 'shuffled', retainLoss: { kind: 'nll', weight: 1 } });

    const outcome = await ask('startRun', { recipe, folder: home, workspace: home });
    expect(outcome.record.status).to.equal('stopped');
    expect(outcome.record.steps).to.be.within(2, 3);
    expect(outcome.record.plannedSeconds, 'planned beside measured').to.include.keys('preparation', 'training', 'evaluation');
    expect(events[0]).to.equal('runStarted');
    expect(events.filter((event) => event === 'step')).to.have.length(outcome.record.steps);
    const steering: Result<null> | null = await steered;
    expect(steering).to.deep.equal({ ok: true, value: null });
    expect((await (meanwhile as Promise<Result<RequestAnswer<'tokenGates'>>> | null))?.ok).to.equal(true);

    const { rows } = await ask('answers', { model, run: outcome.record.id, workspace: home, limit: 3 });
    expect(rows).to.have.length(3);
    for (const row of rows) {
      expect(row.options).to.have.length.of.at.least(2);
      expect(row.chosenBefore).to.equal(argmax(row.options?.map(({ before }) => before) ?? []));
      expect(row.chosenAfter).to.equal(argmax(row.options?.map(({ after }) => after) ?? []));
      expect(row.prompt).not.to.equal('');
    }
    const stored = await ask('readRun', { run: outcome.record.id, workspace: home });
    expect(stored.steps).to.have.length(outcome.record.steps);

    const changes = await ask('runChanges', { run: outcome.record.id, workspace: home });
    expect(changes).to.deep.include({ tensors: 200, applied: 'none', dtype: 'BF16', found: changes.recorded });
    expect(changes.changed.map(({ unit }) => unit)).to.deep.equal(
      ['experts.10.down_proj', 'experts.10.gate_proj', 'experts.10.up_proj', 'gate'].map((name) => `model.layers.2.mlp.${name}.weight`),
    );
    expect(changes.places).to.have.length(4);
    for (const { norm, weightNorm, largest } of changes.changed) {
      expect(norm).to.be.greaterThan(0).and.lessThan(weightNorm);
      expect(largest).to.be.at.most(norm);
    }
    const to = path.join(home, 'edited');
    const exported = await ask('exportRun', { run: outcome.record.id, workspace: home, to, form: 'checkpoint' });
    expect(changes.checkpointBytes, 'what was announced is what is written, but for the card').to.equal(
      exported.bytesWritten - fs.statSync(path.join(to, 'README.md')).size,
    );
    const proof = await ask('verifyExport', { run: outcome.record.id, workspace: home, folder: to });
    expect(proof).to.deep.equal(exported.proof);
    fs.appendFileSync(path.join(to, 'tokenizer_config.json'), ' ');
    expect(await ask('verifyExport', { run: outcome.record.id, workspace: home, folder: to })).to.deep.equal({
      ...proof,
      equal: proof.equal - 1,
      differing: ['tokenizer_config.json'],
    });
    await session.dispose();
  });
});

const argmax = (values: readonly number[]): number => values.indexOf(Math.max(...values));
