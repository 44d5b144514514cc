/** A sweep in a few words. */
import * as vscode from 'vscode';
import type { SweepCounts, SweepView } from '../protocol/sweep-view';

/** `12 of 24 done, 2 failed, 3 running` */
export function sweepCounts({ counts, isCutOff }: { readonly counts: SweepCounts } & Pick<SweepView, 'isCutOff'>): string {
  const { all, done, failed, running, queued } = counts;
  return [
    vscode.l10n.t('{0} of {1} done', done, all),
    ...(failed > 0 ? [vscode.l10n.t('{0} failed', failed)] : []),
    ...(running > 0 ? [vscode.l10n.t('{0} running', running)] : []),
    ...(queued > 0 ? [vscode.l10n.t('{0} queued', queued)] : []),
    ...(isCutOff ? [vscode.l10n.t('interrupted')] : []),
  ].join(', ');
}
