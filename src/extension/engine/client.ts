/** The host's side of the engine: forks it when first needed, answers every request with a Result, says why an engine ended. No vscode here. */
import * as childProcess from 'node:child_process';
import type { MessageConnection } from 'vscode-jsonrpc/node';
import type { EngineEvents } from '../../protocol/engine';
import { fail, type Result } from '../../protocol/fault';
import { callEngine, type EventName, eventNames, type RequestAnswer, type RequestName, type RequestParams } from '../../protocol/rpc';

export type Progress = EngineEvents['progress'];

export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

export type EngineStatus =
  | { readonly status: 'starting' }
  | { readonly status: 'ready'; readonly answer: RequestAnswer<'handshake'> }
  /** `reason` is a sentence; `requested` when this side ended it. */
  | { readonly status: 'stopped'; readonly reason: string; readonly requested: boolean };

export interface EngineClient {
  /** Never rejects. Starts the engine if none is running. */
  request<K extends RequestName>(name: K, params: RequestParams<K>, options?: RequestOptions): Promise<Result<RequestAnswer<K>>>;
  /** Returns what stops the listening. */
  listen<E extends EventName>(event: E, listener: (payload: EngineEvents[E]) => void): () => void;
  pid(): number | undefined;
  /** Ends the engine; the next request starts a new one. */
  stop(): void;
}

export interface EngineOptions {
  /** dist/engine.js */
  readonly module: string;
  readonly handshake: () => RequestParams<'handshake'>;
  readonly onStatus: (status: EngineStatus) => void;
  readonly onOutput: (line: string) => void;
}

/** Loaded with the first request: no window waits for it. */
const loadCarrier = () => import('./carrier');
type Carrier = Awaited<ReturnType<typeof loadCarrier>>;

interface Live {
  readonly carrier: Carrier;
  readonly child: childProcess.ChildProcess;
  readonly connection: MessageConnection;
  readonly gone: Promise<Result<never>>;
  /** Of every request that has no answer yet: what ends it when the engine goes. A race against `gone` would hold each answer as long as the engine lives. */
  readonly pending: Set<(gone: Result<never>) => void>;
  ready: Promise<Result<RequestAnswer<'handshake'>>>;
  requested: boolean;
}

/** How a process ended, as a sentence. */
export function endingOf(code: number | null, signal: string | null, lastLine: string): string {
  if (signal === 'SIGKILL') return 'It ended with signal SIGKILL, most likely because memory ran out.';
  if (signal !== null) return `It ended with signal ${signal}.`;
  return lastLine === '' ? `It ended with exit code ${code}.` : `It ended with exit code ${code}: ${lastLine}`;
}

function fork(module: string): childProcess.ChildProcess {
  // process.execPath is the Electron helper on a desktop (hence ELECTRON_RUN_AS_NODE) and the server's own node on a remote.
  return childProcess.fork(module, ['--node-ipc'], {
    execArgv: [],
    silent: true,
    serialization: 'advanced',
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1', ELECTRON_NO_ASAR: '1', NODE_OPTIONS: '' },
  });
}

/** stdout and stderr, line by line; returns a reader of the last line on stderr. */
function watchOutput(child: childProcess.ChildProcess, onLine: (line: string) => void): () => string {
  let lastError = '';
  const watch = (stream: NodeJS.ReadableStream | null, isError: boolean) => {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      for (const line of text.split('\n').map((part) => part.trimEnd())) {
        if (line === '') continue;
        if (isError) lastError = line;
        onLine(line);
      }
    });
  };
  watch(child.stdout, false);
  watch(child.stderr, true);
  return () => lastError;
}

export function createEngineClient(options: EngineOptions): EngineClient {
  let live: Live | undefined;
  let requests = 0;
  const progress = new Map<string, (progress: Progress) => void>();
  const listeners = new Map<EventName, Set<(payload: never) => void>>(eventNames.map((name) => [name, new Set()]));

  function announce<E extends EventName>(event: E, payload: EngineEvents[E]): void {
    if (event === 'progress') progress.get((payload as Progress).request)?.(payload as Progress);
    for (const listener of listeners.get(event) ?? []) (listener as (payload: EngineEvents[E]) => void)(payload);
  }

  function start(carrier: Carrier): Live {
    options.onStatus({ status: 'starting' });
    const child = fork(options.module);
    const lastError = watchOutput(child, options.onOutput);
    const connection = carrier.createMessageConnection(new carrier.IPCMessageReader(child), new carrier.IPCMessageWriter(child));
    connection.onError(([error]) => options.onOutput(`connection: ${error.message}`));
    for (const name of eventNames) connection.onNotification(name, (payload: EngineEvents[typeof name]) => announce(name, payload));
    const started: Live = {
      carrier,
      child,
      connection,
      requested: false,
      pending: new Set(),
      gone: new Promise((resolve) => {
        const end = (reason: string) => {
          if (live === started) live = undefined;
          if (!started.requested) options.onStatus({ status: 'stopped', reason, requested: false });
          // Before dispose(), which would reject what is pending with a vaguer error.
          const fault = fail('internal', `The engine stopped. ${reason}`, 'Start it again; a run can be resumed from its last step.');
          resolve(fault);
          for (const ended of started.pending) ended(fault);
          connection.dispose();
        };
        // `close` comes after the last output: an exit's reason is on stderr.
        child.once('close', (code, signal) => end(endingOf(code, signal, lastError())));
        // After a disconnect from this side `close` does not come.
        child.once('exit', (code, signal) => started.requested && end(endingOf(code, signal, lastError())));
        child.once('error', (error) => end(`It could not be started: ${error.message}.`));
      }),
      ready: Promise.resolve(fail('internal', 'The engine is starting.')),
    };
    connection.listen();
    started.ready = send(started, 'handshake', options.handshake(), {}).then((result) => {
      if (result.ok) options.onStatus({ status: 'ready', answer: result.value });
      return result;
    });
    live = started;
    return started;
  }

  async function send<K extends RequestName>(
    to: Live,
    name: K,
    params: RequestParams<K>,
    { signal, onProgress }: RequestOptions,
  ): Promise<Result<RequestAnswer<K>>> {
    const request = `${name}-${++requests}`;
    const source = new to.carrier.CancellationTokenSource();
    const cancel = () => source.cancel();
    if (signal?.aborted) cancel();
    signal?.addEventListener('abort', cancel);
    if (onProgress) progress.set(request, onProgress);
    let ended: (gone: Result<never>) => void = () => undefined;
    try {
      const result = await new Promise<Result<RequestAnswer<K>>>((resolve, reject) => {
        ended = resolve;
        to.pending.add(ended);
        callEngine(to.connection, name, { request, params }, source.token).then(resolve, reject);
      });
      const lost = !result.ok && result.fault.code === 'internal' && !to.child.connected;
      return lost ? to.gone : result;
    } finally {
      signal?.removeEventListener('abort', cancel);
      to.pending.delete(ended);
      progress.delete(request);
      source.dispose();
    }
  }

  return {
    async request(name, params, requestOptions = {}) {
      let to = live;
      if (!to) {
        const carrier = await loadCarrier();
        // Another request may have started it meanwhile.
        to = live ?? start(carrier);
      }
      const ready = await to.ready;
      return ready.ok ? send(to, name, params, requestOptions) : ready;
    },
    listen(event, listener) {
      const set = listeners.get(event);
      set?.add(listener);
      return () => set?.delete(listener);
    },
    pid: () => live?.child.pid,
    stop() {
      if (!live) return;
      const { child } = live;
      live.requested = true;
      live = undefined;
      options.onStatus({ status: 'stopped', reason: 'It was stopped.', requested: true });
      if (child.connected) child.disconnect();
      const kill = setTimeout(() => child.kill('SIGKILL'), 3000);
      child.once('exit', () => clearTimeout(kill));
    },
  };
}
