/** The data sets of a job: what each role holds, as the engine reads it and as the interface names it. */
import type { DataSource } from '../../protocol/engine';
import { ok, type Result } from '../../protocol/fault';
import { type DataRole, type DataSetView, dataRoles } from '../../protocol/workbench';
import type { DataPaths } from './plan';
import { type Selection, selectionName, sourceOf } from './selection';

export interface Source {
  readonly data: DataSource;
  readonly view: DataSetView;
  /** A file of UOE's own: a recipe names a copy of this name in the workspace, which outlives an update. */
  readonly keepAs?: string;
  /** URI of the document that a selection was made in. */
  readonly place?: string;
}

export type Sources = Readonly<Record<DataRole, readonly Source[]>>;

export const noSources: Sources = { forget: [], retain: [], stopForget: [], stopUtility: [], evaluateForget: [], evaluateNear: [], evaluateUtility: [] };

export const fileSource = (path: string, name: string): Source => ({ data: { kind: 'file', path }, view: { name, kind: 'file' } });

export const selectionSource = (selection: Selection): Source => ({
  data: sourceOf(selection),
  view: { name: selectionName(selection), kind: 'selection' },
});

/** Whether two lists are of the same data; a selection that was saved meanwhile is another file, but the same view. */
export const sameSources = (a: readonly Source[], b: readonly Source[]): boolean => a.length === b.length && a.every(({ view }, at) => view === b[at].view);

/** One view per role; several files are named together. */
export function viewsOf(sources: Sources): Readonly<Record<DataRole, DataSetView | null>> {
  const entries = dataRoles.map((role): [DataRole, DataSetView | null] => {
    const views = sources[role].map((source) => source.view);
    if (views.length === 0) return [role, null];
    return [role, { ...views[0], name: views.map((view) => view.name).join(', ') }];
  });
  return Object.fromEntries(entries) as Record<DataRole, DataSetView | null>;
}

/** Files for a recipe: a selection is saved first, and from then on is that file. */
export async function savedSources(
  sources: Sources,
  save: (text: string) => Promise<Result<string>>,
  keep: (path: string, name: string) => Promise<Result<string>> = async (path) => ok(path),
): Promise<Result<Sources>> {
  const saved = { ...sources };
  for (const role of dataRoles) {
    const files: Source[] = [];
    for (const source of sources[role]) {
      const { data, keepAs } = source;
      if (data.kind === 'file' && keepAs === undefined) {
        files.push(source);
        continue;
      }
      const path = data.kind === 'text' ? await save(data.text) : await keep(data.path, keepAs ?? '');
      if (!path.ok) return path;
      const { keepAs: _kept, ...rest } = source;
      files.push({ ...rest, data: { kind: 'file', path: path.value } });
    }
    saved[role] = files;
  }
  return ok(saved);
}

export const pathsOf = (sources: Sources): DataPaths =>
  Object.fromEntries(dataRoles.map((role) => [role, sources[role].flatMap(({ data }) => (data.kind === 'file' ? [data.path] : []))])) as Record<
    DataRole,
    string[]
  >;
