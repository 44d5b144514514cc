/** "Set Up Native Acceleration": says what is fetched, asks, shows progress, and offers to start the engine anew; once set up it can be removed. */
import * as vscode from 'vscode';
import type { NativePlan } from '../protocol/engine';
import type { Fault } from '../protocol/fault';
import { bytes } from '../protocol/numbers';
import type { EngineClient } from './engine/client';
import { offer, tell } from './notices';
import { withoutLinks } from './shown-text';

export interface NativeSetupParts {
  readonly engine: EngineClient;
  readonly restartEngine: () => Promise<void>;
  readonly report: (fault: Fault) => void;
}

function planWords({ folder, present, inPlace, fetch }: NativePlan): string {
  const has = present ? `${vscode.l10n.t('TensorFlow {0} is set up in {1}.', present.tensorflow, folder)} ` : '';
  if (inPlace !== null) return has + vscode.l10n.t('The TensorFlow in {0} is used in place; only a small addon is compiled.', inPlace);
  if (fetch === null) return has + vscode.l10n.t('TensorFlow was fetched before; only a small addon is compiled.');
  return has + vscode.l10n.t('{0} are fetched with pip, {1} are kept in {2}.', bytes(fetch.bytes), bytes(fetch.kept), folder);
}

export const setUpNativeOf =
  ({ engine, restartEngine, report }: NativeSetupParts) =>
  async (): Promise<void> => {
    const plan = await engine.request('planNative', {});
    if (!plan.ok) return report(plan.fault);
    const setUp = plan.value.present ? vscode.l10n.t('Set Up Again') : vscode.l10n.t('Set Up');
    const remove = vscode.l10n.t('Remove');
    const chosen = await offer(
      vscode.l10n.t('Set up TensorFlow as UOE’s backend?'),
      `${planWords(plan.value)}\n\n${vscode.l10n.t('It is proved in another process before it is used, and can be removed with the same command.')}`,
      ...(plan.value.present ? [setUp, remove] : [setUp]),
    );
    if (chosen === undefined) return;
    const changed = chosen === remove ? await removeIt(engine) : await setItUp(engine);
    if ('fault' in changed) {
      if (changed.fault.code !== 'cancelled') report(changed.fault);
      return;
    }
    const restart = vscode.l10n.t('Restart Engine');
    const answer = await tell(`${changed.words} ${vscode.l10n.t('The engine uses it from its next start.')}`, restart);
    if (answer === restart) await restartEngine();
  };

type Changed = { readonly words: string } | { readonly fault: Fault };

async function removeIt(engine: EngineClient): Promise<Changed> {
  const removed = await engine.request('removeNative', {});
  return removed.ok ? { words: vscode.l10n.t('TensorFlow was removed from {0}.', removed.value.folder) } : { fault: removed.fault };
}

const setItUp = async (engine: EngineClient): Promise<Changed> =>
  vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('UOE: setting up TensorFlow'), cancellable: true },
    async (progress, token) => {
      const cancel = new AbortController();
      token.onCancellationRequested(() => cancel.abort());
      let shown = 0;
      const made = await engine.request(
        'setUpNative',
        {},
        {
          signal: cancel.signal,
          onProgress: ({ phase, done, total }) => {
            const share = total > 0 ? (100 * done) / total : 0;
            progress.report({ message: withoutLinks(phase), increment: Math.max(0, share - shown) });
            shown = Math.max(shown, share);
          },
        },
      );
      if (!made.ok) return { fault: made.fault };
      return { words: vscode.l10n.t('TensorFlow {0} is set up: {1} GFLOP/s.', made.value.tensorflow, made.value.gigaflops.toFixed(0)) };
    },
  );
