/** The workbench's webview: posts the host's state, hands validated messages to `act`, comes back after a window reload. */
import * as vscode from 'vscode';
import type { WebviewMessage } from '../protocol/webview-message';
import type { HostMessage, WorkbenchState } from '../protocol/workbench';
import { cleaned } from './hidden-paths';
import { pageOf } from './page';
import type { Figures } from './workbench/loop';
import type { Store } from './workbench/store';

export const panelType = 'uoe.workbench';

/** At most four times a second while a run goes on. */
const liveInterval = 250;

export interface WorkbenchPanel {
  reveal(): void;
  isVisible(): boolean;
  readonly onVisibility: vscode.Event<boolean>;
  dispose(): void;
}

export interface PanelOptions {
  readonly dist: vscode.Uri;
  readonly store: Store<WorkbenchState>;
  readonly figures: Store<Figures>;
  readonly act: (message: WebviewMessage) => void;
  /** Takes paths of this machine out of a text. */
  readonly clean: () => (text: string) => string;
  readonly log: vscode.LogOutputChannel;
}

interface Poster {
  ready(): void;
  later(): void;
  stop(): void;
}

/** Sends what changed since the last time: the state, a new heatmap, new step rows. */
function createPoster(post: (message: HostMessage) => void, { store, figures, clean }: PanelOptions): Poster {
  let isReady = false;
  let timer: NodeJS.Timeout | undefined;
  let last = 0;
  let sent: Partial<Figures> = {};
  let sentRun = '';
  let sentSteps = 0;
  let lastSent: unknown;

  function send(): void {
    timer = undefined;
    last = Date.now();
    if (!isReady) return;
    const { heatmap, prompts, ticks, tokens, steps, routing, answers, effects } = figures.get();
    if (heatmap !== sent.heatmap) post({ type: 'heatmap', figures: heatmap });
    if (prompts !== sent.prompts) post({ type: 'prompts', list: prompts });
    if (ticks !== sent.ticks) post({ type: 'ticks', ticks });
    if (tokens !== sent.tokens) post({ type: 'tokens', strip: tokens });
    if (effects !== sent.effects) post({ type: 'effects', figures: effects ?? null });
    if (routing !== sent.routing) post({ type: 'routing', figures: routing ?? null });
    if (answers !== sent.answers) post({ type: 'answers', figures: answers ?? null });
    sent = { heatmap, prompts, ticks, tokens, routing, answers, effects };
    // Another run, or one that was resumed and has journalled a step anew.
    if (steps.run !== sentRun || steps.rows[sentSteps - 1] !== lastSent) sentSteps = 0;
    sentRun = steps.run;
    if (sentSteps === 0 || steps.rows.length > sentSteps) post({ type: 'steps', run: steps.run, from: sentSteps, rows: steps.rows.slice(sentSteps) });
    sentSteps = steps.rows.length;
    lastSent = steps.rows.at(-1);
    post({ type: 'state', state: cleaned(store.get(), clean()) });
  }

  return {
    ready() {
      isReady = true;
      sent = {};
      sentRun = '';
      sentSteps = 0;
      send();
    },
    later() {
      if (timer) return;
      const isLive = store.get().job !== null || store.get().run?.status === 'running';
      timer = setTimeout(send, isLive ? Math.max(0, last + liveInterval - Date.now()) : 0);
    },
    stop: () => clearTimeout(timer),
  };
}

/** Wires a panel that VS Code has just made or restored. */
export function wirePanel(panel: vscode.WebviewPanel, options: PanelOptions): WorkbenchPanel {
  const { webview } = panel;
  const visibility = new vscode.EventEmitter<boolean>();
  const poster = createPoster((message) => void webview.postMessage(message), options);
  const subscriptions = [options.store.subscribe(poster.later), options.figures.subscribe(poster.later)];
  const title = () => {
    const { model } = options.store.get();
    panel.title = model ? `UOE: ${model.name}` : 'UOE';
  };
  subscriptions.push(options.store.subscribe(title));

  // A restored panel arrives without options.
  webview.options = { enableScripts: true, localResourceRoots: [options.dist] };
  const icon = (name: string) => vscode.Uri.joinPath(options.dist, '..', 'media', name);
  panel.iconPath = { light: icon('uoe-light.svg'), dark: icon('uoe-dark.svg') };
  // Loaded while the page loads, not when the window starts; messages keep their order.
  const checks = import('../protocol/webview-message');
  webview.onDidReceiveMessage(async (raw: unknown) => {
    const { webviewMessage } = await checks;
    const message = webviewMessage.safeParse(raw);
    if (!message.success) return options.log.warn(`Refused a message from the webview: ${message.error.issues[0]?.message ?? 'unknown'}`);
    if (message.data.type === 'ready') poster.ready();
    else options.act(message.data);
  });
  panel.onDidChangeViewState(() => visibility.fire(panel.visible));
  panel.onDidDispose(() => {
    poster.stop();
    for (const stop of subscriptions) stop();
    visibility.fire(false);
    visibility.dispose();
  });
  title();
  webview.html = pageOf(webview, options.dist);

  return {
    reveal: () => panel.reveal(),
    isVisible: () => panel.visible,
    onVisibility: visibility.event,
    dispose: () => panel.dispose(),
  };
}
