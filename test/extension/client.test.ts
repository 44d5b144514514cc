import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { createEngineClient, type EngineStatus, endingOf } from '../../src/extension/engine/client';

// A child that speaks the wire format of vscode-jsonrpc over node IPC and answers `runs`, dies on `openModel`, and never answers `attribute`.
const child = `
const reply = (id, body) => process.send({ jsonrpc: '2.0', id, ...body });
process.on('disconnect', () => process.exit(0));
process.on('message', ({ id, method, params }) => {
  if (method === 'handshake') reply(id, { result: { version: '1', backend: { name: 'cpu', threads: 1, why: 'Asked for.' }, catalogue: { methods: [] } } });
  if (method === 'runs') {
    process.send({ jsonrpc: '2.0', method: 'progress', params: { request: params.request, phase: 'Reading', done: 1, total: 2, unit: 'runs' } });
    reply(id, { result: { runs: [], values: Float32Array.of(1.5, 2.5) } });
  }
  if (method === 'openModel') { process.stderr.write('Error: the heap is full\\n'); setTimeout(() => process.exit(3), 20); }
  if (method === '$/cancelRequest') reply(params.id, { error: { code: -32800, message: 'Cancelled.', data: { code: 'cancelled', message: 'Cancelled.' } } });
});
`;

describe('engine client', () => {
  let folder = '';
  const statuses: EngineStatus[] = [];
  const start = (source = child) => {
    statuses.length = 0;
    const module = path.join(folder, 'engine.cjs');
    fs.writeFileSync(module, source);
    return createEngineClient({ module, handshake: () => ({ backend: 'cpu' }), onStatus: (status) => statuses.push(status), onOutput: () => undefined });
  };

  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-client-'));
  });
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  it('starts the engine with the first request, and hands over progress and typed arrays as they are', async () => {
    const client = start();
    expect(client.pid()).to.equal(undefined);
    const progress: number[] = [];
    const answer = await client.request('runs', { workspace: '.' }, { onProgress: ({ done }) => progress.push(done) });
    expect(answer.ok && (answer.value as unknown as { values: Float32Array }).values).to.deep.equal(Float32Array.of(1.5, 2.5));
    expect(progress).to.deep.equal([1]);
    expect(statuses.map(({ status }) => status)).to.deep.equal(['starting', 'ready']);
    client.stop();
  });

  it('fails what is pending when the engine ends, says why, and starts a new one for the next request', async () => {
    const client = start();
    const [died, pending] = await Promise.all([client.request('openModel', { path: 'x' }), client.request('attribute', { model: 'x', prompts: [] })]);
    for (const result of [died, pending])
      expect(result.ok ? '' : result.fault.message).to.equal('The engine stopped. It ended with exit code 3: Error: the heap is full');
    expect(client.pid()).to.equal(undefined);
    expect(statuses.at(-1)).to.deep.include({ status: 'stopped', requested: false });
    expect((await client.request('runs', { workspace: '.' })).ok).to.equal(true);
    client.stop();
  });

  it('says that a killed engine most likely ran out of memory', async () => {
    const client = start();
    await client.request('runs', { workspace: '.' });
    const pending = client.request('attribute', { model: 'x', prompts: [] });
    process.kill(client.pid() ?? 0, 'SIGKILL');
    const result = await pending;
    expect(result.ok ? '' : result.fault.message).to.match(/SIGKILL.*memory/);
    expect(endingOf(null, 'SIGSEGV', '')).to.equal('It ended with signal SIGSEGV.');
  });

  it('cancels a request when its signal is aborted', async () => {
    const client = start();
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 100);
    const result = await client.request('attribute', { model: 'x', prompts: [] }, { signal: abort.signal });
    expect(result.ok ? '' : result.fault.code).to.equal('cancelled');
    client.stop();
  });

  it('holds no answer once it was given: a day of requests takes no memory', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const client = start(child.replace('values: Float32Array.of(1.5, 2.5)', 'values: new Float32Array(500_000)'));
    const held = async () => {
      for (let turn = 0; turn < 3; turn++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        collect();
      }
      return process.memoryUsage().arrayBuffers;
    };
    for (let turn = 0; turn < 5; turn++) await client.request('runs', { workspace: '.' });
    const before = await held();
    for (let turn = 0; turn < 20; turn++) await client.request('runs', { workspace: '.' });
    // Twenty answers of 2 MB; one may still be on its way.
    expect((await held()) - before).to.be.below(5e6);
    client.stop();
  });

  it('leaves no process behind and answers later requests after a stop', async () => {
    const client = start();
    await client.request('runs', { workspace: '.' });
    const pid = client.pid() ?? 0;
    const pending = client.request('attribute', { model: 'x', prompts: [] });
    client.stop();
    expect((await pending).ok).to.equal(false);
    const isGone = () => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    };
    for (let turn = 0; turn < 100 && !isGone(); turn++) await new Promise((resolve) => setTimeout(resolve, 30));
    expect(isGone()).to.equal(true);
    expect(statuses.at(-1)).to.deep.include({ status: 'stopped', requested: true });
  });

  it('reports an engine that can not be loaded', async () => {
    const client = start("require('./missing');");
    const result = await client.request('runs', { workspace: '.' });
    expect(result.ok ? '' : result.fault.message).to.match(/^The engine stopped\. It ended with exit code 1/);
  });
});
