/** A sweep from the editor, with the command line that ships: started, seen, cancelled in part and as a whole, gone on with, shown as a table. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import * as vscode from 'vscode';
import type { ExtensionApi } from '../../src/extension/extension';
import type { SweepView } from '../../src/protocol/sweep-view';
import { activated, extension, until as happened } from './extension-api';

const workspace = () => process.env.TEST_WORKSPACE ?? '';
const demo = (file: string) => path.join(extension().extensionPath, 'demo', file);

/** Lists are answered with the row of this label, modal questions with their first button, while `work` runs; gives the rows that were offered. */
async function answering(label: string, work: () => Thenable<unknown>): Promise<string[]> {
  const offered: string[] = [];
  const window = vscode.window as { showQuickPick: unknown; showWarningMessage: unknown };
  const { showQuickPick, showWarningMessage } = window;
  window.showQuickPick = async (rows: readonly vscode.QuickPickItem[]) => {
    offered.push(...rows.map((row) => [row.label, row.detail].filter(Boolean).join(': ')));
    return rows.find((row) => row.label === label);
  };
  window.showWarningMessage = async (_question: string, _options: unknown, yes: string) => yes;
  try {
    await work();
  } finally {
    Object.assign(window, { showQuickPick, showWarningMessage });
  }
  return offered;
}

describe('a sweep', () => {
  const file = () => path.join(workspace(), 'seeds.sweep.json');
  let api: ExtensionApi;
  const view = () => api.sweeps.get().sweeps.find(({ name }) => name === 'seeds');
  const kinds = () => view()?.tasks.map(({ kind }) => kind) ?? [];
  const until = <T>(what: string, read: () => T | undefined | null | false, milliseconds?: number) =>
    happened(what, read, milliseconds).catch((error: Error) => {
      const log = path.join(workspace(), '.uoe', 'sweeps', 'seeds', 'sweep.log');
      throw new Error(`${error.message} ${JSON.stringify(view())} ${fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : 'no log'}`);
    });
  const node = () => ({ kind: 'sweep', view: view() as SweepView });

  before(async () => {
    api = await activated();
    const recipe = { ...JSON.parse(fs.readFileSync(demo('recipe.uoe.json'), 'utf8')), model: demo('checkpoint'), target: { layer: 2, expert: 10 } };
    for (const field of ['stop', 'seed', 'checks']) delete recipe[field];
    // A few rows of each: what takes time is not what is tested.
    const few = (name: string, source: string) => {
      fs.writeFileSync(path.join(workspace(), name), `${fs.readFileSync(demo(source), 'utf8').split('\n').slice(0, 12).join('\n')}\n`);
      return name;
    };
    const data = { forget: few('few-forget.jsonl', 'data/forget.jsonl'), retain: few('few-retain.jsonl', 'data/retain.jsonl') };
    const evaluate = { forget: few('few-questions.jsonl', 'data/eval/forget.jsonl'), utility: [few('few-others.jsonl', 'data/eval/retain.jsonl')] };
    fs.writeFileSync(file(), JSON.stringify({ recipe: { ...recipe, ...data, evaluate, steps: 150, batchSize: 4 }, vary: { seed: [0, 1] } }));
    // Nothing tells this window of a change, as on a disk of other machines; the end-to-end tests have their watchers.
    await vscode.workspace.getConfiguration('files').update('watcherExclude', { '**/.uoe': true, '**/.uoe/**': true }, vscode.ConfigurationTarget.Global);
    // Runs are looked at every two seconds while somebody sees the history.
    await vscode.commands.executeCommand('uoe.runs.focus');
  });

  it('shows the very job script in a tab, and writes nothing', async function () {
    this.timeout(60_000);
    await answering('The job script for Slurm', () => vscode.commands.executeCommand('uoe.dryRunSweep', vscode.Uri.file(file())));
    const text = vscode.window.activeTextEditor?.document.getText() ?? '';
    expect(text).to.include('# run   0  (waiting)').and.include('#SBATCH --array=0-1\n').and.include('--go-on');
    expect(fs.existsSync(path.join(workspace(), '.uoe', 'sweeps', 'seeds'))).to.equal(false);
  });

  it('offers this machine where there is no Slurm, fills its group, and ends one task', async function () {
    this.timeout(150_000);
    const offered = await answering('Run on this machine', () => vscode.commands.executeCommand('uoe.startSweep', vscode.Uri.file(file())));
    if (!offered.includes('Submit to Slurm'))
      expect(offered[0]).to.match(/^Run on this machine: Slurm (is not here: there is no scontrol on the path|did not do it: .+)\./);
    await until('A running task with a step', () => view()?.tasks.some(({ kind, step }) => kind === 'running' && (step ?? 0) > 0), 100_000);
    expect(view()).to.deep.include({ isLive: true, on: 'local' });
    expect(view()?.tasks[0].words).to.match(/^running, step \d+ of 150$/);
    expect(kinds()[1]).to.equal('queued');
    await vscode.commands.executeCommand('uoe.cancelTask', { kind: 'task', view: view(), task: view()?.tasks[1], row: null });
    await until('The cancelled task', () => kinds()[1] === 'cancelled', 20_000);
    expect(view()?.isLive, 'the other goes on').to.equal(true);
  });

  it('is cancelled as a whole, goes on with the rest, and shows its table', async function () {
    this.timeout(280_000);
    await answering('', () => vscode.commands.executeCommand('uoe.cancelSweep', node()));
    await until('The end of all', () => view()?.isLive === false, 60_000);
    const before = view();
    expect(before?.counts.done, kinds().join()).to.be.lessThan(2);
    expect(before?.isCutOff, 'what was asked to end was not cut off').to.equal(false);
    await vscode.commands.executeCommand('uoe.resumeSweep', node());
    await until('All done', () => view()?.counts.done === 2, 200_000);
    expect(view()?.tasks.every(({ run }) => api.store.get().runs.some(({ id }) => id === run))).to.equal(true);
    await vscode.commands.executeCommand('uoe.showSweep', node());
    const page = api.store.get().sweep;
    expect([api.store.get().step, page?.name, page?.table.rows.length, page?.lines.map(({ done, forget }) => [done, forget?.n])]).to.deep.equal([
      'compare',
      'seeds',
      2,
      [[2, 2]],
    ]);
    await vscode.commands.executeCommand('uoe.showTaskLog', { kind: 'task', view: view(), task: view()?.tasks[0], row: null });
    expect(vscode.window.activeTextEditor?.document.getText()).to.match(/ on .*\n[\s\S]*Run \d+: /);
  });

  it('runs failed tasks again, or one alone', async function () {
    this.timeout(280_000);
    const { evaluate: _none, ...recipe } = JSON.parse(fs.readFileSync(file(), 'utf8')).recipe;
    const run = [1e30, 2e30].map((lr, i) => ({ label: `fails ${i}`, set: { 'optimizer.lr': lr, steps: 9 } }));
    const own = path.join(workspace(), 'failing.sweep.json');
    fs.writeFileSync(own, JSON.stringify({ recipe, vary: { run } }));
    const failing = () => api.sweeps.get().sweeps.find(({ name }) => name === 'failing') as SweepView;
    const earlier = () => failing()?.tasks.map((task) => task.earlier.length);
    const ended = (runs: readonly number[]) =>
      happened(`Runs ${runs}`, () => failing()?.isLive === false && earlier().join() === runs.join(), 120_000).catch((error: Error) => {
        throw new Error(`${error.message} ${JSON.stringify(failing())}`);
      });
    await answering('Run on this machine', () => vscode.commands.executeCommand('uoe.startSweep', vscode.Uri.file(own)));
    await ended([0, 0]);
    expect(failing().tasks.map(({ kind }) => kind)).to.deep.equal(['failed', 'failed']);
    expect(failing().tasks[0].words).to.match(/^failed: /);
    await vscode.commands.executeCommand('uoe.runTask', { kind: 'task', view: failing(), task: failing().tasks[1], row: null });
    await ended([0, 1]);
    await vscode.commands.executeCommand('uoe.runFailed', { kind: 'sweep', view: failing() });
    await ended([1, 2]);
  });
});
