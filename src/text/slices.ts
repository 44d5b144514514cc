import { refuse } from '../protocol/fault';

/** Milliseconds of work between two looks at the cancellation. */
const SLICE = 50;
/** Rows of a file that are looked at between two looks at the clock. */
export const rowsTogether = 256;

/** To be awaited often in a long loop: lets other work in once a slice is over; throws a fault once `signal` is aborted. */
export function slices(signal?: AbortSignal): () => Promise<void> {
  let since = performance.now();
  const check = (): void => {
    if (signal?.aborted) refuse('cancelled', 'Cancelled.');
  };
  check();
  return async () => {
    if (performance.now() - since < SLICE) return;
    await new Promise((resolve) => setImmediate(resolve));
    check();
    since = performance.now();
  };
}
