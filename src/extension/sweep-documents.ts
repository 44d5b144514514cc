/** What a sweep would run, in an editor tab: a document in memory, no file is written. */
import * as vscode from 'vscode';

const scheme = 'uoe-sweep';

export interface SweepDocuments extends vscode.Disposable {
  open(name: string, text: string, isScript: boolean): Promise<void>;
}

export function createSweepDocuments(): SweepDocuments {
  const texts = new Map<string, string>();
  const changed = new vscode.EventEmitter<vscode.Uri>();
  const provider = vscode.workspace.registerTextDocumentContentProvider(scheme, {
    onDidChange: changed.event,
    provideTextDocumentContent: (uri) => texts.get(uri.path) ?? vscode.l10n.t('This plan is no longer in memory. Ask for it again.'),
  });
  return {
    async open(name, text, isScript) {
      const uri = vscode.Uri.from({ scheme, path: `/${name}.${isScript ? 'sh' : 'txt'}` });
      texts.set(uri.path, text);
      changed.fire(uri);
      await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), { preview: true });
    },
    dispose() {
      provider.dispose();
      changed.dispose();
    },
  };
}
