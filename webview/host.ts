/** The one door to the extension host. */

import type { WebviewMessage } from '../src/protocol/webview-message';
import type { HostMessage, WebviewMemory } from '../src/protocol/workbench';

declare function acquireVsCodeApi(): { postMessage(message: unknown): void; getState(): unknown; setState(state: unknown): void };

const vscode = acquireVsCodeApi();

export const post = (message: WebviewMessage): void => vscode.postMessage(message);

const firstMemory: WebviewMemory = { measure: 'affinity', order: 'number', compareTab: 'summary', answers: { filter: 'all', page: 0 } };

const isMemory = (value: unknown): value is Partial<WebviewMemory> => {
  const { measure, order } = (value ?? {}) as Partial<WebviewMemory>;
  return ['affinity', 'share', 'difference', 'effect'].includes(measure ?? '') && ['number', 'rank'].includes(order ?? '');
};

/** What an older version kept lacks what came later. */
export function readMemory(): WebviewMemory {
  const value = vscode.getState();
  return isMemory(value) ? { ...firstMemory, ...value } : firstMemory;
}

export const keepMemory = (memory: WebviewMemory): void => vscode.setState(memory);

export function onMessage(listener: (message: HostMessage) => void): void {
  window.addEventListener('message', (event: MessageEvent<HostMessage>) => listener(event.data));
}
