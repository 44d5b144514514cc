/** What the states of a run are called. */
import type { RunView } from '../../src/protocol/workbench';
import { t } from '../text';

export const statusWords: Readonly<Record<RunView['status'], string>> = {
  running: t('running'),
  paused: t('paused'),
  stopping: t('stopping'),
  done: t('done'),
  stopped: t('stopped'),
  cancelled: t('cancelled'),
  failed: t('failed'),
  interrupted: t('interrupted'),
};
