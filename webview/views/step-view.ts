/** State and second line of each step of the rail. Pure. */
import { bytes, expertName, fraction } from '../../src/protocol/numbers';
import type { WorkbenchState, WorkbenchStep } from '../../src/protocol/workbench';
import { t } from '../text';
import { statusWords } from './status-words';

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
      return { locked: false, done: model !== null, line: model?.name ?? t('open one') };
    case 'find':
      return {
        locked: model === null,
        done: attribution !== null,
        line: model === null ? t('needs a model') : target ? `${expertName(target)} · ${fraction(target.affinity)}` : t('choose prompts'),
      };
    case 'unlearn': {
      if (model === null || !target) return { locked: true, done: false, line: t('needs a target') };
      if (run && active.includes(run.status))
        return { locked: false, done: false, line: statusWords[run.status], icon: run.status === 'paused' ? 'debug-pause' : 'sync' };
      return { locked: false, done: run !== null, line: run ? t('run {0} · {1}', run.number, statusWords[run.status]) : t('ready') };
    }
    case 'compare':
      return comparison ? { locked: false, done: true, line: t('run {0}', comparison.number) } : { locked: true, done: false, line: t('needs a run') };
    case 'export':
      return comparison
        ? { locked: false, done: exported !== null, line: changes?.answer ? bytes(changes.answer.patchBytes) : t('ready') }
        : { locked: true, done: false, line: t('needs a run') };
  }
}
