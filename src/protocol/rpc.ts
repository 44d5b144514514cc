/**
 * How the engine's requests and events travel between two processes: names, envelopes, error codes. The carrier (vscode-jsonrpc over
 * node IPC, serialization 'advanced') is bound at both ends in engine/serve.ts and extension/engine/client.ts; nothing here needs it.
 */
import type { EngineEvents, EngineRequests } from './engine';
import { type Fault, fail, ok, type Result } from './fault';

export type RequestName = keyof EngineRequests;
export type RequestParams<K extends RequestName> = EngineRequests[K][0];
export type RequestAnswer<K extends RequestName> = EngineRequests[K][1];
export type EventName = keyof EngineEvents;

/** `request` is the id the caller chose: progress events carry it. */
export interface RequestEnvelope<K extends RequestName> {
  readonly request: string;
  readonly params: RequestParams<K>;
}

const requests: Readonly<Record<RequestName, true>> = {
  handshake: true,
  openModel: true,
  closeModel: true,
  preview: true,
  attribute: true,
  chosenRows: true,
  tokenGates: true,
  resolveRecipe: true,
  planRun: true,
  startRun: true,
  steerRun: true,
  runs: true,
  readRun: true,
  answers: true,
  exportRun: true,
  runChanges: true,
  verifyExport: true,
  applyRun: true,
  restoreModel: true,
  score: true,
  generate: true,
  gradients: true,
  evaluate: true,
  audit: true,
  planMap: true,
  measureMap: true,
  compare: true,
  report: true,
  expertSet: true,
  doctor: true,
  planNative: true,
  setUpNative: true,
  removeNative: true,
};

const events: Readonly<Record<EventName, true>> = { progress: true, runStarted: true, step: true, check: true, log: true };

export const requestNames = Object.keys(requests) as readonly RequestName[];
export const eventNames = Object.keys(events) as readonly EventName[];

/** JSON-RPC error codes: cancelled is the one every JSON-RPC client knows; any other fault is an application error. */
export const cancelledCode = -32800;
export const faultCode = -32000;

export const errorCodeOf = (fault: Fault): number => (fault.code === 'cancelled' ? cancelledCode : faultCode);

const isFault = (data: unknown): data is Fault =>
  typeof data === 'object' && data !== null && typeof (data as Fault).code === 'string' && typeof (data as Fault).message === 'string';

/** A rejected JSON-RPC request as a Result: the fault it carries, else its own message. */
export function resultOfRejection(error: unknown): Result<never> {
  const { code, data, message } = (error ?? {}) as { code?: unknown; data?: unknown; message?: unknown };
  if (isFault(data)) return { ok: false, fault: data };
  if (code === cancelledCode) return fail('cancelled', 'Cancelled.');
  return fail('internal', `The engine did not answer: ${typeof message === 'string' ? message : String(error)}.`, 'The log has the details.');
}

/** What a carrier must offer to send requests; MessageConnection of vscode-jsonrpc does. */
export interface Caller<Token> {
  sendRequest(method: string, envelope: unknown, token?: Token): Promise<unknown>;
}

/** Sends one typed request; never rejects. */
export async function callEngine<K extends RequestName, Token>(
  caller: Caller<Token>,
  name: K,
  envelope: RequestEnvelope<K>,
  token?: Token,
): Promise<Result<RequestAnswer<K>>> {
  try {
    // vscode-jsonrpc counts an undefined argument as a parameter.
    const answer = token === undefined ? caller.sendRequest(name, envelope) : caller.sendRequest(name, envelope, token);
    return ok((await answer) as RequestAnswer<K>);
  } catch (error) {
    return resultOfRejection(error);
  }
}
