/** What an agent may call: the same functions for the MCP server and for VS Code's language-model tools. */
import type { z } from 'zod';
import type { RunOutcome } from '../../protocol/engine';
import { refuse } from '../../protocol/fault';
import type { Recipe } from '../../protocol/recipe';
import type { RequestAnswer, RequestName, RequestParams } from '../../protocol/rpc';
import type { Grants } from './grants';

/** Where a tool is called from. */
export interface AgentHost {
  /** Absolute; relative paths of the input start here, and its .uoe/runs is the one place that is written without a grant. */
  readonly workspace: string;
  readonly grants: Grants;
  /** The checkpoint that is open already, if one is. */
  readonly openModel: string | null;
  /** Throws FaultError. */
  request<K extends RequestName>(name: K, params: RequestParams<K>): Promise<RequestAnswer<K>>;
  /** Starts a run, or goes on with one; throws FaultError. */
  startRun(recipe: Recipe | null, resume: string | undefined): Promise<RunOutcome>;
}

export interface AgentTool {
  /** As an agent calls it. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodType;
  /** Nothing is written anywhere. */
  readonly readOnly: boolean;
  /** Checks the input and does the work; the answer is plain JSON. Throws FaultError. */
  readonly call: (input: unknown, host: AgentHost) => Promise<Readonly<Record<string, unknown>>>;
}

interface Typed<I extends z.ZodType> extends Omit<AgentTool, 'input' | 'call'> {
  readonly input: I;
  readonly run: (input: z.infer<I>, host: AgentHost) => Promise<Readonly<Record<string, unknown>>>;
}

/** Says in a sentence what is wrong with an input. */
function checked<I extends z.ZodType>(schema: I, input: unknown, name: string): z.infer<I> {
  const parsed = schema.safeParse(input ?? {});
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  return refuse(
    'usage',
    `The input of ${name} is wrong${path.length > 0 ? ` at "${path.join('.')}"` : ''}: ${message}.`,
    'Its inputSchema says what it takes.',
  );
}

export const tool = <I extends z.ZodType>({ run, ...typed }: Typed<I>): AgentTool => ({
  ...typed,
  call: (input, host) => run(checked(typed.input, input, typed.name), host),
});

export function modelOf(host: AgentHost, model: string | undefined): string {
  return model ?? host.openModel ?? refuse('usage', 'No model was named.', 'Give "model": the folder of a checkpoint.');
}
