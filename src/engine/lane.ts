/** A queue: one piece of work at a time, in the order they came. */
import { FaultError, fail } from '../protocol/fault';

export interface Lane {
  /** Waits its turn, then works. `waiting` is told how many are before it, when it has to wait. A cancel while waiting throws 'cancelled'. */
  run<T>(work: () => Promise<T>, signal: AbortSignal, waiting: (before: number) => void): Promise<T>;
}

/** Rejects as soon as the signal is aborted, unless `ended` was before. */
const cancelled = (signal: AbortSignal, ended: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const leave = () => reject(new FaultError(fail('cancelled', 'Cancelled.').fault));
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true, signal: ended });
  });

/** The work's result, or 'cancelled' as soon as the signal is aborted: the work then ends by itself, where it next looks. */
export async function leaving<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const ended = new AbortController();
  work.catch(() => undefined);
  try {
    return await Promise.race([work, cancelled(signal, ended.signal)]);
  } finally {
    ended.abort();
  }
}

export function createLane(): Lane {
  let last: Promise<unknown> = Promise.resolve();
  let queued = 0;
  return {
    async run(work, signal, waiting) {
      const before = last;
      if (queued > 0) waiting(queued);
      queued++;
      const begun = new AbortController();
      // Only while it waits: work that has begun hears the signal itself.
      const turn = Promise.race([before, cancelled(signal, begun.signal)]).then(() => {
        begun.abort();
        return work();
      });
      // Whoever comes next waits for those before this one too, also when this one leaves early.
      last = Promise.allSettled([before, turn]);
      try {
        return await turn;
      } finally {
        queued--;
      }
    },
  };
}
