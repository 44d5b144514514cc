/** Forget prompts: files and selections, and below each its prompts with a checkbox. The ticks are those of the workbench. */
import * as path from 'node:path';
import * as vscode from 'vscode';
import { count, fraction } from '../../protocol/numbers';
import { plainText } from '../../protocol/plain-text';
import type { PromptList, PromptTicks } from '../../protocol/prompts-view';
import type { WorkbenchState } from '../../protocol/workbench';
import type { Figures } from '../workbench/loop';
import type { Source } from '../workbench/sources';
import type { Store } from '../workbench/store';

export type PromptNode =
  | { readonly kind: 'source'; readonly source: Source }
  /** `prompt` is the index into the workbench's list. */
  | { readonly kind: 'prompt'; readonly source: Source; readonly prompt: number };

export interface PromptTreeParts {
  readonly store: Store<WorkbenchState>;
  readonly figures: Store<Figures>;
  /** What a read would take now. */
  readonly sources: () => readonly Source[];
  /** What the prompts that are shown were read from, in the order of their `source`. */
  readonly readSources: () => readonly Source[];
  readonly tick: (prompts: readonly number[], ticked: boolean) => void;
}

export interface PromptTree extends vscode.TreeDataProvider<PromptNode> {
  getParent(node: PromptNode): PromptNode | undefined;
  /** What the boxes say that the user has just changed. */
  changed(items: readonly (readonly [PromptNode, vscode.TreeItemCheckboxState])[]): void;
  dispose(): void;
}

/** Formats whose rows lie at lines of the file. */
const lineFormats = ['.jsonl', '.ndjson', '.csv', '.txt', '.md'];

/** The document that a source is in; null for one that is gone, or no text. */
export function placeOf({ data, place }: Source): vscode.Uri | null {
  if (place !== undefined) return vscode.Uri.parse(place);
  return data.kind === 'file' && path.extname(data.path) !== '.parquet' ? vscode.Uri.file(data.path) : null;
}

/** Line of a prompt in its document, from 1; null where rows have none. */
export function lineOf({ source, prompt }: Extract<PromptNode, { kind: 'prompt' }>, list: PromptList | null): number | null {
  const { data } = source;
  const hasLines = source.place !== undefined || (data.kind === 'file' && lineFormats.includes(path.extname(data.path).toLowerCase()));
  return hasLines ? (list?.items[prompt]?.line ?? null) : null;
}

const boxOf = (ticked: boolean) => (ticked ? vscode.TreeItemCheckboxState.Checked : vscode.TreeItemCheckboxState.Unchecked);

/** Prompts of a source among those shown; views tell sources apart, since a selection that was saved is another file but the same view. */
function promptsOf(source: Source, readSources: readonly Source[], list: PromptList | null): readonly number[] {
  const index = readSources.findIndex((read) => read.view === source.view);
  if (index < 0 || !list) return [];
  return list.items.flatMap((item, prompt) => (item.source === index ? [prompt] : []));
}

function sourceItem(source: Source, at: number, prompts: readonly number[], ticks: PromptTicks | null): vscode.TreeItem {
  const { name, kind } = source.view;
  const ticked = prompts.filter((prompt) => ticks?.ticked[prompt] === 1).length;
  const item = new vscode.TreeItem(
    plainText(path.basename(name)),
    prompts.length > 0 ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None,
  );
  item.id = `source-${at}-${name}`;
  const some =
    ticked < prompts.length ? vscode.l10n.t('{0} of {1} prompts', count(ticked), count(prompts.length)) : vscode.l10n.t('{0} prompts', count(prompts.length));
  const parts = [kind === 'selection' ? vscode.l10n.t('from selection') : '', prompts.length > 0 ? some : vscode.l10n.t('not read yet')];
  item.description = parts.filter(Boolean).join(' · ');
  item.iconPath = new vscode.ThemeIcon(kind === 'selection' ? 'selection' : 'file');
  item.contextValue = 'promptSource';
  item.tooltip = plainText(`${name}: ${item.description}`);
  const label = plainText(`${name}, ${item.description}`);
  item.accessibilityInformation = { label };
  if (prompts.length > 0) {
    const tooltip = ticked === prompts.length ? vscode.l10n.t('Leave all of them out') : vscode.l10n.t('Use all of them');
    item.checkboxState = { state: boxOf(ticked === prompts.length), tooltip, accessibilityInformation: { label } };
  }
  return item;
}

function promptItem(prompt: number, list: PromptList, ticks: PromptTicks | null, openCommand: string, node: PromptNode): vscode.TreeItem {
  const text = plainText(list.items[prompt].text);
  const mean = ticks?.means?.[prompt];
  const item = new vscode.TreeItem(text.replace(/\s+/g, ' ').trim());
  item.id = `prompt-${list.key}-${prompt}`;
  item.description = mean === undefined ? undefined : fraction(mean);
  item.tooltip = mean === undefined ? text : vscode.l10n.t('{0}\nMean router score of the target: {1}', text, fraction(mean));
  item.contextValue = 'prompt';
  const ticked = ticks?.ticked[prompt] === 1;
  item.checkboxState = { state: boxOf(ticked), tooltip: ticked ? vscode.l10n.t('Leave this prompt out') : vscode.l10n.t('Use this prompt') };
  item.command = { command: openCommand, title: vscode.l10n.t('Open at Source'), arguments: [node] };
  return item;
}

export function createPromptTree({ store, figures, sources, readSources, tick }: PromptTreeParts, openCommand: string): PromptTree {
  const changed = new vscode.EventEmitter<PromptNode | undefined>();
  const stops = [
    store.subscribe((now, before) => now.data.forget !== before.data.forget && changed.fire(undefined)),
    figures.subscribe((now, before) => (now.prompts !== before.prompts || now.ticks !== before.ticks) && changed.fire(undefined)),
  ];
  const childrenOf = (source: Source) => promptsOf(source, readSources(), figures.get().prompts);
  return {
    onDidChangeTreeData: changed.event,
    getChildren(node) {
      if (!node) return sources().map((source) => ({ kind: 'source', source }));
      return node.kind === 'source' ? childrenOf(node.source).map((prompt) => ({ kind: 'prompt', source: node.source, prompt })) : [];
    },
    getParent: (node) => (node.kind === 'prompt' ? { kind: 'source', source: node.source } : undefined),
    getTreeItem(node) {
      const { prompts, ticks } = figures.get();
      if (node.kind === 'source') return sourceItem(node.source, sources().indexOf(node.source), childrenOf(node.source), ticks);
      return prompts?.items[node.prompt] ? promptItem(node.prompt, prompts, ticks, openCommand, node) : new vscode.TreeItem('');
    },
    changed(items) {
      for (const state of [vscode.TreeItemCheckboxState.Checked, vscode.TreeItemCheckboxState.Unchecked]) {
        const nodes = items.filter(([, box]) => box === state).map(([node]) => node);
        const prompts = nodes.flatMap((node) => (node.kind === 'prompt' ? [node.prompt] : childrenOf(node.source)));
        if (prompts.length > 0) tick(prompts, state === vscode.TreeItemCheckboxState.Checked);
      }
      // Where the tick was refused, the boxes go back.
      changed.fire(undefined);
    },
    dispose() {
      for (const stop of stops) stop();
      changed.dispose();
    },
  };
}
