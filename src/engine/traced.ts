import path from 'node:path';
import { writeAtomic } from '../files/atomic-write';
import { unwrap } from '../protocol/fault';
import type { WeightOverlap } from '../protocol/records';
import { openTrace } from '../weights/trace';

/** Runs work under a trace where a file for one is named, however it ends; its result with what the trace says. */
export async function traced<T extends object>(file: string | undefined, work: () => Promise<T>): Promise<T & { readonly overlap?: WeightOverlap }> {
  if (file === undefined) return work();
  const trace = openTrace();
  const write = async () => unwrap(await writeAtomic(path.resolve(file), JSON.stringify(trace.json())));
  try {
    const result = await work();
    trace.close();
    await write();
    return { ...result, overlap: trace.overlap() };
  } catch (error) {
    trace.close();
    await write().catch(() => undefined);
    throw error;
  }
}
