import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { readableSize } from '../files/readable-size';
import { refuse } from '../protocol/fault';

/** Milliseconds of work between two looks at the cancellation. */
const SLICE = 50;
/** Rows of a file that are looked at between two looks at the clock. */
export const rowsTogether = 256;
/** Of what JavaScript may hold: beyond it the process would end without a word. */
const FULL = 0.7;

let collect: (() => void) | null = null;

/** Throws 'no-memory' where rows fill JavaScript's memory, garbage not counted. */
function lookAtHeap(): void {
  const isFull = () => {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
    return used > FULL * limit;
  };
  if (!isFull()) return;
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
  if (!isFull()) return;
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  refuse(
    'no-memory',
    `The rows take more memory than there is for them: ${readableSize(used)} of ${readableSize(limit)}.`,
    'Cut the file into several, or take a sample.',
  );
}

/** To be awaited often in a long loop: lets other work in once a slice is over; throws a fault once `signal` is aborted, or when memory is full. */
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
    lookAtHeap();
    since = performance.now();
  };
}
