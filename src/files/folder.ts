/** Folders, and what is in them. */
import path from 'node:path';
import { FaultError, ok, type Result } from '../protocol/fault';
import { isErrno, isOfTheFile, isRefusal, onDisk } from './disk-fault';
import { fileSystem } from './file-system';

export type PathKind = 'file' | 'folder' | 'other' | 'absent';

/** What a path names, symbolic links followed. A dangling link is absent. */
export const kindOf = (at: string): Promise<Result<PathKind>> =>
  onDisk('look at', at, async () => {
    try {
      const status = await fileSystem.stat(at);
      return status.isFile() ? 'file' : status.isDirectory() ? 'folder' : 'other';
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return 'absent';
      throw error;
    }
  });

/** What a path names that is no file, in words. */
export const kindInWords = (at: string): Promise<Result<string>> =>
  onDisk('look at', at, async () => {
    const status = await fileSystem.stat(at);
    return status.isDirectory() ? 'a folder' : status.isFIFO() ? 'a pipe' : status.isSocket() ? 'a socket' : 'a device';
  });

/** Whether a path names anything. */
export async function exists(at: string): Promise<Result<boolean>> {
  const kind = await kindOf(at);
  return kind.ok ? ok(kind.value !== 'absent') : kind;
}

export interface FolderEntry {
  readonly name: string;
  readonly kind: PathKind;
  readonly link: boolean;
}

/** Everything in a folder, by name; `kind` is that of a link's target. */
export const listFolder = (folder: string): Promise<Result<readonly FolderEntry[]>> =>
  onDisk('list', folder, async () => {
    const entries = await fileSystem.readdir(folder, { withFileTypes: true });
    const listed: FolderEntry[] = [];
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))) {
      const link = entry.isSymbolicLink();
      let kind: PathKind = entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'other';
      if (link) {
        const target = await kindOf(path.join(folder, entry.name));
        // One that goes round in a circle, or where nobody may look, is like a dangling one; what a disk does not say is not known.
        if (!target.ok && !isOfTheFile(target.fault) && !isRefusal(target.fault)) throw new FaultError(target.fault);
        kind = target.ok ? target.value : 'other';
      }
      listed.push({ name: entry.name, kind, link });
    }
    return listed;
  });

/** The path without symbolic links. */
export const realPath = (at: string): Promise<Result<string>> => onDisk('look at', at, () => fileSystem.realpath(at));

/** Size in bytes and identity of a file, symbolic links followed. */
export const fileStatus = (at: string): Promise<Result<{ bytes: number; device: number; inode: number; mode: number; modified: number }>> =>
  onDisk('look at', at, async () => {
    const status = await fileSystem.stat(at);
    return { bytes: status.size, device: status.dev, inode: status.ino, mode: status.mode & 0o777, modified: status.mtimeMs };
  });

/** Where a symbolic link points, as written in it; null for anything else. */
export const linkTarget = (at: string): Promise<Result<string | null>> =>
  onDisk('look at', at, async () => ((await fileSystem.lstat(at)).isSymbolicLink() ? fileSystem.readlink(at) : null));

/** Makes names in a folder last through a power failure. Windows has no such call, and needs none. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await fileSystem.open(folder, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some network file systems can't sync a folder; the names are then as safe as they get.
    if (!isErrno(error, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EBADF')) throw error;
  } finally {
    await handle.close();
  }
}

/** By hand: Node's own says of a read-only disk that there is no such folder. */
async function makeWithParents(folder: string): Promise<string | undefined> {
  try {
    await fileSystem.mkdir(folder);
    return folder;
  } catch (error) {
    if (isErrno(error, 'ENOENT') && path.dirname(folder) !== folder) {
      const above = await makeWithParents(path.dirname(folder));
      try {
        await fileSystem.mkdir(folder);
        return above ?? folder;
      } catch (again) {
        if (isErrno(again, 'EEXIST')) return above;
        if (above !== undefined)
          for (let own = path.dirname(folder); own.startsWith(above); own = path.dirname(own)) await fileSystem.rmdir(own).catch(() => undefined);
        throw again;
      }
    }
    const there = await fileSystem.stat(folder).catch((looking: unknown) => {
      throw isErrno(error, 'EEXIST') && !isErrno(looking, 'ENOENT') ? looking : error;
    });
    if (there.isDirectory()) return undefined;
    throw error;
  }
}

/** Makes a folder and those above it; gives the topmost folder it had to make, or undefined. */
export const makeFolder = (folder: string): Promise<Result<string | undefined>> =>
  onDisk('make the folder', folder, async () => {
    const made = await makeWithParents(path.resolve(folder));
    if (made !== undefined) {
      const topmost = path.resolve(made);
      for (let own = path.resolve(folder); own.startsWith(topmost); own = path.dirname(own)) await syncFolder(path.dirname(own));
    }
    return made;
  });

/** Makes a folder that must not exist yet: of two who try, one gets 'conflict'. */
export const makeNewFolder = (folder: string): Promise<Result<void>> =>
  onDisk('make the folder', folder, async () => {
    await fileSystem.mkdir(folder);
    await syncFolder(path.dirname(folder));
  });

/** Removes a folder with everything in it; an absent one is fine. Links in it are removed, not followed. */
export const removeFolder = (folder: string): Promise<Result<void>> =>
  onDisk('remove the folder', folder, async () => {
    await fileSystem.rm(folder, { recursive: true, force: true });
    await syncFolder(path.dirname(folder));
  });

/** Removes a folder that is empty; an absent one is fine, one with something in it a 'conflict'. */
export const removeEmptyFolder = (folder: string): Promise<Result<void>> =>
  onDisk('remove the folder', folder, async () => {
    try {
      await fileSystem.rmdir(folder);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  });

/** Removes a file, and makes it last before anything that follows; an absent one is fine. */
export const removeFile = (at: string): Promise<Result<void>> =>
  onDisk('remove', at, async () => {
    await fileSystem.rm(at, { force: true });
    await syncFolder(path.dirname(at));
  });

/** Makes a symbolic link that appears at once in place of whatever file has the name. */
export const placeLink = (target: string, at: string, temporary: string): Promise<Result<void>> =>
  onDisk('link', at, async () => {
    await fileSystem.symlink(target, temporary);
    try {
      await fileSystem.rename(temporary, at);
    } catch (error) {
      await fileSystem.rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
    await syncFolder(path.dirname(at));
  });

/** Renames within one disk, and makes it last. */
export const renameDurably = (from: string, to: string): Promise<Result<void>> =>
  onDisk('rename', to, async () => {
    await fileSystem.rename(from, to);
    await syncFolder(path.dirname(to));
    if (path.dirname(from) !== path.dirname(to)) await syncFolder(path.dirname(from));
  });
