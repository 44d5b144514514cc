/** Binds a session to a JSON-RPC connection: every request of the protocol, cancellation as an AbortSignal, faults as the data of errors. */
import { type MessageConnection, ResponseError } from 'vscode-jsonrpc/node';
import type { EngineEvents, EngineRequests } from '../protocol/engine';
import { type Fault, fail, faultOf, type Result } from '../protocol/fault';
import { errorCodeOf, type RequestEnvelope, type RequestName, requestNames } from '../protocol/rpc';

export interface RequestContext {
  readonly request: string;
  readonly signal: AbortSignal;
}

export interface RequestHandler {
  handle<K extends keyof EngineRequests>(name: K, params: EngineRequests[K][0], context: RequestContext): Promise<Result<EngineRequests[K][1]>>;
  dispose(): Promise<void>;
}

export type Emit = <E extends keyof EngineEvents>(event: E, payload: EngineEvents[E]) => void;

interface Cancellation {
  readonly isCancellationRequested: boolean;
  onCancellationRequested(listener: () => void): { dispose(): void };
}

async function answer<K extends RequestName>(handler: RequestHandler, name: K, envelope: RequestEnvelope<K>, token: Cancellation): Promise<unknown> {
  if (typeof envelope?.request !== 'string')
    return responseOf(fail('usage', `The request ${name} has no id and parameters.`, 'Send {"request", "params"}.').fault);
  const abort = new AbortController();
  if (token.isCancellationRequested) abort.abort();
  const listening = token.onCancellationRequested(() => abort.abort());
  try {
    const result = await handler.handle(name, envelope.params, { request: envelope.request, signal: abort.signal });
    return result.ok ? result.value : responseOf(result.fault);
  } catch (error) {
    return responseOf(faultOf(error));
  } finally {
    listening.dispose();
  }
}

const responseOf = (fault: Fault) => new ResponseError<Fault>(errorCodeOf(fault), fault.message, fault);

/** Answers every request with the handler that `create` makes; its events go out as notifications. Call before connection.listen(). */
export function serve(connection: MessageConnection, create: (emit: Emit) => RequestHandler): RequestHandler {
  const handler = create((event, payload) => {
    // A closed connection means that the host has gone: nobody is left to tell.
    connection.sendNotification(event, payload).catch(() => undefined);
  });
  for (const name of requestNames) connection.onRequest(name, (envelope: RequestEnvelope<typeof name>, token) => answer(handler, name, envelope, token));
  return handler;
}
