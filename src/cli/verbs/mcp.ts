import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { Option } from 'commander';
import { z } from 'zod';
import { version } from '../../../package.json';
import type { Grants } from '../../engine/agent/grants';
import type { AgentHost } from '../../engine/agent/tool';
import { agentTools } from '../../engine/agent/tools';
import { faultOf, sentence } from '../../protocol/fault';
import { collected } from '../options';
import { type Shell, verb } from '../verb';

interface Own {
  readonly allowRuns?: boolean;
  readonly allowExport?: readonly string[];
}

const grantsOf = ({ allowRuns = false, allowExport = [] }: Own): Grants => ({
  runs: allowRuns,
  exports: allowExport,
  how: {
    runs: 'whoever starts the server grants it with "uoe mcp --allow-runs"',
    exports: (folder) => `whoever starts the server grants it with "uoe mcp --allow-export ${folder}"`,
  },
});

function serverOf(shell: Shell, grants: Grants): Server {
  const server = new Server({ name: 'uoe', version }, { capabilities: { tools: {} } });
  let calls = 0;

  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: agentTools.map(({ name, title, description, input, readOnly }) => ({
      name,
      title,
      description,
      inputSchema: z.toJSONSchema(input, { io: 'input' }) as { type: 'object' },
      annotations: { title, readOnlyHint: readOnly, destructiveHint: false, openWorldHint: false },
    })),
  }));

  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal, sendNotification }) => {
    const called = agentTools.find(({ name }) => name === params.name);
    const wrong = (text: string) => ({ content: [{ type: 'text' as const, text }], isError: true });
    if (!called) return wrong(`There is no tool "${params.name}"; there are ${agentTools.map(({ name }) => name).join(', ')}.`);
    const id = `mcp-${++calls}`;
    const options = { signal: AbortSignal.any([signal, shell.signal]), id };
    const progressToken = params._meta?.progressToken;
    const stopListening = shell.listen('progress', ({ request, phase, done, total, unit }) => {
      if (request !== id || progressToken === undefined) return;
      const message = total > 0 ? `${phase}: ${done} of ${total} ${unit}` : phase;
      void sendNotification({ method: 'notifications/progress', params: { progressToken, progress: done, ...(total > 0 ? { total } : {}), message } }).catch(
        () => undefined,
      );
    });
    const { workspace, request } = shell;
    const host: AgentHost = {
      workspace,
      grants,
      openModel: null,
      request: (name, own) => request(name, own, options),
      startRun: (recipe, resume) =>
        request('startRun', { recipe: recipe ?? {}, folder: workspace, workspace, ...(resume === undefined ? {} : { resume }) }, options),
    };
    try {
      const answer = await called.call(params.arguments, host);
      return { content: [{ type: 'text' as const, text: JSON.stringify(answer) }], structuredContent: { ...answer } };
    } catch (error) {
      return wrong(sentence(faultOf(error)));
    } finally {
      stopListening();
    }
  });
  return server;
}

/** Until the client goes, or Ctrl-C. */
const ended = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    process.stdin.once('end', resolve);
    process.stdin.once('close', resolve);
    signal.addEventListener('abort', () => resolve());
  });

export const mcp = verb<[], Own>({
  name: 'mcp',
  summary: 'Serve agents over the Model Context Protocol on stdin and stdout',
  options: [
    new Option('--allow-runs', 'let the client start runs; they are written into .uoe/runs of the workspace'),
    new Option('--allow-export <folder>', 'let the client export results below this folder; may be given several times').argParser(collected),
  ],
  example: 'uoe mcp --workspace . --allow-runs',
  async run(shell, _args, options) {
    const gone = new AbortController();
    const server = serverOf({ ...shell, signal: AbortSignal.any([shell.signal, gone.signal]) }, grantsOf(options));
    const end = ended(shell.signal);
    await server.connect(new StdioServerTransport());
    await end;
    // What is under way is cancelled in order: a run can be resumed.
    gone.abort();
    await server.close();
    return { json: null, text: '', done: true };
  },
});
