import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from 'vscode-jsonrpc/node';
import { type RequestHandler, serve } from '../../../../src/engine/serve';
import { createSession } from '../../../../src/engine/session';
import { parseJson } from '../../../../src/files/read';
import { type Fault, fail } from '../../../../src/protocol/fault';
import { paramsFault } from '../../../../src/protocol/request-schema';
import { recipe } from '../recipe';
import { lines } from '../rows';
import { run } from '../run-files';
import { jsonOf, type OpenTarget, textOf } from '../target';

/** Requests that read files and nothing else; the parameters of the others are checked, and that is all. */
const READS: ReadonlySet<string> = new Set([
  'openModel',
  'closeModel',
  'preview',
  'chosenRows',
  'resolveRecipe',
  'steerRun',
  'runs',
  'readRun',
  'compare',
  'report',
  'expertSet',
]);

export const engineRequests: OpenTarget = ({ folder }) => {
  // Requests reach the session as another process sends them; those that write are answered by nobody.
  const carrier = Object.assign(new EventEmitter(), {
    send: (_message: unknown, ...rest: unknown[]) => void (rest.at(-1) as ((error: Error | null) => void) | undefined)?.(null),
    connected: true,
  });
  const answers = new EventEmitter();
  const session = createSession(() => undefined, { backend: 'cpu', threads: 1 });
  const handler: RequestHandler = {
    handle: async (name, params, context) => {
      const nobody = fail('unsupported', 'Nobody answers this here.', 'Ask for something that only reads.') as never;
      const result = READS.has(name)
        ? await session.handle(name, params, context)
        : (paramsFault(name, params) ?? null) === null
          ? nobody
          : { ok: false as const, fault: paramsFault(name, params) as Fault };
      answers.emit('answer', result.ok ? null : result.fault);
      return result;
    },
    dispose: () => session.dispose(),
  };
  const connection = createMessageConnection(
    new IPCMessageReader(carrier as unknown as NodeJS.Process),
    new IPCMessageWriter(carrier as unknown as NodeJS.Process),
    { error: () => undefined, warn: () => undefined, info: () => undefined, log: () => undefined },
  );
  connection.onError(() => undefined);
  serve(connection, () => handler);
  connection.listen();
  const file = (at: string) => ({ kind: 'file', path: at });
  const request = (method: string, params: object) => jsonOf({ jsonrpc: '2.0', id: 1, method, params: [{ request: 'r-1', params }] });
  const rowsFile = path.join(folder, 'known.jsonl');
  fs.writeFileSync(rowsFile, lines);
  return {
    name: 'requests to the engine',
    refusedSeeds: true,
    form: 'json',
    share: 5,
    seeds: [
      request('chosenRows', { sources: [file(rowsFile), { kind: 'text', text: 'a\n\nb', origin: 'x.txt', line: 1 }], rows: [{ source: 0, line: 1 }] }),
      request('resolveRecipe', { recipe, folder }),
      request('runs', { workspace: folder }),
      request('readRun', { run: '1', workspace: folder }),
      request('compare', { workspace: folder, runs: [] }),
      request('report', { run: '1', workspace: folder, form: 'markdown', filesOnly: true }),
      request('preview', { model: '/nowhere', forget: [file(rowsFile)], maxLength: 5 }),
      request('expertSet', { record: run.attribution ?? {}, score: 'affinity', p: 0.2 }),
      request('score', { model: '/nowhere', data: [file(rowsFile)], forbid: [{ layer: 0, expert: 1 }] }),
      request('openModel', { path: '/nowhere' }),
      request('steerRun', { action: 'pause' }),
    ],
    run: async (input) => {
      // They come as values, not as text: what a reader of text refuses is no message.
      const { value: message = null } = parseJson(textOf(input), 'message') as { value?: unknown };
      if (message === null) return null;
      let fault: Fault | null = null;
      let answered: () => void = () => undefined;
      const answer = new Promise<void>((resolve) => {
        answered = resolve;
      });
      answers.once('answer', (own: Fault | null) => {
        fault = own;
        answered();
      });
      carrier.emit('message', message);
      await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 4))]);
      answers.removeAllListeners('answer');
      return fault;
    },
    close: async () => {
      await session.dispose();
      connection.dispose();
    },
  };
};
