/** `<workspace>/.uoe/readings/<id>/`: an attribution or a scoring whose parts are made apart, for whatever executes them. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { fileStatus, listFolder, makeFolder } from '../files/folder';
import { type Lock, takeLock } from '../files/lock';
import { sha256File } from '../files/sha256';
import { removeUnfinished } from '../files/unfinished';
import { unwrap } from '../protocol/fault';
import { isPart, partEnding } from './reading-parts';

export interface ReadingPlan {
  /** `attribute` or `score`, and its arguments but for those of a part. */
  readonly args: readonly string[];
  readonly kind: keyof typeof partEnding;
  readonly folder: string;
  readonly shards: readonly ReadingShard[];
}

export interface ReadingShard {
  readonly id: string;
  /** From 1. */
  readonly index: number;
  readonly name: string;
  /** The part that it leaves, by rename: where it is there the shard is done. */
  readonly part: string;
  readonly log: string;
}

/** Name, size and time of every file of a checkpoint: another version of it is another reading. Throws FaultError. */
async function modelStamp(folder: string, signal: AbortSignal): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const { name } of unwrap(await listFolder(folder))) {
    signal.throwIfAborted();
    const status = await fileStatus(path.join(folder, name));
    if (status.ok) found.push([name, status.value.bytes, status.value.modified]);
  }
  return found;
}

/**
 * The same command over the same files has the same folder, so that parts which are there are those of it. `data`: files that are read
 * whole, such as prompts. Throws FaultError.
 */
export async function planReading(
  workspace: string,
  kind: ReadingPlan['kind'],
  args: readonly string[],
  count: number,
  { model, data, signal }: { readonly model: string; readonly data: readonly string[]; readonly signal: AbortSignal },
): Promise<ReadingPlan> {
  const contents = await Promise.all(data.map(async (file) => unwrap(await sha256File(file, undefined, signal))));
  const id = createHash('sha256')
    .update(JSON.stringify([args, count, contents, await modelStamp(model, signal)]))
    .digest('hex')
    .slice(0, 12);
  const folder = path.join(workspace, '.uoe', 'readings', `${args[0]}-${id}`);
  const width = String(count).length;
  const shards = Array.from({ length: count }, (_, i): ReadingShard => {
    const own = `shard-${i + 1}`;
    const file = `${String(i + 1).padStart(width, '0')}-of-${count}${partEnding[kind]}`;
    return {
      ...{ id: own, index: i + 1, name: `shard ${i + 1} of ${count}` },
      ...{ part: path.join(folder, 'parts', file), log: path.join(folder, 'logs', `${own}.log`) },
    };
  });
  return { args, kind, folder, shards };
}

export const partsFolder = ({ folder }: Pick<ReadingPlan, 'folder'>): string => path.join(folder, 'parts');
/** What the parts give together, as JSON. */
export const mergedFile = ({ folder }: Pick<ReadingPlan, 'folder'>): string => path.join(folder, 'result.json');

/** The ids of shards whose part is there. Throws FaultError. */
export async function doneShards({ kind, folder, shards }: ReadingPlan): Promise<ReadonlySet<string>> {
  const listed = await listFolder(path.join(folder, 'parts'));
  if (!listed.ok && listed.fault.code === 'not-found') return new Set();
  const names = new Set(unwrap(listed).map(({ name }) => name));
  const there = await Promise.all(shards.map(async ({ id, part }) => (names.has(path.basename(part)) && (await isPart(kind, part)) ? [id] : [])));
  return new Set(there.flat());
}

/** Nobody else hands out this reading until the lock is given back. `isIdle`: nothing of it runs anywhere, so what is unfinished stays so. Throws FaultError. */
export async function openReading(plan: ReadingPlan, isIdle: boolean): Promise<Lock> {
  for (const name of ['parts', 'logs']) unwrap(await makeFolder(path.join(plan.folder, name)));
  const lock = unwrap(await takeLock(path.join(plan.folder, '.lock'), `The reading in ${plan.folder}`));
  if (isIdle) await removeUnfinished(partsFolder(plan));
  return lock;
}
