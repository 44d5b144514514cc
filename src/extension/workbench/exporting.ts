/** Step 5: what a run changes, the result as files, and into the checkpoint and back out of it. Where to write is asked elsewhere. */
import { expertSetOf } from '../../attribution/expert-set';
import type { ExportResult } from '../../protocol/engine';
import { type Fault, ok, type Result } from '../../protocol/fault';
import type { ExportForm, ExportView, WorkbenchState } from '../../protocol/workbench';
import type { EngineClient } from '../engine/client';
import { faultInWords, inWords } from './engine-words';
import type { Jobs } from './job';
import type { Store } from './store';
import { t } from './text';

export interface ExportingParts {
  readonly engine: EngineClient;
  readonly store: Store<WorkbenchState>;
  readonly jobs: Jobs;
  readonly workspace: () => string;
  /** Folder of the open checkpoint. */
  readonly model: () => string | null;
}

export interface Exporting {
  /** Writes the result to a path nobody uses yet; `place` is its name on the page. */
  write(form: 'checkpoint' | 'patch', to: string, place: string): Promise<void>;
  /** A run's report: one HTML page, or Markdown. */
  report(run: string, form: 'html' | 'markdown'): Promise<Result<string>>;
  /** The target of the run shown, in ESFT's form. */
  expertList(): string;
  /** A file was written with such a text. */
  written(form: 'report' | 'experts', place: string, bytesWritten: number): void;
  /** Measures once more what the run shown changes. */
  measure(): Promise<void>;
  /** Proves the checkpoint that was exported last once more. */
  verify(): Promise<void>;
  /** Into the checkpoint on disk; the original is kept beside it. */
  apply(): Promise<void>;
  /** The original bytes again. */
  restore(): Promise<void>;
  dispose(): void;
}

export function createExporting({ engine, store, jobs, workspace, model }: ExportingParts): Exporting {
  /** Where the checkpoint shown in `exported` lies: the page knows only its name. */
  let exportedTo: string | null = null;
  let reading: string | null = null;

  const run = () => store.get().comparison?.run ?? null;

  function failed(title: string, fault: Fault): void {
    if (fault.code === 'cancelled' || store.get().engine.status === 'stopped') return;
    store.set({ problem: { title, text: faultInWords(fault), actions: [{ id: 'showLog', label: t('Show log') }] } });
  }

  /** Reads what the shown run changes, unless it is known. */
  async function read(id: string): Promise<void> {
    reading = id;
    const result = await jobs.run(t('Measuring what the run changed'), (options) => engine.request('runChanges', { run: id, workspace: workspace() }, options));
    reading = null;
    if (run() !== id) return look();
    if (result.ok) return store.set({ changes: { run: id, answer: result.value, refusal: null } });
    const refusal = result.fault.code === 'cancelled' ? t('Measuring what the run changed was cancelled.') : faultInWords(result.fault);
    store.set({ changes: { run: id, answer: null, refusal } });
  }

  function look(): void {
    const { step, changes, engine: status } = store.get();
    const id = run();
    if (step !== 'export' || id === null || id === changes?.run || id === reading || status.status === 'stopped') return;
    void read(id);
  }

  const show = (id: string, form: ExportForm, place: string, { bytesWritten, proof }: Pick<ExportResult, 'bytesWritten' | 'proof'>): void => {
    const exported: ExportView = { run: id, form, place, bytesWritten, proof: proof.checked > 0 ? proof : null };
    store.set({ step: 'export', problem: null, exported });
  };

  /** The checkpoint on disk is another now: what the page says of the model and of this run is read again. */
  async function changedOnDisk(id: string, folder: string): Promise<void> {
    if (model() === folder) {
      const info = await jobs.run(t('Opening the checkpoint again'), (options) => engine.request('openModel', { path: folder }, options));
      const { model: view, attribution } = store.get();
      if (info.ok && view) {
        const { path: _path, ...rest } = info.value;
        store.set({
          model: { ...view, ...rest, notes: rest.notes?.map(inWords) },
          ...(attribution ? { attribution: { ...attribution, outOfDate: true } } : {}),
        });
      } else if (!info.ok) failed(t('The checkpoint could not be opened again'), info.fault);
    }
    await read(id);
  }

  const stop = store.subscribe((now, before) => {
    if (now.comparison?.run !== before.comparison?.run) exportedTo = null;
    if (now.step !== before.step || now.comparison?.run !== before.comparison?.run || now.changes !== before.changes) look();
  });

  return {
    async write(form, to, place) {
      const id = run();
      if (id === null || store.get().comparison?.discarded) return;
      const title = form === 'patch' ? t('Writing the patch') : t('Writing the checkpoint');
      const result = await jobs.run(title, (options) => engine.request('exportRun', { run: id, workspace: workspace(), to, form }, options));
      if (!result.ok) return failed(t('The export failed'), result.fault);
      exportedTo = form === 'checkpoint' ? to : null;
      show(id, form, place, result.value);
    },
    async report(id, form) {
      // A page reads routing and asks a sample of answers.
      const answer = await jobs.run(t('Writing the report'), (options) => engine.request('report', { run: id, workspace: workspace(), form }, options));
      return answer.ok ? ok(answer.value.text) : answer;
    },
    expertList: () => `${JSON.stringify(expertSetOf(store.get().comparison?.target ?? []), null, 2)}\n`,
    written(form, place, bytesWritten) {
      const id = run();
      if (id !== null) show(id, form, place, { bytesWritten, proof: { checked: 0, equal: 0, differing: [] } });
    },
    async measure() {
      const id = run();
      if (id !== null && reading === null) await read(id);
    },
    async verify() {
      const { exported } = store.get();
      const id = run();
      const folder = exportedTo;
      if (id === null || folder === null || exported === null) return;
      const result = await jobs.run(t('Proving the export'), (options) => engine.request('verifyExport', { run: id, workspace: workspace(), folder }, options));
      if (!result.ok) return failed(t('The export could not be proved'), result.fault);
      store.set({ exported: { ...exported, proof: result.value } });
    },
    async apply() {
      const id = run();
      if (id === null || store.get().comparison?.discarded) return;
      const result = await jobs.run(t('Applying the run to the checkpoint'), (options) =>
        engine.request('applyRun', { run: id, workspace: workspace() }, options),
      );
      if (!result.ok) return failed(t('The run was not applied'), result.fault);
      exportedTo = null;
      show(id, 'applied', store.get().model?.name ?? '', result.value);
      await changedOnDisk(id, result.value.folder);
    },
    async restore() {
      const id = run();
      if (id === null) return;
      const folder = await engine.request('readRun', { run: id, workspace: workspace(), mostSteps: 1 });
      if (!folder.ok) return failed(t('The original was not restored'), folder.fault);
      const path = folder.value.record.model;
      const result = await jobs.run(t('Restoring the original'), (options) => engine.request('restoreModel', { model: path }, options));
      if (!result.ok) return failed(t('The original was not restored'), result.fault);
      exportedTo = null;
      show(id, 'restored', store.get().model?.name ?? '', result.value);
      await changedOnDisk(id, path);
    },
    dispose: stop,
  };
}
