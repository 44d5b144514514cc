/** Tasks as processes of this machine, some at a time. */
import { spawn } from 'node:child_process';
import os from 'node:os';
import { writeAtomic } from '../files/atomic-write';

/** A command of this program, to be carried out anywhere. */
export interface TaskCommand {
  readonly id: string;
  readonly args: readonly string[];
  /** What it says goes to this file. */
  readonly log: string;
}

export interface TaskEnd {
  readonly id: string;
  /** null where a signal ended it. */
  readonly code: number | null;
  /** The last line it said on stderr. */
  readonly lastWords: string;
}

const mostKept = 2 ** 20;

/** Starts this program again; a cancel asks for an orderly end, once. A group of its own: Ctrl-C in a terminal reaches it through here alone. */
async function runTask(program: string, { id, args, log }: TaskCommand, signal: AbortSignal): Promise<TaskEnd> {
  const child = spawn(process.execPath, [program, ...args], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', errors: '' };
  for (const [stream, name] of [
    [child.stdout, 'out'],
    [child.stderr, 'errors'],
  ] as const) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      said[name] = (said[name] + text).slice(-mostKept);
    });
  }
  const stop = () => child.kill('SIGINT');
  signal.addEventListener('abort', stop);
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      said.errors += `\n${error.message}`;
      resolve(null);
    });
    child.once('close', resolve);
  });
  signal.removeEventListener('abort', stop);
  // A log that can't be written is no reason to lose the run.
  await writeAtomic(log, `${said.errors}\n${said.out}`);
  const lines = said.errors.split('\n').map((line) => line.trim());
  return { id, code, lastWords: lines.findLast((line) => line !== '') ?? '' };
}

/** Carries the tasks out, at most `workers` at once, in their order. After a cancel none is begun; it ends when all have ended. */
export async function runLocally(
  program: string,
  tasks: readonly TaskCommand[],
  workers: number,
  signal: AbortSignal,
  each: { readonly began: (id: string) => void; readonly ended: (end: TaskEnd) => void | Promise<void> },
): Promise<void> {
  const waiting = [...tasks];
  const work = async () => {
    for (let task = waiting.shift(); task && !signal.aborted; task = waiting.shift()) {
      each.began(task.id);
      await each.ended(await runTask(program, task, signal));
    }
  };
  await Promise.all(Array.from({ length: Math.min(workers, tasks.length) }, work));
}

/** Threads of one of `workers` that share this machine. */
export const threadsEach = (workers: number): number => Math.max(1, Math.floor(os.availableParallelism() / workers));
