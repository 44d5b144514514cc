/**
 * A disk whose power can be cut. While work runs every change under a folder is recorded; afterwards the folder is laid out anew as a cut at any
 * instant may leave it: what was synced is there, of the rest any part. Stricter than journaling file systems: names last only once their folder
 * was synced, unsynced names survive in any combination, an unsynced write may be whole, cut, missing, or zeros with later bytes behind it.
 */
import fs from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { fileSystem } from '../../src/files/file-system';
import type { Random } from '../oracle/random';

type Inode = number;
type Stored =
  | { readonly kind: 'folder' }
  | { readonly kind: 'file'; readonly bytes: Buffer; readonly mode: number }
  | { readonly kind: 'link'; readonly target: string };

/** A name in a folder and what it names from now on; null takes it away. */
interface EntryChange {
  readonly folder: Inode;
  readonly name: string;
  readonly inode: Inode | null;
}

type Change =
  | { readonly kind: 'write'; readonly inode: Inode; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: 'size'; readonly inode: Inode; readonly size: number }
  | { readonly kind: 'sync'; readonly inode: Inode }
  | { readonly kind: 'entries'; readonly entries: readonly EntryChange[] };

/** A change with the instants at which it began and was over; one that failed never is. */
interface Event {
  readonly change: Change;
  readonly start: number;
  end: number;
}

export interface Recording {
  /** Instants: a cut is made at 0 ... instants. */
  readonly instants: number;
  /** When the work said so. */
  readonly marks: readonly { readonly name: string; readonly at: number }[];
  /** Lays out what a cut at that instant leaves, in a folder that does not exist yet. */
  lay(at: number, random: Random, to: string): void;
}

const PAGE = 4096;

interface Folders {
  readonly stored: Map<Inode, Stored>;
  readonly entries: Map<Inode, Map<string, Inode>>;
}

const ROOT: Inode = 0;

function readTree(root: string): Folders {
  const stored = new Map<Inode, Stored>([[ROOT, { kind: 'folder' }]]);
  const entries = new Map<Inode, Map<string, Inode>>([[ROOT, new Map()]]);
  const known = new Map<number, Inode>();
  const read = (folder: string, inode: Inode): void => {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const at = path.join(folder, entry.name);
      const status = fs.lstatSync(at);
      const own = known.get(status.ino) ?? stored.size;
      entries.get(inode)?.set(entry.name, own);
      if (stored.has(own)) continue;
      if (!entry.isDirectory()) known.set(status.ino, own);
      if (entry.isSymbolicLink()) stored.set(own, { kind: 'link', target: fs.readlinkSync(at) });
      else if (entry.isFile()) stored.set(own, { kind: 'file', bytes: fs.readFileSync(at), mode: status.mode & 0o777 });
      else {
        stored.set(own, { kind: 'folder' });
        entries.set(own, new Map());
        read(at, own);
      }
    }
  };
  read(root, ROOT);
  return { stored, entries };
}

const copyOf = (entries: Folders['entries']): Folders['entries'] => new Map([...entries].map(([inode, names]) => [inode, new Map(names)]));

function apply(entries: Folders['entries'], changes: readonly EntryChange[]): void {
  for (const { folder, name, inode } of changes) {
    const names = entries.get(folder) ?? new Map<string, Inode>();
    entries.set(folder, names);
    if (inode === null) names.delete(name);
    else names.set(name, inode);
  }
}

/** Runs the work and records what it does to the disk below `root`, links followed out of it excepted. `mark` notes an instant of the work itself. */
export async function recordDisk<T>(
  root: string,
  work: (mark: (name: string) => void) => Promise<T>,
): Promise<{ readonly value: T; readonly recording: Recording }> {
  const original = { ...fileSystem };
  const before = readTree(root);
  const stored = new Map(before.stored);
  const now = copyOf(before.entries);
  const events: Event[] = [];
  const marks: { name: string; at: number }[] = [];
  let clock = 0;

  const record = async <R>(change: Change, real: () => Promise<R>): Promise<R> => {
    const event: Event = { change, start: clock++, end: Number.POSITIVE_INFINITY };
    events.push(event);
    try {
      const result = await real();
      event.end = clock++;
      if (change.kind === 'entries') apply(now, change.entries);
      return result;
    } catch (error) {
      events.splice(events.indexOf(event), 1);
      throw error;
    }
  };
  const added = (what: Stored): Inode => {
    const inode = stored.size;
    stored.set(inode, what);
    return inode;
  };
  const inside = (at: unknown): at is string => typeof at === 'string' && (at === root || at.startsWith(root + path.sep));
  /** What a path names now; undefined where nothing does. */
  const inodeOf = (at: string): Inode | undefined => {
    let inode: Inode | undefined = ROOT;
    for (const name of path.relative(root, at).split(path.sep).filter(Boolean)) inode = inode === undefined ? undefined : now.get(inode)?.get(name);
    return inode;
  };
  const placeOf = (at: string): { folder: Inode; name: string } => {
    const folder = inodeOf(path.dirname(at));
    if (folder === undefined) throw Object.assign(new Error(`ENOENT: no folder for ${at}`), { code: 'ENOENT' });
    return { folder, name: path.basename(at) };
  };

  const watch = (handle: FileHandle, inode: Inode, appends: boolean): FileHandle => {
    let position = 0;
    const size = async (): Promise<number> => (await handle.stat()).size;
    const write = async (bytes: Uint8Array, at: number | null | undefined): Promise<{ bytesWritten: number; buffer: Uint8Array }> => {
      const from = appends ? await size() : (at ?? position);
      const result = await record({ kind: 'write', inode, at: from, bytes: Buffer.from(bytes) }, () => handle.write(bytes, 0, bytes.length, at));
      if (appends || at === undefined || at === null) position = from + result.bytesWritten;
      return result;
    };
    const own: Record<string, unknown> = {
      write: (bytes: Uint8Array, offset = 0, length = bytes.length - offset, at?: number | null) => write(bytes.subarray(offset, offset + length), at),
      writeFile: async (content: string | Uint8Array) => {
        const bytes = typeof content === 'string' ? Buffer.from(content) : content;
        await write(bytes, undefined);
      },
      truncate: (to = 0) => record({ kind: 'size', inode, size: to }, () => handle.truncate(to)),
      sync: () => record({ kind: 'sync', inode }, () => handle.sync()),
      datasync: () => record({ kind: 'sync', inode }, () => handle.datasync()),
    };
    return new Proxy(handle, {
      get(target, name) {
        if (typeof name === 'string' && name in own) return own[name];
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  };

  const open = async (at: string, flags = 'r', mode = 0o666): Promise<FileHandle> => {
    if (!inside(at)) return original.open(at, flags, mode);
    const known = inodeOf(at);
    if (known === undefined && flags !== 'r' && flags !== 'r+') {
      const inode = added({ kind: 'file', bytes: Buffer.alloc(0), mode: mode & 0o777 });
      return watch(await record({ kind: 'entries', entries: [{ ...placeOf(at), inode }] }, () => original.open(at, flags, mode)), inode, flags.startsWith('a'));
    }
    const handle = await original.open(at, flags, mode);
    // A link leads to a file that is only read.
    if (known === undefined || stored.get(known)?.kind === 'link') return handle;
    const watched = watch(handle, known, flags.startsWith('a'));
    if (flags.startsWith('w')) await record({ kind: 'size', inode: known, size: 0 }, async () => undefined);
    return watched;
  };
  const removed = (at: string): EntryChange => ({ ...placeOf(at), inode: null });
  const remove = async (at: string): Promise<void> => {
    const inode = inodeOf(at);
    if (inode !== undefined && stored.get(inode)?.kind === 'folder') {
      for (const name of [...(now.get(inode)?.keys() ?? [])]) await remove(path.join(at, name));
      await record({ kind: 'entries', entries: [removed(at)] }, () => original.rmdir(at));
    } else await record({ kind: 'entries', entries: [removed(at)] }, () => original.unlink(at));
  };
  const makeOne = (at: string): Promise<unknown> =>
    record({ kind: 'entries', entries: [{ ...placeOf(at), inode: added({ kind: 'folder' }) }] }, () => original.mkdir(at));

  const recorded = {
    open,
    mkdir: async (at: string, options?: { recursive?: boolean }) => {
      if (!inside(at)) return original.mkdir(at, options);
      if (!options?.recursive) return makeOne(at);
      const missing: string[] = [];
      for (let folder = at; inodeOf(folder) === undefined; folder = path.dirname(folder)) missing.unshift(folder);
      for (const folder of missing) await makeOne(folder);
      return missing[0];
    },
    rename: async (from: string, to: string) => {
      if (!inside(from) || !inside(to)) return original.rename(from, to);
      const inode = inodeOf(from);
      // Of two names of one file rename takes none away.
      if (inode === undefined || inode === inodeOf(to)) return original.rename(from, to);
      return record({ kind: 'entries', entries: [{ ...placeOf(to), inode }, removed(from)] }, () => original.rename(from, to));
    },
    link: async (from: string, to: string) => {
      const inode = inside(from) ? inodeOf(from) : undefined;
      if (inode === undefined || !inside(to)) return original.link(from, to);
      return record({ kind: 'entries', entries: [{ ...placeOf(to), inode }] }, () => original.link(from, to));
    },
    symlink: async (target: string, at: string) =>
      inside(at)
        ? record({ kind: 'entries', entries: [{ ...placeOf(at), inode: added({ kind: 'link', target }) }] }, () => original.symlink(target, at))
        : original.symlink(target, at),
    unlink: async (at: string) => (inside(at) && inodeOf(at) !== undefined ? remove(at) : original.unlink(at)),
    rmdir: async (at: string) =>
      inside(at) && inodeOf(at) !== undefined ? record({ kind: 'entries', entries: [removed(at)] }, () => original.rmdir(at)) : original.rmdir(at),
    rm: async (at: string, options?: { recursive?: boolean; force?: boolean }) =>
      inside(at) && inodeOf(at) !== undefined ? remove(at) : original.rm(at, options),
  };
  Object.assign(fileSystem, recorded);
  try {
    const value = await work((name) => marks.push({ name, at: clock++ }));
    const seen = { before, stored, events: [...events], instants: clock };
    return { value, recording: { instants: clock, marks, lay: (at, random, to) => lay(seen, at, random, to) } };
  } finally {
    Object.assign(fileSystem, original);
  }
}

interface Seen {
  readonly before: Folders;
  readonly stored: ReadonlyMap<Inode, Stored>;
  readonly events: readonly Event[];
}

/** How a cut treats what was not synced. */
type Taste = 'nothing' | 'everything' | 'some';

function lay({ before, stored, events }: Seen, at: number, random: Random, to: string): void {
  const begun = events.filter(({ start }) => start < at);
  /** Whether a sync of the file or folder that was over before the cut began after the instant. */
  const lastSync = new Map<Inode, number>();
  for (const { change, start, end } of begun)
    if (change.kind === 'sync' && end < at) lastSync.set(change.inode, Math.max(lastSync.get(change.inode) ?? -1, start));
  const isSynced = (inode: Inode, end: number): boolean => (lastSync.get(inode) ?? -1) > end;
  const taste: Taste = random.pick(['nothing', 'everything', 'some', 'some', 'some']);
  const likely = random.uniform();
  const survives = (): boolean => taste === 'everything' || (taste === 'some' && random.chance(likely));

  const entries = copyOf(before.entries);
  const content = new Map<Inode, Buffer>();
  const bytesOf = (inode: Inode): Buffer => {
    const own = content.get(inode) ?? stored.get(inode);
    if (own === undefined) throw new Error(`nothing is stored as ${inode}`);
    return Buffer.isBuffer(own) ? own : own.kind === 'file' ? own.bytes : Buffer.alloc(0);
  };
  const put = (inode: Inode, from: number, bytes: Buffer): void => {
    const old = bytesOf(inode);
    const grown = Buffer.alloc(Math.max(old.length, from + bytes.length));
    old.copy(grown);
    bytes.copy(grown, from);
    content.set(inode, grown);
  };
  /** A write that nobody waited for: any pages of it, a torn end, or its length alone. */
  const putSome = (inode: Inode, from: number, bytes: Buffer): void => {
    const how = random.uniform();
    if (how < 0.3) return;
    if (how < 0.6) put(inode, from, bytes.subarray(0, random.integer(0, bytes.length)));
    else if (how < 0.7) put(inode, from, Buffer.alloc(bytes.length));
    else writePages(inode, from, bytes);
  };
  const writePages = (inode: Inode, from: number, bytes: Buffer): void => {
    for (let start = from; start < from + bytes.length; start = (Math.floor(start / PAGE) + 1) * PAGE) {
      const end = Math.min(from + bytes.length, (Math.floor(start / PAGE) + 1) * PAGE);
      if (random.chance(0.5)) put(inode, start, bytes.subarray(start - from, end - from));
    }
  };
  for (const { change, end } of begun) {
    if (change.kind === 'write') {
      if (isSynced(change.inode, end) || taste === 'everything') put(change.inode, change.at, change.bytes);
      else if (taste === 'some') putSome(change.inode, change.at, change.bytes);
    } else if (change.kind === 'size') {
      const old = bytesOf(change.inode);
      if (isSynced(change.inode, end) || survives())
        content.set(change.inode, change.size <= old.length ? old.subarray(0, change.size) : Buffer.concat([old, Buffer.alloc(change.size - old.length)]));
    } else if (change.kind === 'entries') {
      const [first, second] = change.entries;
      // A rename never loses its file: the old name goes only with the new one there.
      const there = isSynced(first.folder, end) || (second !== undefined && isSynced(second.folder, end)) || survives();
      if (!there) continue;
      const atOnce = second === undefined || second.folder === first.folder || isSynced(second.folder, end) || survives();
      apply(entries, atOnce ? change.entries : [first]);
    }
  }

  const written = new Map<Inode, string>();
  const later = new Date(Date.now() - 2 * 3_600_000);
  const write = (inode: Inode, place: string): void => {
    const own = stored.get(inode);
    const earlier = written.get(inode);
    if (own === undefined) throw new Error(`nothing is stored as ${inode}`);
    if (own.kind === 'folder') {
      fs.mkdirSync(place, { recursive: true });
      for (const [name, child] of entries.get(inode) ?? []) write(child, path.join(place, name));
    } else if (own.kind === 'link') fs.symlinkSync(own.target, place);
    else if (earlier !== undefined) fs.linkSync(earlier, place);
    else {
      fs.writeFileSync(place, bytesOf(inode), { mode: own.mode });
      written.set(inode, place);
    }
  };
  write(ROOT, to);
  // The power comes back later.
  for (const place of written.values()) fs.utimesSync(place, later, later);
}
