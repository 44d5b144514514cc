/** What a verb of the command line is: its words for --help, its options, and one function from arguments to what is shown. */
import type { Option } from 'commander';
import type { EngineEvents } from '../protocol/engine';
import type { RequestAnswer, RequestName, RequestParams } from '../protocol/rpc';
import type { CommonOptions } from './options';

/** What a verb gives: the JSON document of --json, and the same for people. */
export interface Shown {
  readonly json: unknown;
  readonly text: string;
  /** True where something was written or changed: then it is shown even if a cancel came too late. */
  readonly done?: boolean;
  /** A sentence on what failed although there is a result; the exit code is then 1. */
  readonly failure?: string;
}

/** What a verb works with. */
export interface Shell {
  readonly signal: AbortSignal;
  /** Absolute. */
  readonly workspace: string;
  /** A request to the engine's session; throws FaultError. `id` is what its progress carries, its name when left out. */
  request<K extends RequestName>(
    name: K,
    params: RequestParams<K>,
    options?: { readonly signal?: AbortSignal; readonly id?: string },
  ): Promise<RequestAnswer<K>>;
  /** Hears an event of the session; returns what ends the listening. */
  listen<E extends keyof EngineEvents>(event: E, listener: (payload: EngineEvents[E]) => void): () => void;
  /** One line on stderr. */
  note(text: string): void;
}

export interface Verb {
  readonly name: string;
  readonly summary: string;
  /** Each with its form (`<model>`, `[runs...]`) and a sentence. */
  readonly arguments?: readonly (readonly [form: string, help: string])[];
  readonly options: readonly Option[];
  readonly example: string;
  run(shell: Shell, args: readonly (string | readonly string[] | undefined)[], options: Readonly<Record<string, unknown>>): Promise<Shown>;
}

interface TypedVerb<Args extends readonly unknown[], Own> extends Omit<Verb, 'run'> {
  run(shell: Shell, args: Args, options: Own & CommonOptions): Promise<Shown>;
}

/** A verb with the types of its arguments and options; the parser made them what the verb declared. */
export const verb = <Args extends readonly unknown[], Own>(typed: TypedVerb<Args, Own>): Verb => ({
  ...typed,
  run: (shell, args, options) => typed.run(shell, args as unknown as Args, options as Own & CommonOptions),
});
