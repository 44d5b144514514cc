/** What processes that were killed have left of files and folders they had not finished. */
import path from 'node:path';
import type { Result } from '../protocol/fault';
import { UNFINISHED } from './atomic-write';
import { onDisk } from './disk-fault';
import { fileSystem } from './file-system';
import { syncFolder } from './folder';

/** Whether `name` is an unfinished file or folder that was to become `of`, as temporaryName calls them. */
export const isUnfinishedOf = (of: string, name: string): boolean =>
  name.startsWith(`.${of.slice(0, 180)}.`) && /^[0-9a-f]{12}\.uoe-tmp$/.test(name.slice(of.slice(0, 180).length + 2));

export interface Unfinished {
  /** Only what nobody has written to for this long; 0 where a lock keeps others away. */
  readonly olderThanMs?: number;
  /** Which names; all that end as unfinished ones do. */
  readonly wanted?: (name: string) => boolean;
}

/** Removes what is unfinished in a folder, not below it. Gives the names; an absent folder has none. */
export const removeUnfinished = (folder: string, { olderThanMs = 0, wanted = () => true }: Unfinished = {}): Promise<Result<readonly string[]>> =>
  onDisk('clear up', folder, async () => {
    const names = await fileSystem.readdir(folder).catch(() => []);
    const removed: string[] = [];
    for (const name of names) {
      // Those of locks, whose names begin with a dot already, are in use by whoever waits for the lock.
      if (!name.startsWith('.') || name.startsWith('..') || !name.endsWith(UNFINISHED) || !wanted(name)) continue;
      const at = path.join(folder, name);
      const status = await fileSystem.lstat(at).catch(() => null);
      if (status === null || (olderThanMs > 0 && Date.now() - status.mtimeMs < olderThanMs)) continue;
      await fileSystem.rm(at, { recursive: true, force: true });
      removed.push(name);
    }
    if (removed.length > 0) await syncFolder(folder);
    return removed;
  });
