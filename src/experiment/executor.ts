/** Where a sweep's tasks are carried out. Each way is one file with the same skeleton: `local-executor.ts`, `slurm-executor.ts`. */

/** A command of this program, to be carried out anywhere. It writes a run folder of its own, which alone says what became of it. */
export interface TaskCommand {
  readonly id: string;
  readonly args: readonly string[];
  /** What it says goes to this file. */
  readonly log: string;
}

/** What an executor sees of a task: a hint beside the run folder, late or wrong at times. */
export type Sight =
  | { readonly at: 'queued'; readonly why: string }
  | { readonly at: 'running'; readonly where: string }
  | { readonly at: 'ended'; readonly how: string; readonly where: string }
  /** It was handed over, and the executor no longer knows it. */
  | { readonly at: 'forgotten' }
  /** The executor can't be asked now. */
  | { readonly at: 'unknown'; readonly why: string };

export interface Executor {
  readonly name: 'local' | 'slurm';
  /** Takes over a manifest of independent tasks. Throws FaultError. */
  submit(tasks: readonly TaskCommand[]): Promise<void>;
  /** What is seen of every task that was ever handed over, by id. */
  states(): Promise<ReadonlyMap<string, Sight>>;
  /** Resolves when states may have changed, or on a cancel of `signal`. */
  changed(signal: AbortSignal): Promise<void>;
  /** Asks these tasks, or all, to end in order. Throws FaultError. */
  cancel(ids?: readonly string[]): Promise<void>;
  /** The last line that a task said, '' where there is none. */
  collect(task: Pick<TaskCommand, 'id' | 'log'>): Promise<string>;
}

/** A cluster's controller is not asked more often by itself, whatever the settings say. */
export const shortestPollSeconds = 10;

/** Whether the executor still has it in hand, or may have. */
export const isUnderWay = (sight: Sight | undefined): boolean => sight !== undefined && sight.at !== 'ended' && sight.at !== 'forgotten';

export const lastLine = (text: string): string =>
  text
    .split('\n')
    .findLast((line) => line.trim() !== '')
    ?.trim() ?? '';

/** Resolves with `event`, or on a cancel. */
export async function orCancelled(event: (resolve: () => void) => (() => void) | undefined, signal: AbortSignal | undefined): Promise<void> {
  let end: (() => void) | undefined;
  let cancelled = () => {};
  await new Promise<void>((resolve) => {
    end = event(resolve);
    cancelled = resolve;
    signal?.addEventListener('abort', cancelled);
    if (signal?.aborted) resolve();
  });
  end?.();
  signal?.removeEventListener('abort', cancelled);
}

/** Milliseconds, or less on a cancel. */
export const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  orCancelled((resolve) => {
    const timer = setTimeout(resolve, ms);
    return () => clearTimeout(timer);
  }, signal);
