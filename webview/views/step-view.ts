/** State and second line of each step of the rail. Pure. */
import { bytes, count, expertName, fraction } from '../../src/protocol/numbers';
import { trainedExperts } from '../../src/protocol/trained-experts';
import type { WorkbenchState, WorkbenchStep } from '../../src/protocol/workbench';
import { t } from '../text';
import { statusWords } from './status-words';

export interface StepView {
  readonly locked: boolean;
  readonly done: boolean;
  readonly line: string;
  readonly icon?: string;
}

/** Nothing where it is the target of step 2, which has its own line. */
function recipeExperts(state: WorkbenchState): string | null {
  const { plan } = state;
  const experts = trainedExperts(state);
  if (!plan?.targets || plan.settings.target !== 'recipe' || experts.length === 0) return null;
  return experts.length > 2 ? t('{0} experts', count(experts.length)) : experts.map(expertName).join(', ');
}

const active = ['running', 'paused', 'stopping'];

export function stepView(step: WorkbenchStep, state: WorkbenchState): StepView {
  const { model, target, run, comparison, sweep, changes, exported, attribution } = state;
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
      return { locked: false, done: run !== null, line: run ? t('run {0} · {1}', run.number, statusWords[run.status]) : (recipeExperts(state) ?? t('ready')) };
    }
    case 'compare':
      if (sweep) return { locked: false, done: false, line: sweep.name };
      return comparison ? { locked: false, done: true, line: t('run {0}', comparison.number) } : { locked: true, done: false, line: t('needs a run') };
    case 'export':
      return comparison
        ? { locked: false, done: exported !== null, line: changes?.answer ? bytes(changes.answer.patchBytes) : t('ready') }
        : { locked: true, done: false, line: t('needs a run') };
  }
}
