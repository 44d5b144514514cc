import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { type RunHooks, resumeRun, startRun } from '../../src/experiment/run';
import type { RunRecord } from '../../src/protocol/records';
import { changing, withFault } from '../files/faults';
import { temporaryFolder } from '../files/temporary-folder';
import { randomOf } from '../oracle/random';
import { faultOfWork, goldenFolder, readJson, recipeFor, runNames, sharedModels, type Trace, traceOf, writeData } from './run-case';

const model = goldenFolder('olmoe');
const fields = { keep: 'best', checks: { everySteps: 2, forget: 'stop/forget.jsonl', utility: ['stop/retain.jsonl'] } };
const recipe = recipeFor(model, fields);

/** A process of its own that starts or resumes a run, says where its folder is, and can be killed. */
const childSource = `
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { resumeRun, startRun } from '../../src/experiment/run';
const [verb, at, workspace] = process.argv.slice(2);
const hooks = { started: (folder: string) => process.stdout.write(folder + '\\n') };
const work = verb === 'start' ? startRun(JSON.parse(readFileSync(at, 'utf8')), path.dirname(at), workspace, hooks) : resumeRun(at, hooks);
work.then(() => process.exit(0), (error) => { process.stderr.write(String(error)); process.exit(1); });
`;

/** esbuild can't be bundled, so it runs in a process of its own too. */
function buildChild(outfile: string): void {
  const options = {
    stdin: { contents: childSource, resolveDir: path.resolve('test/experiment'), sourcefile: 'child.ts', loader: 'ts' },
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    mainFields: ['module', 'main'],
    define: { 'import.meta.url': '__moduleUrl' },
    banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
    logLevel: 'error',
  };
  const script = `import { build } from 'esbuild'; await build(${JSON.stringify(options)});`;
  const built = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);
}

function workspaceWithData(): string {
  const workspace = temporaryFolder();
  writeData(workspace);
  return workspace;
}

describe('Resuming', function () {
  this.timeout(120_000);
  const models = sharedModels();
  const { open } = models;
  const undisturbed = { trace: null as Trace | null, phases: [] as string[] };

  before(async () => {
    const workspace = fs.mkdtempSync(path.join(temporaryFolder(), 'undisturbed-'));
    writeData(workspace);
    const { folder } = await startRun(recipe, workspace, workspace, { open, progress: (phase) => undisturbed.phases.push(phase) });
    undisturbed.trace = traceOf(folder);
  });
  after(models.close);

  /** Hooks that cancel at the nth sign of life. */
  function cancelledAt(point: number): { hooks: RunHooks; signs: () => string[] } {
    const stop = new AbortController();
    const signs: string[] = [];
    const sign = (what: string) => {
      signs.push(what);
      if (signs.length === point) stop.abort();
    };
    const hooks: RunHooks = {
      open,
      signal: stop.signal,
      progress: (phase, done) => sign(`${phase} ${done}`),
      step: ({ step }) => sign(`step ${step}`),
      check: ({ step }) => sign(`check ${step}`),
    };
    return { hooks, signs: () => signs };
  }

  it('after a cancel at any sign of life ends in the same journals, patch and evaluation', async () => {
    const whole = cancelledAt(-1);
    const first = workspaceWithData();
    await startRun(recipe, first, first, whole.hooks);
    const signs = whole.signs();
    const phases = ['Finding the expert', 'Preparing', 'Training', 'Measuring'];
    for (const phase of phases.filter((own) => own !== 'Preparing'))
      expect(
        signs.some((sign) => sign.startsWith(phase)),
        phase,
      ).to.equal(true);
    const random = randomOf('cancel');
    // One of every kind, and some at random.
    const points = new Set([
      signs.findIndex((sign) => sign.startsWith('Finding')) + 1,
      signs.indexOf('check 0') + 1,
      signs.indexOf('step 1') + 1,
      signs.indexOf('check 2') + 1,
      signs.indexOf('Training 4') + 1,
      signs.lastIndexOf('Measuring 1') + 1,
      ...Array.from({ length: 2 }, () => random.integer(2, signs.length - 1)),
    ]);
    for (const point of points) {
      const workspace = workspaceWithData();
      const { hooks } = cancelledAt(point);
      const fault = await faultOfWork(startRun(recipe, workspace, workspace, hooks));
      expect(fault.code, signs[point - 1]).to.equal('cancelled');
      const [name] = runNames(workspace);
      const run = path.join(workspace, '.uoe/runs', name);
      const record = readJson<RunRecord>(run, 'run.json');
      expect(record.status).to.equal('cancelled');
      expect(record.endedAt).to.be.a('string');
      const steps = signs.slice(0, point).filter((sign) => sign.startsWith('step ')).length;
      expect(record.steps, signs[point - 1]).to.be.within(steps, steps + 1);
      const { record: done } = await resumeRun(run, { open });
      expect(done.number).to.equal(1);
      expect(traceOf(run), `cancelled at ${signs[point - 1]}`).to.deep.equal(undisturbed.trace);
      expect(runNames(workspace)).to.deep.equal([name]);
    }
  });

  it('after a cancel inside a step, and again inside the check that follows', async () => {
    const workspace = workspaceWithData();
    let abort = new AbortController();
    let countdown = 0;
    // Signals are looked at many times within a step: the nth look after step 3 is inside step 4.
    const lookedAt = (from: (sign: string) => boolean, after: number): RunHooks => {
      abort = new AbortController();
      const own = abort;
      countdown = -1;
      const signal = new Proxy(own.signal, {
        get(target, name) {
          if ((name === 'aborted' || name === 'throwIfAborted') && countdown >= 0 && countdown-- === 0) own.abort();
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      return {
        open,
        signal,
        step: ({ step }) => {
          if (from(`step ${step}`)) countdown = after;
        },
      };
    };
    const inStep = lookedAt((sign) => sign === 'step 3', 12);
    expect((await faultOfWork(startRun(recipe, workspace, workspace, inStep))).code).to.equal('cancelled');
    const run = path.join(workspace, '.uoe/runs', runNames(workspace)[0]);
    expect(readJson<RunRecord>(run, 'run.json').steps).to.equal(3);
    const inCheck = lookedAt((sign) => sign === 'step 4', 3);
    expect((await faultOfWork(resumeRun(run, inCheck))).code).to.equal('cancelled');
    expect(readJson<RunRecord>(run, 'run.json').steps).to.equal(4);
    await resumeRun(run, { open });
    expect(traceOf(run)).to.deep.equal(undisturbed.trace);
  });

  it('after a check whose weights could not be saved makes that check again', async () => {
    const short = { ...recipe, steps: 4, evaluate: null };
    const first = workspaceWithData();
    const { folder } = await startRun(short, first, first, { open });
    expect(readJson<RunRecord>(folder, 'run.json').keptStep).to.equal(4);

    const workspace = workspaceWithData();
    const stop = new AbortController();
    await faultOfWork(startRun(short, workspace, workspace, { open, signal: stop.signal, step: ({ step }) => step === 4 && stop.abort() }));
    const run = path.join(workspace, '.uoe/runs', runNames(workspace)[0]);
    await withFault(
      { at: 0, code: 'KILL', counts: (operation, at) => operation === 'open' && at.includes('state.safetensors') && at.includes('.uoe-tmp') },
      async () => {
        expect((await faultOfWork(resumeRun(run, { open }))).code).to.equal('io');
      },
    );
    expect(fs.readFileSync(path.join(run, 'checks.jsonl'), 'utf8')).to.include('"step":4');
    await resumeRun(run, { open });
    expect(traceOf(run)).to.deep.equal(traceOf(folder));
  });

  it('after an end between two saves does the steps since the last one again', async () => {
    for (const last of [1, 3, 5]) {
      const workspace = workspaceWithData();
      let dead = false;
      // From then on nothing reaches the disk, as for a killed process.
      await withFault({ at: 0, code: 'KILL', counts: (_, at) => dead && at.includes('.uoe') }, async () => {
        const step = (row: { readonly step: number }) => {
          if (row.step === last) dead = true;
        };
        expect((await faultOfWork(startRun(recipe, workspace, workspace, { open, step }))).code).to.equal('io');
      });
      const run = path.join(workspace, '.uoe/runs', runNames(workspace).filter((name) => !name.startsWith('.'))[0]);
      expect(fs.readFileSync(path.join(run, 'steps.jsonl'), 'utf8').trim().split('\n')).to.have.length(last);
      expect(readJson<RunRecord>(run, 'run.json').status).to.equal('running');
      await resumeRun(run, { open });
      expect(traceOf(run), `after step ${last}`).to.deep.equal(undisturbed.trace);
    }
  });

  it('is not possible any more once a run is done: a state that a killed process left goes with the next run', async () => {
    const workspace = workspaceWithData();
    const short = { ...recipe, steps: 1, checks: null, evaluate: null, keep: 'last' };
    let dead = false;
    const counts = (operation: string, at: string) => {
      dead ||= operation === 'rm' && at.endsWith('resume');
      return dead;
    };
    const { value } = await withFault({ at: 0, code: 'KILL', counts }, () => startRun({ ...short, checks: recipe.checks }, workspace, workspace, { open }));
    expect(readJson<RunRecord>(value.folder, 'run.json').status).to.equal('done');
    expect(fs.existsSync(path.join(value.folder, 'resume'))).to.equal(true);
    await startRun(short, workspace, workspace, { open });
    expect(fs.existsSync(path.join(value.folder, 'resume'))).to.equal(false);
  });

  it('after a disk that fails at any write is one sentence, leaves a readable run, and resumes to the same', async () => {
    const folder = workspaceWithData();
    const begun = async (plan: Omit<Parameters<typeof withFault>[0], 'counts'>, workspace: string) =>
      withFault({ ...plan, counts: (operation, at) => changing(operation) && at.includes('.uoe') }, async () => {
        try {
          await startRun(recipe, workspace, workspace, { open });
          return null;
        } catch (error) {
          return await faultOfWork(Promise.reject(error));
        }
      });
    const { operations } = await begun({ at: -1, code: 'ENOSPC' }, folder);
    expect(operations).to.be.above(60);
    const random = randomOf('disk');
    const codes = ['ENOSPC', 'EROFS', 'EIO'];
    const seen = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const workspace = workspaceWithData();
      const at = Math.floor(((i + random.uniform()) * operations) / 6);
      const code = codes[i % 3];
      const { value: fault } = await begun({ at, code }, workspace);
      const [name] = runNames(workspace).filter((own) => !own.startsWith('.lock'));
      // A fault while removing what is done with is no fault of the run.
      if (fault === null) {
        expect(readJson<RunRecord>(workspace, '.uoe/runs', name, 'run.json').status, `${code} at ${at}`).to.equal('done');
        continue;
      }
      expect(fault.code, `${code} at ${at}: ${fault.message}`).to.equal('io');
      expect(fault.message).to.match({ ENOSPC: /the disk is full/, EROFS: /read-only/, EIO: /input\/output/ }[code] as RegExp);
      if (name === undefined || name.startsWith('.')) {
        seen.add('before');
        continue;
      }
      seen.add('during');
      const run = path.join(workspace, '.uoe/runs', name);
      const record = readJson<RunRecord>(run, 'run.json');
      expect(record.status, `${code} at ${at}`).to.be.oneOf(['failed', 'running']);
      if (record.status === 'failed') expect(record.reason).to.include(fault.message);
      await resumeRun(run, { open });
      expect(traceOf(run), `${code} at ${at} of ${operations}`).to.deep.equal(undisturbed.trace);
      expect(
        fs.readdirSync(run).filter((file) => file.endsWith('.uoe-tmp') && !file.startsWith('..lock')),
        `${code} at ${at}`,
      ).to.deep.equal([]);
    }
    expect([...seen].sort()).to.include('during');
  });

  describe('is refused', () => {
    it('for a run that is finished', async () => {
      const workspace = workspaceWithData();
      const { folder } = await startRun({ ...recipe, steps: 1 }, workspace, workspace, { open });
      const before = traceOf(folder);
      const fault = await faultOfWork(resumeRun(folder, { open }));
      expect(fault.message).to.match(/is finished \(done\); there is nothing to resume/);
      expect(traceOf(folder)).to.deep.equal(before);
    });

    it('for a run that is under way', async () => {
      const workspace = workspaceWithData();
      const tried: string[] = [];
      await startRun({ ...recipe, steps: 1 }, workspace, workspace, {
        open,
        started: (folder) => void faultOfWork(resumeRun(folder, { open })).then(({ code, message }) => tried.push(`${code}: ${message}`)),
      });
      expect(tried).to.have.length(1);
      expect(tried[0]).to.match(new RegExp(`^conflict: Run .*-gdiff is in use by process ${process.pid} on `));
    });

    it('where a data file is another one by now, which is named', async () => {
      const workspace = workspaceWithData();
      const { hooks } = cancelledAt(20);
      await faultOfWork(startRun(recipe, workspace, workspace, hooks));
      const run = path.join(workspace, '.uoe/runs', runNames(workspace)[0]);
      const record = fs.readFileSync(path.join(run, 'run.json'), 'utf8');
      fs.appendFileSync(path.join(workspace, 'retain.jsonl'), '{"input_ids":[5,6,7,8]}\n');
      const fault = await faultOfWork(resumeRun(run, { open }));
      expect(fault.code).to.equal('conflict');
      expect(fault.message).to.include(path.join(workspace, 'retain.jsonl')).and.include('fingerprint');
      expect(fs.readFileSync(path.join(run, 'run.json'), 'utf8')).to.equal(record);
    });

    it('for a folder without a run', async () => {
      const fault = await faultOfWork(resumeRun(path.join(temporaryFolder(), 'nothing'), { open }));
      expect(fault.code).to.equal('not-found');
    });
  });

  describe('after the process was killed', () => {
    const kills = Number(process.env.UOE_TORTURE_COUNT ?? 6);
    let script = '';

    before(() => {
      const folder = path.resolve('.build/test', `killed-${process.pid}`);
      script = path.join(folder, 'child.js');
      buildChild(script);
      fs.cpSync(path.join(__dirname, 'wasm'), path.join(folder, 'wasm'), { recursive: true });
    });
    after(() => fs.rmSync(path.dirname(script), { recursive: true, force: true }));

    /** Ends with the process; kills it that many ms after its run has started and its journal has so many rows. */
    const child = (
      args: readonly string[],
      kill: { readonly ms: number; readonly rows: number } | null,
    ): Promise<{ run: string; killed: boolean; seconds: number }> =>
      new Promise((resolve, reject) => {
        const process_: ChildProcess = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
        let said = '';
        let complaint = '';
        let began = 0;
        process_.stderr?.on('data', (text) => {
          complaint += text;
        });
        process_.stdout?.on('data', (text) => {
          said += text;
          if (began > 0) return;
          began = performance.now();
          const look = (): void => {
            const journal = path.join(said.trim(), 'steps.jsonl');
            const rows = fs.existsSync(journal) ? fs.readFileSync(journal, 'utf8').split('\n').length - 1 : 0;
            if (kill !== null) setTimeout(rows >= kill.rows ? () => process_.kill('SIGKILL') : look, rows >= kill.rows ? kill.ms : 1);
          };
          look();
        });
        process_.on('exit', (code, signal) => {
          if (signal !== 'SIGKILL' && code !== 0) return reject(new Error(complaint));
          resolve({ run: said.trim(), killed: signal === 'SIGKILL', seconds: performance.now() - began });
        });
      });

    it(`at ${kills} seeded instants ends in the same journals, patch and evaluation`, async function () {
      this.timeout(30_000 + kills * 20_000);
      const start = async (kill: Parameters<typeof child>[1]) => {
        const workspace = workspaceWithData();
        fs.writeFileSync(path.join(workspace, 'recipe.uoe.json'), JSON.stringify(recipe));
        return child(['start', path.join(workspace, 'recipe.uoe.json'), workspace], kill);
      };
      const whole = await start(null);
      expect(traceOf(whole.run)).to.deep.equal(undisturbed.trace);
      const random = randomOf(process.env.UOE_SEED ?? 'kill');
      let killed = 0;
      for (let i = 0; i < kills; i++) {
        // Two of three fall into training, whose every instant is another state.
        const instant = (rows: number) =>
          i % 3 === 2 ? { ms: random.uniform() * whole.seconds, rows: 0 } : { ms: random.uniform() * 20, rows: random.integer(rows, 6) };
        const first = await start(instant(0));
        if (!first.killed) continue;
        killed++;
        // Every other one is killed again while it resumes.
        if (i % 2 === 1) await child(['resume', first.run], instant(1)).catch(() => undefined);
        if (readJson<RunRecord>(first.run, 'run.json').status !== 'done') await resumeRun(first.run, { open });
        expect(traceOf(first.run), `kill ${i}`).to.deep.equal(undisturbed.trace);
      }
      expect(killed).to.be.at.least(Math.min(1, kills));
    });
  });
});
