/** Where a run that was cut off goes on. */
import path from 'node:path';
import { readHeader } from '../checkpoint/header';
import { withRanged } from '../files/ranged';
import { unwrap } from '../protocol/fault';

/** The step of the saved state, from its header alone; null where the run was ended before its first save. */
export async function savedStep(run: string): Promise<number | null> {
  const at = path.join(run, 'resume', 'state.safetensors');
  const header = await withRanged(at, async (file) => unwrap(await readHeader(at, file.size, file.read)));
  const step = header.ok ? Number(header.value.metadata.get('step') ?? Number.NaN) : Number.NaN;
  return Number.isSafeInteger(step) ? step : null;
}

/** More than a row of a journal takes. */
const tailBytes = 4096;

/** The last step in a run's journal, from its end alone; null where it has none yet. */
export async function lastStep(run: string): Promise<number | null> {
  const tail = await withRanged(path.join(run, 'steps.jsonl'), async (file) => {
    const length = Math.min(file.size, tailBytes);
    return new TextDecoder().decode(unwrap(await file.read(file.size - length, length)));
  });
  const steps = tail.ok ? [...tail.value.matchAll(/^\{"step":(\d+),.*\}$/gm)] : [];
  return steps.length === 0 ? null : Number(steps[steps.length - 1][1]);
}
