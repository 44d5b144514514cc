/**
 * A lock file that says whose it is, so that one left by a dead process is taken over and a living one is named. Processes of this machine are
 * looked at; of others, which can't be, only the time tells: an owner touches its lock every few seconds, and one untouched for minutes is left behind.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import path from 'node:path';
import { FaultError, fail, ok, type Result, refuse, unwrap } from '../protocol/fault';
import { temporaryName, writeFully } from './atomic-write';
import { isErrno, onDisk } from './disk-fault';
import { fileSystem } from './file-system';
import { listFolder, removeFile } from './folder';
import { readText } from './read';
import { isUnfinishedOf } from './unfinished';

export interface LockOwner {
  readonly pid: number;
  readonly host: string;
  /** When the lock was taken, ISO 8601. */
  readonly since: string;
  /** When the process began, in the system's own ticks; null where the system doesn't say. Tells a reused pid from the owner. */
  readonly started: string | null;
  /** The start of the machine and the namespace of its process ids; null where the system doesn't say. */
  readonly boot: string | null;
  readonly space: string | null;
  /** Milliseconds without a touch after which the owner counts as gone; null for one that does not touch its lock. */
  readonly lease: number | null;
  readonly token: string;
}

export interface Lock {
  readonly owner: LockOwner;
  /** Aborted, with a fault that says so, once it was seen that somebody else has taken the lock or removed it: what it protects must not be written to any more. */
  readonly lost: AbortSignal;
  /** Looks now; throws that fault. To be asked before each change that must not meet another owner's: a process that was stopped for long knows nothing yet. */
  check(): Promise<void>;
  /** Gives the lock back; does nothing if somebody has taken it over since. */
  release(): Promise<void>;
}

const touchEvery = 15_000;
const leaseMs = 180_000;

async function readProc(at: string): Promise<string | null> {
  if (process.platform !== 'linux') return null;
  try {
    const handle = await fileSystem.open(at, 'r');
    try {
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch {
    return null;
  }
}

/** Field 22 of /proc/<pid>/stat; null on systems without it and for processes that are gone. */
async function startOf(pid: number): Promise<string | null> {
  const stat = await readProc(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

const bootOf = async (): Promise<string | null> => (await readProc('/proc/sys/kernel/random/boot_id'))?.trim() ?? null;

const spaceOf = async (): Promise<string | null> => (process.platform === 'linux' ? fileSystem.readlink('/proc/self/ns/pid').catch(() => null) : null);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !isErrno(error, 'ESRCH');
  }
}

/** Tokens of the locks that this process holds: its own process id on any other is from a former life, or from a release that failed. */
const held = new Set<string>();

const differ = (one: string | null, other: string | null): boolean => one !== null && other !== null && one !== other;

/** Milliseconds since a file was touched, by the clock that `now` is from; null where it is gone. */
async function untouched(at: string, now: number): Promise<number | null> {
  const status = await fileSystem.stat(at).catch(() => null);
  return status === null ? null : now - status.mtimeMs;
}

async function isStale(at: string, owner: LockOwner, now: number): Promise<boolean> {
  const expired = async () => owner.lease !== null && ((await untouched(at, now)) ?? 0) > owner.lease;
  if (owner.host !== hostname()) return expired();
  if (differ(owner.boot, await bootOf())) return true;
  // A process in another container of this machine can't be seen from here.
  if (differ(owner.space, await spaceOf())) return expired();
  if (owner.pid === process.pid) return !held.has(owner.token);
  if (!isAlive(owner.pid)) return true;
  const started = await startOf(owner.pid);
  return owner.started === null || started === null ? expired() : owner.started !== started;
}

const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null);

function ownerIn(text: string): LockOwner | null {
  try {
    const raw: unknown = JSON.parse(text);
    if (typeof raw !== 'object' || raw === null) return null;
    const { pid, host, token, since, started, boot, space, lease } = raw as Readonly<Record<string, unknown>>;
    if (typeof pid !== 'number' || typeof host !== 'string' || typeof token !== 'string') return null;
    return {
      pid,
      host,
      token,
      since: textOrNull(since) ?? 'an unknown time',
      started: textOrNull(started),
      boot: textOrNull(boot),
      space: textOrNull(space),
      lease: typeof lease === 'number' ? lease : null,
    };
  } catch {
    return null;
  }
}

/** The owner written in a lock file; null for an absent file, 'nobody' for one that says nothing sensible. */
async function readOwner(at: string): Promise<LockOwner | 'nobody' | null> {
  const text = await readText(at, 1 << 16);
  if (text.ok) return ownerIn(text.value) ?? 'nobody';
  return text.fault.code === 'not-found' ? null : text.fault.code === 'bad-file' ? 'nobody' : unwrap(text);
}

/** Whether a living process holds the lock `at`; a lock of another host counts as held while it is touched. */
export async function isLockHeld(at: string): Promise<boolean> {
  const owner = await readOwner(at).catch(() => null);
  return owner !== null && owner !== 'nobody' && !(await isStale(at, owner, Date.now()));
}

/** Puts the lock file there with its content at once; false if there is one. `now` is the time by the clock of the disk. */
async function place(at: string, owner: LockOwner): Promise<{ placed: boolean; now: number }> {
  const temporary = temporaryName(at);
  try {
    const handle = await fileSystem.open(temporary, 'wx');
    let now = Date.now();
    try {
      await writeFully(handle, new TextEncoder().encode(`${JSON.stringify(owner)}\n`));
      await handle.sync();
      now = (await handle.stat()).mtimeMs;
    } finally {
      await handle.close();
    }
    try {
      await fileSystem.link(temporary, at);
      return { placed: true, now };
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return { placed: false, now };
      if (!isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV')) throw error;
      return { placed: await placeWithoutLinks(at, owner), now };
    }
  } finally {
    await fileSystem.rm(temporary, { force: true }).catch(() => undefined);
  }
}

/** For file systems without hard links: made exclusively, then filled. */
async function placeWithoutLinks(at: string, owner: LockOwner): Promise<boolean> {
  try {
    const handle = await fileSystem.open(at, 'wx');
    try {
      await handle.writeFile(`${JSON.stringify(owner)}\n`);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

const sameOwner = (one: LockOwner | 'nobody' | null, other: LockOwner | 'nobody'): boolean =>
  one === 'nobody' || other === 'nobody' || one === null ? one === other : one.token === other.token;

/**
 * Removes a lock that was left behind. Of several who find it so one does, under a lock of its own: between looking and removing
 * nobody else may have put a new one there.
 */
async function removeStale(at: string, stale: LockOwner | 'nobody', owner: LockOwner): Promise<void> {
  const guard = `${at}.takeover`;
  const { placed, now } = await place(guard, owner);
  if (!placed) {
    const holder = await readOwner(guard);
    if (holder !== null && (await isLeft(guard, holder, now))) await fileSystem.rm(guard, { force: true });
    return;
  }
  try {
    if (sameOwner(await readOwner(at), stale)) await fileSystem.rm(at, { force: true });
  } finally {
    await fileSystem.rm(guard, { force: true });
  }
}

/** A lock that says nothing is one being written, or what a power failure left of it. */
const isLeft = async (at: string, owner: LockOwner | 'nobody', now: number): Promise<boolean> =>
  owner === 'nobody' ? ((await untouched(at, now)) ?? 0) > leaseMs : isStale(at, owner, now);

/** Removes what processes left that ended while they took this lock. */
async function removeLeftovers(at: string, now: number): Promise<void> {
  const listed = await listFolder(path.dirname(at));
  for (const { name } of listed.ok ? listed.value : []) {
    const own = path.join(path.dirname(at), name);
    if (!isUnfinishedOf(path.basename(at), name) && !isUnfinishedOf(`${path.basename(at)}.takeover`, name)) continue;
    const owner = await readOwner(own).catch(() => null);
    if (owner !== null && (await isLeft(own, owner, now))) await fileSystem.rm(own, { force: true }).catch(() => undefined);
  }
}

/** What has become of a lock that is not ours any more. */
function lostTo(what: string, at: string, found: LockOwner | 'nobody' | null): FaultError {
  const now =
    found === null
      ? 'is gone: it was removed, or taken over by a process that is done by now'
      : found === 'nobody'
        ? 'names no owner any more'
        : `is held by process ${found.pid} on ${found.host} now`;
  const remedy = 'This process has stopped; see what the other one made of it before you go on.';
  return new FaultError(fail('conflict', `${what} was in work here, but its lock ${at} ${now}.`, remedy).fault);
}

interface Kept {
  readonly lost: AbortSignal;
  readonly check: () => Promise<void>;
  readonly stop: () => void;
}

/** Touches the lock while it is held, and tells when it is somebody else's. */
function keepTouching(at: string, what: string, owner: LockOwner, every: number): Kept {
  const lost = new AbortController();
  const look = async (): Promise<void> => {
    // A disk that is away for a moment tells nothing; whatever is to be changed on it fails by itself.
    const found = await readOwner(at).catch(() => owner);
    if (sameOwner(found, owner)) return;
    clearInterval(timer);
    lost.abort(lostTo(what, at, found));
  };
  const touch = async (): Promise<void> => {
    await look();
    if (lost.signal.aborted) return;
    // The last byte once more: the time is then that of the disk's own clock.
    const handle = await fileSystem.open(at, 'r+').catch(() => null);
    try {
      if (handle) await handle.write(Buffer.from('\n'), 0, 1, (await handle.stat()).size - 1);
    } catch {
      // The next touch tries again.
    } finally {
      await handle?.close().catch(() => undefined);
    }
  };
  const timer = setInterval(() => void touch(), every);
  timer.unref();
  const check = async (): Promise<void> => {
    if (!lost.signal.aborted) await look();
    lost.signal.throwIfAborted();
  };
  return { lost: lost.signal, check, stop: () => clearInterval(timer) };
}

export interface LockOptions {
  /** Milliseconds between two touches, and without one until the owner counts as gone. */
  readonly every?: number;
  readonly lease?: number;
}

/**
 * Takes the lock `at`, or is a 'conflict' that names its owner. One whose owner is gone is taken over.
 * `what` names what is locked, for the sentence.
 */
export async function takeLock(at: string, what = path.dirname(at), { every = touchEvery, lease = leaseMs }: LockOptions = {}): Promise<Result<Lock>> {
  const owner: LockOwner = {
    pid: process.pid,
    host: hostname(),
    since: new Date().toISOString(),
    started: await startOf(process.pid),
    boot: await bootOf(),
    space: await spaceOf(),
    lease,
    token: randomBytes(8).toString('hex'),
  };
  held.add(owner.token);
  const taken = await onDisk('lock', at, async () => {
    for (let attempt = 0; attempt < 5; attempt++) {
      const { placed, now } = await place(at, owner);
      if (placed) {
        await removeLeftovers(at, now);
        return null;
      }
      const holder = await readOwner(at);
      if (holder === null) continue;
      if (!(await isLeft(at, holder, now))) {
        if (holder === 'nobody') return refuse('conflict', `${at} is locked, but the lock doesn't say by whom.`, 'If no other UOE uses it, remove that file.');
        return holder;
      }
      await removeStale(at, holder, owner);
    }
    return refuse('conflict', `${what} is being locked by several processes at once.`, 'Try again.');
  });
  if (!taken.ok || taken.value !== null) held.delete(owner.token);
  if (!taken.ok) return taken;
  if (taken.value !== null) {
    const { pid, host, since } = taken.value;
    return fail(
      'conflict',
      `${what} is in use by process ${pid} on ${host} since ${since}.`,
      `Wait until it is done, or end it. If no such process runs, remove ${at}.`,
    );
  }
  const { lost, check, stop } = keepTouching(at, what, owner, every);
  return ok({
    owner,
    lost,
    check,
    release: async () => {
      stop();
      // Where the disk is away for a moment, a lock left there would keep other processes out until this one ends.
      for (let attempt = 0; attempt < 3; attempt++) {
        const holder = await readOwner(at).catch(() => undefined);
        if (holder === undefined || holder === 'nobody') continue;
        if (holder === null || !sameOwner(holder, owner) || (await removeFile(at)).ok) break;
      }
      // Only now: before, others of this process would take it for one left behind, and what is removed here could be theirs.
      held.delete(owner.token);
    },
  });
}

const lookAgainMs = 25;
const patienceMs = 10_000;

/** Takes a lock that others hold for moments only: waits for its turn. */
export async function waitForLock(at: string, what?: string): Promise<Result<Lock>> {
  const began = performance.now();
  for (;;) {
    const lock = await takeLock(at, what);
    if (lock.ok || lock.fault.code !== 'conflict' || performance.now() - began > patienceMs) return lock;
    await new Promise((resume) => setTimeout(resume, lookAgainMs));
  }
}
