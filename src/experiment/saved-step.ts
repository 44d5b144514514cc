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
