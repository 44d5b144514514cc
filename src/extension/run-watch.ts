/** The history follows the folder of the runs, whoever writes there: this window, another one, or the command line. */
import * as vscode from 'vscode';

/** A run writes its record several times at its end. */
const settle = 500;

export function followRuns(workspace: vscode.Uri, refresh: () => Promise<void>): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    if (!vscode.workspace.isTrusted) return;
    clearTimeout(timer);
    timer = setTimeout(() => void refresh(), settle);
  };
  let watcher: vscode.FileSystemWatcher | undefined;
  function watch(): void {
    watcher = vscode.workspace.createFileSystemWatcher(new vscode.RelativePattern(workspace, '.uoe/runs/*/run.json'));
    watcher.onDidCreate(look);
    watcher.onDidChange(look);
    watcher.onDidDelete(look);
    look();
  }
  const trust = vscode.workspace.onDidGrantWorkspaceTrust(look);
  // VS Code merges all its settings to make a watcher: after activation.
  const start = setTimeout(watch, 0);
  return {
    dispose() {
      clearTimeout(start);
      clearTimeout(timer);
      watcher?.dispose();
      trust.dispose();
    },
  };
}
