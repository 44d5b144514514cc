/** State and second line of each step of the rail. Pure. */
import { bytes, expertName, fraction } from '../../src/protocol/numbers';
import type { WorkbenchState, WorkbenchStep } from '../../src/protocol/workbench';

export interface StepView {
  readonly locked: boolean;
  readonly done: boolean;
  readonly line: string;
  readonly icon?: string;
}

const active = ['running', 'paused', 'stopping'];

export function stepView(step: WorkbenchStep, state: WorkbenchState): StepView {
  const { model, target, run, comparison, changes, exported, attribution } = state;
  switch (step) {
    case 'model':
      return { locked: false, done: model !== null, line: model?.name ?? 'open one' };
    case 'find':
      return {
        locked: model === null,
        done: attribution !== null,
        line: model === null ? 'needs a model' : target ? `${expertName(target)} · ${fraction(target.affinity)}` : 'choose prompts',
      };
    case 'unlearn': {
      if (model === null || !target) return { locked: true, done: false, line: 'needs a target' };
      if (run && active.includes(run.status)) return { locked: false, done: false, line: run.status, icon: run.status === 'paused' ? 'debug-pause' : 'sync' };
      return { locked: false, done: run !== null, line: run ? `run ${run.number} · ${run.status}` : 'ready' };
    }
    case 'compare':
      return comparison ? { locked: false, done: true, line: `run ${comparison.number}` } : { locked: true, done: false, line: 'needs a run' };
    case 'export':
      return comparison
        ? { locked: false, done: exported !== null, line: changes?.answer ? bytes(changes.answer.patchBytes) : 'ready' }
        : { locked: true, done: false, line: 'needs a run' };
  }
}
