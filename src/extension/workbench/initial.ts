/** The workbench before anything was opened. */
import type { WorkbenchState } from '../../protocol/workbench';

export const noData: WorkbenchState['data'] = {
  forget: null,
  retain: null,
  stopForget: null,
  stopUtility: null,
  evaluateForget: null,
  evaluateNear: null,
  evaluateUtility: null,
};

export const initialState = (trusted: boolean): WorkbenchState => ({
  step: 'model',
  trusted,
  engine: { status: 'off' },
  problem: null,
  job: null,
  jobs: [],
  interrupted: null,
  model: null,
  data: noData,
  preview: null,
  doctor: null,
  prompts: null,
  attribution: null,
  target: null,
  effects: null,
  plan: null,
  run: null,
  comparison: null,
  sweep: null,
  changes: null,
  exported: null,
  runs: [],
});
