/** Lines to `uoe mcp`, as a client that is broken or means harm sends them. After each handful it must still answer a ping within a second of its own work. */
import { spawn } from 'node:child_process';
import readline from 'node:readline';
import { mutateBytes, mutateJson, mutateText, randomOf } from './mutations';

const call = (name: string, args: object) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } });
const SEEDS = [
  { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } } },
  { jsonrpc: '2.0', method: 'notifications/initialized' },
  { jsonrpc: '2.0', id: 1, method: 'tools/list' },
  call('list_runs', {}),
  call('read_run', { run: '1' }),
  call('compare_runs', { runs: ['1', '2'] }),
  call('attribute', { model: '/nowhere', prompts: 'forget.jsonl' }),
  call('start_run', { recipe: { model: 'm', forget: 'f.jsonl' } }),
  call('export_run', { run: '1', to: '/nowhere/out', form: 'patch' }),
].map((message) => new TextEncoder().encode(JSON.stringify(message)));

const TOGETHER = 20;
const PATIENCE_MS = 20_000;

export interface AgentOutcome {
  readonly tried: number;
  readonly answered: number;
  readonly problems: readonly { readonly what: string; readonly input: Uint8Array }[];
}

export async function agentLines(cli: string, count: number, seed: number, folder: string): Promise<AgentOutcome> {
  const random = randomOf(seed);
  const server = spawn(process.execPath, [cli, 'mcp', '--workspace', folder], { stdio: ['pipe', 'pipe', 'pipe'] });
  let ended: string | null = null;
  let errors = '';
  server.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-2000);
  });
  server.on('exit', (code, signal) => {
    ended = `it ended with ${signal ?? code}: ${errors}`;
  });
  server.stdin.on('error', () => undefined);
  const problems: { what: string; input: Uint8Array }[] = [];
  let answered = 0;
  let pong: (id: unknown) => void = () => undefined;
  let sent: Uint8Array = new Uint8Array(0);
  readline.createInterface({ input: server.stdout }).on('line', (line) => {
    let message: { id?: unknown; result?: { isError?: boolean; content?: readonly { text?: string }[] } };
    try {
      message = JSON.parse(line) as typeof message;
    } catch {
      problems.push({ what: `a line that is no JSON: ${JSON.stringify(line.slice(0, 200))}`, input: sent });
      return;
    }
    if (typeof message.id === 'string' && message.id.startsWith('ping-')) return pong(message.id);
    answered++;
    const text = message.result?.isError ? (message.result.content?.[0]?.text ?? '') : '';
    if (text.includes('Unexpected error')) problems.push({ what: text.slice(0, 300), input: sent });
  });
  const ping = (id: string) =>
    new Promise<boolean>((resolve) => {
      const late = setTimeout(() => resolve(false), PATIENCE_MS);
      pong = (got) => {
        if (got !== id) return;
        clearTimeout(late);
        resolve(true);
      };
      server.stdin.write(`\n${JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' })}\n`);
    });
  for (const one of SEEDS.slice(0, 2)) server.stdin.write(`${new TextDecoder().decode(one)}\n`);
  let done = 0;
  for (; done < count && ended === null && problems.length < 10; done += TOGETHER) {
    const lines = Array.from({ length: Math.min(TOGETHER, count - done) }, () => {
      const input = SEEDS[Math.floor(random() * SEEDS.length)];
      const how = random();
      const made = how < 0.6 ? mutateJson(random, input) : how < 0.8 ? mutateText(random, input, ['\n', '"id":', 'Content-Length: 5\r\n\r\n']) : null;
      return Buffer.concat([made ?? mutateBytes(random, input, input), Buffer.from('\n')]);
    });
    sent = new Uint8Array(Buffer.concat(lines));
    server.stdin.write(sent);
    if (!(await ping(`ping-${done}`))) {
      problems.push({ what: ended ?? 'it no longer answers', input: sent });
      break;
    }
  }
  if (ended !== null) problems.push({ what: ended, input: sent });
  server.stdin.end();
  server.kill();
  return { tried: Math.min(done, count), answered, problems };
}
