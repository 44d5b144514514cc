/** What the operating system's error numbers mean for a person, and what to do about each. */
import path from 'node:path';
import { type Fault, type FaultCode, FaultError, fail, faultOf, ok, type Result } from '../protocol/fault';
import { fileSystem } from './file-system';
import { readableSize } from './readable-size';

type Meaning = readonly [code: FaultCode, what: string, remedy: string];

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOENT: ['not-found', 'there is no such file or folder', 'Check the path.'],
  ENOTDIR: ['not-found', 'part of the path is a file, not a folder', 'Check the path.'],
  EISDIR: ['bad-file', 'it is a folder, a file is needed', 'Give the path of a file.'],
  EEXIST: ['conflict', 'it exists already', 'Choose another name, or remove it first.'],
  ENOTEMPTY: ['conflict', 'the folder is not empty', 'Choose another folder, or empty it first.'],
  EACCES: ['io', 'permission denied', 'Change its permissions, or use a place you may write to.'],
  EPERM: ['io', 'the operation is not permitted', 'Change its permissions or owner, or use another place.'],
  EROFS: ['io', 'the file system is read-only', 'Use a place you may write to.'],
  ENOSPC: ['io', 'the disk is full', 'Free some space, or use another disk.'],
  EDQUOT: ['io', 'your disk quota is used up', 'Free some space, or use another disk.'],
  EFBIG: ['io', 'the file is too large for this file system', 'Use a disk whose file system allows larger files.'],
  EIO: ['io', 'the disk reports an input/output error', 'Check the disk and its cable or network, then try again.'],
  ESTALE: ['io', 'the network file system lost the file', 'Mount it again, then try again.'],
  ENOTCONN: ['io', 'the network drive is no longer connected', 'Mount it again, then try again.'],
  ENODEV: ['io', 'the drive is gone', 'Connect it again, then try again.'],
  ENXIO: ['io', 'the drive is gone', 'Connect it again, then try again.'],
  EHOSTDOWN: ['io', 'the computer that holds it does not answer', 'Check the network, then try again.'],
  EHOSTUNREACH: ['io', 'the computer that holds it does not answer', 'Check the network, then try again.'],
  ENETUNREACH: ['io', 'the network does not answer', 'Check the network, then try again.'],
  EREMOTEIO: ['io', 'the network drive reports an input/output error', 'Check the network, then try again.'],
  ETIMEDOUT: ['io', 'the file system did not answer in time', 'Check the network, then try again.'],
  EMFILE: ['io', 'this process has too many open files', 'Raise the limit (ulimit -n), or close other models.'],
  ENFILE: ['io', 'the system has too many open files', 'Close other programs, then try again.'],
  ENOMEM: ['no-memory', 'the system is out of memory', 'Close other programs, then try again.'],
  EBUSY: ['conflict', 'another program is using it', 'Close that program, then try again.'],
  ETXTBSY: ['conflict', 'another program is using it', 'Close that program, then try again.'],
  ELOOP: ['bad-file', 'its symbolic links go round in a circle', 'Repair the links.'],
  ENAMETOOLONG: ['bad-data', 'the name is too long', 'Choose a shorter name.'],
  EXDEV: ['io', 'it lies on another file system', 'Use a folder on the same disk.'],
};

const errnoOf = (error: unknown): string | undefined => (error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined);

/** Whether the thrown thing carries one of these error numbers. */
export const isErrno = (error: unknown, ...codes: string[]): boolean => codes.includes(errnoOf(error) ?? '');

/** Whether a fault says something about the file, so that it will be the same the next time; one of the disk or the network may pass. */
export const isOfTheFile = ({ code }: Pick<Fault, 'code'>): boolean => code !== 'io' && code !== 'no-memory';

/** Whether the system refuses this user the file, now and later. */
export const isRefusal = ({ message }: Pick<Fault, 'message'>): boolean => [MEANINGS.EACCES, MEANINGS.EPERM].some(([, what]) => message.endsWith(`: ${what}.`));

/** Free bytes for this user on the disk that holds a path (or the nearest folder above that exists); null where the system can't say. */
export async function freeBytes(at: string): Promise<number | null> {
  let folder = path.resolve(at);
  for (;;) {
    try {
      const disk = await fileSystem.statfs(folder);
      return Number(disk.bavail) * Number(disk.bsize);
    } catch (error) {
      const parent = path.dirname(folder);
      if (!isErrno(error, 'ENOENT', 'ENOTDIR') || parent === folder) return null;
      folder = parent;
    }
  }
}

/** The fault for a full disk. */
export function fullDisk(at: string, needs: number | undefined, free: number | null): Fault {
  const facts = [needs === undefined ? '' : `${readableSize(needs)} needed`, free === null ? '' : `${readableSize(free)} free`].filter(Boolean).join(', ');
  return fail('io', `Can't write ${at}: the disk is full${facts ? ` (${facts})` : ''}.`, 'Free some space, or use another disk. Nothing was changed.').fault;
}

/** Any error thrown by a file operation as a fault: `doing` is a verb ("read"), `at` the path, `needs` the bytes it wanted to write. */
export async function diskFault(error: unknown, doing: string, at: string, needs?: number): Promise<Fault> {
  if (error instanceof FaultError) return error.fault;
  const code = errnoOf(error);
  if (code === 'ENOSPC') return fullDisk(at, needs, await freeBytes(at));
  const meaning = code === undefined ? undefined : MEANINGS[code];
  if (meaning) return fail(meaning[0], `Can't ${doing} ${at}: ${meaning[1]}.`, meaning[2]).fault;
  const fault = faultOf(error);
  if (fault.code !== 'internal' || code === undefined || !code.startsWith('E')) return fault;
  return fail('io', `Can't ${doing} ${at}: the system says ${code}.`, 'Check the disk, then try again.').fault;
}

/** Runs work on a path and turns what it throws into a fault: the border of this room. */
export async function onDisk<T>(doing: string, at: string, work: () => Promise<T>, needs?: number): Promise<Result<T>> {
  try {
    return ok(await work());
  } catch (error) {
    return { ok: false, fault: await diskFault(error, doing, at, needs) };
  }
}
