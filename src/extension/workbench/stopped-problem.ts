/** The engine's process ended by itself: why, what is safe, and how to go on. */
import type { ProblemView, RunView } from '../../protocol/workbench';

/** `run` was under way, with `done` steps; `saved` is the step that its folder holds, undefined while that is not known. */
export function stoppedProblem(reason: string, run: RunView | null, done: number, saved?: number | null): ProblemView {
  const at = run ? ` It happened at step ${done} of ${run.plannedSteps}.` : '';
  const kept = !run || saved === undefined ? '' : saved === null ? ' No step of the run was saved yet.' : ` Step ${saved} is kept.`;
  const from = typeof saved === 'number' ? ` from step ${saved}` : ' the run';
  return {
    title: 'The engine stopped',
    text: `${reason}${at} Your model and settings are safe.${kept}`,
    actions: [
      ...(run ? [{ id: 'resumeRun' as const, label: `Restart and resume${from}` }] : []),
      { id: 'restartEngine', label: run ? 'Restart only' : 'Restart' },
      { id: 'showLog', label: 'Show log' },
    ],
  };
}
