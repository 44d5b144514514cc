/** What is selected in an editor, also in the one that a panel has just hidden. */
import * as path from 'node:path';
import * as vscode from 'vscode';
import { type Source, selectionSource } from './workbench/sources';

export interface EditorSelection {
  /** The selected text as forget prompts; null where nothing is selected. */
  read(): Source | null;
  dispose(): void;
}

/** All selections of the editor, in order; a blank line between two keeps them apart. */
function selectedText(editor: vscode.TextEditor): { readonly text: string; readonly first: number; readonly last: number } | null {
  const chosen = editor.selections.filter((selection) => !selection.isEmpty).sort((a, b) => a.start.compareTo(b.start));
  const text = chosen.map((selection) => editor.document.getText(selection)).join('\n\n');
  if (text.trim() === '') return null;
  const last = chosen[chosen.length - 1].end;
  return { text, first: chosen[0].start.line + 1, last: last.character === 0 && last.line > chosen[0].start.line ? last.line : last.line + 1 };
}

function sourceOf(editor: vscode.TextEditor): Source | null {
  const selected = selectedText(editor);
  if (!selected) return null;
  const document = path.basename(editor.document.fileName);
  return { ...selectionSource({ text: selected.text, document, firstLine: selected.first, lastLine: selected.last }), place: editor.document.uri.toString() };
}

export function watchEditorSelection(): EditorSelection {
  let last = vscode.window.activeTextEditor;
  const listener = vscode.window.onDidChangeActiveTextEditor((editor) => {
    last = editor ?? last;
  });
  return {
    read() {
      // With the workbench in front no editor is active: then the one before it counts.
      const editor = vscode.window.activeTextEditor ?? last;
      return editor && !editor.document.isClosed ? sourceOf(editor) : null;
    },
    dispose: () => listener.dispose(),
  };
}
