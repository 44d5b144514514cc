/** UOE's tools for chat agents in VS Code: the same as the MCP server's, on the engine of this window. Starting a run asks first. */
import * as vscode from 'vscode';
import type { AgentHost } from '../../engine/agent/tool';
import { FaultError, faultOf, sentence, unwrap } from '../../protocol/fault';
import { plainText } from '../../protocol/plain-text';
import type { EngineClient } from '../engine/client';
import type { Loop } from '../workbench/loop';
import { offered } from './offered';

export interface AgentParts {
  readonly engine: EngineClient;
  readonly loop: Pick<Loop, 'memento' | 'startRecipe' | 'cancelRun'>;
  readonly workspace: () => string;
}

/** A person confirms each run in VS Code's own dialog; exports have no tool here. */
const grants: AgentHost['grants'] = {
  runs: true,
  exports: [],
  how: { runs: '', exports: () => vscode.l10n.t('export it in the workbench') },
};

function hostOf({ engine, loop, workspace }: AgentParts, token: vscode.CancellationToken): AgentHost {
  const abort = new AbortController();
  if (token.isCancellationRequested) abort.abort();
  token.onCancellationRequested(() => abort.abort());
  return {
    workspace: workspace(),
    grants,
    openModel: loop.memento().model,
    request: async (name, params) => unwrap(await engine.request(name, params, { signal: abort.signal })),
    async startRun(recipe, resume) {
      const cancel = () => loop.cancelRun();
      abort.signal.addEventListener('abort', cancel);
      try {
        return unwrap(await loop.startRecipe(recipe, resume));
      } finally {
        abort.signal.removeEventListener('abort', cancel);
      }
    },
  };
}

/** What an agent wrote, as text: VS Code draws the question as Markdown. */
function asText(text: string): vscode.MarkdownString {
  const shown = new vscode.MarkdownString('', false).appendText(plainText(text));
  shown.isTrusted = false;
  shown.supportHtml = false;
  return shown;
}

/** What a person is asked before a run. */
function confirmation(input: unknown): vscode.LanguageModelToolConfirmationMessages {
  const { resume, method, preset, steps, recipe, ...named } = (input ?? {}) as Record<string, unknown>;
  const forget = named.forget ?? (recipe as Record<string, unknown> | undefined)?.forget;
  const title = vscode.l10n.t('Start an unlearning run?');
  if (resume !== undefined) return { title, message: asText(vscode.l10n.t('Goes on with run {0}.', String(resume))) };
  const how = [method, preset, steps === undefined ? undefined : vscode.l10n.t('{0} steps', String(steps))].filter((part) => part !== undefined).join(', ');
  const message = vscode.l10n.t(
    'Trains one expert to forget {0} ({1}). It writes into .uoe/runs only; the checkpoint is not changed.',
    String(forget),
    how || '–',
  );
  return { title, message: asText(message) };
}

function registered(name: string, { title, writes }: (typeof offered)[string], parts: AgentParts): vscode.Disposable {
  return vscode.lm.registerTool<object>(`uoe_${name}`, {
    prepareInvocation: ({ input }) => ({
      invocationMessage: title,
      ...(writes ? { confirmationMessages: confirmation(input) } : {}),
    }),
    async invoke({ input }, token) {
      try {
        if (!vscode.workspace.isTrusted)
          throw new FaultError({ code: 'usage', message: vscode.l10n.t('UOE does nothing in this workspace until you trust it.') });
        // Loaded when an agent first calls: no window waits for it.
        const { agentTools } = await import('../../engine/agent/tools');
        const tool = agentTools.find((one) => one.name === name);
        if (!tool) throw new Error(`There is no tool "${name}".`);
        const answer = await tool.call(input, hostOf(parts, token));
        return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(JSON.stringify(answer))]);
      } catch (error) {
        throw new Error(plainText(sentence(faultOf(error))));
      }
    },
  });
}

export const registerAgentTools = (parts: AgentParts): readonly vscode.Disposable[] =>
  Object.entries(offered).map(([name, tool]) => registered(name, tool, parts));
