/** At the start of a window: a run that was cut off is offered once, in a notification, the workbench and the history. */
import * as vscode from 'vscode';
import { methodName } from '../protocol/run-table';
import type { WorkbenchState } from '../protocol/workbench';
import { tell, tellWarning } from './notices';
import type { Loop } from './workbench/loop';
import type { Store } from './workbench/store';

/** A window that has just closed takes up to two seconds to end its engine, and until then its run counts as under way. */
const lookAgainAfter = [2500, 8000];

export interface ResumeOfferParts {
  readonly store: Store<WorkbenchState>;
  readonly loop: Pick<Loop, 'lookForInterrupted' | 'refreshRuns'>;
  readonly resume: (run: string) => Promise<void>;
  readonly show: () => void;
}

export function offerResume({ store, loop, resume, show }: ResumeOfferParts): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  let offered = '';
  const told = new Set<string>();

  function offer(): void {
    const { interrupted, run } = store.get();
    if (!interrupted || run || offered === interrupted.id) return;
    offered = interrupted.id;
    const { id, number, method, step, plannedSteps } = interrupted;
    const [resumeIt, showIt] = [vscode.l10n.t('Resume'), vscode.l10n.t('Show')];
    const text = vscode.l10n.t('Run {0} ({1}) was cut off at step {2} of {3}. It can go on from there.', number, methodName(method), step, plannedSteps);
    void tell(text, resumeIt, showIt).then((answer) => {
      if (answer === resumeIt) void resume(id);
      if (answer === showIt) show();
    });
  }

  async function look(left: readonly number[]): Promise<void> {
    const { elsewhere, cut } = await loop.lookForInterrupted();
    for (const text of cut) if (!told.has(text)) void tellWarning(text);
    for (const text of cut) told.add(text);
    offer();
    if (elsewhere && left.length > 0) timer = setTimeout(() => void look(left.slice(1)), left[0]);
  }

  // After activation: nothing of it waits for the disk.
  timer = setTimeout(() => void look(lookAgainAfter), 0);
  return { dispose: () => clearTimeout(timer) };
}
