/** The session in this process, as verbs see it. */
import path from 'node:path';
import { createSession } from '../engine/session';
import type { EngineEvents } from '../protocol/engine';
import { unwrap } from '../protocol/fault';
import { memoryBytes } from '../protocol/recipe';
import type { CommonOptions } from './options';
import type { ProgressDisplay } from './progress';
import type { Shell } from './verb';

export function openShell(
  { memory, threads, backend, workspace }: CommonOptions,
  signal: AbortSignal,
  display: ProgressDisplay,
): Shell & { readonly close: () => Promise<void> } {
  const listeners: { [E in keyof EngineEvents]?: ((payload: EngineEvents[E]) => void)[] } = {};
  const session = createSession(
    (event, payload) => {
      if (event === 'progress') display.show(payload as EngineEvents['progress']);
      if (event === 'log') display.note((payload as EngineEvents['log']).message);
      for (const listener of listeners[event] ?? []) listener(payload);
    },
    {
      ...(memory === undefined ? {} : { memory: unwrap(memoryBytes(memory)) }),
      ...(threads === undefined ? {} : { threads }),
      ...(backend === undefined ? {} : { backend }),
    },
  );
  return {
    signal,
    workspace: path.resolve(workspace ?? '.'),
    request: async (name, params, options = {}) =>
      unwrap(await session.handle(name, params, { request: options.id ?? name, signal: options.signal ?? signal })),
    listen(event, listener) {
      const own = () => (listeners[event] ?? []) as (typeof listener)[];
      Object.assign(listeners, { [event]: [...own(), listener] });
      return () => Object.assign(listeners, { [event]: own().filter((other) => other !== listener) });
    },
    note: display.note,
    close: () => session.dispose(),
  };
}
