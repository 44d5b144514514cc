/** A job in VS Code's own places: a quiet line while the workbench shows it, a cancellable notification while it does not. */
import * as vscode from 'vscode';
import { withoutIcons, withoutLinks } from './shown-text';
import type { Job } from './workbench/job';

export interface Visibility {
  readonly isVisible: () => boolean;
  readonly onChange: vscode.Event<boolean>;
}

/** Shows `job` in one place until the returned function is called. */
function showIn(location: vscode.ProgressLocation, job: Job): () => void {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const cancellable = location === vscode.ProgressLocation.Notification;
  const shownTitle = cancellable ? withoutLinks(`UOE: ${job.title}`) : withoutIcons(job.title);
  void vscode.window.withProgress({ location, title: shownTitle, cancellable }, (progress, token) => {
    let shown = 0;
    const update = () => {
      const { message, share } = job.view();
      const now = 100 * (share ?? 0);
      // A new phase starts at 0 again; VS Code's bar only grows.
      progress.report({
        message: cancellable ? withoutLinks(message) : withoutIcons(message),
        ...(share === null ? {} : { increment: Math.max(0, now - shown) }),
      });
      shown = Math.max(shown, now);
    };
    const stop = job.onChange(update);
    token.onCancellationRequested(job.cancel);
    update();
    return ended.finally(stop);
  });
  return end;
}

/** Returns what ends the presentation. */
export function presentJob(job: Job, workbench: Visibility): () => void {
  const place = () => (workbench.isVisible() ? vscode.ProgressLocation.Window : vscode.ProgressLocation.Notification);
  let shownIn = place();
  let end = showIn(shownIn, job);
  const following = workbench.onChange(() => {
    if (place() === shownIn) return;
    end();
    shownIn = place();
    end = showIn(shownIn, job);
  });
  return () => {
    following.dispose();
    end();
  };
}
