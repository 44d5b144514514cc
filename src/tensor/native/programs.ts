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
  readonly environment?: Readonly<Record<string, string>>;
  /** Seconds after which it is ended. */
  readonly limit?: number;
}

const mostKept = 2 ** 20;

/** Never rejects but for a cancel, which ends the program. */
export const runProgram = (program: string, args: readonly string[], { signal, environment, limit }: ProgramOptions = {}): Promise<Ended> =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const said = { out: '', errors: '' };
    const child = spawn(program, [...args], {
      env: { ...process.env, ...environment },
      // Python looks for modules where it was started, and a compiler for its parts: not in a folder that came from somebody else.
      cwd: path.parse(process.execPath).root,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limit === undefined ? undefined : limit * 1000,
      killSignal: 'SIGKILL',
    });
    const stop = () => child.kill('SIGKILL');
    signal?.addEventListener('abort', stop);
    const end = (how: Pick<Ended, 'code' | 'signal' | 'absent'>) => {
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) reject(signal.reason);
      else resolve({ ...how, ...said });
    };
    for (const [stream, name] of [
      [child.stdout, 'out'],
      [child.stderr, 'errors'],
    ] as const) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        said[name] = (said[name] + text).slice(-mostKept);
      });
    }
    child.once('error', (error) => {
      said.errors += error.message;
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
