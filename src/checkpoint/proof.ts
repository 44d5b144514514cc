/** Frozen means frozen: compares a changed checkpoint with its original, piece by piece. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { exists, fileStatus } from '../files/folder';
import { pieces, sha256File } from '../files/sha256';
import { faultOf, ok, type Result, unwrap } from '../protocol/fault';
import { parseUnitName } from '../protocol/tensors';
import type { Checkpoint, Shard, TensorEntry } from './checkpoint';

export interface Proof {
  /** Tensors (of an aggregated tensor with a changed slice: its other slices), headers and other files compared. */
  readonly checked: number;
  readonly equal: number;
  /** Names of those that differ, or are missing on one side. */
  readonly differing: readonly string[];
}

export interface ProofOptions {
  /** Other files that are meant to differ, such as a model card written anew. */
  readonly rewritten?: readonly string[];
  readonly signal?: AbortSignal;
  /** Called with the bytes of every piece read. */
  readonly onBytes?: (bytes: number) => void;
}

async function digest(checkpoint: Checkpoint, file: string, offset: number, length: number, { signal, onBytes }: ProofOptions): Promise<string> {
  const hash = createHash('sha256');
  const read = (from: number, count: number, into: Uint8Array) => checkpoint.readRange(file, from, count, into);
  for await (const piece of pieces(read, offset, length, signal)) {
    hash.update(piece);
    onBytes?.(piece.length);
  }
  return hash.digest('hex');
}

/** Ranges of a tensor that must not have changed: all of it, or every slice of the first axis but the changed ones. */
function frozenRanges(entry: TensorEntry, changed: ReadonlyMap<string, ReadonlySet<number> | 'all'>): { label: string; from: number; length: number }[] {
  const parts = changed.get(entry.name);
  if (parts === 'all') return [];
  if (parts === undefined) return [{ label: entry.name, from: 0, length: entry.bytes }];
  const length = entry.bytes / entry.shape[0];
  const ranges = [];
  for (let index = 0; index < entry.shape[0]; index++) if (!parts.has(index)) ranges.push({ label: `${entry.name}[${index}]`, from: index * length, length });
  return ranges;
}

function changedParts(units: Iterable<string>): Map<string, Set<number> | 'all'> {
  const changed = new Map<string, Set<number> | 'all'>();
  for (const unit of units) {
    const { name, index } = parseUnitName(unit);
    const parts = changed.get(name);
    if (index === undefined || parts === 'all') changed.set(name, 'all');
    else changed.set(name, (parts ?? new Set<number>()).add(index));
  }
  return changed;
}

/** One file under two names (a hard link) is equal without reading it twice. */
async function sameFiles(before: Checkpoint, after: Checkpoint, signal?: AbortSignal): Promise<ReadonlySet<string>> {
  const same = new Set<string>();
  const others = new Map(after.shards.map((shard) => [shard.file, shard]));
  for (const shard of before.shards) {
    signal?.throwIfAborted();
    const other = others.get(shard.file);
    if (other === undefined) continue;
    const [one, two] = [unwrap(await fileStatus(shard.path)), unwrap(await fileStatus(other.path))];
    if (one.device === two.device && one.inode === two.inode && one.inode !== 0) same.add(shard.file);
  }
  return same;
}

const sameLayout = (a: TensorEntry, b: TensorEntry): boolean =>
  a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis]);

/** SHA-256 of every tensor outside `changedUnits` (`name` or `name[e]`), of every shard's header and of every other file, before against after. */
export async function proveOnlyChanged(
  before: Checkpoint,
  after: Checkpoint,
  changedUnits: Iterable<string>,
  options: ProofOptions = {},
): Promise<Result<Proof>> {
  try {
    const changed = changedParts(changedUnits);
    const same = await sameFiles(before, after, options.signal);
    const differing: string[] = [];
    let checked = 0;
    const compare = async (label: string, isEqual: () => Promise<boolean>): Promise<void> => {
      options.signal?.throwIfAborted();
      checked++;
      if (!(await isEqual())) differing.push(label);
    };

    for (const entry of before.tensors.values()) {
      const other = after.tensors.get(entry.name);
      if (other === undefined || !sameLayout(entry, other)) {
        await compare(entry.name, async () => false);
        continue;
      }
      for (const { label, from, length } of frozenRanges(entry, changed)) {
        await compare(label, async () => {
          if (entry.file === other.file && entry.offset === other.offset && same.has(entry.file)) {
            options.onBytes?.(2 * length);
            return true;
          }
          return (
            (await digest(before, entry.file, entry.offset + from, length, options)) === (await digest(after, other.file, other.offset + from, length, options))
          );
        });
      }
    }
    for (const name of after.tensors.keys()) if (!before.tensors.has(name)) await compare(name, async () => false);

    const headerDigest = (checkpoint: Checkpoint, { file, headerBytes }: Shard) => digest(checkpoint, file, 0, headerBytes, options);
    for (const shard of before.shards) {
      const other = after.shards.find(({ file }) => file === shard.file);
      await compare(
        `${shard.file} (header)`,
        async () => other !== undefined && (same.has(shard.file) || (await headerDigest(before, shard)) === (await headerDigest(after, other))),
      );
    }
    const kept = before.otherFiles.filter((file) => file !== 'config.json' && !options.rewritten?.includes(file));
    for (const name of ['config.json', ...kept]) {
      const [one, two] = [path.join(before.folder, name), path.join(after.folder, name)];
      await compare(
        name,
        async () =>
          one === two ||
          (unwrap(await exists(two)) && unwrap(await sha256File(one, undefined, options.signal)) === unwrap(await sha256File(two, undefined, options.signal))),
      );
    }
    return ok({ checked, equal: checked - differing.length, differing });
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}
