/** Runs of a workspace that were cut off by a closed window, a kill or a power failure: found without an engine. */
import { cutExports } from '../../experiment/exports';
import { readHistory } from '../../experiment/history';
import { diskReader } from '../../experiment/run-reader';
import { savedStep } from '../../experiment/saved-step';
import type { InterruptedView } from '../../protocol/workbench';

export interface Found {
  /** The newest that can go on; of a sweep's the sweep is offered as a whole. */
  readonly interrupted: InterruptedView | null;
  /** A run is under way in another process: another window's, or the one that has just closed and is ending. */
  readonly elsewhere: boolean;
  /** A sentence for each export that was cut short. */
  readonly cut: readonly string[];
}

export async function findInterrupted(workspace: string): Promise<Found> {
  const { runs } = await readHistory(diskReader, workspace);
  const newest = runs.findLast(({ record }) => record.status === 'interrupted' && record.sweep === undefined);
  const elsewhere = runs.some(({ record }) => record.status === 'running');
  const cut = await cutExports(workspace);
  if (!newest) return { interrupted: null, elsewhere, cut };
  const { id, number, method, plannedSteps } = newest.record;
  return { interrupted: { id, number, method, plannedSteps, step: (await savedStep(newest.folder)) ?? 0 }, elsewhere, cut };
}
