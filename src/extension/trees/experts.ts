/** Expert explorer: MoE layers, best expert first in each; empty until prompts were read (a welcome text shows then). */
import * as vscode from 'vscode';
import { expertName, fraction, percent, times } from '../../protocol/numbers';
import type { ExpertId } from '../../protocol/records';
import type { HeatmapFigures, WorkbenchState } from '../../protocol/workbench';
import { rankingRow } from '../workbench/heatmap';
import type { Figures } from '../workbench/loop';
import type { Store } from '../workbench/store';
import { expertUri, layerUri } from './target-badge';

export type ExpertNode =
  | { readonly kind: 'layer'; readonly layer: number }
  | { readonly kind: 'expert'; readonly id: ExpertId }
  | { readonly kind: 'more'; readonly layer: number; readonly count: number }
  | { readonly kind: 'shared'; readonly layer: number; readonly count: number };

/** Experts listed before the rest is folded away. */
const shownFirst = 4;

function expertsByAffinity(figures: HeatmapFigures, layer: number): readonly ExpertId[] {
  const row = figures.layers.indexOf(layer);
  const order = Array.from({ length: figures.experts }, (_, expert) => expert);
  const rank = (expert: number) => figures.rankInLayer[row * figures.experts + expert];
  return order.sort((a, b) => rank(a) - rank(b)).map((expert) => ({ layer, expert }));
}

function childrenOf(node: ExpertNode | undefined, figures: HeatmapFigures, sharedExperts: number): readonly ExpertNode[] {
  if (!node) return figures.layers.map((layer) => ({ kind: 'layer', layer }));
  if (node.kind !== 'layer' && node.kind !== 'more') return [];
  const ids = expertsByAffinity(figures, node.layer);
  const asNodes = (list: readonly ExpertId[]) => list.map((id): ExpertNode => ({ kind: 'expert', id }));
  if (node.kind === 'more') return asNodes(ids.slice(shownFirst));
  const more: readonly ExpertNode[] = ids.length > shownFirst ? [{ kind: 'more', layer: node.layer, count: ids.length - shownFirst }] : [];
  const shared: readonly ExpertNode[] = sharedExperts > 0 ? [{ kind: 'shared', layer: node.layer, count: sharedExperts }] : [];
  return [...asNodes(ids.slice(0, shownFirst)), ...shared, ...more];
}

/** An expert past the first few hangs below the entry that folds them away. */
function parentOf(node: ExpertNode, figures: HeatmapFigures | null): ExpertNode | undefined {
  if (node.kind === 'layer') return undefined;
  if (node.kind !== 'expert') return { kind: 'layer', layer: node.layer };
  const { layer } = node.id;
  const folded = figures && (rankingRow(figures, node.id)?.rankInLayer ?? 0) > shownFirst;
  return folded ? { kind: 'more', layer, count: figures.experts - shownFirst } : { kind: 'layer', layer };
}

/** A bar in nine steps of log2 against an equal share, as in the heatmap's scale; 0 is an empty one. */
export function barStep(timesEqual: number): number {
  return timesEqual > 0 ? Math.max(0, Math.min(8, Math.round(Math.log2(timesEqual)) + 4)) : 0;
}

function barIcon(media: vscode.Uri, timesEqual: number): { light: vscode.Uri; dark: vscode.Uri } {
  const file = (theme: string) => vscode.Uri.joinPath(media, 'bars', `${barStep(timesEqual)}-${theme}.svg`);
  return { light: file('light'), dark: file('dark') };
}

function layerItem(layer: number, figures: HeatmapFigures, hasTarget: boolean, media: vscode.Uri): vscode.TreeItem {
  const [best] = expertsByAffinity(figures, layer);
  const row = rankingRow(figures, best);
  const affinity = fraction(row?.affinity);
  const { Expanded, Collapsed } = vscode.TreeItemCollapsibleState;
  const item = new vscode.TreeItem(vscode.l10n.t('Layer {0}', layer), hasTarget ? Expanded : Collapsed);
  item.id = `layer-${layer}`;
  item.resourceUri = layerUri(layer);
  item.description = vscode.l10n.t('best E{0} · {1}', best.expert, affinity);
  item.iconPath = barIcon(media, row?.timesEqual ?? 0);
  const words = vscode.l10n.t('Layer {0}, best expert {1}, affinity {2}', layer, best.expert, affinity);
  item.accessibilityInformation = { label: hasTarget ? vscode.l10n.t('{0}, has the target', words) : words };
  return item;
}

function expertItem(id: ExpertId, figures: HeatmapFigures, isTarget: boolean, media: vscode.Uri): vscode.TreeItem {
  const row = rankingRow(figures, id);
  const [affinity, share] = [fraction(row?.affinity), percent(row?.share)];
  const item = new vscode.TreeItem(vscode.l10n.t('Expert {0}', id.expert));
  item.id = expertName(id);
  item.resourceUri = expertUri(id);
  item.description = `${affinity} · ${share}`;
  item.iconPath = barIcon(media, row?.timesEqual ?? 0);
  item.contextValue = isTarget ? 'target' : 'expert';
  const words = vscode.l10n.t('Expert {0}, affinity {1}, share {2} percent', id.expert, affinity, ((row?.share ?? 0) * 100).toFixed(1));
  item.accessibilityInformation = { label: isTarget ? vscode.l10n.t('{0}, target', words) : words };
  item.tooltip = vscode.l10n.t(
    'Layer {0}, expert {1}: affinity {2}, {3} an equal share (rank {4} of all), {5} of the routed slots on the forget prompts',
    id.layer,
    id.expert,
    affinity,
    times(row?.timesEqual),
    row?.rank ?? '–',
    share,
  );
  return item;
}

function sharedItem(count: number): vscode.TreeItem {
  const item = new vscode.TreeItem(count === 1 ? vscode.l10n.t('Shared 0') : vscode.l10n.t('Shared 0–{0}', count - 1));
  item.description = vscode.l10n.t('not selectable');
  item.iconPath = new vscode.ThemeIcon('lock');
  item.tooltip = vscode.l10n.t('Shared experts see every token of every topic; adding them drops utility from 0.510 to 0.355 (paper, Table 2).');
  return item;
}

function moreItem(layer: number, count: number): vscode.TreeItem {
  const item = new vscode.TreeItem(vscode.l10n.t('{0} more experts', count), vscode.TreeItemCollapsibleState.Collapsed);
  item.id = `more-${layer}`;
  item.iconPath = new vscode.ThemeIcon('ellipsis');
  return item;
}

export interface ExpertTree extends vscode.TreeDataProvider<ExpertNode> {
  getParent(node: ExpertNode): ExpertNode | undefined;
  dispose(): void;
}

/** Selects the target in the explorer whenever it changes and the explorer is on the screen. */
export function followTarget(view: vscode.TreeView<ExpertNode>, store: Store<WorkbenchState>): () => void {
  const show = () => {
    const { target } = store.get();
    if (!target || !view.visible) return;
    // The tree may be drawn anew at this moment, which refuses a reveal; the next change brings it back.
    const shown = view.reveal({ kind: 'expert', id: { layer: target.layer, expert: target.expert } }, { select: true, focus: false });
    shown.then(undefined, () => undefined);
  };
  const stop = store.subscribe((now, before) => now.target !== before.target && show());
  const visible = view.onDidChangeVisibility(show);
  return () => {
    stop();
    visible.dispose();
  };
}

/** `media`: the extension's folder of pictures. */
export function createExpertTree(store: Store<WorkbenchState>, figures: Store<Figures>, media: vscode.Uri): ExpertTree {
  const changed = new vscode.EventEmitter<ExpertNode | undefined>();
  const stops = [
    figures.subscribe((now, before) => now.heatmap !== before.heatmap && changed.fire(undefined)),
    store.subscribe((now, before) => now.target !== before.target && changed.fire(undefined)),
  ];
  return {
    onDidChangeTreeData: changed.event,
    getChildren(node) {
      const { heatmap } = figures.get();
      return heatmap ? [...childrenOf(node, heatmap, store.get().model?.sharedExperts ?? 0)] : [];
    },
    getParent: (node) => parentOf(node, figures.get().heatmap),
    getTreeItem(node) {
      const { heatmap } = figures.get();
      const { target } = store.get();
      if (!heatmap) return new vscode.TreeItem('');
      if (node.kind === 'layer') return layerItem(node.layer, heatmap, target?.layer === node.layer, media);
      if (node.kind === 'expert') return expertItem(node.id, heatmap, target?.layer === node.id.layer && target.expert === node.id.expert, media);
      return node.kind === 'shared' ? sharedItem(node.count) : moreItem(node.layer, node.count);
    },
    dispose() {
      for (const stop of stops) stop();
      changed.dispose();
    },
  };
}
