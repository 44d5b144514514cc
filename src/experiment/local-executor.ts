/** Tasks as processes of this machine, some at a time. */
import os from 'node:os';
import { leaveProgram } from '../files/programs';
import { type Executor, orCancelled, type Sight, type TaskCommand } from './executor';
import { takeAsked, writeLocalState } from './local-state';

/** How often it is looked for tasks that others asked to end. */
const lookMs = 1000;

/** At most `workers` at once, in their order. `program`: the file that node runs; `folder`: of the sweep, for others to see and to cancel. */
export function localExecutor(program: string, workers: number, folder: string): Executor {
  const seen = new Map<string, Sight>();
  const stops = new Map<string, AbortController>();
  const words = new Map<string, string>();
  const since = new Date().toISOString();
  let waiting: TaskCommand[] = [];
  let busy = 0;
  const waking = new Set<() => void>();
  /** Since states were last read. */
  let isNew = false;
  let written: Promise<void> = Promise.resolve();
  let isWriting = false;
  let looking: NodeJS.Timeout | undefined;
  const isChanged = () => {
    isNew = true;
    for (const wake of waking) wake();
    if (isWriting) return;
    isWriting = true;
    const write = () => {
      isWriting = false;
      return writeLocalState(folder, { since, workers, sights: seen });
    };
    // Only a hint: what became of a task is in its run folder.
    written = written.then(write).catch(() => undefined);
  };

  const begin = async (task: TaskCommand): Promise<void> => {
    busy++;
    const stop = new AbortController();
    stops.set(task.id, stop);
    seen.set(task.id, { at: 'running', where: os.hostname() });
    isChanged();
    // A group of its own: Ctrl-C in a terminal reaches it through the signal alone, which asks for an orderly end, once.
    const line = `${new Date().toISOString()} on ${os.hostname()}`;
    const { ended } = await leaveProgram(process.execPath, [program, ...task.args], { log: task.log, line, signal: stop.signal });
    const { how, lastWords } = await ended;
    words.set(task.id, lastWords);
    seen.set(task.id, { at: 'ended', how, where: os.hostname() });
    busy--;
    fill();
    isChanged();
  };
  const fill = () => {
    for (let task = busy < workers ? waiting.shift() : undefined; task; task = busy < workers ? waiting.shift() : undefined) void begin(task);
    if (busy === 0) clearInterval(looking);
  };
  const cancel = (ids: readonly string[] = [...seen.keys()]) => {
    const how = 'cancelled before it began';
    for (const { id } of waiting.filter((task) => ids.includes(task.id))) {
      seen.set(id, { at: 'ended', how, where: '' });
      words.set(id, how);
    }
    waiting = waiting.filter(({ id }) => !ids.includes(id));
    for (const id of ids) stops.get(id)?.abort();
    isChanged();
  };
  const look = async () => {
    const asked = await takeAsked(folder);
    if (asked === undefined || asked.length > 0) cancel(asked);
  };

  return {
    name: 'local',
    async submit(tasks) {
      // What was asked of an earlier one is no more.
      await takeAsked(folder);
      for (const { id } of tasks) seen.set(id, { at: 'queued', why: 'others run' });
      waiting.push(...tasks);
      fill();
      if (busy > 0) looking = setInterval(() => void look(), lookMs);
    },
    async states() {
      isNew = false;
      const now = new Map(seen);
      await written;
      return now;
    },
    changed: (signal) =>
      orCancelled((resolve) => {
        waking.add(resolve);
        if (isNew) resolve();
        return () => waking.delete(resolve);
      }, signal),
    cancel: async (ids) => cancel(ids),
    collect: async ({ id }) => words.get(id) ?? '',
  };
}

/** Threads of one of `workers` that share this machine. */
export const threadsEach = (workers: number): number => Math.max(1, Math.floor(os.availableParallelism() / workers));
