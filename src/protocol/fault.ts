import { oneLine } from './one-line';

/** What can go wrong, in a form that crosses every wall: a code for programs, a sentence for people, a way out. */
export type FaultCode =
  | 'not-found' // a file or folder is missing
  | 'bad-file' // a file is there but its content is wrong
  | 'unsupported' // understood, but not something UOE does
  | 'bad-data' // a data row, a recipe field, an option
  | 'out-of-range' // a number outside what the model has
  | 'io' // the disk said no
  | 'no-memory'
  | 'not-finite' // NaN or Inf where a number was expected
  | 'conflict' // somebody else holds a lock, a fingerprint differs
  | 'usage' // the command line itself is off
  | 'cancelled'
  | 'internal';

/** `message` says what and where in one sentence; `remedy` says what to do. */
export interface Fault {
  readonly code: FaultCode;
  readonly message: string;
  readonly remedy?: string;
}

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: Fault };

export const ok = <T>(value: T): Result<T> => ({ ok: true, value });
/** Whatever the sentence quotes, it stays one line that shows as it is. */
export const fail = (code: FaultCode, message: string, remedy?: string): { readonly ok: false; readonly fault: Fault } => ({
  ok: false,
  fault: remedy === undefined ? { code, message: oneLine(message) } : { code, message: oneLine(message), remedy: oneLine(remedy) },
});

/** Carries a fault up the stack inside one room; the engine's edge turns it back into a value. */
export class FaultError extends Error {
  constructor(readonly fault: Fault) {
    super(fault.remedy === undefined ? fault.message : `${fault.message} ${fault.remedy}`);
    this.name = 'FaultError';
  }
}

/** The value, or the fault thrown as FaultError. */
export function unwrap<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new FaultError(result.fault);
}

/** Throws a fault: for places where the caller's wall catches. */
export function refuse(code: FaultCode, message: string, remedy?: string): never {
  throw new FaultError(fail(code, message, remedy).fault);
}

/** Any thrown thing as a fault; a programming error keeps its message and is marked internal. */
export function faultOf(error: unknown): Fault {
  if (error instanceof FaultError) return error.fault;
  if (error instanceof Error && error.name === 'AbortError') return { code: 'cancelled', message: 'Cancelled.' };
  const message = error instanceof Error ? error.message : String(error);
  return fail('internal', `Unexpected error: ${message}`, 'Please report it with the log.').fault;
}

/** One sentence (or two) for stderr or a notification. */
export const sentence = (fault: Fault): string => (fault.remedy === undefined ? fault.message : `${fault.message} ${fault.remedy}`);
