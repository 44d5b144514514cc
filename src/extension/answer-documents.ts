/** Answers before and after in VS Code's own diff editor: two documents in memory, no file is written. */
import * as vscode from 'vscode';
import { answersText } from '../experiment/answer-rows';
import type { AnswersFigures } from '../protocol/comparison-view';
import { plainText } from '../protocol/plain-text';
import type { ComparisonView } from '../protocol/workbench';

const scheme = 'uoe-answers';

export interface AnswerDocuments extends vscode.Disposable {
  open(view: ComparisonView, answers: AnswersFigures): Promise<void>;
}

export function createAnswerDocuments(): AnswerDocuments {
  const texts = new Map<string, string>();
  const changed = new vscode.EventEmitter<vscode.Uri>();
  const provider = vscode.workspace.registerTextDocumentContentProvider(scheme, {
    onDidChange: changed.event,
    provideTextDocumentContent: (uri) => texts.get(uri.path) ?? vscode.l10n.t('These answers are no longer in memory. Run "UOE: Compare Answers" again.'),
  });

  function document(name: string, text: string): vscode.Uri {
    const uri = vscode.Uri.from({ scheme, path: `/${name}.txt` });
    texts.set(uri.path, text);
    changed.fire(uri);
    return uri;
  }

  return {
    async open(view, { rows }) {
      const [one, other] = [view.before.label, view.label];
      const before = document(`${view.pair.replace('|', '-before-')}`, answersText(rows, 'before', one));
      const after = document(`${view.pair.replace('|', '-after-')}`, answersText(rows, 'after', other));
      await vscode.commands.executeCommand('vscode.diff', before, after, plainText(vscode.l10n.t('Answers: {0} ↔ {1}', one, other)));
    },
    dispose() {
      provider.dispose();
      changed.dispose();
    },
  };
}
