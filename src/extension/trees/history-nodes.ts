/** What stands where in the run history: sweeps with their tasks, and runs that belong to none. Pure. */
import type { SweepTaskView, SweepView } from '../../protocol/sweep-view';
import type { RunRow } from '../../protocol/workbench';

export interface SweepNode {
  readonly kind: 'sweep';
  readonly view: SweepView;
}

export interface TaskNode {
  readonly kind: 'task';
  readonly view: SweepView;
  readonly task: SweepTaskView;
  /** Of its run. */
  readonly row: RunRow | null;
}

export type HistoryNode = RunRow | SweepNode | TaskNode;

export const isRun = (node: HistoryNode): node is RunRow => !('kind' in node);

/** The run that an item is, or has. */
export const rowOf = (node: HistoryNode): RunRow | null => (isRun(node) ? node : node.kind === 'task' ? node.row : null);

/** Runs of a sweep's tasks are under the sweep; it stands where its newest run would, and before all where it has none yet. */
export function historyRoots(runs: readonly RunRow[], sweeps: readonly SweepView[]): readonly (RunRow | SweepNode)[] {
  const ownerOf = new Map(
    sweeps.flatMap((view) => view.tasks.flatMap(({ run, earlier }) => [...(run === null ? [] : [run]), ...earlier].map((id) => [id, view] as const))),
  );
  const placed = new Set<SweepView>();
  const rest = runs.flatMap((row): (RunRow | SweepNode)[] => {
    const view = ownerOf.get(row.id);
    if (!view) return [row];
    if (placed.has(view)) return [];
    placed.add(view);
    return [{ kind: 'sweep', view }];
  });
  return [...sweeps.filter((view) => !placed.has(view)).map((view): SweepNode => ({ kind: 'sweep', view })), ...rest];
}

/** Tasks in the order of the sweep file; under a task its runs before the one that is shown. */
export function historyChildren(node: HistoryNode, runs: readonly RunRow[]): readonly HistoryNode[] {
  if (isRun(node)) return [];
  const byId = (id: string | null) => runs.find((row) => row.id === id) ?? null;
  if (node.kind === 'sweep') return node.view.tasks.map((task): TaskNode => ({ kind: 'task', view: node.view, task, row: byId(task.run) }));
  return node.task.earlier.map(byId).filter((row) => row !== null);
}

/** What menus ask of an item: `run-done` and `run-done-task` have the commands of runs, the others those of tasks and sweeps. */
export function contextOf(node: HistoryNode): string {
  if (isRun(node)) return `run-${node.status}`;
  if (node.kind === 'task') return node.task.kind === 'done' && node.row ? `run-${node.row.status}-task` : `task-${node.task.kind}${node.row ? '-run' : ''}`;
  const { isLive, counts } = node.view;
  const left = counts.all - counts.done - counts.failed;
  return `sweep-${isLive ? 'live' : 'idle'}${left > 0 ? '-left' : ''}${counts.failed > 0 ? '-failed' : ''}`;
}
