/** The run history's order and menus, and what settings say of a cluster. */
import fs from 'node:fs';
import { expect } from 'chai';
import { slurmProfileSchema } from '../../src/experiment/slurm-profile';
import { slurmFields, slurmSettings } from '../../src/extension/slurm-settings';
import { contextOf, type HistoryNode, historyChildren, historyRoots, isRun } from '../../src/extension/trees/history-nodes';
import type { SweepTaskView, SweepView, TaskKind } from '../../src/protocol/sweep-view';
import type { RunRow } from '../../src/protocol/workbench';

const row = (number: number, status: RunRow['status'] = 'done'): RunRow => ({ id: `r${number}`, number, method: 'npo', status, forget: null, utility: null });
const task = (id: string, kind: TaskKind, run: number | null, earlier: readonly number[] = []): SweepTaskView => ({
  ...{ id, name: id, kind, words: kind, run: run === null ? null : `r${run}`, earlier: earlier.map((number) => `r${number}`), step: null, plannedSteps: null },
});
const sweep = (name: string, tasks: readonly SweepTaskView[], more: Partial<SweepView> = {}): SweepView => ({
  ...{ name, file: null, axes: [], on: 'local', workers: 1, tasks, isLive: false, isCutOff: false },
  counts: {
    all: tasks.length,
    done: tasks.filter(({ kind }) => kind === 'done').length,
    failed: tasks.filter(({ kind }) => kind === 'failed').length,
    running: 0,
    queued: 0,
  },
  ...more,
});
const name = (node: HistoryNode): string => (isRun(node) ? node.id : node.kind === 'sweep' ? node.view.name : node.task.id);

describe('run history', () => {
  const runs = [row(5), row(4), row(3, 'failed'), row(2), row(1)];
  const a = sweep('a', [task('x', 'done', 4, [3]), task('y', 'done', 2)]);

  it('puts a sweep’s runs under it, where its newest stands, and leaves the others as they are', () => {
    const roots = historyRoots(runs, [a, sweep('new', [task('z', 'queued', null)])]);
    expect(roots.map(name)).to.deep.equal(['new', 'r5', 'a', 'r1']);
    expect(historyRoots(runs, [])).to.deep.equal(runs);
    const tasks = historyChildren(roots[2], runs);
    expect(tasks.map(name)).to.deep.equal(['x', 'y']);
    expect(historyChildren(tasks[0], runs).map(name)).to.deep.equal(['r3']);
    expect(historyChildren(roots[1], runs)).to.deep.equal([]);
  });

  it('offers what fits: the rest, the failed, a cancel', () => {
    const context = (...kinds: readonly TaskKind[]) =>
      contextOf({
        kind: 'sweep',
        view: sweep(
          'a',
          kinds.map((kind) => task(kind, kind, null)),
          { isLive: kinds.includes('running') },
        ),
      });
    expect(context('done', 'done')).to.equal('sweep-idle');
    expect(context('done', 'failed')).to.equal('sweep-idle-failed');
    expect(context('stopped', 'failed')).to.equal('sweep-idle-left-failed');
    expect(context('running')).to.equal('sweep-live-left');
    const [done, queued] = historyChildren({ kind: 'sweep', view: sweep('a', [task('x', 'done', 4), task('y', 'queued', null)]) }, runs);
    expect([contextOf(done), contextOf(queued)]).to.deep.equal(['run-done-task', 'task-queued']);
  });
});

describe('settings of a cluster', () => {
  it('are those of a sweep file, each with its setting, and what is empty asks nothing', () => {
    const { contributes } = JSON.parse(fs.readFileSync('package.json', 'utf8'));
    const contributed = Object.keys(contributes.configuration.properties).filter((key) => key.startsWith('uoe.slurm.'));
    expect(contributed).to.have.members(slurmFields.map((field) => `uoe.slurm.${field}`));
    expect(slurmFields).to.have.members(Object.keys(slurmProfileSchema.shape));
    const defaults = slurmSettings((field) => contributes.configuration.properties[`uoe.slurm.${field}`].default);
    expect(defaults).to.deep.equal({ pollSeconds: 30 });
    expect(slurmProfileSchema.safeParse(slurmSettings((field) => ({ cpus: 4, preamble: ['module load node'], gres: '' })[field as 'cpus'])).data).to.deep.equal(
      { cpus: 4, preamble: ['module load node'] },
    );
  });
});
