import { expect } from 'chai';
import * as vscode from 'vscode';
import { createExpertTree, type ExpertNode } from '../../src/extension/trees/experts';
import { modelRows } from '../../src/extension/trees/model';
import { createPromptTree, lineOf, type PromptNode, placeOf } from '../../src/extension/trees/prompts';
import { createRunTree } from '../../src/extension/trees/runs';
import { createTargetBadge, expertUri, layerUri } from '../../src/extension/trees/target-badge';
import { ranksOf } from '../../src/extension/workbench/heatmap';
import { initialState } from '../../src/extension/workbench/initial';
import type { Figures } from '../../src/extension/workbench/loop';
import { fileSource, type Source, selectionSource } from '../../src/extension/workbench/sources';
import { createStore } from '../../src/extension/workbench/store';
import type { HeatmapFigures, RunRow, WorkbenchState } from '../../src/protocol/workbench';
import { extension } from './extension-api';

/** Layers 1 and 2 of six experts; affinity rises with the expert's number. */
function figures(): HeatmapFigures {
  const affinity = Float32Array.from({ length: 12 }, (_, index) => (index + 1) / 100);
  const rankInLayer = Float32Array.of(...ranksOf(affinity.subarray(0, 6)), ...ranksOf(affinity.subarray(6)));
  return {
    key: 'k',
    layers: [1, 2],
    experts: 6,
    affinity,
    share: affinity,
    slots: affinity,
    retainShare: null,
    rank: ranksOf(affinity),
    rankInLayer,
    timesEqual: affinity.map((value) => value * 6),
    normalised: false,
    half: Float32Array.of(2, 2),
    best: Float32Array.of(0.06, 0.12),
  };
}

function trees() {
  const store = createStore<WorkbenchState>(initialState(true));
  const data = createStore<Figures>({ heatmap: null, prompts: null, ticks: null, tokens: null, steps: { run: '', rows: [] } });
  return {
    store,
    data,
    experts: createExpertTree(store, data, vscode.Uri.joinPath(extension().extensionUri, 'media')),
    runs: createRunTree(store, 'uoe.showRun'),
  };
}

const labels = (tree: ReturnType<typeof trees>['experts'], nodes: readonly ExpertNode[]) =>
  nodes.map((node) => (tree.getTreeItem(node) as vscode.TreeItem).label);

describe('expert explorer', () => {
  it('is empty until prompts were read, and then shows layers with the best expert first', () => {
    const { data, experts } = trees();
    expect(experts.getChildren(undefined)).to.deep.equal([]);
    data.set({ heatmap: figures() });
    const layers = experts.getChildren(undefined) as ExpertNode[];
    expect(labels(experts, layers)).to.deep.equal(['Layer 1', 'Layer 2']);
    const children = experts.getChildren(layers[1]) as ExpertNode[];
    expect(labels(experts, children)).to.deep.equal(['Expert 5', 'Expert 4', 'Expert 3', 'Expert 2', '2 more experts']);
    expect(labels(experts, experts.getChildren(children[4]) as ExpertNode[])).to.deep.equal(['Expert 1', 'Expert 0']);
    expect(experts.getParent(children[0])).to.deep.equal(layers[1]);
    expect(experts.getParent({ kind: 'expert', id: { layer: 2, expert: 0 } })).to.deep.equal(children[4]);
    expect(experts.getParent(children[4])).to.deep.equal(layers[1]);
  });

  it('marks the target in words, and tells the view when it changes', () => {
    const { store, data, experts } = trees();
    data.set({ heatmap: figures() });
    let changes = 0;
    experts.onDidChangeTreeData?.(() => changes++);
    store.set({ target: { layer: 2, expert: 5, affinity: 0.12, share: 0.1, rank: 1, rankInLayer: 1, timesEqual: 2, retainShare: null } });
    expect(changes).to.equal(1);
    const item = experts.getTreeItem({ kind: 'expert', id: { layer: 2, expert: 5 } }) as vscode.TreeItem;
    expect(item.contextValue).to.equal('target');
    expect(item.accessibilityInformation?.label).to.match(/target$/);
    expect((experts.getTreeItem({ kind: 'expert', id: { layer: 1, expert: 5 } }) as vscode.TreeItem).contextValue).to.equal('expert');
  });
});

describe('expert explorer’s signs', () => {
  it('are a bar in nine steps that is there as a file, a badge on the target, and a lock on shared experts', async () => {
    const { store, data, experts } = trees();
    const badge = createTargetBadge(store);
    data.set({ heatmap: figures() });
    store.set({
      target: { layer: 2, expert: 5, affinity: 0.12, share: 0.1, rank: 1, rankInLayer: 1, timesEqual: 2, retainShare: null },
      model: { sharedExperts: 2 } as WorkbenchState['model'],
    });
    const item = experts.getTreeItem({ kind: 'expert', id: { layer: 2, expert: 5 } }) as vscode.TreeItem;
    const { light, dark } = item.iconPath as { light: vscode.Uri; dark: vscode.Uri };
    expect(dark.path).to.match(/4-dark\.svg$/);
    for (const file of [light, dark]) expect((await vscode.workspace.fs.stat(file)).size).to.be.greaterThan(0);
    const token = new vscode.CancellationTokenSource().token;
    expect(badge.provideFileDecoration(item.resourceUri as vscode.Uri, token)).to.deep.equal({ badge: 'T', tooltip: 'target' });
    expect(badge.provideFileDecoration(layerUri(2), token)).to.deep.include({ badge: 'T' });
    expect(badge.provideFileDecoration(expertUri({ layer: 1, expert: 5 }), token)).to.equal(undefined);
    const shared = (experts.getChildren({ kind: 'layer', layer: 2 }) as ExpertNode[]).find((node) => node.kind === 'shared');
    const locked = experts.getTreeItem(shared as ExpertNode) as vscode.TreeItem;
    expect([locked.label, locked.description, (locked.iconPath as vscode.ThemeIcon).id]).to.deep.equal(['Shared 0–1', 'not selectable', 'lock']);
    expect(locked.tooltip).to.match(/0\.510 to 0\.355/);
    badge.dispose();
  });
});

describe('forget prompts', () => {
  const file = fileSource('/data/forget.jsonl', 'forget.jsonl');
  const selection: Source = { ...selectionSource({ text: 'a', document: 'notes.md', firstLine: 12, lastLine: 18 }), place: 'file:///notes.md' };
  function tree() {
    const { store, data } = trees();
    const ticked: (readonly [readonly number[], boolean])[] = [];
    const prompts = createPromptTree(
      { store, figures: data, sources: () => [file, selection], readSources: () => [file, selection], tick: (list, on) => ticked.push([list, on]) },
      'uoe.openPrompt',
    );
    return { store, data, prompts, ticked };
  }
  const items = [
    { text: 'One', tokens: 3, line: 1, source: 0 },
    { text: 'Two', tokens: 3, line: 4, source: 0 },
    { text: 'Three', tokens: 3, line: 14, source: 1 },
  ];

  it('are files and selections, with their prompts and boxes once they were read', () => {
    const { data, prompts } = tree();
    const roots = prompts.getChildren(undefined) as PromptNode[];
    const labelled = () => roots.map((node) => prompts.getTreeItem(node) as vscode.TreeItem).map((item) => [item.label, item.description]);
    expect(labelled()).to.deep.equal([
      ['forget.jsonl', 'not read yet'],
      ['notes.md:12–18', 'from selection · not read yet'],
    ]);
    data.set({ prompts: { key: 'k', items }, ticks: { ticked: Uint8Array.of(1, 0, 1), means: Float32Array.of(0.5, 0.25, 0.125) } });
    expect(labelled()).to.deep.equal([
      ['forget.jsonl', '1 of 2 prompts'],
      ['notes.md:12–18', 'from selection · 1 prompts'],
    ]);
    const children = prompts.getChildren(roots[0]) as PromptNode[];
    const shown = children.map((node) => prompts.getTreeItem(node) as vscode.TreeItem);
    expect(shown.map((item) => [item.label, item.description])).to.deep.equal([
      ['One', '0.500'],
      ['Two', '0.250'],
    ]);
    expect(shown.map((item) => (item.checkboxState as { state: vscode.TreeItemCheckboxState }).state)).to.deep.equal([1, 0]);
    expect(prompts.getParent(children[0])).to.deep.equal(roots[0]);
  });

  it('tick what their boxes say, a whole file by its own', () => {
    const { data, prompts, ticked } = tree();
    data.set({ prompts: { key: 'k', items }, ticks: { ticked: Uint8Array.of(1, 0, 1), means: null } });
    const [root, other] = prompts.getChildren(undefined) as PromptNode[];
    const [leaf] = prompts.getChildren(other) as PromptNode[];
    prompts.changed([
      [root, vscode.TreeItemCheckboxState.Checked],
      [leaf, vscode.TreeItemCheckboxState.Unchecked],
    ]);
    expect(ticked).to.deep.equal([
      [[0, 1], true],
      [[2], false],
    ]);
  });

  it('are at a line of the document they came from', () => {
    const list = { key: 'k', items };
    expect([placeOf(file)?.path, lineOf({ kind: 'prompt', source: file, prompt: 1 }, list)]).to.deep.equal(['/data/forget.jsonl', 4]);
    expect([placeOf(selection)?.path, lineOf({ kind: 'prompt', source: selection, prompt: 2 }, list)]).to.deep.equal(['/notes.md', 14]);
    const rows = fileSource('/data/rows.json', 'rows.json');
    expect(lineOf({ kind: 'prompt', source: rows, prompt: 0 }, list)).to.equal(null);
    expect(placeOf(fileSource('/data/rows.parquet', 'rows.parquet'))).to.equal(null);
  });
});

describe('run history', () => {
  it('shows what a run did, or why it did not', () => {
    const { store, runs } = trees();
    const row = (number: number, change: Partial<RunRow>): RunRow => ({
      id: `r${number}`,
      number,
      method: 'npo',
      status: 'done',
      forget: -0.71,
      utility: -0.004,
      ...change,
    });
    store.set({ runs: [row(2, {}), row(1, { status: 'failed', forget: null, utility: null, reason: 'a loss became NaN' })] });
    const items = (runs.getChildren(undefined) as RunRow[]).map((entry) => runs.getTreeItem(entry) as vscode.TreeItem);
    expect(items.map((item) => item.label)).to.deep.equal(['Run 2 · NPO', 'Run 1 · NPO']);
    expect(items.map((item) => item.description)).to.deep.equal(['FE −0.710  UT −0.004', 'failed: a loss became NaN']);
    expect(items.map((item) => (item.iconPath as vscode.ThemeIcon).id)).to.deep.equal(['pass', 'error']);
  });
});

describe('model view', () => {
  it('is empty until a checkpoint is open, and then tells what can be edited and what computes', () => {
    const { store } = trees();
    expect(modelRows(store.get())).to.deep.equal([]);
    store.set({
      model: {
        name: 'Small',
        family: 'mixtral',
        layers: 4,
        moeLayers: [1, 2, 3],
        experts: 16,
        sharedExperts: 1,
        topK: 2,
        parameters: { total: 1_262_880, active: 1, perExpert: 1 },
        bytes: 2_530_000,
        dtype: 'BF16',
        tensors: 200,
        shards: 1,
        tokenizer: null,
        plan: { bytesToRead: 1, peakBytes: 400e6, budgetBytes: 8e9 },
      } as unknown as WorkbenchState['model'],
      engine: { status: 'ready', backend: { name: 'wasm', threads: 2, why: 'The fastest here.' } },
    });
    const shown = modelRows(store.get()).map(({ label, description }) => `${label}: ${description}`);
    expect(shown).to.deep.equal([
      'Small: 1.26\u202fM',
      'Experts: 3 × 16, top-2, 1 shared',
      'Weights: 2.5\u202fMB · BF16',
      'Tokenizer: none: works on rows of input_ids',
      'Engine: ready · wasm',
      'Threads: 2',
      'Memory: 400\u202fMB of 8.0\u202fGB',
    ]);
    store.set({ engine: { status: 'stopped' } });
    const engine = modelRows(store.get()).find(({ id }) => id === 'engine');
    expect(engine).to.deep.include({ icon: 'error', description: 'stopped', command: 'uoe.restartEngine' });
  });
});
