/** When the sweeps are looked at: their files change, runs of the history change, or somebody opens the view. Never before the window is up. */
import * as vscode from 'vscode';
import type { WorkbenchState } from '../protocol/workbench';
import type { Store } from './workbench/store';
import type { Sweeps } from './workbench/sweeps';

/** Files of one moment come one by one. */
const settle = 500;

export function followSweeps(workspace: vscode.Uri, sweeps: Sweeps, store: Store<WorkbenchState>, view: vscode.TreeView<unknown>): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  let isAnew = false;
  const soon = (anew = false) => {
    if (!vscode.workspace.isTrusted) return;
    isAnew ||= anew;
    clearTimeout(timer);
    timer = setTimeout(() => {
      void sweeps.look(isAnew);
      isAnew = false;
    }, settle);
  };
  const watchers: vscode.FileSystemWatcher[] = [];
  function watch(pattern: string, anew: boolean): void {
    const watcher = vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(workspace, pattern));
    for (const event of [watcher.onDidCreate, watcher.onDidChange, watcher.onDidDelete]) event(() => soon(anew));
    watchers.push(watcher);
  }
  const start = setTimeout(() => {
    watch('.uoe/sweeps/*/{sweep,local}.json', false);
    watch('.uoe/sweeps/*/slurm/*/submission.json', true);
    soon();
  }, 0);
  const subscriptions = [
    { dispose: store.subscribe((now, before) => now.runs !== before.runs && soon()) },
    view.onDidChangeVisibility(({ visible }) => visible && soon()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => soon()),
  ];
  return {
    dispose() {
      clearTimeout(start);
      clearTimeout(timer);
      for (const one of [...watchers, ...subscriptions]) one.dispose();
    },
  };
}
