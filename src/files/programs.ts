/** Other programs: run to their end, with what they said. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { openLog } from './log-file';
import { readText } from './read';

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

/** Never rejects but for a cancel, which ends the program. */
export const runProgram = (
  program: string,
  args: readonly string[],
  { signal, environment, folder = root, limit, kept = 2 ** 20 }: ProgramOptions = {},
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const said = { out: '', errors: '' };
    const child = spawn(program, [...args], {
      env: { ...process.env, ...environment },
      cwd: folder,
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
        said[name] = (said[name] + text).slice(-kept);
      });
    }
    child.once('error', (error) => {
      said.errors += `\n${error.message}`;
      end({ code: null, signal: null, absent: true });
    });
    child.once('close', (code, endedBy) => end({ code, signal: endedBy, absent: false }));
  });

export interface LeftOptions {
  /** To which it writes all that it says. */
  readonly log: string;
  /** The log's line before that. */
  readonly line: string;
  /** Sends SIGINT, once. */
  readonly signal?: AbortSignal;
  readonly environment?: ProgramOptions['environment'];
  readonly folder?: string;
}

export interface LeftEnd {
  readonly code: number | null;
  /** `exit 1`, `ended by SIGKILL`, `could not be started` */
  readonly how: string;
  /** The last line of its log, or why it could not be started. */
  readonly lastWords: string;
}

/**
 * A program that goes on where this process is gone: in a group of its own, its log written by itself. Resolves when it was started; `ended` is for as long
 * as this process lives. A log that can't be opened is no reason to lose the work.
 */
export async function leaveProgram(
  program: string,
  args: readonly string[],
  { log, line, signal, environment, folder }: LeftOptions,
): Promise<{ readonly ended: Promise<LeftEnd> }> {
  const opened = await openLog(log, line);
  const output = opened.ok ? opened.value.fd : 'ignore';
  const env = { ...process.env, ...environment };
  const child = spawn(program, [...args], { env, cwd: folder, detached: true, stdio: ['ignore', output, output], windowsHide: true });
  const end = new Promise<{ readonly code: number | null; readonly how: string; readonly failure: string }>((resolve) => {
    child.once('error', ({ message }) => resolve({ code: null, how: 'could not be started', failure: message }));
    child.once('close', (code, name) => resolve({ code, how: code === null ? `ended by ${name}` : `exit ${code}`, failure: '' }));
  });
  if (opened.ok) await opened.value.close();
  const stop = () => child.kill('SIGINT');
  signal?.addEventListener('abort', stop);
  if (signal?.aborted) stop();
  const ended = end.then(async ({ code, how, failure }): Promise<LeftEnd> => {
    signal?.removeEventListener('abort', stop);
    const said = failure === '' ? await readText(log) : null;
    const lines = said?.ok ? said.value.split('\n').map((own) => own.trim()) : [];
    return { code, how, lastWords: failure || (lines.findLast((own) => own !== '') ?? '') };
  });
  return { ended };
}

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
