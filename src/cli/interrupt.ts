/** Ctrl-C: the first asks for an orderly end, the second ends at once. SIGTERM only asks: schedulers send it to a job's processes twice. */
export const cancelledExit = 130;

/** A signal that the first SIGINT or SIGTERM aborts. Installed before anything else is loaded. */
export function listenForInterrupt(): AbortSignal {
  const abort = new AbortController();
  const interrupt = () => {
    if (abort.signal.aborted) process.exit(cancelledExit);
    abort.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', () => abort.abort());
  return abort.signal;
}
