/** Agents as they are: an MCP client talks to dist/cli.js over stdin and stdout. */
import fs from 'node:fs';
import path from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { expect } from 'chai';
import { snapshot } from '../checkpoint/small-checkpoint';
import { temporaryFolder } from '../files/temporary-folder';
import { buildIfStale } from './command';

const bundle = path.resolve('dist', 'cli.js');
const demo = path.resolve('demo');
const model = path.join(demo, 'checkpoint');

interface Answer {
  readonly text: string;
  readonly isError: boolean;
  readonly value: Record<string, unknown>;
}

describe('uoe mcp', function () {
  this.timeout(240_000);
  before(buildIfStale);
  let client: Client;
  let workspace = '';
  /** What is in a workspace before anything was asked. */
  const given = ['forget.jsonl', 'retain.jsonl', 'stop-forget.jsonl', 'stop-retain.jsonl'];

  async function connect(...flags: string[]): Promise<void> {
    workspace = temporaryFolder();
    for (const [name, count] of [
      ['forget.jsonl', 48],
      ['retain.jsonl', 48],
      ['stop/forget.jsonl', 40],
      ['stop/retain.jsonl', 40],
    ] as const) {
      const rows = fs.readFileSync(path.join(demo, 'data', name), 'utf8').split('\n');
      fs.writeFileSync(path.join(workspace, name.replace('/', '-')), rows.slice(0, count).join('\n'));
    }
    const args = [bundle, 'mcp', '--workspace', workspace, '--threads', '1', ...flags];
    client = new Client({ name: 'test', version: '1' });
    await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: 'ignore' }));
  }
  afterEach(() => client.close());

  async function call(
    name: string,
    input: Record<string, unknown>,
    onprogress?: (progress: { message?: string }) => void,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const answer = await client.callTool({ name, arguments: input }, undefined, { timeout: 200_000, onprogress, signal });
    const [{ text }] = answer.content as { text: string }[];
    return { text, isError: answer.isError === true, value: (answer.structuredContent ?? {}) as Record<string, unknown> };
  }

  const plan = {
    model,
    forget: 'forget.jsonl',
    retain: 'retain.jsonl',
    method: 'gdiff',
    lr: 0.003,
    steps: 4,
    batchSize: 4,
    recipe: { addDocumentStart: true, evaluate: { forget: 'stop-forget.jsonl', utility: ['stop-retain.jsonl'] } },
  };

  it('takes a client from attribution through two runs to their comparison', async () => {
    await connect('--allow-runs');
    const original = snapshot(model);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).to.include.members(['attribute', 'start_run', 'compare_runs', 'read_run', 'export_run']);
    expect(tools.find(({ name }) => name === 'attribute')?.annotations?.readOnlyHint).to.equal(true);

    const found = (await call('attribute', { model, files: ['forget.jsonl'], documentStart: 'yes', limit: 3 })).value;
    expect(found.prompts).to.equal(48);
    expect(found.ranking).to.have.length(3);
    const { layer, expert } = found.target as { layer: number; expert: number };
    expect([layer, expert]).to.deep.equal([2, 10]);
    const own = await call('attribute', { model, texts: ['The quokka is a marsupial.'] });
    expect(own.value.prompts, own.text).to.equal(1);

    const phases = new Set<string>();
    const first = (await call('start_run', { ...plan, target: { layer, expert } }, ({ message }) => phases.add(message?.split(':')[0] ?? ''))).value;
    expect(first, JSON.stringify(first)).to.deep.include({ number: 1, status: 'done', steps: 4, target: [{ layer, expert }] });
    expect([...phases])
      .to.include('Training')
      .and.include('Measuring');
    const second = (await call('start_run', { ...plan, target: { layer, expert }, anchorWeight: 0, seed: 5 })).value;

    const { comparison, table } = (await call('compare_runs', { runs: ['1', String(second.run)] })).value;
    expect(table).to.match(/GDIFF|gdiff/);
    expect(JSON.stringify(comparison)).to.include(String(first.run)).and.include(String(second.run));
    const stored = JSON.parse(fs.readFileSync(path.join(workspace, '.uoe/runs', String(first.run), 'run.json'), 'utf8'));
    expect(first.summary).to.deep.equal(stored.summary);
    const read = (await call('read_run', { run: '2' })).value;
    expect((read.recipe as { anchor: unknown }).anchor).to.deep.equal({ weight: 0, form: 'paper' });
    expect((await call('list_runs', {})).value.runs).to.have.length(2);
    expect(snapshot(model)).to.deep.equal(original);
  });

  it('refuses what was not granted, says how it is granted, and writes nothing', async () => {
    const before = snapshot(demo);
    await connect();
    const run = await call('start_run', plan);
    expect(run).to.deep.include({ isError: true, text: 'Starting runs was not granted. Whoever starts the server grants it with "uoe mcp --allow-runs".' });
    expect(fs.readdirSync(workspace).sort()).to.deep.equal(given);
    await client.close();

    await connect('--allow-runs', '--allow-export', 'out');
    const started = await call('start_run', { ...plan, target: { layer: 2, expert: 10 } });
    expect(started.isError, started.text).to.equal(false);
    const outside = temporaryFolder();
    fs.mkdirSync(path.join(workspace, 'out'));
    fs.symlinkSync(outside, path.join(workspace, 'out', 'link'));
    const elsewhere = [path.join(outside, 'edited'), '../edited', 'edited', 'out', 'out/../edited', 'out/link/edited', '.uoe/runs/edited', model];
    for (const to of elsewhere) {
      const refused = await call('export_run', { run: '1', to, form: 'checkpoint' });
      expect(refused.isError, to).to.equal(true);
      expect(refused.text, to).to.match(/^Writing .* was not granted\. Whoever starts the server grants it with "uoe mcp --allow-export /);
    }
    expect(fs.readdirSync(outside)).to.deep.equal([]);
    expect(fs.readdirSync(workspace).sort()).to.deep.equal(['.uoe', 'out', ...given].sort());
    const written = await call('export_run', { run: '1', to: 'out/edited', form: 'checkpoint' });
    expect(written.isError, written.text).to.equal(false);
    expect(fs.existsSync(path.join(workspace, 'out/edited/config.json'))).to.equal(true);
    expect(snapshot(demo)).to.deep.equal(before);
  });

  it('says what is wrong with a call in a sentence', async () => {
    await connect('--allow-runs');
    expect((await call('attribute', { model, texts: [] })).text).to.match(/^The input of attribute is wrong at "texts"/);
    expect((await call('attribute', { texts: ['a'] })).text).to.equal('No model was named. Give "model": the folder of a checkpoint.');
    expect((await call('start_run', { ...plan, recipe: { stepz: 3 } })).text).to.match(/^The recipe has an unknown field "stepz".*Did you mean "steps"/);
    expect((await call('read_run', { run: '9' })).text).to.match(/^There is no run "9" in /);
    expect((await call('erase', {})).text).to.match(/^There is no tool "erase"/);
  });

  it('cancels a run for a client that gives it up; it can be resumed', async () => {
    await connect('--allow-runs');
    const abort = new AbortController();
    const long = { ...plan, steps: 5000, target: { layer: 2, expert: 10 } };
    const given = call('start_run', long, ({ message }) => message?.startsWith('Training') && abort.abort(), abort.signal).then(
      () => 'answered',
      () => 'given up',
    );
    expect(await given).to.equal('given up');
    let runs: { status: string }[] = [];
    for (let turn = 0; turn < 200 && runs[0]?.status !== 'cancelled'; turn++) {
      runs = (await call('list_runs', {})).value.runs as { status: string }[];
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(runs.map(({ status }) => status)).to.deep.equal(['cancelled']);
  });
});
