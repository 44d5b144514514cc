/** Registers the command table. */
import * as vscode from 'vscode';
import type { RunRow } from '../protocol/workbench';
import type { Actions } from './actions';
import { type CommandId, commandTable } from './command-table';
import type { PromptActions } from './prompt-actions';
import type { SweepActions } from './sweep-actions';
import type { ExpertNode } from './trees/experts';
import { type HistoryNode, rowOf } from './trees/history-nodes';
import type { PromptNode } from './trees/prompts';

/** The explorer gives the file under the cursor and all that are selected. */
const filesOf = (first: unknown, all: unknown): readonly vscode.Uri[] => {
  const list = Array.isArray(all) && all.length > 0 ? all : [first];
  return list.filter((file) => file instanceof vscode.Uri);
};

/** On a run, or on a task that has one. */
const onRun =
  (act: (row: RunRow) => unknown) =>
  (node: unknown): unknown => {
    const row = node === undefined ? null : rowOf(node as HistoryNode);
    return row === null ? undefined : act(row);
  };

export function registerCommands(actions: Actions, prompts: PromptActions, sweeps: SweepActions): readonly vscode.Disposable[] {
  const handlers: Readonly<Record<CommandId, (argument: unknown, others: unknown) => unknown>> = {
    'uoe.openCheckpoint': (folder) => actions.openCheckpoint(folder instanceof vscode.Uri ? folder : undefined),
    'uoe.useDemo': () => actions.useDemo(),
    'uoe.runRecipe': (file) => actions.runRecipe(file instanceof vscode.Uri ? file : undefined),
    'uoe.useAsForgetSet': (file, files) => actions.useAs('forget', filesOf(file, files)),
    'uoe.useAsRetainSet': (file, files) => actions.useAs('retain', filesOf(file, files)),
    'uoe.useAsQuestions': (file, files) => actions.useAs('questions', filesOf(file, files)),
    'uoe.findExpert': () => actions.showStep('find'),
    'uoe.planRun': () => actions.showStep('unlearn'),
    'uoe.showComparison': () => actions.showStep('compare'),
    'uoe.discardResult': () => actions.discardResult(),
    'uoe.restoreOriginal': () => actions.restoreOriginal(),
    'uoe.unlearnSelection': () => actions.unlearnSelection(),
    'uoe.showWorkbench': () => actions.showWorkbench(),
    'uoe.chooseTarget': () => actions.chooseTarget(),
    'uoe.useAsTarget': (node) => {
      const expert = node as ExpertNode | undefined;
      if (expert?.kind === 'expert') actions.setTarget(expert.id);
    },
    'uoe.addPrompts': () => prompts.addFiles(),
    'uoe.addSelection': () => prompts.addSelection(),
    'uoe.readPrompts': () => prompts.read(),
    'uoe.removePrompts': (node) => prompts.remove(node as PromptNode | undefined),
    'uoe.openPrompt': (node) => prompts.open(node as PromptNode | undefined),
    'uoe.stopRun': () => actions.stopRun(),
    'uoe.showRun': onRun(actions.showRun),
    'uoe.compareRun': onRun(actions.compareRun),
    'uoe.runAgain': onRun(actions.runAgain),
    'uoe.openReport': onRun(actions.openReport),
    'uoe.openRunFolder': onRun(actions.openRunFolder),
    'uoe.deleteRun': onRun(actions.deleteRun),
    'uoe.resumeRun': onRun(actions.resumeRun),
    'uoe.exportRun': onRun(actions.exportRun),
    'uoe.compareAnswers': () => actions.compareAnswers(),
    'uoe.startSweep': (file) => sweeps.start(file instanceof vscode.Uri ? file : undefined),
    'uoe.dryRunSweep': (file) => sweeps.dryRun(file instanceof vscode.Uri ? file : undefined),
    'uoe.showSweep': (node) => sweeps.showPage(node as HistoryNode | undefined),
    'uoe.resumeSweep': (node) => sweeps.goOn(node as HistoryNode | undefined),
    'uoe.runFailed': (node) => sweeps.runFailed(node as HistoryNode | undefined),
    'uoe.cancelSweep': (node) => sweeps.cancel(node as HistoryNode | undefined),
    'uoe.runTask': (node) => sweeps.runTask(node as HistoryNode | undefined),
    'uoe.cancelTask': (node) => sweeps.cancelTask(node as HistoryNode | undefined),
    'uoe.showTaskLog': (node) => sweeps.showLog(node as HistoryNode | undefined),
    'uoe.refreshRuns': () => actions.refreshRuns(),
    'uoe.setUpNative': () => actions.setUpNative(),
    'uoe.restartEngine': () => actions.restartEngine(),
    'uoe.showLog': () => actions.showLog(),
  };
  return commandTable.map((entry) => {
    const { id } = entry;
    const needsTrust = 'enablement' in entry && entry.enablement.includes('isWorkspaceTrusted');
    // Enablement greys a menu out; it does not keep another extension from calling the command.
    return vscode.commands.registerCommand(id, (argument: unknown, others: unknown) =>
      needsTrust && !vscode.workspace.isTrusted ? undefined : handlers[id](argument, others),
    );
  });
}
