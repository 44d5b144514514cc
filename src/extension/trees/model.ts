/** Model view: what was opened, what of it can be edited, and what computes. A welcome text shows while nothing is open. */
import * as vscode from 'vscode';
import { bytes, count, parameters } from '../../protocol/numbers';
import { mapStrings, plainText } from '../../protocol/plain-text';
import type { WorkbenchState } from '../../protocol/workbench';
import type { Store } from '../workbench/store';

export interface ModelNode {
  readonly id: string;
  readonly icon: string;
  readonly label: string;
  readonly description: string;
  readonly tooltip?: string;
  /** Command that a click runs. */
  readonly command?: string;
}

function modelNodes(model: NonNullable<WorkbenchState['model']>): readonly ModelNode[] {
  const dense = model.layers - model.moeLayers.length;
  const experts = `${count(model.moeLayers.length)} × ${count(model.experts)}, top-${model.topK}`;
  const shared = model.sharedExperts > 0 ? vscode.l10n.t('{0} shared', model.sharedExperts) : '';
  return [
    {
      id: 'model',
      icon: 'circuit-board',
      label: model.name,
      description: parameters(model.parameters.total),
      tooltip: model.family,
      command: 'uoe.showWorkbench',
    },
    {
      id: 'experts',
      icon: 'layers',
      label: vscode.l10n.t('Experts'),
      description: [experts, shared].filter(Boolean).join(', '),
      tooltip: dense > 0 ? vscode.l10n.t('{0} of {1} layers have no experts', dense, model.layers) : vscode.l10n.t('every layer has experts'),
    },
    {
      id: 'weights',
      icon: 'database',
      label: vscode.l10n.t('Weights'),
      description: `${bytes(model.bytes)} · ${model.dtype}`,
      tooltip: vscode.l10n.t('{0} tensors in {1} files', count(model.tensors), count(model.shards)),
    },
    {
      id: 'tokenizer',
      icon: 'symbol-string',
      label: vscode.l10n.t('Tokenizer'),
      description: model.tokenizer ? `${model.tokenizer.kind}, ${count(model.tokenizer.vocabulary)}` : vscode.l10n.t('none: works on rows of input_ids'),
    },
  ];
}

/** In words for every state of the engine. */
export function engineWords(status: WorkbenchState['engine']['status']): string {
  const words: Readonly<Record<typeof status, string>> = {
    off: vscode.l10n.t('starts when it is needed'),
    starting: vscode.l10n.t('starting'),
    ready: vscode.l10n.t('ready'),
    stopped: vscode.l10n.t('stopped'),
  };
  return words[status];
}

function engineNodes({ engine, model }: WorkbenchState): readonly ModelNode[] {
  const { backend, status } = engine;
  const words = engineWords(status);
  const memory = model?.plan;
  return [
    {
      id: 'engine',
      icon: status === 'stopped' ? 'error' : 'server-process',
      label: vscode.l10n.t('Engine'),
      description: backend ? `${words} · ${backend.name}` : words,
      tooltip: backend ? [backend.why, backend.faster].filter(Boolean).join('\n') : undefined,
      command: status === 'stopped' ? 'uoe.restartEngine' : 'uoe.showLog',
    },
    ...(backend
      ? [{ id: 'threads', icon: 'split-horizontal', label: vscode.l10n.t('Threads'), description: String(backend.threads), tooltip: backend.why }]
      : []),
    ...(memory
      ? [
          {
            id: 'memory',
            icon: 'pie-chart',
            label: vscode.l10n.t('Memory'),
            description: vscode.l10n.t('{0} of {1}', bytes(memory.peakBytes), bytes(memory.budgetBytes)),
            tooltip: vscode.l10n.t('What one pass over the prompts needs, of the budget "uoe.engine.memory"'),
          },
        ]
      : []),
  ];
}

export const modelRows = (state: WorkbenchState): readonly ModelNode[] => (state.model ? [...modelNodes(state.model), ...engineNodes(state)] : []);

export interface ModelTree extends vscode.TreeDataProvider<ModelNode> {
  dispose(): void;
}

export function createModelTree(store: Store<WorkbenchState>): ModelTree {
  const changed = new vscode.EventEmitter<undefined>();
  const stop = store.subscribe((now, before) => (now.model !== before.model || now.engine !== before.engine) && changed.fire(undefined));
  return {
    onDidChangeTreeData: changed.event,
    getChildren: (node) => (node ? [] : [...modelRows(store.get())]),
    getTreeItem(node) {
      const { id, icon, label, description, tooltip, command } = mapStrings(node, plainText);
      const item = new vscode.TreeItem(label);
      item.id = id;
      item.description = description;
      item.iconPath = new vscode.ThemeIcon(icon);
      item.tooltip = tooltip ?? `${label}: ${description}`;
      item.accessibilityInformation = { label: `${label}, ${description}` };
      if (command) item.command = { command, title: label };
      return item;
    },
    dispose() {
      stop();
      changed.dispose();
    },
  };
}

/** Number of jobs that are going on, on the container's icon. */
export function followJobs(view: vscode.TreeView<ModelNode>, store: Store<WorkbenchState>): () => void {
  const show = ({ jobs }: WorkbenchState) => {
    view.badge = jobs.length === 0 ? undefined : { value: jobs.length, tooltip: jobs.map(({ title }) => title).join('\n') };
  };
  return store.subscribe((now, before) => now.jobs.length !== before.jobs.length && show(now));
}
