/** What can be done with sweeps: start one from its file, see what it would run, end, go on with or repeat its tasks, look at a log or at its table. */
import * as path from 'node:path';
import * as vscode from 'vscode';
import type { SlurmProfile } from '../experiment/slurm-profile';
import type { LeftEnd } from '../files/programs';
import { type Fault, fail, faultOf } from '../protocol/fault';
import type { SweepView } from '../protocol/sweep-view';
import type { WorkbenchState } from '../protocol/workbench';
import { ask, choose, tell, tellError } from './notices';
import { shownName } from './shown-name';
import type { CommandLine } from './sweep-cli';
import { createSweepDocuments } from './sweep-documents';
import { sweepCounts } from './sweep-words';
import type { HistoryNode, TaskNode } from './trees/history-nodes';
import { faultInWords, inWords } from './workbench/engine-words';
import type { Store } from './workbench/store';
import type { Sweeps } from './workbench/sweeps';

export interface SweepActionParts {
  readonly sweeps: Sweeps;
  readonly commands: CommandLine;
  readonly store: Store<WorkbenchState>;
  readonly workspace: () => vscode.Uri;
  /** What the settings say of the cluster. */
  readonly site: () => SlurmProfile;
  readonly show: () => void;
  readonly report: (fault: Fault) => void;
}

export interface SweepActions extends vscode.Disposable {
  start(file?: vscode.Uri): Promise<void>;
  dryRun(file?: vscode.Uri): Promise<void>;
  goOn(node: HistoryNode | undefined): Promise<void>;
  runFailed(node: HistoryNode | undefined): Promise<void>;
  runTask(node: HistoryNode | undefined): Promise<void>;
  cancel(node: HistoryNode | undefined): Promise<void>;
  cancelTask(node: HistoryNode | undefined): Promise<void>;
  showLog(node: HistoryNode | undefined): Promise<void>;
  showLogOf(task: string): Promise<void>;
  showPage(node: HistoryNode | undefined): Promise<void>;
  /** Buttons of the page. */
  onPage(action: 'close' | 'goOn' | 'runFailed' | 'cancel'): Promise<void>;
}

type Where = 'local' | 'slurm';

/** Answer of a dry run. */
interface Planned {
  readonly name: string;
  readonly workers: number;
  readonly tasks: readonly { readonly task: string; readonly labels: Readonly<Record<string, string>>; readonly state: string; readonly run: boolean }[];
  /** Folder of each, and its files by their names. */
  readonly submissions?: readonly ({ readonly folder: string } & Readonly<Record<string, string>>)[];
}

const sweepFiles = '**/*.sweep.json';

export function sweepActionsOf({ sweeps, commands, store, workspace, site, show, report }: SweepActionParts): SweepActions {
  const documents = createSweepDocuments();
  const folderOf = ({ name }: Pick<SweepView, 'name'>) => path.join(workspace().fsPath, '.uoe', 'sweeps', name);
  const siteArgs = () => ['--site', JSON.stringify(site())];
  const sweepOf = (node: HistoryNode | undefined): SweepView | undefined => {
    const view = node && 'kind' in node ? node.view : undefined;
    // As it is now, not as it was when the menu opened.
    return view && sweeps.store.get().sweeps.find(({ name }) => name === view.name);
  };
  const taskOf = (node: HistoryNode | undefined): TaskNode | undefined => (node && 'kind' in node && node.kind === 'task' ? node : undefined);

  async function fileFor(given: vscode.Uri | undefined): Promise<vscode.Uri | undefined> {
    const open = vscode.window.activeTextEditor?.document.uri;
    const file = given ?? (open?.path.endsWith('.sweep.json') ? open : undefined) ?? (await chooseFile());
    const document = vscode.workspace.textDocuments.find(({ uri }) => uri.toString() === file?.toString());
    return document?.isDirty && !(await document.save()) ? undefined : file;
  }

  async function chooseFile(): Promise<vscode.Uri | undefined> {
    const files = await vscode.workspace.findFiles(sweepFiles, '**/{node_modules,.uoe}/**', 500);
    if (files.length === 0) {
      void tell(vscode.l10n.t('No file here ends in .sweep.json: it has "recipe", a recipe or its file, and "vary", the settings and their values.'));
      return undefined;
    }
    const rows = files.map((file) => ({ label: shownName(file), file })).sort((a, b) => (a.label < b.label ? -1 : 1));
    return (await choose(rows, { title: vscode.l10n.t('Sweep file') }))?.file;
  }

  const withProgress = <T>(title: string, work: () => Promise<T>): Thenable<T> =>
    vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title }, work);

  const run = (file: string, ...args: readonly string[]) => commands.ask(['sweep', file, '--workspace', workspace().fsPath, ...args], path.dirname(file));

  async function planOf(file: vscode.Uri, ...args: readonly string[]): Promise<Planned | undefined> {
    const answer = await withProgress(vscode.l10n.t('Planning the sweep'), () => run(file.fsPath, '--dry-run', ...args));
    if (answer.ok) return answer.value as Planned;
    report(answer.fault);
    return undefined;
  }

  /** Why there is no cluster here; null where there is one. */
  async function missingSlurm(): Promise<Fault | null> {
    const { largestArray } = await import('../experiment/slurm-executor');
    const answer = await largestArray(site());
    return answer.ok ? null : answer.fault;
  }

  async function showPlan(file: vscode.Uri, where: Where): Promise<Planned | undefined> {
    const plan = await planOf(file, ...(where === 'slurm' ? ['--on', 'slurm', ...siteArgs()] : []));
    if (plan) await documents.open(plan.name, planText(plan), where === 'slurm' && (plan.submissions ?? []).length > 0);
    return plan;
  }

  async function begin(name: string, file: string, where: Where, ...more: readonly string[]): Promise<void> {
    if (where === 'slurm') {
      const answer = await withProgress(vscode.l10n.t('Submitting sweep {0} to Slurm', name), () =>
        run(file, '--on', 'slurm', '--no-wait', ...siteArgs(), ...more),
      );
      if (!answer.ok) return report(answer.fault);
      const { submitted } = answer.value as { readonly submitted: readonly string[] };
      void tell(vscode.l10n.t('Sweep {0}: {1} runs were submitted to Slurm. They go on while VS Code is closed.', name, submitted.length));
      return sweeps.look(true);
    }
    const log = path.join(folderOf({ name }), 'sweep.log');
    const left = await commands.leave(['sweep', file, '--on', 'local', '--workspace', workspace().fsPath, ...more], path.dirname(file), log);
    if (!left.ok) return report(left.fault);
    sweeps.expect(left.value.ended);
    void left.value.ended.then((end) => tellEnd(name, log, end));
    await sweeps.look();
  }

  async function tellEnd(name: string, log: string, { code, lastWords }: LeftEnd): Promise<void> {
    await sweeps.look();
    const view = sweeps.store.get().sweeps.find((own) => own.name === name);
    const counts = view ? sweepCounts(view) : '';
    const [table, showLog] = [vscode.l10n.t('Show Table'), vscode.l10n.t('Show Log')];
    if (code === 130) return;
    // Another process has it.
    if (view?.isLive) return void tellError(inWords(lastWords));
    const isWell = view !== undefined && view.counts.failed === 0 && (code === 0 || /tasks have no result/.test(lastWords));
    const answer = isWell
      ? await tell(vscode.l10n.t('Sweep {0} has ended: {1}.', name, counts), table)
      : await tellError(vscode.l10n.t('Sweep {0} has ended ({1}): {2}', name, counts, inWords(lastWords)), showLog, ...(view ? [table] : []));
    if (answer === table && view) await openPage(view);
    if (answer === showLog) await openText(log);
  }

  async function openText(file: string): Promise<void> {
    const shown = await vscode.window.showTextDocument(vscode.Uri.file(file), { preview: true }).then(
      () => true,
      () => false,
    );
    if (!shown) void tell(vscode.l10n.t('There is no log yet: the task has not begun.'));
  }

  async function openPage(view: SweepView): Promise<void> {
    const page = await sweeps.page(view).catch((error: unknown) => report(faultOf(error)));
    if (!page) return;
    show();
    store.set({ step: 'compare', sweep: inPageWords(page) });
  }

  const inPageWords = (page: NonNullable<WorkbenchState['sweep']>): typeof page => ({
    ...page,
    tasks: page.tasks.map((task) => ({ ...task, words: inWords(task.words) })),
  });

  /** The page fills as runs finish. */
  const stopFollowing = sweeps.store.subscribe(({ sweeps: now }) => {
    const shown = store.get().sweep;
    const view = now.find(({ name }) => name === shown?.name);
    if (!view) return;
    void sweeps.page(view).then(
      (page) => store.get().sweep?.name === page.name && store.set({ sweep: inPageWords(page) }),
      () => undefined,
    );
  });

  /** Where it ran last; asked for where that is not known. */
  async function again(view: SweepView | undefined, ...more: readonly string[]): Promise<void> {
    if (!view) return;
    if (view.file === null)
      return report(fail('not-found', vscode.l10n.t('The file of sweep {0} is not known.', view.name), vscode.l10n.t('Start the sweep from its file.')).fault);
    const workers = view.on === 'local' && view.workers !== null ? ['--workers', String(view.workers)] : [];
    await begin(view.name, view.file, view.on ?? 'local', ...workers, ...more);
  }

  async function end(view: SweepView, ids?: readonly string[]): Promise<void> {
    try {
      const { cancelTasks } = await import('../experiment/sweep-hands');
      await cancelTasks(folderOf(view), ids);
    } catch (error) {
      report(faultOf(error));
    }
    await sweeps.look(true);
  }

  async function cancel(view: SweepView | undefined): Promise<void> {
    if (!view) return;
    const { running, queued } = view.counts;
    const yes = vscode.l10n.t('Cancel Sweep');
    const question = vscode.l10n.t('Cancel sweep {0}? {1} runs are under way and {2} wait.', view.name, running, queued);
    const detail = vscode.l10n.t('Runs under way save their state and can go on later; finished ones stay.');
    if ((await ask(question, detail, yes)) === yes) await end(view);
  }

  const shownSweep = () => sweeps.store.get().sweeps.find(({ name }) => name === store.get().sweep?.name);
  const logOf = (view: SweepView, task: string) => path.join(folderOf(view), 'tasks', `${task}.log`);

  async function start(given?: vscode.Uri): Promise<void> {
    const file = await fileFor(given);
    const plan = file && (await planOf(file));
    if (!file || !plan) return;
    const due = plan.tasks.filter((task) => task.run).length;
    const failed = plan.tasks.filter(({ state }) => state === 'failed').length;
    const missing = await missingSlurm();
    const more = due === 0 && failed > 0 ? ['--again-failed'] : [];
    const here = {
      label: vscode.l10n.t('Run on this machine'),
      description: vscode.l10n.t('{0} at a time; goes on while VS Code is closed', plan.workers),
      // Only one sentence where there is no cluster, and what there is instead.
      detail: missing ? faultInWords(missing) : '',
      act: () => begin(plan.name, file.fsPath, 'local', ...more),
    };
    const there = {
      label: vscode.l10n.t('Submit to Slurm'),
      description: vscode.l10n.t('one job array'),
      act: () => begin(plan.name, file.fsPath, 'slurm', ...more),
    };
    const scripts = { label: vscode.l10n.t('Show the job script'), description: vscode.l10n.t('submits nothing'), act: () => offerToSubmit(file, missing) };
    const list = {
      label: vscode.l10n.t('Show what would run'),
      description: vscode.l10n.t('runs nothing'),
      act: async () => void (await showPlan(file, 'local')),
    };
    if (due === 0 && failed === 0) {
      void tell(vscode.l10n.t('Sweep {0}: all {1} runs are done or under way.', plan.name, plan.tasks.length));
      return sweeps.look();
    }
    const title = vscode.l10n.t('Sweep {0}: {1} of {2} runs to do', plan.name, due > 0 ? due : failed, plan.tasks.length);
    const chosen = await choose([here, ...(missing ? [] : [there]), scripts, list], { title });
    await chosen?.act();
  }

  async function offerToSubmit(file: vscode.Uri, missing: Fault | null): Promise<void> {
    const plan = await showPlan(file, 'slurm');
    if (!plan || missing) return;
    const submit = vscode.l10n.t('Submit to Slurm');
    const answer = await tell(vscode.l10n.t('This is what would be submitted for sweep {0}.', plan.name), submit);
    if (answer === submit) await begin(plan.name, file.fsPath, 'slurm');
  }

  return {
    start,
    async dryRun(given) {
      const file = await fileFor(given);
      if (!file) return;
      const places: readonly (vscode.QuickPickItem & { readonly where: Where })[] = [
        { label: vscode.l10n.t('The job script for Slurm'), where: 'slurm' },
        { label: vscode.l10n.t('The runs on this machine'), where: 'local' },
      ];
      const chosen = await choose(places, { title: vscode.l10n.t('Show what the sweep would run') });
      if (chosen) await showPlan(file, chosen.where);
    },
    goOn: (node) => again(sweepOf(node)),
    runFailed: (node) => again(sweepOf(node), '--again-failed'),
    async runTask(node) {
      const own = taskOf(node);
      if (own) await again(sweepOf(node), '--again-failed', '--only', own.task.id);
    },
    cancel: (node) => cancel(sweepOf(node)),
    async cancelTask(node) {
      const [view, own] = [sweepOf(node), taskOf(node)];
      if (view && own) await end(view, [own.task.id]);
    },
    async showLog(node) {
      const own = taskOf(node);
      if (own) await openText(logOf(own.view, own.task.id));
    },
    async showLogOf(task) {
      const view = shownSweep();
      if (view?.tasks.some(({ id }) => id === task)) await openText(logOf(view, task));
    },
    async showPage(node) {
      const all = sweeps.store.get().sweeps;
      const rows = all.map((view) => ({ label: view.name, description: sweepCounts(view), view }));
      if (!node && rows.length === 0) return void tell(vscode.l10n.t('There is no sweep in this workspace yet.'));
      const view = node ? sweepOf(node) : rows.length === 1 ? all[0] : (await choose(rows, { title: vscode.l10n.t('Which sweep') }))?.view;
      if (view) await openPage(view);
    },
    async onPage(action) {
      const view = shownSweep();
      if (action === 'close') return store.set({ sweep: null });
      if (action === 'cancel') return cancel(view);
      await again(view, ...(action === 'runFailed' ? ['--again-failed'] : []));
    },
    dispose() {
      stopFollowing();
      documents.dispose();
    },
  };
}

/** A list of the tasks, or the files of every submission word for word. */
function planText({ tasks, submissions = [] }: Planned): string {
  const list = tasks.map(({ labels, state, run }) => `# ${run ? 'run ' : 'skip'}  ${Object.values(labels).join(' · ') || 'the recipe'}  (${state})`);
  const files = submissions.flatMap(({ folder, ...texts }) =>
    Object.entries(texts).map(([name, text]) => `\n# --- ${path.join(folder, name === 'manifest' ? name : `${name}.sh`)}\n${text.trimEnd()}`),
  );
  return `${[...list, ...files].join('\n')}\n`;
}

/** At the start of a window: a sweep whose process is gone is offered once. */
export function offerRest(sweeps: Sweeps, actions: Pick<SweepActions, 'goOn' | 'showPage'>): vscode.Disposable {
  const offered = new Set<string>();
  const stop = sweeps.store.subscribe(({ sweeps: now }) => {
    for (const view of now) {
      if (!view.isCutOff || view.isLive) offered.delete(view.name);
      if (!view.isCutOff || view.isLive || offered.has(view.name)) continue;
      offered.add(view.name);
      const [rest, table] = [vscode.l10n.t('Run the Rest'), vscode.l10n.t('Show Table')];
      const text = vscode.l10n.t('Sweep {0} was interrupted: {1}. The rest can go on from where it stopped.', view.name, sweepCounts(view));
      void tell(text, rest, table).then((answer) => {
        if (answer === rest) void actions.goOn({ kind: 'sweep', view });
        if (answer === table) void actions.showPage({ kind: 'sweep', view });
      });
    }
  });
  return { dispose: stop };
}
