/** Status bar item: model and target, the step while a run goes on, an error colour after a crash. */
import * as vscode from 'vscode';
import { expertName } from '../protocol/numbers';
import { plainText } from '../protocol/plain-text';
import { trainedExperts } from '../protocol/trained-experts';
import type { WorkbenchState } from '../protocol/workbench';
import { withoutIcons } from './shown-text';

export function statusText(state: WorkbenchState, stepsDone: number): string {
  const { model, run, job } = state;
  if (!model) return 'UOE';
  const running = run !== null && (run.status === 'running' || run.status === 'paused' || run.status === 'stopping');
  const parts = [`UOE: ${model.name}`];
  const experts = trainedExperts(state);
  if (experts.length > 2) parts.push(vscode.l10n.t('{0} experts', experts.length));
  else if (experts.length > 0) parts.push(experts.map(expertName).join(', '));
  if (running) parts.push(vscode.l10n.t('step {0}/{1}', stepsDone, run.plannedSteps));
  else if (job) parts.push(job.title);
  return parts.join(' · ');
}

export function createStatus(command: string): { update(state: WorkbenchState, stepsDone: number): void; dispose(): void } {
  const item = vscode.window.createStatusBarItem('uoe.status', vscode.StatusBarAlignment.Right, 50);
  item.name = 'UOE';
  item.command = command;
  item.tooltip = vscode.l10n.t('Show the UOE workbench');
  return {
    update(state, stepsDone) {
      const crashed = state.engine.status === 'stopped';
      const text = crashed ? vscode.l10n.t('UOE: engine stopped') : statusText(state, stepsDone);
      item.text = `$(${crashed ? 'error' : 'circuit-board'}) ${withoutIcons(text)}`;
      item.accessibilityInformation = { label: plainText(text) };
      item.backgroundColor = crashed ? new vscode.ThemeColor('statusBarItem.errorBackground') : undefined;
      if (state.model || crashed) item.show();
      else item.hide();
    },
    dispose: () => item.dispose(),
  };
}
