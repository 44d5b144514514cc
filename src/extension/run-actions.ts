/** What can be done with a run of the history besides showing it: compare, open its folder, delete it. */
import path from 'node:path';
import * as vscode from 'vscode';
import { type Fault, fail, ok, type Result } from '../protocol/fault';
import { difference } from '../protocol/numbers';
import { methodName } from '../protocol/run-table';
import type { RunRow, WorkbenchState } from '../protocol/workbench';
import { confirmDelete, confirmPermanent } from './dialogs';
import { choose } from './notices';
import type { Loop } from './workbench/loop';
import type { Store } from './workbench/store';

export interface RunActionParts {
  readonly loop: Loop;
  readonly store: Store<WorkbenchState>;
  readonly workspace: () => vscode.Uri;
  readonly report: (fault: Fault) => void;
}

export interface RunActions {
  compare(row: RunRow): Promise<void>;
  openFolder(row: RunRow): Promise<void>;
  remove(row: RunRow): Promise<void>;
}

/** `FE −0.094  UT −0.013`: change of the forget and the utility score. */
export const scoreChanges = ({ forget, utility }: Pick<RunRow, 'forget' | 'utility'>): string => `FE ${difference(forget)}  UT ${difference(utility)}`;

/** The folder of a run; a name that leads anywhere but into the folder of the runs is refused. */
export function runFolderOf(workspace: vscode.Uri, id: string): Result<vscode.Uri> {
  if (!/^[\w.-]+$/.test(id) || id.startsWith('.')) return fail('bad-data', vscode.l10n.t('"{0}" is not the name of a run.', id));
  return ok(vscode.Uri.joinPath(workspace, '.uoe', 'runs', id));
}

export function runActionsOf({ loop, store, workspace, report }: RunActionParts): RunActions {
  async function trash(folder: vscode.Uri, number: number): Promise<void> {
    try {
      await vscode.workspace.fs.delete(folder, { recursive: true, useTrash: true });
    } catch {
      // Not every disk has a trash (remote hosts do not).
      if (await confirmPermanent(number)) await vscode.workspace.fs.delete(folder, { recursive: true, useTrash: false });
    }
  }

  return {
    async compare(row) {
      const original = { label: vscode.l10n.t('Original'), description: vscode.l10n.t('the checkpoint before the run'), id: null };
      const others = store
        .get()
        .runs.filter(({ id, status }) => id !== row.id && (status === 'done' || status === 'stopped'))
        .map((other) => ({
          label: vscode.l10n.t('Run {0} · {1}', other.number, methodName(other.method)),
          description: scoreChanges(other),
          id: other.id,
        }));
      const title = vscode.l10n.t('Compare run {0} with', row.number);
      const chosen = await choose([original, ...others], { title, matchOnDescription: true });
      if (chosen) await loop.showRun(row.id, chosen.id);
    },
    async openFolder(row) {
      const folder = runFolderOf(workspace(), row.id);
      if (!folder.ok) return report(folder.fault);
      await vscode.commands.executeCommand('revealInExplorer', folder.value);
    },
    async remove(row) {
      const folder = runFolderOf(workspace(), row.id);
      if (!folder.ok) return report(folder.fault);
      const running = row.status === 'running' || store.get().run?.id === row.id;
      const goingOn = () => report(fail('conflict', vscode.l10n.t('Run {0} is going on.', row.number), vscode.l10n.t('Stop it first.')).fault);
      if (running && ['running', 'paused', 'stopping'].includes(store.get().run?.status ?? row.status)) return goingOn();
      if (!(await confirmDelete(row.number))) return;
      // Another window, or a command line, may have gone on with it since the list was made.
      const { isLockHeld } = await import('../files/lock');
      if (await isLockHeld(path.join(folder.value.fsPath, '.lock'))) return goingOn();
      try {
        await trash(folder.value, row.number);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        report({ code: 'io', message: vscode.l10n.t('Run {0} could not be deleted: {1}', row.number, why) });
      }
      await loop.forgetRun(row.id);
    },
  };
}
