/** The engine's session: one backend, the open model, two queues; the same for the command line and the extension. */
import { knownRuns } from '../experiment/comparison-runs';
import { diskReader } from '../experiment/run-reader';
import type { EngineRequests } from '../protocol/engine';
import { fail, faultOf, ok, type Result } from '../protocol/fault';
import { paramsFault } from '../protocol/request-schema';
import type { Call, Session, Settings } from './call';
import { handlers } from './handlers';
import { createLane, leaving } from './lane';
import { openedModels } from './opened-models';
import type { Emit, RequestContext, RequestHandler } from './serve';
import { createSteering } from './steering';

/** What holds until a handshake says otherwise; memory as in a recipe's default. */
const usual: Settings = { backend: 'auto', threads: 'auto', memory: 8e9 };

export function createSession(emit: Emit, settings: Partial<Settings> = {}): RequestHandler {
  const session: Session = {
    emit,
    settings: { ...usual, ...settings },
    models: openedModels(),
    runs: knownRuns(diskReader),
    lanes: { reading: createLane(), running: createLane() },
    steering: createSteering(),
  };

  const callOf = ({ request, signal }: RequestContext): Call => ({
    signal,
    // After a cancel nobody waits for it any more.
    progress: (phase, done, total, unit) => !signal.aborted && emit('progress', { request, phase, done, total, unit }),
  });

  async function handle<K extends keyof EngineRequests>(name: K, params: EngineRequests[K][0], context: RequestContext): Promise<Result<EngineRequests[K][1]>> {
    const wrong = paramsFault(name, params);
    if (wrong) return { ok: false, fault: wrong };
    const { answer, lane, leaves } = handlers[name];
    const call = callOf(context);
    try {
      if (context.signal.aborted) return fail('cancelled', 'Cancelled.');
      const work = () => answer(session, params, call);
      const running = lane === null ? work() : session.lanes[lane].run(work, context.signal, (before) => call.progress('Waiting', 0, before, 'jobs before it'));
      return ok(await (leaves ? leaving(running, context.signal) : running));
    } catch (error) {
      const fault = faultOf(error);
      if (fault.code === 'internal' && error instanceof Error) emit('log', { level: 'error', message: error.stack ?? error.message });
      return { ok: false, fault };
    }
  }

  return { handle, dispose: () => session.models.close() };
}
