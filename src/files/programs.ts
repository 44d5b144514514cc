/** Other programs: run to their end, with what they said. */
import { spawn } from 'node:child_process';
import path from 'node:path';

export interface Ended {
  /** null where it was ended by a signal or could not be started. */
  readonly code: number | null;
  readonly signal: string | null;
  /** The program itself is not there. */
  readonly absent: boolean;
  readonly out: string;
  readonly errors: string;
}

export interface ProgramOptions {
  readonly signal?: AbortSignal;
  /**
   * What a cancel does. `kill` (default): ends it at once and rejects. `ask`: sends SIGINT, once, and waits for its orderly end; the program has a
   * group of its own then, so that Ctrl-C in a terminal reaches it through `signal` alone.
   */
  readonly onCancel?: 'kill' | 'ask';
  /** Laid over this process's own; undefined takes a variable away. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Where it is started; the root of the disk where left out. */
  readonly folder?: string;
  /** Seconds after which it is ended. */
  readonly limit?: number;
  /** Characters kept of what it says, its last. */
  readonly kept?: number;
}

// Python looks for modules where it was started, and a compiler for its parts: not in a folder that came from somebody else.
const root = path.parse(process.execPath).root;

/** Never rejects but for a cancel that ends the program. */
export const runProgram = (
  program: string,
  args: readonly string[],
  { signal, onCancel = 'kill', environment, folder = root, limit, kept = 2 ** 20 }: ProgramOptions = {},
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const kills = onCancel === 'kill';
    if (kills) signal?.throwIfAborted();
    const said = { out: '', errors: '' };
    const child = spawn(program, [...args], {
      env: { ...process.env, ...environment },
      cwd: folder,
      detached: !kills,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limit === undefined ? undefined : limit * 1000,
      killSignal: 'SIGKILL',
    });
    const stop = () => child.kill(kills ? 'SIGKILL' : 'SIGINT');
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    const end = (how: Pick<Ended, 'code' | 'signal' | 'absent'>) => {
      signal?.removeEventListener('abort', stop);
      if (kills && signal?.aborted) reject(signal.reason);
      else resolve({ ...how, ...said });
    };
    for (const [stream, name] of [
      [child.stdout, 'out'],
      [child.stderr, 'errors'],
    ] as const) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        said[name] = (said[name] + text).slice(-kept);
      });
    }
    child.once('error', (error) => {
      said.errors += `\n${error.message}`;
      end({ code: null, signal: null, absent: true });
    });
    child.once('close', (code, endedBy) => end({ code, signal: endedBy, absent: false }));
  });

export const went = ({ code }: Ended): boolean => code === 0;

/** The line of a failed program that says most: its last one with "error" in it, else its last. */
export function lastWords({ errors, out, signal }: Ended): string {
  const lines = `${out}\n${errors}`
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  const words = lines.findLast((line) => /error|cannot|no such/i.test(line)) ?? lines.at(-1);
  return words?.slice(0, 300) ?? (signal === null ? 'it said nothing' : `it was ended by ${signal}`);
}
