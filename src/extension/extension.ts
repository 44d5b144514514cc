/** Activation: makes the parts and joins them; everything is disposed with the extension. */
import * as os from 'node:os';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { type Fault, sentence } from '../protocol/fault';
import { plainText } from '../protocol/plain-text';
import type { WebviewMessage } from '../protocol/webview-message';
import type { WorkbenchState } from '../protocol/workbench';
import { actionsOf } from './actions';
import { registerAgentTools } from './agents/language-model-tools';
import { registerMcpServer } from './agents/mcp-server';
import type { CommandId } from './command-table';
import { registerCommands } from './commands';
import { watchEditorSelection } from './editor-selection';
import { createEngineClient, type EngineStatus } from './engine/client';
import { exportActionsOf } from './export-actions';
import { type Place, withoutPaths } from './hidden-paths';
import { keptProgram } from './kept-program';
import { setUpNativeOf } from './native-setup';
import { tell, tellError } from './notices';
import { panelType } from './panel';
import { presentJob } from './progress';
import { promptActionsOf } from './prompt-actions';
import { offerResume } from './resume-offer';
import { followRuns } from './run-watch';
import { keepFile, saveSelection } from './selection-file';
import { engineSettings, followSettings } from './settings';
import { foldersElsewhere } from './shown-name';
import { slurmSettings } from './slurm-settings';
import { createStatus } from './status';
import { offerRest, sweepActionsOf } from './sweep-actions';
import { commandLine } from './sweep-cli';
import { followSweeps } from './sweep-watch';
import { createExpertTree, followTarget } from './trees/experts';
import { createModelTree, followJobs } from './trees/model';
import { createPromptTree } from './trees/prompts';
import { createRunTree } from './trees/runs';
import { createTargetBadge } from './trees/target-badge';
import { faultInWords, inWords } from './workbench/engine-words';
import { createExporting } from './workbench/exporting';
import { initialState } from './workbench/initial';
import { createJobs } from './workbench/job';
import { createLoop, type Figures, type Loop, type Memento } from './workbench/loop';
import { createStore, type Store } from './workbench/store';
import { createSweeps, type Sweeps } from './workbench/sweeps';
import { translateWith } from './workbench/text';
import { createPanelHolder, type PanelHolder } from './workbench-panel';

const mementoKey = 'uoe.workbench';

/** Where runs and selections go: the first folder of the workspace, else the extension's own storage. */
function workspaceUri(context: vscode.ExtensionContext): vscode.Uri {
  return vscode.workspace.workspaceFolders?.[0]?.uri ?? context.globalStorageUri;
}

/** What the page calls the folders of this machine. */
function placesOf(context: vscode.ExtensionContext, model: string | null): readonly Place[] {
  const folders = [...(vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath), workspaceUri(context).fsPath];
  return [
    ...folders.map((folder) => ({ folder, name: '' })),
    { folder: context.extensionPath, name: 'UOE' },
    ...(model === null ? [] : [{ folder: path.dirname(model), name: '' }]),
    ...foldersElsewhere().map((folder) => ({ folder, name: '' })),
    { folder: os.homedir(), name: '~' },
  ];
}

/** When-clauses of menus, welcome texts and enablement. */
function keepContexts(store: Store<WorkbenchState>): () => void {
  const setContext = (key: string, value: boolean) => void vscode.commands.executeCommand('setContext', key, value);
  const contexts = (state: WorkbenchState) => ({
    'uoe.hasModel': state.model !== null,
    'uoe.hasAttribution': state.attribution !== null,
    'uoe.hasComparison': state.comparison !== null,
    'uoe.running': state.run !== null && ['running', 'paused', 'stopping'].includes(state.run.status),
  });
  let last: Readonly<Record<string, boolean>> = {};
  const update = (state: WorkbenchState) => {
    const now = contexts(state);
    for (const [key, value] of Object.entries(now)) if (last[key] !== value) setContext(key, value);
    last = now;
  };
  update(store.get());
  return store.subscribe(update);
}

function notifier(log: vscode.LogOutputChannel) {
  return {
    report(fault: Fault): void {
      if (fault.code === 'cancelled') return;
      log.error(plainText(sentence(fault)));
      const showLog = vscode.l10n.t('Show Log');
      void tellError(faultInWords(fault), showLog).then((answer) => answer === showLog && log.show());
    },
    crashed(reason: string, loop: Loop): void {
      const [restart, showLog] = [vscode.l10n.t('Restart'), vscode.l10n.t('Show Log')];
      void tellError(vscode.l10n.t('The UOE engine stopped. {0}', inWords(reason)), restart, showLog).then((answer) => {
        if (answer === restart) void loop.restartEngine();
        if (answer === showLog) log.show();
      });
    },
  };
}

/** Saves what a reload needs, shortly after it changed. */
function keepMemento(context: vscode.ExtensionContext, store: Store<WorkbenchState>, loop: Loop): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  const stop = store.subscribe((now, before) => {
    if (now.model === null && before.model === null) return;
    clearTimeout(timer);
    timer = setTimeout(() => void context.workspaceState.update(mementoKey, loop.memento()), 500);
  });
  return {
    dispose() {
      stop();
      clearTimeout(timer);
    },
  };
}

/** What in-host tests look at; nothing else may. */
export interface ExtensionApi {
  readonly store: Store<WorkbenchState>;
  readonly figures: Store<Figures>;
  readonly loop: Loop;
  readonly sweeps: Sweeps['store'];
  readonly enginePid: () => number | undefined;
  readonly cancelJob: () => void;
  /** As if the page had asked. */
  readonly act: (message: WebviewMessage) => Promise<void>;
  readonly panel: PanelHolder;
}

export function activate(context: vscode.ExtensionContext): ExtensionApi {
  translateWith(vscode.l10n.t);
  const log = vscode.window.createOutputChannel('UOE', { log: true });
  const store = createStore<WorkbenchState>(initialState(vscode.workspace.isTrusted));
  const figures = createStore<Figures>({ heatmap: null, prompts: null, ticks: null, tokens: null, steps: { run: '', rows: [] } });
  const notify = notifier(log);

  // Assigned below: the engine's status, the jobs and the panel's messages go to the loop, which needs all three.
  let onStatus: (status: EngineStatus) => void = () => undefined;
  const engine = createEngineClient({
    module: context.asAbsolutePath('dist/engine.js'),
    handshake: engineSettings,
    onStatus: (status) => onStatus(status),
    onOutput: (line) => log.info(plainText(line)),
  });
  let cleaning = { of: '', text: withoutPaths([]) };
  const clean = () => {
    const places = placesOf(context, loop.memento().model);
    const of = JSON.stringify(places);
    if (of !== cleaning.of) cleaning = { of, text: withoutPaths(places) };
    return cleaning.text;
  };
  const panel: PanelHolder = createPanelHolder({
    dist: vscode.Uri.joinPath(context.extensionUri, 'dist'),
    store,
    figures,
    act: (message) => actions.act(message),
    clean,
    log,
  });
  const jobs = createJobs({ onShown: (job) => store.set({ job }), onList: (list) => store.set({ jobs: list }), present: (job) => presentJob(job, panel) });
  const loop = createLoop({
    engine,
    store,
    figures,
    jobs,
    workspace: () => workspaceUri(context).fsPath,
    saveSelection: (text) => saveSelection(workspaceUri(context), text),
    keepFile: (path, name) => keepFile(workspaceUri(context), path, name),
    report: notify.report,
    inform: (text) => {
      if (panel.isVisible()) return;
      const show = vscode.l10n.t('Show');
      void tell(text, show).then((answer) => answer === show && panel.open());
    },
  });
  const exporting = createExporting({ engine, store, jobs, workspace: () => workspaceUri(context).fsPath, model: () => loop.memento().model });
  const exports = exportActionsOf({ exporting, store, workspace: () => workspaceUri(context), report: notify.report, clean });
  const slurm = () => {
    const settings = vscode.workspace.getConfiguration('uoe.slurm');
    return slurmSettings((field) => settings.get(field));
  };
  const sweeps = createSweeps({
    workspace: () => workspaceUri(context).fsPath,
    records: loop.records,
    refreshRuns: loop.refreshRuns,
    pollSeconds: () => slurm().pollSeconds ?? 30,
    isVisible: () => runView.visible || (store.get().sweep !== null && panel.isVisible()),
  });
  const sweepActions = sweepActionsOf({
    sweeps,
    commands: commandLine(
      keptProgram(vscode.Uri.joinPath(context.extensionUri, 'dist'), context.globalStorageUri, context.extension.packageJSON.version as string),
    ),
    store,
    workspace: () => workspaceUri(context),
    site: slurm,
    show: () => panel.open(),
    report: notify.report,
  });
  const selection = watchEditorSelection();
  const promptActions = promptActionsOf({ store, figures, loop, selection });
  const actions = actionsOf({
    context,
    store,
    figures,
    loop,
    exports,
    sweeps: sweepActions,
    selection,
    jobs,
    panel,
    setUpNative: setUpNativeOf({ engine, restartEngine: loop.restartEngine, report: notify.report }),
    log,
    report: notify.report,
    workspace: () => workspaceUri(context),
  });

  onStatus = (status) => {
    loop.engineChanged(status);
    if (status.status === 'ready')
      log.info(
        plainText(`Engine ${status.answer.version}: ${status.answer.backend.name}, ${status.answer.backend.threads} threads. ${status.answer.backend.why}`),
      );
    if (status.status !== 'stopped' || status.requested) return;
    log.error(plainText(`The engine stopped. ${status.reason}`));
    if (!panel.isVisible()) notify.crashed(status.reason, loop);
  };

  const resumeParts = { store, loop, resume: actions.resumeById, show: () => panel.open() };
  const stopLog = engine.listen('log', ({ level, message }) => log[level](plainText(message)));
  const experts = createExpertTree(store, figures, vscode.Uri.joinPath(context.extensionUri, 'media'));
  const targetBadge = createTargetBadge(store);
  const expertView = vscode.window.createTreeView('uoe.experts', { treeDataProvider: experts, showCollapseAll: true });
  const prompts = createPromptTree(
    { store, figures, sources: loop.forgetSources, readSources: loop.readSources, tick: loop.tick },
    'uoe.openPrompt' satisfies CommandId,
  );
  const promptView = vscode.window.createTreeView('uoe.prompts', { treeDataProvider: prompts, manageCheckboxStateManually: true, showCollapseAll: true });
  const models = createModelTree(store);
  const modelView = vscode.window.createTreeView('uoe.model', { treeDataProvider: models });
  const runs = createRunTree(store, 'uoe.showRun', sweeps.store);
  const runView = vscode.window.createTreeView('uoe.runs', { treeDataProvider: runs });
  const status = createStatus('uoe.showWorkbench');
  const showStatus = () => status.update(store.get(), figures.get().steps.rows.at(-1)?.step ?? 0);
  const stopStatus = [store.subscribe(showStatus), figures.subscribe(showStatus), keepContexts(store)];

  const agents = { engine, loop, workspace: () => workspaceUri(context).fsPath };
  context.subscriptions.push(
    ...registerAgentTools(agents),
    registerMcpServer(context.asAbsolutePath('dist/cli.js'), context.extension.packageJSON.version as string),
    log,
    ...registerCommands(actions, promptActions, sweepActions),
    selection,
    expertView,
    { dispose: followTarget(expertView, store) },
    vscode.window.registerFileDecorationProvider(targetBadge),
    targetBadge,
    promptView,
    promptView.onDidChangeCheckboxState(({ items }) => prompts.changed(items)),
    prompts,
    modelView,
    { dispose: followJobs(modelView, store) },
    models,
    runView,
    followSettings(store, loop.restartEngine),
    followRuns(workspaceUri(context), loop.refreshRuns),
    followSweeps(workspaceUri(context), sweeps, store, runView),
    offerRest(sweeps, sweepActions),
    sweepActions,
    sweeps,
    vscode.window.registerWebviewPanelSerializer(panelType, {
      async deserializeWebviewPanel(restored) {
        panel.restore(restored);
        const memento = context.workspaceState.get<Memento>(mementoKey);
        if (memento && vscode.workspace.isTrusted && store.get().model === null) await loop.restore(memento);
      },
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => {
      store.set({ trusted: true });
      context.subscriptions.push(offerResume(resumeParts));
    }),
    ...(vscode.workspace.isTrusted ? [offerResume(resumeParts)] : []),
    keepMemento(context, store, loop),
    experts,
    runs,
    status,
    panel,
    { dispose: stopLog },
    ...stopStatus.map((dispose) => ({ dispose })),
    exporting,
    exports,
    loop,
  );
  return { store, figures, loop, sweeps: sweeps.store, enginePid: engine.pid, cancelJob: jobs.cancel, act: actions.act, panel };
}
