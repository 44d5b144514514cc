/** Files of the explorer as data of a job, and recipe files as whole jobs. */
import * as path from 'node:path';
import * as vscode from 'vscode';
import type { Fault } from '../protocol/fault';
import type { DataRole, WorkbenchState } from '../protocol/workbench';
import { askForData, askForQuestions, severalFiles } from './dialogs';
import { tellWarning } from './notices';
import { openRecipeFile, saveRecipeFile } from './recipe-file';
import { shownName } from './shown-name';
import type { Loop } from './workbench/loop';
import { fileSource } from './workbench/sources';
import type { Store } from './workbench/store';

export interface DataActionParts {
  readonly loop: Loop;
  readonly store: Store<WorkbenchState>;
  readonly show: () => void;
  readonly report: (fault: Fault) => void;
}

export interface DataActions {
  /** Without files they are asked for. */
  useAs(role: DataRole | 'questions', files: readonly vscode.Uri[]): Promise<void>;
  runRecipe(file: vscode.Uri | undefined): Promise<void>;
  /** The plan on the screen as a recipe file. */
  saveRecipe(): Promise<void>;
}

export function dataActionsOf({ loop, store, show, report }: DataActionParts): DataActions {
  async function use(role: DataRole, files: readonly vscode.Uri[]): Promise<void> {
    const chosen = files.length > 0 ? files : await askForData(role, vscode.workspace.workspaceFolders?.[0]?.uri);
    if (chosen.length === 0) return;
    const used = severalFiles.includes(role) ? chosen : chosen.slice(0, 1);
    if (used.length < chosen.length) void tellWarning(vscode.l10n.t('One file can be used here: {0} is taken.', shownName(used[0])));
    loop.setData(
      role,
      used.map((file) => fileSource(file.fsPath, shownName(file))),
    );
    show();
    if (store.get().model === null) return loop.show('model');
    if (role !== 'forget') return loop.show(store.get().step);
    loop.show('find');
    await loop.read();
  }

  return {
    async useAs(role, files) {
      if (role !== 'questions') return use(role, files);
      const asked = await askForQuestions();
      if (asked) await use(asked, files);
    },
    async runRecipe(file) {
      const chosen = file ?? vscode.window.activeTextEditor?.document.uri;
      if (!chosen) return;
      const recipe = await openRecipeFile(chosen, shownName(chosen));
      if (!recipe.ok) return report(recipe.fault);
      const { checkpoint, preset, sources, target } = recipe.value;
      show();
      await loop.openModel(checkpoint, path.basename(checkpoint), preset, sources);
      if (store.get().attribution === null) return;
      if (target) loop.setTarget(target);
      loop.show('unlearn');
    },
    async saveRecipe() {
      const recipe = await loop.recipe();
      if (!recipe.ok) return report(recipe.fault);
      const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
      const to = await vscode.window.showSaveDialog({
        title: vscode.l10n.t('Save the plan as a recipe'),
        filters: { [vscode.l10n.t('UOE recipe')]: ['uoe.json'] },
        saveLabel: vscode.l10n.t('Save Recipe'),
        ...(folder ? { defaultUri: vscode.Uri.joinPath(folder, 'recipe.uoe.json') } : {}),
      });
      if (!to) return;
      const saved = await saveRecipeFile(recipe.value, to);
      if (!saved.ok) report(saved.fault);
    },
  };
}
