/** Registers the command table. */
import * as vscode from 'vscode';
import type { RunRow } from '../protocol/workbench';
import type { Actions } from './actions';
import { type CommandId, commandTable } from './command-table';
import type { ExpertNode } from './trees/experts';

export function registerCommands(actions: Actions): readonly vscode.Disposable[] {
  const handlers: Readonly<Record<CommandId, (argument: unknown) => unknown>> = {
    'uoe.openCheckpoint': (folder) => actions.openCheckpoint(folder instanceof vscode.Uri ? folder : undefined),
    'uoe.useDemo': () => actions.useDemo(),
    'uoe.unlearnSelection': () => actions.unlearnSelection(),
    'uoe.showWorkbench': () => actions.showWorkbench(),
    'uoe.chooseTarget': () => actions.chooseTarget(),
    'uoe.useAsTarget': (node) => {
      const expert = node as ExpertNode | undefined;
      if (expert?.kind === 'expert') actions.setTarget(expert.id);
    },
    'uoe.stopRun': () => actions.stopRun(),
    'uoe.showRun': (row) => row !== undefined && actions.showRun(row as RunRow),
    'uoe.resumeRun': (row) => row !== undefined && actions.resumeRun(row as RunRow),
    'uoe.exportRun': (row) => row !== undefined && actions.exportRun(row as RunRow),
    'uoe.compareAnswers': () => actions.compareAnswers(),
    'uoe.refreshRuns': () => actions.refreshRuns(),
    'uoe.restartEngine': () => actions.restartEngine(),
    'uoe.showLog': () => actions.showLog(),
  };
  return commandTable.map(({ id }) => vscode.commands.registerCommand(id, handlers[id]));
}
