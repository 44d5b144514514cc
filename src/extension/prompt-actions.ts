/** Forget prompts from the side bar: add files or a selection, remove, open where they come from. */
import * as vscode from 'vscode';
import type { WorkbenchState } from '../protocol/workbench';
import { askForData } from './dialogs';
import type { EditorSelection } from './editor-selection';
import { tell } from './notices';
import { shownName } from './shown-name';
import type { PromptNode } from './trees/prompts';
import { lineOf, placeOf } from './trees/prompts';
import type { Figures, Loop } from './workbench/loop';
import { fileSource, type Source } from './workbench/sources';
import type { Store } from './workbench/store';

export interface PromptActionParts {
  readonly store: Store<WorkbenchState>;
  readonly figures: Store<Figures>;
  readonly loop: Loop;
  readonly selection: EditorSelection;
}

export interface PromptActions {
  addFiles(): Promise<void>;
  addSelection(): Promise<void>;
  remove(node: PromptNode | undefined): void;
  open(node: PromptNode | undefined): Promise<void>;
  read(): Promise<void>;
}

export function promptActionsOf({ store, figures, loop, selection }: PromptActionParts): PromptActions {
  /** Read at once where nothing was read yet; else it is for the user to say when. */
  async function add(sources: readonly Source[]): Promise<void> {
    if (sources.length === 0) return;
    loop.addPrompts(sources);
    if (store.get().model !== null && store.get().attribution === null) await loop.read();
  }

  return {
    async addFiles() {
      const files = await askForData('forget', vscode.workspace.workspaceFolders?.[0]?.uri);
      await add(files.map((file) => fileSource(file.fsPath, shownName(file))));
    },
    async addSelection() {
      const sources = selection.read();
      if (sources.length > 0) return add(sources);
      void tell(vscode.l10n.t('Select the text that the model should forget, then add it again.'));
    },
    remove(node) {
      if (node?.kind === 'source') loop.removePrompts(loop.forgetSources().indexOf(node.source));
    },
    async open(node) {
      if (!node) return;
      const line = node.kind === 'prompt' ? lineOf(node, figures.get().prompts) : null;
      const place = placeOf(node.source);
      if (place === null) return;
      const at = line === null ? undefined : new vscode.Range(line - 1, 0, line - 1, 0);
      await vscode.commands.executeCommand('vscode.open', place, { selection: at, preview: true });
    },
    read: () => loop.read(),
  };
}
