/** What a person can do, whichever way they ask: command, tree item, button of the webview. Dialogs are here, the work is the loop's. */
import * as path from 'node:path';
import * as vscode from 'vscode';
import type { Fault } from '../protocol/fault';
import { plainText } from '../protocol/plain-text';
import type { ExpertId } from '../protocol/records';
import type { WebviewMessage } from '../protocol/webview-message';
import type { DataRole, ProblemAction, RunRow, WorkbenchState, WorkbenchStep } from '../protocol/workbench';
import { createAnswerDocuments } from './answer-documents';
import { dataActionsOf } from './data-actions';
import { demoName, readDemo } from './demo';
import { askForCheckpoint, askForData, askForForm, askForParaphrases, askForTarget, confirmDiscard, confirmRestore } from './dialogs';
import type { EditorSelection } from './editor-selection';
import type { ExportActions } from './export-actions';
import { tell } from './notices';
import { runActionsOf } from './run-actions';
import { saveFigure } from './save-figure';
import { shownName } from './shown-name';
import type { SweepActions } from './sweep-actions';
import type { Jobs } from './workbench/job';
import type { Figures, Loop } from './workbench/loop';
import { neutralPreset, neutralSources } from './workbench/neutral';
import { fileSource } from './workbench/sources';
import type { Store } from './workbench/store';
import type { PanelHolder } from './workbench-panel';

export interface ActionParts {
  readonly context: vscode.ExtensionContext;
  readonly store: Store<WorkbenchState>;
  readonly figures: Store<Figures>;
  readonly loop: Loop;
  readonly exports: ExportActions;
  readonly sweeps: SweepActions;
  readonly selection: EditorSelection;
  readonly jobs: Jobs;
  readonly panel: PanelHolder;
  readonly setUpNative: () => Promise<void>;
  readonly log: vscode.LogOutputChannel;
  readonly report: (fault: Fault) => void;
  readonly workspace: () => vscode.Uri;
}

export interface Actions {
  openCheckpoint(folder?: vscode.Uri): Promise<void>;
  useDemo(): Promise<void>;
  unlearnSelection(): Promise<void>;
  showWorkbench(): void;
  chooseTarget(): Promise<void>;
  setTarget(target: ExpertId): void;
  stopRun(): Promise<void>;
  showRun(row: RunRow): Promise<void>;
  resumeRun(row: RunRow): Promise<void>;
  resumeById(run: string): Promise<void>;
  exportRun(row: RunRow): Promise<void>;
  compareRun(row: RunRow): Promise<void>;
  runAgain(row: RunRow): Promise<void>;
  openReport(row: RunRow): Promise<void>;
  openRunFolder(row: RunRow): Promise<void>;
  deleteRun(row: RunRow): Promise<void>;
  showStep(step: WorkbenchStep): void;
  discardResult(): void;
  restoreOriginal(): Promise<void>;
  useAs(role: DataRole | 'questions', files: readonly vscode.Uri[]): Promise<void>;
  runRecipe(file: vscode.Uri | undefined): Promise<void>;
  refreshRuns(): Promise<void>;
  compareAnswers(): Promise<void>;
  setUpNative(): Promise<void>;
  restartEngine(): Promise<void>;
  showLog(): void;
  /** One message of the webview; ends with the work it asks for. Never rejects. */
  act(message: WebviewMessage): Promise<void>;
}

export function actionsOf({
  context,
  store,
  figures,
  loop,
  exports,
  sweeps,
  selection,
  jobs,
  panel,
  setUpNative,
  log,
  report,
  workspace,
}: ActionParts): Actions {
  const answerDocuments = createAnswerDocuments();
  context.subscriptions.push(answerDocuments);
  const runActions = runActionsOf({ loop, store, workspace, report });
  const dataActions = dataActionsOf({ loop, store, show: () => panel.open(), report });

  async function openCheckpoint(folder?: vscode.Uri): Promise<void> {
    const chosen = folder ?? (await askForCheckpoint());
    if (!chosen) return;
    panel.open();
    const neutral = (file: string) => vscode.Uri.joinPath(context.extensionUri, 'dist', 'neutral', file).fsPath;
    await loop.openModel(chosen.fsPath, path.basename(chosen.fsPath), neutralPreset(), neutralSources(neutral));
  }

  async function useDemo(): Promise<void> {
    const demo = await readDemo(context.extensionUri);
    if (!demo.ok) return report(demo.fault);
    panel.open();
    await loop.openModel(demo.value.checkpoint, demoName, demo.value.preset, demo.value.sources);
  }

  async function unlearnSelection(): Promise<void> {
    const sources = selection.read();
    if (sources.length === 0) {
      void tell(vscode.l10n.t('Select the text that the model should forget, then run "UOE: Unlearn Selection" again.'));
      return;
    }
    loop.setData('forget', sources);
    panel.open();
    if (store.get().model === null) return loop.show('model');
    loop.show('find');
    await loop.read();
  }

  async function chooseTarget(): Promise<void> {
    const { heatmap } = figures.get();
    if (!heatmap) return;
    const id = await askForTarget(heatmap);
    if (id) loop.setTarget(id);
  }

  async function chooseData(role: DataRole): Promise<void> {
    const files = await askForData(role, vscode.workspace.workspaceFolders?.[0]?.uri);
    if (files.length === 0) return;
    loop.setData(
      role,
      files.map((file) => fileSource(file.fsPath, shownName(file))),
    );
    if (role === 'forget' && store.get().model !== null) {
      loop.show('find');
      await loop.read();
    }
  }

  async function compareAnswers(): Promise<void> {
    const { comparison } = store.get();
    const rows = comparison && (await loop.comparison.askAnswers());
    if (comparison && rows) await answerDocuments.open(comparison, rows);
  }

  async function steer(action: 'pause' | 'continue' | 'keep' | 'discard'): Promise<void> {
    if (action === 'discard' && !(await confirmDiscard())) return;
    await loop.steer(action);
  }

  async function resume(run: string | undefined): Promise<void> {
    if (run === undefined) return;
    if (store.get().engine.status === 'stopped') await loop.restartEngine();
    await loop.start(run);
  }

  const problemActions: Readonly<Record<ProblemAction, () => unknown>> = {
    openCheckpoint: () => openCheckpoint(),
    useDemo,
    memorySetting: () => vscode.commands.executeCommand('workbench.action.openSettings', 'uoe.engine.memory'),
    openAgain: () => loop.openAgain(),
    restoreOriginal: async () => (await confirmRestore(loop.triedName())) && loop.restoreTried(),
    restartEngine: () => loop.restartEngine(),
    resumeRun: () => resume(store.get().run?.id ?? store.get().interrupted?.id),
    showLog: () => log.show(),
  };

  type Handlers = { readonly [T in WebviewMessage['type']]: (message: Extract<WebviewMessage, { type: T }>) => unknown };
  const handlers: Handlers = {
    ready: () => undefined,
    step: ({ step }) => loop.show(step),
    problem: ({ action }) => problemActions[action](),
    chooseData: ({ role }) => chooseData(role),
    clearData: ({ role }) => loop.setData(role, []),
    read: () => loop.read(),
    useSelection: unlearnSelection,
    tick: ({ prompts, ticked }) => loop.tick(prompts, ticked),
    tokens: ({ prompt }) => loop.showTokens(prompt),
    doctor: () => loop.testEngine(),
    target: ({ layer, expert }) => loop.setTarget({ layer, expert }),
    chooseTarget,
    effects: ({ action }) => loop.effects[action](),
    settings: ({ patch }) => loop.changeSettings(patch),
    resetSettings: () => loop.resetSettings(),
    saveRecipe: dataActions.saveRecipe,
    start: () => loop.start(),
    newPlan: ({ patch }) => loop.newPlan(patch),
    preset: ({ id }) => loop.choosePreset(id),
    dismissInterrupted: () => loop.dismissInterrupted(),
    steer: ({ action }) => steer(action),
    cancel: ({ id }) => jobs.cancel(id),
    showRun: ({ run }) => loop.showRun(run),
    compare: ({ before, after }) => loop.showRun(after, before),
    readRouting: ({ prompts }) => loop.comparison.readRouting(prompts),
    askAnswers: () => loop.comparison.askAnswers(),
    compareAnswers,
    audit: async ({ audit }) => {
      const wanted = store.get().comparison?.audits.find(({ id }) => id === audit)?.wantsFile;
      const file = wanted ? await askForParaphrases() : undefined;
      if (!wanted || file) await loop.comparison.runAudit(audit, file?.fsPath);
    },
    sweep: ({ action }) => sweeps.onPage(action),
    taskLog: ({ task }) => sweeps.showLogOf(task),
    runAgain: ({ run }) => loop.runAgain(run),
    saveFigure: (figure) => saveFigure(figure, workspace(), report),
    export: ({ form }) => exports.ask(form),
    result: ({ action }) => exports.act(action),
    discard: ({ discarded }) => loop.discard(discarded),
  };

  return {
    openCheckpoint,
    useDemo,
    unlearnSelection,
    showWorkbench: () => panel.open(),
    chooseTarget,
    setTarget: (target) => loop.setTarget(target),
    stopRun: () => loop.steer('keep'),
    async showRun(row) {
      panel.open();
      await loop.showRun(row.id);
    },
    async resumeRun(row) {
      panel.open();
      await resume(row.id);
    },
    async resumeById(run) {
      panel.open();
      await resume(run);
    },
    async exportRun(row) {
      await loop.showRun(row.id);
      if (store.get().comparison?.run !== row.id) return;
      const form = await askForForm();
      if (form) await exports.ask(form);
    },
    async compareRun(row) {
      panel.open();
      await runActions.compare(row);
    },
    async runAgain(row) {
      panel.open();
      await loop.runAgain(row.id);
    },
    openReport: (row) => exports.openReport(row.id),
    openRunFolder: runActions.openFolder,
    deleteRun: runActions.remove,
    showStep(step) {
      panel.open();
      loop.show(step);
    },
    discardResult() {
      panel.open();
      loop.discard(true);
      loop.show('export');
    },
    restoreOriginal: () => exports.act('restore'),
    useAs: dataActions.useAs,
    runRecipe: dataActions.runRecipe,
    refreshRuns: () => loop.refreshRuns(),
    compareAnswers,
    setUpNative,
    restartEngine: () => loop.restartEngine(),
    showLog: () => log.show(),
    async act(message) {
      if (!vscode.workspace.isTrusted && message.type !== 'step') return;
      const handle = handlers[message.type] as (message: WebviewMessage) => unknown;
      try {
        await handle(message);
      } catch (error) {
        log.error(plainText(error instanceof Error ? (error.stack ?? error.message) : String(error)));
      }
    },
  };
}
