/** The badge T beside the target and its layer in the expert explorer. */
import * as vscode from 'vscode';
import { expertName } from '../../protocol/numbers';
import type { ExpertId } from '../../protocol/records';
import type { WorkbenchState } from '../../protocol/workbench';
import type { Store } from '../workbench/store';

export const expertScheme = 'uoe-expert';

export const layerUri = (layer: number): vscode.Uri => vscode.Uri.from({ scheme: expertScheme, path: `/L${layer}` });
export const expertUri = (id: ExpertId): vscode.Uri => vscode.Uri.from({ scheme: expertScheme, path: `/${expertName(id)}` });

export interface TargetBadge extends vscode.FileDecorationProvider {
  dispose(): void;
}

export function createTargetBadge(store: Store<WorkbenchState>): TargetBadge {
  const changed = new vscode.EventEmitter<vscode.Uri[]>();
  const marked = ({ target }: WorkbenchState) => (target ? [layerUri(target.layer), expertUri(target)] : []);
  const stop = store.subscribe((now, before) => now.target !== before.target && changed.fire([...marked(before), ...marked(now)]));
  return {
    onDidChangeFileDecorations: changed.event,
    provideFileDecoration(uri) {
      if (uri.scheme !== expertScheme || !marked(store.get()).some((own) => own.toString() === uri.toString())) return undefined;
      return { badge: 'T', tooltip: vscode.l10n.t('target') };
    },
    dispose() {
      stop();
      changed.dispose();
    },
  };
}
