/** The workbench's webview: posts the host's state, hands validated messages to `act`, comes back after a window reload. */
import * as vscode from 'vscode';
import { mapStrings, plainText } from '../protocol/plain-text';
import type { WebviewMessage } from '../protocol/webview-message';
import type { HostMessage, WorkbenchState } from '../protocol/workbench';
import { createGate, type Gate } from './message-gate';
import { pageOf } from './page';
import type { Figures } from './workbench/loop';
import type { Store } from './workbench/store';

export const panelType = 'uoe.workbench';

/** Messages that hold prompts, answers or names; the others hold figures, and the state is made fit to show by itself. */
const withText: ReadonlySet<HostMessage['type']> = new Set(['prompts', 'tokens', 'routing', 'answers']);

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
  readonly act: (message: WebviewMessage) => Promise<void>;
  /** Takes paths of this machine out of a text; the same function while the paths are the same. */
  readonly clean: () => (text: string) => string;
  readonly log: vscode.LogOutputChannel;
}

interface Poster {
  ready(): void;
  later(): void;
  stop(): void;
}

/** The state as the page may have it: without paths, and with what could turn or hide writing shown. What did not change is not looked at again. */
function createShown(clean: PanelOptions['clean']): (state: WorkbenchState) => WorkbenchState {
  const known = new Map<string, { readonly of: unknown; readonly shown: unknown }>();
  let withoutPaths: ((text: string) => string) | null = null;
  return (state) => {
    const text = clean();
    if (text !== withoutPaths) known.clear();
    withoutPaths = text;
    const change = (value: string) => plainText(text(value));
    const entries = Object.entries(state).map(([name, value]): [string, unknown] => {
      const last = known.get(name);
      if (last && last.of === value) return [name, last.shown];
      const shown = mapStrings(value, change);
      known.set(name, { of: value, shown });
      return [name, shown];
    });
    return Object.fromEntries(entries) as unknown as WorkbenchState;
  };
}

/** Sends what changed since the last time: the state, a new heatmap, new step rows. */
function createPoster(send: (message: HostMessage) => void, { store, figures, clean }: PanelOptions): Poster {
  const shown = createShown(clean);
  const post = (message: HostMessage) => send(withText.has(message.type) ? mapStrings(message, plainText) : message);
  let isReady = false;
  let timer: NodeJS.Timeout | undefined;
  let last = 0;
  let sent: Partial<Figures> = {};
  let sentRun = '';
  let sentSteps = 0;
  let lastSent: unknown;

  function sendChanges(): void {
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
    post({ type: 'state', state: shown(store.get()) });
  }

  return {
    ready() {
      isReady = true;
      sent = {};
      sentRun = '';
      sentSteps = 0;
      sendChanges();
    },
    later() {
      if (timer) return;
      const isLive = store.get().job !== null || store.get().run?.status === 'running';
      timer = setTimeout(sendChanges, isLive ? Math.max(0, last + liveInterval - Date.now()) : 0);
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
    panel.title = model ? plainText(`UOE: ${model.name}`) : 'UOE';
  };
  subscriptions.push(options.store.subscribe(title));

  // A restored panel arrives without options.
  webview.options = { enableScripts: true, localResourceRoots: [options.dist] };
  const icon = (name: string) => vscode.Uri.joinPath(options.dist, '..', 'media', name);
  panel.iconPath = { light: icon('uoe-light.svg'), dark: icon('uoe-dark.svg') };
  // Loaded while the page loads, not when the window starts; messages keep their order.
  const gate = import('../protocol/webview-message').then(
    ({ webviewMessage }): Gate =>
      createGate({
        parse(raw) {
          const message = webviewMessage.safeParse(raw);
          return message.success ? message : { success: false, why: message.error.issues[0]?.message ?? 'unknown' };
        },
        act: (message) => (message.type === 'ready' ? poster.ready() : options.act(message)),
        warn: (text) => options.log.warn(plainText(text)),
      }),
  );
  webview.onDidReceiveMessage(async (raw: unknown) => void (await gate).take(raw));
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
