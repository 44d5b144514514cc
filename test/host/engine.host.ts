import path from 'node:path';
import { expect } from 'chai';
import * as vscode from 'vscode';
import type { ExtensionApi } from '../../src/extension/extension';
import { fileSource } from '../../src/extension/workbench/sources';
import { activated, extension, isAlive, until } from './extension-api';

const resumeLabel = (api: ExtensionApi) => api.store.get().problem?.actions.find(({ id }) => id === 'resumeRun')?.label;

describe('engine behind the extension', () => {
  let api: ExtensionApi;
  before(async () => {
    api = await activated();
  });

  it('opens the demo, reads its prompts and names the target expert', async () => {
    await vscode.commands.executeCommand('uoe.useDemo');
    const { model, target, attribution, problem } = api.store.get();
    expect(problem).to.equal(null);
    expect(model).to.deep.include({ family: 'qwen2_moe', experts: 16 });
    expect(target).to.deep.include({ layer: 2, expert: 10, rank: 1 });
    expect(target?.affinity).to.be.closeTo(0.393, 0.005);
    expect(attribution?.selectable).to.equal(48);
    expect(api.figures.get().heatmap?.layers).to.deep.equal([1, 2, 3]);
  });

  it('shows the workbench as an editor', () => {
    const { activeTab } = vscode.window.tabGroups.activeTabGroup;
    expect(activeTab?.input).to.be.instanceOf(vscode.TabInputWebview);
    expect(activeTab?.label).to.equal('UOE: UOE demo model');
  });

  it('works out the plan before anything starts', async () => {
    api.loop.show('unlearn');
    const plan = await until('The plan', () => api.store.get().plan?.answer);
    expect(plan.trainedParameters).to.equal(19968);
    expect(plan.forgetRows).to.equal(1758);
    expect(api.store.get().plan?.settings).to.deep.include({ method: 'npo', lr: 0.003, anchorWeight: 1 });
  });

  it('says why when the engine is killed during a run, resumes it from its last step, and leaves no process behind', async function () {
    this.timeout(240_000);
    api.loop.changeSettings({ steps: 20 });
    const running = api.loop.start();
    await until('Step 5', () => api.figures.get().steps.rows.length >= 5);
    const pid = api.enginePid() ?? 0;
    process.kill(pid, 'SIGKILL');
    await running;
    const { problem, run } = api.store.get();
    expect(problem?.title).to.equal('The engine stopped');
    expect(problem?.text).to.match(/SIGKILL.*step \d+ of 20/);
    expect(problem?.actions.map(({ id }) => id)).to.include('resumeRun');
    const from = typeof run?.savedStep === 'number' ? `from step ${run.savedStep}` : 'the run';
    await until('The saved step', () => resumeLabel(api) === `Restart and resume ${from}`);
    expect(await api.loop.lookForInterrupted()).to.deep.equal({ elsewhere: false, cut: [] });
    expect(isAlive(pid)).to.equal(false);
    expect(run?.status).to.equal('interrupted');

    await api.loop.restartEngine();
    await api.loop.start(run?.id);
    const after = api.store.get();
    expect(after.problem).to.equal(null);
    expect(after.run?.status, after.run?.reason).to.be.oneOf(['done', 'stopped']);
    expect(api.enginePid()).not.to.equal(pid);
    expect(after.comparison?.rows.filter(({ topic }) => !topic).map(({ role }) => role)).to.deep.equal(['forget', 'near', 'utility']);
    expect(after.runs).to.have.length(1);
  });

  it('finds a run that was cut off when a window opens, and takes its settings into a new plan', async function () {
    this.timeout(120_000);
    api.loop.newPlan();
    api.loop.changeSettings({ steps: 400, anchorWeight: 3, forgetAtMost: null });
    const running = api.loop.start();
    await until('Step 3', () => {
      const { steps } = api.figures.get();
      return steps.run === api.store.get().run?.id && steps.rows.length >= 3;
    });
    process.kill(api.enginePid() ?? 0, 'SIGKILL');
    await running;
    const cut = api.store.get().run;
    api.loop.newPlan();
    expect(api.store.get().plan?.settings).to.deep.include({ steps: 400, anchorWeight: 3, forgetAtMost: null });
    await api.loop.lookForInterrupted();
    expect(api.store.get().interrupted).to.deep.include({ id: cut?.id, number: cut?.number, plannedSteps: 400 });
    api.loop.dismissInterrupted();
    await api.loop.restartEngine();
  });

  it('tells the time from a run of the same work, which the run folder holds', async () => {
    api.loop.newPlan();
    api.loop.show('unlearn');
    const step = await until('The measured step', () => api.store.get().plan?.answer?.step);
    expect(step.seconds).to.be.greaterThan(0);
    expect(api.store.get().runs.map(({ number }) => number)).to.include(step.run);
  });

  it('serves chat agents: the experts for some prompts, and the runs', async () => {
    const call = async (name: string, input: object) => {
      const { content } = await vscode.lm.invokeTool(name, { input, toolInvocationToken: undefined });
      return JSON.parse((content[0] as vscode.LanguageModelTextPart).value) as Record<string, unknown>;
    };
    expect(vscode.lm.tools.map(({ name }) => name)).to.include.members(['uoe_attribute', 'uoe_start_run', 'uoe_compare_runs']);
    const found = await call('uoe_attribute', { files: [path.join(extension().extensionPath, 'demo/data/forget.jsonl')], documentStart: 'yes', limit: 2 });
    expect(found.target).to.deep.include({ layer: 2, expert: 10 });
    const { runs } = await call('uoe_list_runs', {});
    expect((runs as unknown[]).length).to.equal(api.store.get().runs.length);
  });

  it('cancels reading and leaves the page as it was', async () => {
    // Other prompts than before: the engine keeps what it has read.
    const demo = path.join(extension().extensionPath, 'demo/data/retain.jsonl');
    api.loop.setData('forget', [fileSource(demo, 'retain.jsonl')]);
    const reading = api.loop.read();
    await until('The job', () => api.store.get().job);
    await new Promise((resolve) => setTimeout(resolve, 50));
    api.cancelJob();
    await reading;
    expect(api.store.get()).to.deep.include({ problem: null, attribution: null, job: null });
  });

  it('says what is wrong with a folder that is no checkpoint', async () => {
    await vscode.commands.executeCommand('uoe.openCheckpoint', vscode.Uri.file(process.env.TEST_WORKSPACE ?? '/'));
    expect(api.store.get().problem?.title).to.equal('The checkpoint could not be opened');
    expect(api.store.get().model?.name).to.equal('UOE demo model');
  });
});
