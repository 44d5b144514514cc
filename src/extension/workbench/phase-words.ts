/** Phases and units of the engine's progress in the window's language; one that is not listed stays as the engine says it. */
import { t } from './text';

export const phaseWords = (phase: string): string =>
  ({
    'Checking weights': t('Checking weights'),
    'Reading prompts': t('Reading prompts'),
    Asking: t('Asking'),
    Auditing: t('Auditing'),
    Generating: t('Generating'),
    Writing: t('Writing'),
    Proving: t('Proving'),
    'Measuring effects': t('Measuring effects'),
    'Testing arithmetic': t('Testing arithmetic'),
  })[phase] ?? phase;

export const unitWords = (unit: string): string =>
  ({ layers: t('layers'), rows: t('rows'), 'row passes': t('row passes'), sets: t('sets'), backends: t('backends') })[unit] ?? unit;
