/** Run history: the runs of this workspace, newest first, with what they did to the forget and utility scores; sweeps with what becomes of their tasks. */
import * as vscode from 'vscode';
import { plainText } from '../../protocol/plain-text';
import type { RunStatus } from '../../protocol/records';
import { methodName } from '../../protocol/run-table';
import type { SweepView, TaskKind } from '../../protocol/sweep-view';
import type { RunRow, WorkbenchState } from '../../protocol/workbench';
import type { CommandId } from '../command-table';
import { scoreChanges } from '../run-actions';
import { sweepCounts } from '../sweep-words';
import { inWords } from '../workbench/engine-words';
import type { Store } from '../workbench/store';
import { contextOf, type HistoryNode, historyChildren, historyRoots, isRun, type SweepNode, type TaskNode } from './history-nodes';

const icons: Readonly<Record<RunStatus, string>> = {
  running: 'sync~spin',
  done: 'pass',
  stopped: 'debug-stop',
  cancelled: 'circle-slash',
  failed: 'error',
  interrupted: 'debug-disconnect',
};

const taskIcons: Readonly<Record<TaskKind, string>> = {
  waiting: 'circle-outline',
  queued: 'watch',
  starting: 'sync~spin',
  running: 'sync~spin',
  done: 'pass',
  failed: 'error',
  cancelled: 'circle-slash',
  stopped: 'debug-disconnect',
  lost: 'debug-disconnect',
  forgotten: 'question',
  unknown: 'question',
};

/** At call time: the language is known by then. */
const statusWords = (status: RunStatus): string =>
  ({
    running: vscode.l10n.t('running'),
    done: vscode.l10n.t('done'),
    stopped: vscode.l10n.t('stopped'),
    cancelled: vscode.l10n.t('cancelled'),
    failed: vscode.l10n.t('failed'),
    interrupted: vscode.l10n.t('interrupted'),
  })[status];

/** The scores, or why there are none: `failed: loss became NaN at step 12`. */
function describe(row: RunRow): string {
  if (row.forget !== null || row.utility !== null) return scoreChanges(row);
  const words = statusWords(row.status);
  return row.reason ? `${words}: ${row.reason}` : words;
}

function runItem(row: RunRow, openCommand: CommandId): vscode.TreeItem {
  const item = new vscode.TreeItem(plainText(vscode.l10n.t('Run {0} · {1}', row.number, methodName(row.method))));
  item.id = row.id;
  item.description = plainText(describe(row));
  item.iconPath = new vscode.ThemeIcon(icons[row.status]);
  item.tooltip = plainText(`${row.id}: ${statusWords(row.status)}${row.reason ? `. ${row.reason}` : ''}`);
  item.accessibilityInformation = {
    label: plainText(vscode.l10n.t('Run {0}, {1}, {2}, {3}', row.number, row.method, statusWords(row.status), describe(row))),
  };
  item.command = { command: openCommand, title: vscode.l10n.t('Show Run'), arguments: [row] };
  return item;
}

function sweepIcon({ isLive, isCutOff, counts }: SweepView): string {
  if (isLive) return 'sync~spin';
  if (isCutOff) return 'debug-disconnect';
  if (counts.done === counts.all) return 'pass-filled';
  return counts.failed > 0 ? 'warning' : 'circle-large-outline';
}

function sweepItem({ view }: SweepNode): vscode.TreeItem {
  const item = new vscode.TreeItem(plainText(vscode.l10n.t('Sweep {0}', view.name)), vscode.TreeItemCollapsibleState.Collapsed);
  item.id = `sweep ${view.name}`;
  item.description = plainText(sweepCounts(view));
  item.iconPath = new vscode.ThemeIcon(sweepIcon(view));
  const place = view.on === 'slurm' ? vscode.l10n.t('on the cluster') : view.on === 'local' ? vscode.l10n.t('on this machine') : '';
  item.tooltip = plainText([view.file ?? view.name, place, sweepCounts(view)].filter((text) => text !== '').join('\n'));
  item.accessibilityInformation = { label: plainText(vscode.l10n.t('Sweep {0}: {1}', view.name, sweepCounts(view))) };
  return item;
}

/** A click on a run that is there opens its comparison, on another its log. */
function taskItem(node: TaskNode, openCommand: CommandId): vscode.TreeItem {
  const { view, task, row } = node;
  const hasEarlier = task.earlier.length > 0;
  const item = new vscode.TreeItem(plainText(task.name), hasEarlier ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None);
  const words = inWords(task.words);
  const isDone = task.kind === 'done' && row !== null;
  item.id = `task ${view.name} ${task.id}`;
  item.description = plainText(isDone ? describe(row) : words);
  item.iconPath = new vscode.ThemeIcon(taskIcons[task.kind]);
  item.tooltip = plainText([...(row ? [vscode.l10n.t('Run {0} · {1}', row.number, row.id)] : []), words].join('\n'));
  item.accessibilityInformation = { label: plainText(`${task.name}: ${isDone ? describe(row) : words}`) };
  item.command = isDone
    ? { command: openCommand, title: vscode.l10n.t('Show Run'), arguments: [row] }
    : { command: 'uoe.showTaskLog' satisfies CommandId, title: vscode.l10n.t('Show Log of the Task'), arguments: [node] };
  return item;
}

export interface RunTree extends vscode.TreeDataProvider<HistoryNode> {
  dispose(): void;
}

export function createRunTree(store: Store<WorkbenchState>, openCommand: CommandId, sweeps?: Store<{ readonly sweeps: readonly SweepView[] }>): RunTree {
  const changed = new vscode.EventEmitter<undefined>();
  const stops = [store.subscribe((now, before) => now.runs !== before.runs && changed.fire(undefined)), sweeps?.subscribe(() => changed.fire(undefined))];
  return {
    onDidChangeTreeData: changed.event,
    getChildren: (node) => [...(node ? historyChildren(node, store.get().runs) : historyRoots(store.get().runs, sweeps?.get().sweeps ?? []))],
    getTreeItem(node) {
      const item = isRun(node) ? runItem(node, openCommand) : node.kind === 'sweep' ? sweepItem(node) : taskItem(node, openCommand);
      item.contextValue = contextOf(node);
      return item;
    },
    dispose() {
      for (const stop of stops) stop?.();
      changed.dispose();
    },
  };
}
