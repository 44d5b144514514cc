/** Prints which backend `openBackend` takes for its arguments (name, threads, hidden size), or the fault. */
import { openBackend } from '../../../src/tensor/backend';

void (async ([name, threads, hiddenSize]: readonly string[]) => {
  const opened = await openBackend(name, threads === 'auto' ? threads : Number(threads), hiddenSize === undefined ? undefined : Number(hiddenSize));
  process.stdout.write(JSON.stringify(opened), () => process.exit(0));
})(process.argv.slice(2));
