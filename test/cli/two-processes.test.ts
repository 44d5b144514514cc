/** Two windows, or a command beside a window: one changes a run or a checkpoint, the other is told who does; after a kill nobody is kept out. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { snapshot } from '../checkpoint/small-checkpoint';
import { buildIfStale, type Outcome, uoe, uoeJson } from './command';
import { goldenFiles } from './golden-files';

const bundle = path.resolve('dist', 'cli.js');

interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly outcome: Promise<Outcome>;
}

function begin(args: readonly string[], node: readonly string[] = []): Running {
  const child = spawn(process.execPath, [...node, bundle, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const outcome = new Promise<Outcome>((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
  return { child, pid: child.pid ?? 0, outcome };
}

/** Waits until the process has made a file, then stops it where it is; false where it had ended by then. */
async function stoppedWith(running: Running, isThere: () => boolean): Promise<boolean> {
  while (!isThere()) {
    if (running.child.exitCode !== null) return false;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return running.child.kill('SIGSTOP') && isThere();
}

/** The one sentence on stderr, its owner named. */
function expectNamed({ code, stdout, stderr }: Outcome, what: RegExp, pid: number): void {
  expect(code, stderr).to.equal(1);
  expect(stdout).to.equal('');
  const said = stderr.trim().split('\n').at(-1) ?? '';
  expect(said).to.match(what);
  expect(said).to.include(`is in use by process ${pid} on ${os.hostname()} since 20`);
  expect(said).to.match(/Wait until it is done, or end it\. If no such process runs, remove .*lock\./);
}

describe('uoe: two processes', function () {
  this.timeout(180_000);
  before(buildIfStale);

  it('at one run: the second is told who has it; when that one is killed the run goes on at once', async () => {
    const { folder, forget, retain, at } = goldenFiles('test/fixtures/golden/mixtral');
    const workspace = at('workspace');
    const own = ['--workspace', workspace, '--threads', '1'];
    const flags = ['--model', folder, '--forget', forget, '--retain', retain, '--target', '1:2', '--method', 'gdiff', '--steps', '40', '--batch-size', '2'];
    const first = begin(['unlearn', ...flags, ...own]);
    const runs = path.join(workspace, '.uoe', 'runs');
    const names = () => (fs.existsSync(runs) ? fs.readdirSync(runs).filter((name) => !name.startsWith('.')) : []);
    try {
      expect(await stoppedWith(first, () => names().length > 0 && fs.existsSync(path.join(runs, names()[0], 'steps.jsonl')))).to.equal(true);
      const [id] = names();
      expectNamed(await uoe(['unlearn', '--resume', id, ...own]), new RegExp(`^Run ${id} is in use`), first.pid);
    } finally {
      first.child.kill('SIGKILL');
      await first.outcome;
    }
    const [id] = names();
    const { code, stderr } = await uoe(['unlearn', '--resume', id, ...own]);
    expect(code, stderr).to.equal(0);
    expect(fs.readdirSync(path.join(runs, id)).filter((name) => name.includes('lock') || name.endsWith('.uoe-tmp'))).to.deep.equal([]);
  });

  it('at one run of which another machine took the lock: the first writes no further row', async function () {
    if (process.platform !== 'linux') this.skip();
    const { folder, forget, retain, at } = goldenFiles('test/fixtures/golden/mixtral');
    const workspace = at('workspace');
    const own = ['--workspace', workspace, '--threads', '1'];
    const flags = ['--model', folder, '--forget', forget, '--retain', retain, '--target', '1:2', '--method', 'gdiff', '--steps', '40', '--batch-size', '2'];
    const elsewhere = at('elsewhere.cjs');
    fs.writeFileSync(elsewhere, "require('node:os').hostname = () => 'elsewhere';\n");
    const first = begin(['unlearn', ...flags, ...own]);
    const runs = path.join(workspace, '.uoe', 'runs');
    const journal = () => {
      const [id] = fs.existsSync(runs) ? fs.readdirSync(runs).filter((name) => !name.startsWith('.')) : [];
      return id === undefined ? '' : path.join(runs, id, 'steps.jsonl');
    };
    try {
      expect(await stoppedWith(first, () => fs.existsSync(journal()) && fs.statSync(journal()).size > 0)).to.equal(true);
      const run = path.dirname(journal());
      // As if it had been stopped for an hour.
      const earlier = new Date(Date.now() - 3_600_000);
      fs.utimesSync(path.join(run, '.lock'), earlier, earlier);
      const other = begin(['unlearn', '--resume', path.basename(run), ...own], ['--require', elsewhere]);
      const { code, stderr } = await other.outcome;
      expect(code, stderr).to.equal(0);
      const files = snapshot(run);
      first.child.kill('SIGCONT');
      const end = await first.outcome;
      expect(end.code).to.equal(1);
      expect(end.stderr.trim().split('\n').at(-1)).to.match(
        /^Run \S+ was in work here, but its lock \S+ is gone: it was removed, or taken over by a process that is done by now\. This process has stopped;/,
      );
      expect(snapshot(run)).to.deep.equal(files);
      const steps = fs.readFileSync(journal(), 'utf8').trim().split('\n');
      expect(steps.map((line) => (JSON.parse(line) as { step: number }).step)).to.deep.equal(Array.from({ length: 40 }, (_, step) => step + 1));
    } finally {
      first.child.kill('SIGKILL');
      await first.outcome;
    }
  });

  it('at one checkpoint: apply and restore tell who has it; after a kill restore brings back the very bytes', async () => {
    const { folder, forget, retain, at } = goldenFiles('test/fixtures/golden/mixtral');
    const model = at('model');
    fs.cpSync(folder, model, { recursive: true });
    const before = snapshot(model);
    const workspace = at('workspace');
    const own = ['--workspace', workspace, '--threads', '1'];
    const flags = ['--model', model, '--forget', forget, '--retain', retain, '--target', '1:2', '--method', 'gdiff', '--steps', '1', '--batch-size', '2'];
    const { run } = await uoeJson<{ run: string }>(['unlearn', ...flags, '--workspace', workspace]);
    const lock = path.join(model, '.uoe.lock');
    // A tiny checkpoint is applied in milliseconds: it may take some tries to stop one inside.
    let applying: Running | null = null;
    for (let attempt = 0; attempt < 10 && applying === null; attempt++) {
      const one = begin(['apply', run, ...own]);
      if (await stoppedWith(one, () => fs.existsSync(lock))) applying = one;
      else {
        one.child.kill('SIGCONT');
        await one.outcome;
        await uoe(['restore', model, ...own]);
      }
    }
    if (applying === null) return expect.fail('no process could be stopped while it applied a patch');
    try {
      expectNamed(await uoe(['apply', run, ...own]), new RegExp(`^${model} is in use`), applying.pid);
      expect(fs.readFileSync(lock, 'utf8')).to.include(`"pid":${applying.pid},`);
    } finally {
      applying.child.kill('SIGKILL');
      await applying.outcome;
    }
    const restored = await uoe(['restore', model, ...own]);
    if (restored.code !== 0) expect(restored.stderr).to.match(/No patch is applied/);
    const again = await uoe(['apply', run, ...own]);
    expect(again.code, again.stderr).to.equal(0);
    expect((await uoe(['inspect', model, ...own])).stdout).to.include(
      `The result of run ${run} is applied to this checkpoint. Restoring the original (uoe restore) brings it back.`,
    );
    expect((await uoe(['restore', model, ...own])).code).to.equal(0);
    expect(snapshot(model)).to.deep.equal(before);
  });
});
