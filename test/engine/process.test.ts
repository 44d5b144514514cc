/** The engine as the extension has it: dist/engine.js in a process of its own, over node IPC. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { runsFolder } from '../../src/experiment/history';
import { savedStep } from '../../src/experiment/saved-step';
import { createEngineClient, type EngineClient } from '../../src/extension/engine/client';
import { findInterrupted } from '../../src/extension/workbench/interrupted';
import { type Result, unwrap } from '../../src/protocol/fault';
import type { StepRecord } from '../../src/protocol/records';
import { buildIfStale } from '../cli/command';
import { temporaryFolder } from '../files/temporary-folder';

const demo = path.resolve('demo');
const model = path.join(demo, 'checkpoint');
const module = path.resolve('dist/engine.js');
const file = (name: string) => path.join(demo, 'data', name);

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Patience for a busy machine; nothing is said about speed. */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 600; turn++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not happen.`);
}

describe('engine process', function () {
  this.timeout(240_000);
  before(buildIfStale);
  const clients: EngineClient[] = [];
  const engine = (): EngineClient => {
    const client = createEngineClient({ module, handshake: () => ({ threads: 1 }), onStatus: () => undefined, onOutput: () => undefined });
    clients.push(client);
    return client;
  };
  afterEach(async () => {
    const pids = clients.splice(0).flatMap((client) => {
      const pid = client.pid();
      client.stop();
      return pid === undefined ? [] : [pid];
    });
    await until('The end of every engine', () => !pids.some(isAlive));
  });

  /** A recipe with all phases on few rows. */
  function recipe(home: string, fields: object = {}) {
    const some = (name: string, count: number) => {
      const to = path.join(home, name.replace('/', '-'));
      fs.writeFileSync(to, fs.readFileSync(file(name), 'utf8').split('\n').slice(0, count).join('\n'));
      return to;
    };
    return {
      model,
      forget: some('forget.jsonl', 64),
      retain: some('retain.jsonl', 64),
      method: 'gdiff',
      batchSize: 4,
      steps: 400,
      addDocumentStart: true,
      evaluate: { forget: some('eval/forget.jsonl', 60), utility: [some('eval/retain.jsonl', 60)] },
      scoring: { normalise: 'tokens' },
      ...fields,
    };
  }

  it('hears a cancel in every phase', async () => {
    const home = temporaryFolder();
    const client = engine();
    const times: string[] = [];
    /** Cancels the request when it says that it is in `phase`. */
    async function cancelled(
      phase: string,
      request: (signal: AbortSignal, onProgress: (progress: { phase: string }) => void) => Promise<Result<unknown>>,
    ): Promise<void> {
      const abort = new AbortController();
      let at = 0;
      const result = await request(abort.signal, (progress) => {
        if (progress.phase !== phase || at > 0) return;
        // A little later, so that the phase is at work.
        setTimeout(() => {
          at = performance.now();
          abort.abort();
        }, 5);
      });
      const ms = performance.now() - at;
      expect(at, `phase "${phase}" was reached`).to.be.above(0);
      expect(result.ok ? 'it was finished' : result.fault.code, phase).to.equal('cancelled');
      times.push(`${phase} ${ms.toFixed(0)} ms`);
      expect(ms, phase).to.be.below(20_000);
    }
    const prompts = [{ kind: 'file' as const, path: file('forget.jsonl') }];
    await cancelled('Reading prompts', (signal, onProgress) => client.request('attribute', { model, prompts, documentStart: 'yes' }, { signal, onProgress }));
    for (const phase of ['Reading the recipe', 'Finding the expert', 'Preparing', 'Training', 'Measuring']) {
      const steps = phase === 'Measuring' ? 2 : 400;
      const target = phase === 'Preparing' ? { layer: 2, expert: 10 } : 'auto';
      await cancelled(phase, (signal, onProgress) =>
        client.request('startRun', { recipe: recipe(home, { steps, target }), folder: home, workspace: home }, { signal, onProgress }),
      );
    }
    console.log(`      ${times.join(', ')}`);
  });

  /** A run under way, at step 5 or more. */
  async function running(home: string, fields: object = {}) {
    const client = engine();
    let id = '';
    let step = 0;
    client.listen('runStarted', ({ record }) => {
      id = record.id;
    });
    client.listen('step', ({ record }) => {
      step = record.step;
    });
    const outcome = client.request('startRun', {
      recipe: recipe(home, { evaluate: null, target: { layer: 2, expert: 10 }, ...fields }),
      folder: home,
      workspace: home,
    });
    let ended: string | null = null;
    void outcome.then((result) => {
      ended = result.ok ? result.value.record.status : result.fault.message;
    });
    await until('Step 5, or the end', () => step >= 5 || ended !== null);
    expect(ended).to.equal(null);
    return { client, outcome, id, pid: client.pid() ?? 0 };
  }

  const journal = (home: string, id: string): number[] =>
    fs
      .readFileSync(path.join(runsFolder(home), id, 'steps.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as StepRecord).step);

  it('killed in the middle of a run: the run is found, and goes on from its saved step to its end', async () => {
    const home = temporaryFolder();
    const stop = path.join(home, 'stop.jsonl');
    fs.writeFileSync(stop, fs.readFileSync(file('stop/forget.jsonl'), 'utf8').split('\n').slice(0, 20).join('\n'));
    const checks = { everySteps: 3, forget: stop };
    const { outcome, id, pid } = await running(home, { steps: 30, checks });
    process.kill(pid, 'SIGKILL');
    const lost = await outcome;
    expect(lost.ok ? '' : lost.fault.message).to.match(/SIGKILL/);
    const saved = await savedStep(path.join(runsFolder(home), id));
    expect(saved).to.be.at.least(3);
    expect(await findInterrupted(home)).to.deep.equal({
      interrupted: { id, number: 1, method: 'gdiff', plannedSteps: 30, step: saved },
      elsewhere: false,
      cut: [],
    });

    const next = engine();
    const resumed: number[] = [];
    next.listen('step', ({ record }) => resumed.push(record.step));
    const { record } = unwrap(await next.request('startRun', { recipe: {}, folder: home, workspace: home, resume: id }));
    expect(record).to.deep.include({ status: 'done', steps: 30 });
    expect(resumed[0]).to.equal((saved ?? 0) + 1);
    expect(journal(home, id)).to.deep.equal(Array.from({ length: 30 }, (_, i) => i + 1));
    expect((await findInterrupted(home)).interrupted).to.equal(null);
  });

  it('ends when the window that started it goes, killed or closed; its run can go on', async () => {
    const home = temporaryFolder();
    const { client, outcome, id, pid } = await running(home);
    client.stop();
    await until('The end of the engine', () => !isAlive(pid));
    expect((await outcome).ok).to.equal(false);
    expect((await findInterrupted(home)).interrupted).to.deep.include({ id, plannedSteps: 400 });

    const fork = `const child = require('node:child_process').fork(${JSON.stringify(module)}, ['--node-ipc'], { serialization: 'advanced', silent: true });
      child.send({ jsonrpc: '2.0', id: 1, method: 'handshake', params: { request: '1', params: { backend: 'cpu' } } });
      child.on('message', () => console.log(child.pid));`;
    const parent = spawn(process.execPath, ['-e', fork], { stdio: ['ignore', 'pipe', 'inherit'] });
    const orphan = await new Promise<number>((resolve, reject) => {
      parent.stdout.once('data', (text) => resolve(Number(text)));
      parent.once('exit', () => reject(new Error('The engine did not start.')));
    });
    expect(isAlive(orphan)).to.equal(true);
    parent.kill('SIGKILL');
    await until('The end of the orphan', () => !isAlive(orphan));
  });

  it('two windows on one workspace: each run has its own folder and number, and only one may be at a run', async () => {
    const home = temporaryFolder();
    const [first, second] = await Promise.all([running(home), running(home)]);
    expect(first.id).not.to.equal(second.id);
    const runs = unwrap(await first.client.request('runs', { workspace: home }));
    expect(runs.runs.map(({ number, status }) => [number, status])).to.deep.equal([
      [1, 'running'],
      [2, 'running'],
    ]);
    expect(await findInterrupted(home)).to.deep.equal({ interrupted: null, elsewhere: true, cut: [] });
    const third = engine();
    const refused = await third.request('startRun', { recipe: {}, folder: home, workspace: home, resume: first.id });
    expect(refused.ok ? '' : refused.fault.message).to.match(new RegExp(`Run ${first.id} is in use by process ${first.pid} `));
    for (const { client, outcome } of [first, second]) {
      unwrap(await client.request('steerRun', { action: 'keep' }));
      expect(unwrap(await outcome).record.status).to.equal('stopped');
    }
    expect(journal(home, first.id)).to.deep.equal(journal(home, first.id).map((_, i) => i + 1));
  });
});
