/** A sweep as an editor sees it, and as whoever comes back finds it: from its folder, its runs and what an executor sees. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import type { Sight } from '../../src/experiment/executor';
import { localExecutor } from '../../src/experiment/local-executor';
import { askToEnd, readLocalState, writeLocalState } from '../../src/experiment/local-state';
import { readSweeps } from '../../src/experiment/read-sweeps';
import { lastStep } from '../../src/experiment/saved-step';
import { withSite } from '../../src/experiment/slurm-profile';
import { cancelTasks, type Hands, handsOf } from '../../src/experiment/sweep-hands';
import { manifestsOfRuns, sweepView } from '../../src/experiment/sweep-view';
import { takeLock } from '../../src/files/lock';
import { unwrap } from '../../src/protocol/fault';
import type { RunRecord } from '../../src/protocol/records';
import { temporaryFolder } from '../files/temporary-folder';

const run = (id: string, task: string, more: Partial<RunRecord>): RunRecord =>
  ({ id, number: 1, status: 'done', steps: 0, plannedSteps: 60, keptStep: 0, seconds: {}, sweep: { name: 'a', task }, ...more }) as RunRecord;
const manifest = (...ids: readonly string[]) => ({
  name: 'a',
  file: '/a.sweep.json',
  axes: ['method'],
  tasks: ids.map((id) => ({ id, labels: { method: id } })),
});
const hands = (on: Hands['on'], sights: Readonly<Record<string, Sight>>, isCutOff = false): Hands => ({
  ...{ on, workers: 1, isCutOff, sights: new Map(Object.entries(sights)), there: new Map() },
});
const noSlurm = async () => new Map<string, Sight>();

describe('a sweep in an editor', () => {
  it('says of each task what its run folder says, an executor only where that is silent, and counts them', () => {
    const records = [
      run('r1', 'done', {}),
      run('r2', 'failed', { status: 'failed', reason: 'a loss became NaN' }),
      run('r3', 'going', { status: 'running' }),
      run('r4', 'cancelled', { status: 'cancelled', steps: 12 }),
      run('r5', 'again', { status: 'failed' }),
      run('r6', 'again', {}),
    ];
    const seen: Readonly<Record<string, Sight>> = {
      done: { at: 'running', where: 'n1' },
      going: { at: 'running', where: 'n1' },
      queued: { at: 'queued', why: 'Priority' },
      gone: { at: 'forgotten' },
      node: { at: 'ended', how: 'NODE_FAIL', where: 'n2' },
    };
    const all = manifest('done', 'failed', 'going', 'cancelled', 'again', 'queued', 'gone', 'node', 'later');
    const view = sweepView(all, records, hands('slurm', seen), new Map([['r3', 41]]));
    expect(view.tasks.map(({ id, kind }) => [id, kind])).to.deep.equal([
      ['done', 'done'],
      ['failed', 'failed'],
      ['going', 'running'],
      ['cancelled', 'cancelled'],
      ['again', 'done'],
      ['queued', 'queued'],
      ['gone', 'forgotten'],
      ['node', 'lost'],
      ['later', 'waiting'],
    ]);
    const words = Object.fromEntries(view.tasks.map(({ id, words: own }) => [id, own]));
    expect(words).to.deep.include({
      failed: 'failed: a loss became NaN',
      going: 'running on n1, step 41 of 60',
      cancelled: 'stopped at step 12',
      queued: 'queued: others come first (Priority)',
      gone: 'lost before it began: its job is forgotten and left no result',
    });
    expect(view.tasks[4]).to.deep.include({ run: 'r6', earlier: ['r5'] });
    expect(view).to.deep.include({ counts: { all: 9, done: 2, failed: 1, running: 1, queued: 1 }, isLive: true, isCutOff: false });
  });

  it('on this machine a run that is being taken up again is starting, not lost', () => {
    const records = [run('r1', 'one', { status: 'interrupted', steps: 0 })];
    const view = sweepView(manifest('one', 'two'), records, hands('local', { one: { at: 'running', where: 'here' } }), new Map());
    expect(view.tasks.map(({ kind, words }) => [kind, words])).to.deep.equal([
      ['starting', 'starting'],
      ['waiting', 'waiting'],
    ]);
  });

  it('calls a task by its labels, and says of a number that it is a seed', () => {
    const { tasks } = sweepView({ ...manifest(), tasks: [{ id: 'a', labels: { method: 'GA', seed: '2' } }] }, [], hands(null, {}), new Map());
    expect(tasks.map(({ name }) => name)).to.deep.equal(['GA · seed 2']);
  });

  it('whose manifest is gone is made up from its runs', () => {
    expect(manifestsOfRuns([run('r1', 'x', {}), run('r2', 'x', {}), run('r3', 'y', {})], new Set()).map(({ tasks }) => tasks.length)).to.deep.equal([2]);
    expect(manifestsOfRuns([run('r1', 'x', {})], new Set(['a']))).to.deep.equal([]);
  });

  it('is picked up on return: under way while its process holds the lock, cut off when that is gone', async () => {
    const workspace = temporaryFolder();
    const folder = path.join(workspace, '.uoe', 'sweeps', 'a');
    fs.mkdirSync(folder, { recursive: true });
    const { name: _name, ...content } = manifest('one', 'two', 'three');
    fs.writeFileSync(path.join(folder, 'sweep.json'), JSON.stringify(content));
    const sights = new Map<string, Sight>([
      ['one', { at: 'ended', how: 'exit 0', where: 'here' }],
      ['two', { at: 'running', where: 'here' }],
      ['three', { at: 'queued', why: 'others run' }],
    ]);
    await writeLocalState(folder, { since: new Date().toISOString(), workers: 1, sights });
    const records = [run('r1', 'one', {})];
    const look = async () => (await readSweeps(workspace, () => records, noSlurm))[0];
    const lock = unwrap(await takeLock(path.join(folder, '.lock')));
    const live = await look();
    expect([live.on, live.isLive, live.isCutOff, live.tasks.map(({ kind }) => kind)]).to.deep.equal(['local', true, false, ['done', 'starting', 'queued']]);
    await lock.release();
    const left = await look();
    expect([left.isLive, left.isCutOff, left.tasks.map(({ kind }) => kind)]).to.deep.equal([false, true, ['done', 'waiting', 'waiting']]);
  });

  it('knows how far a run is from the end of its journal, whose last line may be half written', async () => {
    const folder = temporaryFolder();
    expect(await lastStep(folder)).to.equal(null);
    fs.writeFileSync(
      path.join(folder, 'steps.jsonl'),
      `${Array.from({ length: 900 }, (_, i) => `{"step":${i + 1},"forget":0.5}`).join('\n')}\n{"step":901,"for`,
    );
    expect(await lastStep(folder)).to.equal(900);
  });
});

describe('a sweep on this machine', () => {
  it('ends single tasks and all when any process asks it to, and says where they are', async function () {
    this.timeout(30_000);
    const folder = temporaryFolder();
    const program = path.join(folder, 'program.js');
    // A task that ends in order when it is asked to.
    fs.writeFileSync(
      program,
      "console.error('begun'); process.on('SIGINT', () => { console.error('asked to end'); process.exit(130); }); setInterval(() => {}, 1000);",
    );
    const executor = localExecutor(program, 1, folder);
    const task = (id: string) => ({ id, args: [], log: path.join(folder, `${id}.log`) });
    const lock = unwrap(await takeLock(path.join(folder, '.lock')));
    await executor.submit([task('one'), task('two'), task('three')]);
    await executor.states();
    const sightOf = async (id: string) => (await handsOf(folder)).sights.get(id);
    expect(await sightOf('one')).to.deep.include({ at: 'running' });
    expect(await sightOf('two')).to.deep.include({ at: 'queued' });
    const until = async (id: string) => {
      while ((await executor.states()).get(id)?.at !== 'ended') await executor.changed(new AbortController().signal);
      return (await executor.states()).get(id);
    };
    await cancelTasks(folder, ['two']);
    expect(await until('two')).to.deep.include({ how: 'cancelled before it began' });
    expect((await executor.states()).get('one')?.at).to.equal('running');
    for (let i = 0; i < 100 && !/begun/.test(fs.readFileSync(path.join(folder, 'one.log'), 'utf8')); i++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    await askToEnd(folder);
    expect(await until('one')).to.deep.include({ how: 'exit 130' });
    expect(await until('three')).to.deep.include({ how: 'cancelled before it began' });
    expect(await executor.collect(task('one'))).to.equal('asked to end');
    expect([...((await readLocalState(folder))?.sights.values() ?? [])].map(({ at }) => at)).to.deep.equal(['ended', 'ended', 'ended']);
    await lock.release();
  });
});

describe('settings of a site', () => {
  it('stand under those of a sweep file, field by field', () => {
    const site = { partition: 'short', account: 'us', preamble: ['module load node'] };
    expect(withSite(site, { partition: 'long', cpus: 4 })).to.deep.equal({ partition: 'long', account: 'us', preamble: ['module load node'], cpus: 4 });
  });
});
