/** Tasks as processes of this machine, some at a time. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

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

const mostKept = 2 ** 16;

/** Starts this program again; a cancel asks for an orderly end, once. A group of its own: Ctrl-C in a terminal reaches it through here alone. */
function runTask(program: string, { id, args, log }: TaskCommand, signal: AbortSignal): Promise<TaskEnd> {
  return new Promise((resolve) => {
    const out = fs.openSync(log, 'w');
    let errors = '';
    const child = spawn(process.execPath, [program, ...args], { detached: true, stdio: ['ignore', out, 'pipe'] });
    fs.closeSync(out);
    const file = fs.createWriteStream(log, { flags: 'a' });
    child.stderr?.setEncoding('utf8');
    child.stderr?.on('data', (text: string) => {
      errors = (errors + text).slice(-mostKept);
      file.write(text);
    });
    const stop = () => child.kill('SIGINT');
    signal.addEventListener('abort', stop);
    const end = (code: number | null, said = '') => {
      signal.removeEventListener('abort', stop);
      file.end();
      const lines = `${errors}\n${said}`.split('\n').map((line) => line.trim());
      resolve({ id, code, lastWords: lines.findLast((line) => line !== '') ?? '' });
    };
    child.once('error', (error) => end(null, error.message));
    child.once('close', (code) => end(code));
  });
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
