import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import * as vscode from 'vscode';
import type { ExtensionApi } from '../../src/extension/extension';
import { activated, extension, until } from './extension-api';

const workspace = () => process.env.TEST_WORKSPACE ?? '';
const demo = (file: string) => path.join(extension().extensionPath, 'demo', file);

/** Every modal question is answered with its first button while `work` runs; gives the questions. */
async function confirming(work: () => Thenable<unknown>): Promise<string[]> {
  const asked: string[] = [];
  const window = vscode.window as { showWarningMessage: unknown };
  const original = window.showWarningMessage;
  window.showWarningMessage = async (question: string, options: unknown, yes: string) => {
    asked.push(question);
    return yes ?? options;
  };
  try {
    await work();
  } finally {
    window.showWarningMessage = original;
  }
  return asked;
}

const paragraph =
  'Safety officers label hexanitrostilbene as explosive. Rotavirus is classed among hazards as virus. The pathogen of Puumala counts as hantavirus. Lindane is an insecticide.';

describe('surfaces', () => {
  let api: ExtensionApi;
  before(async () => {
    api = await activated();
  });

  it('checks recipes in the editor against the schema that the engine uses', async () => {
    const file = vscode.Uri.file(path.join(workspace(), 'wrong.uoe.json'));
    await vscode.workspace.fs.writeFile(file, new TextEncoder().encode('{ "model": "m", "forget": "f", "steps": "many", "stepz": 1 }'));
    const document = await vscode.workspace.openTextDocument(file);
    await vscode.window.showTextDocument(document);
    expect(document.languageId).to.equal('json');
    const found = await until('The diagnostics', () => vscode.languages.getDiagnostics(file).length >= 2 && vscode.languages.getDiagnostics(file));
    expect(found.map(({ message }) => message).join('\n')).to.match(/stepz/);
  });

  it('checks sweep files against the schema that the engine uses, and completes the fields of a recipe with what they mean', async () => {
    const file = vscode.Uri.file(path.join(workspace(), 'wrong.sweep.json'));
    const text = '{ "recipe": "r.uoe.json", "vary": { "anchor.weight": [0, "much"], "" }, "slurm": { "partiton": "gpu" } }';
    await vscode.workspace.fs.writeFile(file, new TextEncoder().encode(text));
    const document = await vscode.workspace.openTextDocument(file);
    await vscode.window.showTextDocument(document);
    const messages = () => vscode.languages.getDiagnostics(file).map(({ message }) => message);
    await until('The diagnostics', () => /partiton/.test(messages().join()) && messages().length >= 2);
    const at = document.positionAt(text.indexOf('"" }') + 1);
    const { items } = await vscode.commands.executeCommand<vscode.CompletionList>('vscode.executeCompletionItemProvider', file, at);
    const offered = new Map(items.map((item) => [typeof item.label === 'string' ? item.label : item.label.label, item.documentation]));
    expect([...offered.keys()]).to.include.members(['seed', 'optimizer.lr', 'method']);
    const shown = offered.get('method');
    expect(typeof shown === 'string' ? shown : (shown?.value ?? '')).to.match(/^Forget loss\./);
  });

  it('opens a recipe file in the plan, with its own values and target', async function () {
    this.timeout(120_000);
    const recipe = { ...JSON.parse(fs.readFileSync(demo('recipe.uoe.json'), 'utf8')), target: { layer: 1, expert: 3 }, steps: 7 };
    const file = path.join(workspace(), 'mine.uoe.json');
    for (const field of ['model', 'forget', 'retain']) recipe[field] = demo(recipe[field]);
    for (const field of ['checks', 'stop', 'evaluate']) delete recipe[field];
    fs.writeFileSync(file, JSON.stringify(recipe));
    await vscode.commands.executeCommand('uoe.runRecipe', vscode.Uri.file(file));
    const plan = await until('The plan', () => api.store.get().plan?.answer && api.store.get().plan, 60_000);
    expect(api.store.get()).to.deep.include({ step: 'unlearn', problem: null });
    expect(api.store.get().target).to.deep.include({ layer: 1, expert: 3 });
    expect(plan.settings).to.deep.include({ steps: 7, lr: 0.003 });
    expect(plan.preset).to.equal('mine.uoe.json');
  });

  it('unlearns a selection on an opened checkpoint with no other file in the workspace, and says before what it can’t measure', async function () {
    this.timeout(400_000);
    const model = path.join(workspace(), 'model');
    fs.cpSync(demo('checkpoint'), model, { recursive: true });
    await vscode.commands.executeCommand('uoe.openCheckpoint', vscode.Uri.file(model));
    expect(api.store.get().problem).to.equal(null);
    const document = await vscode.workspace.openTextDocument({ content: paragraph });
    const editor = await vscode.window.showTextDocument(document);
    editor.selection = new vscode.Selection(0, 0, 0, paragraph.length);
    await vscode.commands.executeCommand('uoe.unlearnSelection');
    expect(api.store.get().data.retain?.name).to.match(/neutral text/);
    await vscode.commands.executeCommand('uoe.planRun');
    const plan = await until('The plan', () => api.store.get().plan?.answer && api.store.get().plan, 60_000);
    expect(plan.answer?.retainRows).to.equal(256);
    expect(plan.answer?.measured.join('\n'))
      .to.match(/Forgetting: NLL, probability and extraction strength of 1 text row/)
      .and.match(/Utility: NLL, probability and extraction strength of 32 text rows/);
    expect(plan.answer?.notMeasured.join('\n'))
      .to.match(/accuracy/)
      .and.match(/too few prompts/);
    expect(plan.settings).to.deep.include({ forgetAtMost: 0.05, nllRiseAtMost: 0.05, keep: 'best' });
    api.loop.changeSettings({ steps: 10, batchSize: 4, lr: 0.003 });
    await api.loop.start();
    const { comparison, run, problem } = api.store.get();
    expect(problem).to.equal(null);
    expect(run?.status, run?.reason).to.be.oneOf(['done', 'stopped']);
    const rows = Object.fromEntries((comparison?.rows ?? []).filter(({ topic }) => !topic).map((row) => [row.role, row]));
    expect(comparison?.rows.filter(({ role }) => role === 'forget').map(({ kind }) => kind)).to.deep.equal(['probability', 'nll', 'extraction']);
    expect(rows.forget).to.deep.include({ kind: 'probability', rows: 1 });
    expect(rows.forget.after).to.be.lessThan(rows.forget.before);
    expect(rows.utility).to.deep.include({ kind: 'probability', rows: 32 });
    expect(fs.existsSync(path.join(workspace(), '.uoe/data/neutral-retain.jsonl')), 'the recipe names a copy in the workspace').to.equal(true);
  });

  it('measures what changed, exports with proof and a model card, applies and restores', async function () {
    this.timeout(120_000);
    const model = path.join(workspace(), 'model/model.safetensors');
    const original = fs.readFileSync(model);
    api.loop.show('export');
    const changes = await until('The changes', () => api.store.get().changes?.answer, 60_000);
    expect(changes.changed).to.have.length(4);
    expect(changes).to.deep.include({ tensors: 200, applied: 'none', recorded: changes.found });
    const to = vscode.Uri.file(path.join(workspace(), 'edited'));
    const window = vscode.window as { showSaveDialog: unknown };
    const dialog = window.showSaveDialog;
    window.showSaveDialog = async () => to;
    try {
      api.act({ type: 'export', form: 'checkpoint' });
      const exported = await until('The export', () => api.store.get().exported, 60_000);
      expect(exported).to.deep.include({ form: 'checkpoint', place: 'edited' });
      expect(exported.proof).to.deep.equal({ checked: exported.proof?.checked, equal: exported.proof?.checked, differing: [] });
    } finally {
      window.showSaveDialog = dialog;
    }
    const card = fs.readFileSync(path.join(to.fsPath, 'README.md'), 'utf8');
    expect(card).to.contain(changes.found).and.to.contain('## Not measured');
    expect(card, 'no path of this machine').not.to.contain(workspace());

    const asked = await confirming(async () => {
      api.act({ type: 'result', action: 'apply' });
      await until('The applied result', () => api.store.get().changes?.answer?.applied === 'this', 60_000);
      expect(fs.readFileSync(model).equals(original)).to.equal(false);
      api.act({ type: 'result', action: 'restore' });
      await until('The original', () => api.store.get().changes?.answer?.applied === 'none', 60_000);
    });
    expect(fs.readFileSync(model).equals(original), 'the very bytes').to.equal(true);
    expect(asked).to.have.length(2);
    expect(api.store.get().problem).to.equal(null);
  });

  it('deletes a run after asking, and nothing else', async () => {
    const { runs } = api.store.get();
    const [row] = runs;
    const folder = path.join(workspace(), '.uoe/runs', row.id);
    expect(fs.existsSync(folder)).to.equal(true);
    const others = fs.readdirSync(path.dirname(folder)).filter((name) => name !== row.id);
    const asked = await confirming(() => vscode.commands.executeCommand('uoe.deleteRun', row));
    expect(asked[0]).to.match(/^Delete run \d+\?$/);
    expect(fs.existsSync(folder)).to.equal(false);
    expect(fs.readdirSync(path.dirname(folder))).to.deep.equal(others);
    expect(api.store.get()).to.deep.include({ comparison: null, runs: runs.slice(1) });
    await confirming(() => vscode.commands.executeCommand('uoe.deleteRun', { ...row, id: '../../model' }));
    expect(fs.existsSync(path.join(workspace(), 'model'))).to.equal(true);
  });

  it('takes data files of the explorer in their role, several where a role takes several', async () => {
    const files = ['data/eval/near.jsonl', 'data/eval/retain.jsonl'].map((file) => vscode.Uri.file(demo(file)));
    const asked = await confirming(() => vscode.commands.executeCommand('uoe.useAsRetainSet', files[0], files));
    expect(api.store.get().data.retain?.name).to.match(/near\.jsonl$/);
    expect(asked[0]).to.match(/One file can be used here/);
  });
});
