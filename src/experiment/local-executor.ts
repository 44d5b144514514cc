/** Tasks as processes of this machine, some at a time. */
import { spawn } from 'node:child_process';
import os from 'node:os';
import { writeAtomic } from '../files/atomic-write';
import { type Executor, lastLine, orCancelled, type Sight, type TaskCommand } from './executor';

const mostKept = 2 ** 20;

/** Starts this program again. A group of its own: Ctrl-C in a terminal reaches it through `signal` alone, which asks for an orderly end, once. */
async function runTask(program: string, { args, log }: TaskCommand, signal: AbortSignal): Promise<{ how: string; lastWords: string }> {
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
  const how = await new Promise<string>((resolve) => {
    child.once('error', (error) => {
      said.errors += `\n${error.message}`;
      resolve('could not be started');
    });
    child.once('close', (code, name) => resolve(code === null ? `ended by ${name}` : `exit ${code}`));
  });
  signal.removeEventListener('abort', stop);
  // A log that can't be written is no reason to lose the run.
  await writeAtomic(log, `${said.errors}\n${said.out}`);
  return { how, lastWords: lastLine(said.errors) };
}

/** At most `workers` at once, in their order. `program`: the file that node runs. */
export function localExecutor(program: string, workers: number): Executor {
  const seen = new Map<string, Sight>();
  const stops = new Map<string, AbortController>();
  const words = new Map<string, string>();
  let waiting: TaskCommand[] = [];
  let busy = 0;
  const waking = new Set<() => void>();
  /** Since states were last read. */
  let isNew = false;
  const isChanged = () => {
    isNew = true;
    for (const wake of waking) wake();
  };

  const begin = async (task: TaskCommand): Promise<void> => {
    busy++;
    const stop = new AbortController();
    stops.set(task.id, stop);
    seen.set(task.id, { at: 'running', where: os.hostname() });
    isChanged();
    const { how, lastWords } = await runTask(program, task, stop.signal);
    words.set(task.id, lastWords);
    seen.set(task.id, { at: 'ended', how, where: os.hostname() });
    busy--;
    fill();
    isChanged();
  };
  const fill = () => {
    for (let task = busy < workers ? waiting.shift() : undefined; task; task = busy < workers ? waiting.shift() : undefined) void begin(task);
  };

  return {
    name: 'local',
    async submit(tasks) {
      for (const { id } of tasks) seen.set(id, { at: 'queued', why: 'others run' });
      waiting.push(...tasks);
      fill();
    },
    async states() {
      isNew = false;
      return new Map(seen);
    },
    changed: (signal) =>
      orCancelled((resolve) => {
        waking.add(resolve);
        if (isNew) resolve();
        return () => waking.delete(resolve);
      }, signal),
    async cancel(ids = [...seen.keys()]) {
      for (const { id } of waiting) if (ids.includes(id)) seen.set(id, { at: 'ended', how: 'cancelled before it began', where: '' });
      waiting = waiting.filter(({ id }) => !ids.includes(id));
      for (const id of ids) stops.get(id)?.abort();
      isChanged();
    },
    collect: async ({ id }) => words.get(id) ?? '',
  };
}

/** Threads of one of `workers` that share this machine. */
export const threadsEach = (workers: number): number => Math.max(1, Math.floor(os.availableParallelism() / workers));
