import { expect } from 'chai';
import type * as vscode from 'vscode';
import { createExpertTree, type ExpertNode } from '../../src/extension/trees/experts';
import { createRunTree } from '../../src/extension/trees/runs';
import { ranksOf } from '../../src/extension/workbench/heatmap';
import { initialState } from '../../src/extension/workbench/initial';
import type { Figures } from '../../src/extension/workbench/loop';
import { createStore } from '../../src/extension/workbench/store';
import type { HeatmapFigures, RunRow, WorkbenchState } from '../../src/protocol/workbench';

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
    half: Float32Array.of(2, 2),
    best: Float32Array.of(0.06, 0.12),
  };
}

function trees() {
  const store = createStore<WorkbenchState>(initialState(true));
  const data = createStore<Figures>({ heatmap: null, prompts: null, ticks: null, tokens: null, steps: { run: '', rows: [] } });
  return { store, data, experts: createExpertTree(store, data), runs: createRunTree(store, 'uoe.showRun') };
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
    expect(items.map((item) => item.description)).to.deep.equal(['forget −0.710  utility −0.004', 'a loss became NaN']);
    expect(items.map((item) => (item.iconPath as vscode.ThemeIcon).id)).to.deep.equal(['pass', 'error']);
  });
});
