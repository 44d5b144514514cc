/** Run history: the runs of this workspace, newest first, with what they did to the forget and utility scores. */
import * as vscode from 'vscode';
import { plainText } from '../../protocol/plain-text';
import type { RunStatus } from '../../protocol/records';
import { methodName } from '../../protocol/run-table';
import type { RunRow, WorkbenchState } from '../../protocol/workbench';
import { scoreChanges } from '../run-actions';
import type { Store } from '../workbench/store';

const icons: Readonly<Record<RunStatus, string>> = {
  running: 'sync~spin',
  done: 'pass',
  stopped: 'debug-stop',
  cancelled: 'circle-slash',
  failed: 'error',
  interrupted: 'debug-disconnect',
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

export interface RunTree extends vscode.TreeDataProvider<RunRow> {
  dispose(): void;
}

export function createRunTree(store: Store<WorkbenchState>, openCommand: string): RunTree {
  const changed = new vscode.EventEmitter<undefined>();
  const stop = store.subscribe((now, before) => now.runs !== before.runs && changed.fire(undefined));
  return {
    onDidChangeTreeData: changed.event,
    getChildren: (row) => (row ? [] : [...store.get().runs]),
    getTreeItem(row) {
      const item = new vscode.TreeItem(plainText(vscode.l10n.t('Run {0} · {1}', row.number, methodName(row.method))));
      item.id = row.id;
      item.description = plainText(describe(row));
      item.iconPath = new vscode.ThemeIcon(icons[row.status]);
      item.contextValue = `run-${row.status}`;
      item.tooltip = plainText(`${row.id}: ${statusWords(row.status)}${row.reason ? `. ${row.reason}` : ''}`);
      item.accessibilityInformation = {
        label: plainText(vscode.l10n.t('Run {0}, {1}, {2}, {3}', row.number, row.method, statusWords(row.status), describe(row))),
      };
      item.command = { command: openCommand, title: vscode.l10n.t('Show Run'), arguments: [row] };
      return item;
    },
    dispose() {
      stop();
      changed.dispose();
    },
  };
}
