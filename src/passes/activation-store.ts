/**
 * The activation store: what passes of the original model left on disk, so that no later run makes them again. A block holds some sequences:
 * the stream at the entrance of kept layers' feed-forwards, the choices of experts, a summary of each sequence. It is found by sequence: a
 * row's bits do not depend on the rows computed beside it (test/tensor/rows.test.ts). Every sequence's part carries a checksum.
 */
import { createHash, randomBytes } from 'node:crypto';
import path from 'node:path';
import * as z from 'zod';
import { bytesOf, layOut, type TensorLayout } from '../checkpoint/safetensors';
import { UNFINISHED, writeJson, writeStreamed } from '../files/atomic-write';
import { freeBytes } from '../files/disk-fault';
import { fileStatus, listFolder, makeFolder, removeFile } from '../files/folder';
import { openRanged, type RangedFile } from '../files/ranged';
import { readJson } from '../files/read';
import { removeUnfinished } from '../files/unfinished';
import { FaultError, unwrap } from '../protocol/fault';
import type { TokenSequence } from '../protocol/sequences';
import type { PackedBatch } from './packing';

/** Identity of a sequence's tokens and of how they attend to one another. */
const sequenceKey = ({ ids, branches }: TokenSequence): string =>
  createHash('sha256')
    .update(JSON.stringify([Array.from(ids), branches ? Array.from(branches) : null]))
    .digest('hex')
    .slice(0, 32);

const checksum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

const blockSchema = z.object({
  format: z.literal(1),
  /** In the order of their rows. */
  sequences: z.array(z.object({ key: z.string(), tokens: z.int().min(0) })),
  hiddenSize: z.int(),
  topK: z.int(),
  /** Layers whose entrance is kept, and MoE layers whose choices are. */
  layers: z.array(z.int()),
  routed: z.array(z.int()),
  /** Numbers of each sequence's summary. */
  summary: z.int(),
  /** Of each tensor, of each sequence's part. */
  checksums: z.record(z.string(), z.array(z.string())),
});
type BlockIndex = z.infer<typeof blockSchema>;

interface Block {
  readonly index: BlockIndex;
  readonly file: string;
  readonly offsets: ReadonlyMap<string, number>;
  /** First row of each sequence, and its place, by key. */
  readonly places: ReadonlyMap<string, { readonly z: number; readonly row: number; readonly tokens: number }>;
}

/** What a caller needs of the sequences. */
export interface Needed {
  readonly layers: readonly number[];
  readonly routed: readonly number[];
  readonly summary: number;
}

/** Takes what a pass makes, layer after layer in ascending order. */
export interface BlockWriter {
  entrance(layer: number, x: Float32Array): Promise<void>;
  choice(layer: number, choice: Int32Array): Promise<void>;
}

export interface ActivationStore {
  /** Those of the sequences that no block has. */
  missing(sequences: readonly TokenSequence[], needed: Needed): readonly TokenSequence[];
  /** Bytes of a block; whether it may be written: within the store's bound and the disk's free space. */
  fits(tokens: number, sequences: number, needed: Needed): Promise<boolean>;
  /** Runs `pass` and keeps what it hands over, its summaries `[Z, width]` at the end. A fault leaves nothing. */
  write(batch: PackedBatch, needed: Needed, pass: (writer: BlockWriter) => Promise<Float64Array>): Promise<void>;
  /** The stream `[T, d]` at a layer's entrance, in the rows of the batch. A damaged block is removed and thrown as a fault. */
  entrance(batch: PackedBatch, layer: number): Promise<Float32Array>;
  /** The choices `[T, K]` of a MoE layer. */
  choice(batch: PackedBatch, layer: number): Promise<Uint16Array>;
  /** `[Z, width]` in the order of the sequences. */
  summaries(sequences: readonly TokenSequence[], width: number): Promise<Float64Array>;
  /** Bytes on disk, of all models. */
  bytes(): Promise<number>;
  close(): Promise<void>;
}

const entranceName = (layer: number) => `entrance.${layer}`;
const choiceName = (layer: number) => `choice.${layer}`;
const summaryName = 'summary';

/** Tensors of a block in the order in which a pass makes them. */
function layoutOf({ layers, routed, summary }: Needed, d: number, topK: number, tokens: number, sequences: number): TensorLayout[] {
  const all = [...new Set([...layers, ...routed])].sort((a, b) => a - b);
  return [
    ...all.flatMap((layer): TensorLayout[] => [
      ...(layers.includes(layer) ? [{ name: entranceName(layer), dtype: 'F32' as const, shape: [tokens, d] }] : []),
      ...(routed.includes(layer) ? [{ name: choiceName(layer), dtype: 'U16' as const, shape: [tokens, topK] }] : []),
    ]),
    { name: summaryName, dtype: 'F64', shape: [sequences, summary] },
  ];
}

function openedBlock(file: string, index: BlockIndex): Block {
  const tokens = index.sequences.reduce((sum, own) => sum + own.tokens, 0);
  const places = new Map<string, { z: number; row: number; tokens: number }>();
  let row = 0;
  index.sequences.forEach(({ key, tokens: own }, z) => {
    places.set(key, { z, row, tokens: own });
    row += own;
  });
  const { offsets } = layOut(layoutOf(index, index.hiddenSize, index.topK, tokens, index.sequences.length));
  return { index, file, offsets, places };
}

export interface StoreOptions {
  /** Folder of all stores of a workspace. */
  readonly root: string;
  /** What the values depend on besides the tokens: checkpoint, backend, precision. One folder each. */
  readonly key: string;
  readonly hiddenSize: number;
  readonly topK: number;
  /** Bytes on disk, of all models together. */
  readonly limit: number;
}

/** Bytes per block and time of last use of every block under the root, oldest first. */
async function blocksUnder(root: string): Promise<{ file: string; bytes: number; used: number }[]> {
  const found: { file: string; bytes: number; used: number }[] = [];
  const folders = await listFolder(root);
  if (!folders.ok) return [];
  for (const { name, kind } of folders.value) {
    if (kind !== 'folder') continue;
    const files = await listFolder(path.join(root, name));
    for (const { name: own } of files.ok ? files.value : []) {
      if (!own.endsWith('.safetensors')) continue;
      const file = path.join(root, name, own);
      const status = await fileStatus(file);
      const index = await fileStatus(indexOf(file));
      if (status.ok) found.push({ file, bytes: status.value.bytes, used: index.ok ? index.value.modified : 0 });
    }
  }
  return found.sort((a, b) => a.used - b.used);
}

const indexOf = (file: string): string => file.replace(/safetensors$/, 'json');

async function removeBlock(file: string): Promise<void> {
  // The index first: without it the rest is not looked at.
  await removeFile(indexOf(file));
  await removeFile(file);
}

const unfinishedAfterMs = 3_600_000;

/** Opens what is there; what is unfinished or of another form is left alone and removed by the bound. */
export async function openActivationStore({ root, key, hiddenSize: d, topK, limit }: StoreOptions): Promise<ActivationStore> {
  const folder = path.join(root, createHash('sha256').update(key).digest('hex').slice(0, 16));
  const blocks = new Map<string, Block>();
  const files = new Map<string, RangedFile>();
  const used = new Set<string>();
  // Another process may be at work on its own: its passes write every layer.
  await removeUnfinished(folder, { olderThanMs: unfinishedAfterMs });
  const listed = await listFolder(folder);
  for (const { name } of listed.ok ? listed.value : []) {
    if (name.endsWith(UNFINISHED)) continue;
    if (!name.endsWith('.json')) continue;
    const json = await readJson(path.join(folder, name));
    const index = json.ok ? blockSchema.safeParse(json.value) : null;
    if (!index?.success || index.data.hiddenSize !== d || index.data.topK !== topK) continue;
    const file = path.join(folder, name.replace(/json$/, 'safetensors'));
    blocks.set(file, openedBlock(file, index.data));
  }

  const has = ({ index }: Block, { layers, routed, summary }: Needed): boolean =>
    layers.every((layer) => index.layers.includes(layer)) &&
    routed.every((layer) => index.routed.includes(layer)) &&
    (summary === 0 || index.summary === summary);
  const findIn = (sequence: string, needed: Needed): Block | undefined =>
    [...blocks.values()].find((block) => block.places.has(sequence) && has(block, needed));

  async function fileOf({ file }: Block): Promise<RangedFile> {
    const known = files.get(file);
    if (known) return known;
    const opened = unwrap(await openRanged(file));
    files.set(file, opened);
    return opened;
  }

  /** One sequence's part of a tensor, `bytes` per row. */
  async function part(sequence: TokenSequence, needed: Needed, name: string, rowBytes: number, bySequence: boolean): Promise<Uint8Array> {
    const own = sequenceKey(sequence);
    const block = findIn(own, needed);
    const place = block?.places.get(own);
    if (!block || !place) throw new Error(`Sequence ${sequence.id} is not in the activation store.`);
    const [from, rows] = bySequence ? [place.z, 1] : [place.row, place.tokens];
    const damaged = async (fault: FaultError) => {
      blocks.delete(block.file);
      await files.get(block.file)?.close();
      files.delete(block.file);
      await removeBlock(block.file);
      return fault;
    };
    const read = await fileOf(block).then(
      (file) => file.read((block.offsets.get(name) ?? 0) + from * rowBytes, rows * rowBytes),
      (error: FaultError) => ({ ok: false as const, fault: error.fault }),
    );
    if (!read.ok) throw await damaged(new FaultError(read.fault));
    if (checksum(read.value) !== block.index.checksums[name]?.[place.z])
      throw await damaged(new FaultError({ code: 'bad-file', message: `${block.file} does not hold what was written to it.`, remedy: 'It is made again.' }));
    if (!used.has(block.file)) {
      used.add(block.file);
      // Written again, it is the latest used.
      await writeJson(indexOf(block.file), block.index);
    }
    return read.value;
  }

  async function gather(batch: PackedBatch, needed: Needed, name: string, rowBytes: number): Promise<ArrayBuffer> {
    const into = new Uint8Array(batch.tokens * rowBytes);
    for (const [z, sequence] of batch.sequences.entries()) {
      if (sequence.ids.length > 0) into.set(await part(sequence, needed, name, rowBytes, false), batch.offsets[z] * rowBytes);
    }
    return into.buffer;
  }

  return {
    missing(sequences, needed) {
      const seen = new Set<string>();
      return sequences.filter((sequence) => {
        const own = sequenceKey(sequence);
        if (seen.has(own) || findIn(own, needed)) return false;
        seen.add(own);
        return true;
      });
    },
    async fits(tokens, sequences, needed) {
      const { bytes } = layOut(layoutOf(needed, d, topK, tokens, sequences));
      const free = await freeBytes(root);
      return bytes <= limit && (free === null || bytes <= free / 2);
    },
    async write(batch, needed, pass) {
      unwrap(await makeFolder(folder));
      const order = batch.sequences.map((_, i) => i).sort((a, b) => batch.offsets[a] - batch.offsets[b] || a - b);
      const layout = layoutOf(needed, d, topK, batch.tokens, order.length);
      const { head, bytes } = layOut(layout);
      let held = 0;
      const others = await blocksUnder(root);
      for (const other of others) held += other.bytes;
      for (const other of others) {
        if (held + bytes <= limit) break;
        if (used.has(other.file)) continue;
        blocks.delete(other.file);
        await removeBlock(other.file);
        held -= other.bytes;
      }
      const file = path.join(folder, `${randomBytes(8).toString('hex')}.safetensors`);
      const checksums: Record<string, string[]> = {};
      const lengths = order.map((i) => batch.sequences[i].ids.length);
      const sums = (name: string, values: Uint8Array, rowBytes: number, rows: readonly number[]) => {
        let at = 0;
        checksums[name] = rows.map((count) => {
          at += count;
          return checksum(values.subarray((at - count) * rowBytes, at * rowBytes));
        });
      };
      unwrap(
        await writeStreamed(
          file,
          async (write) => {
            await write(head);
            const waiting = layout.map(({ name }) => name);
            const put = async (name: string, values: Uint8Array, rowBytes: number, rows: readonly number[]) => {
              if (waiting.shift() !== name) throw new Error(`${name} was not the next tensor of ${file}.`);
              sums(name, values, rowBytes, rows);
              await write(values);
            };
            const summaries = await pass({
              entrance: (layer, x) => put(entranceName(layer), bytesOf(x), d * 4, lengths),
              choice: (layer, choice) => put(choiceName(layer), bytesOf(Uint16Array.from(choice)), topK * 2, lengths),
            });
            const ordered = new Float64Array(summaries.length);
            order.forEach((from, to) => {
              ordered.set(summaries.subarray(from * needed.summary, (from + 1) * needed.summary), to * needed.summary);
            });
            const ones = order.map(() => 1);
            await put(summaryName, bytesOf(ordered), needed.summary * 8, ones);
            if (waiting.length > 0) throw new Error(`The pass did not make ${waiting[0]}.`);
          },
          { needs: bytes },
        ),
      );
      const index: BlockIndex = {
        format: 1,
        sequences: order.map((i) => ({ key: sequenceKey(batch.sequences[i]), tokens: batch.sequences[i].ids.length })),
        hiddenSize: d,
        topK,
        layers: [...needed.layers],
        routed: [...needed.routed],
        summary: needed.summary,
        checksums,
      };
      unwrap(await writeJson(indexOf(file), index));
      used.add(file);
      blocks.set(file, openedBlock(file, index));
    },
    entrance: async (batch, layer) => new Float32Array(await gather(batch, { layers: [layer], routed: [], summary: 0 }, entranceName(layer), d * 4)),
    choice: async (batch, layer) => new Uint16Array(await gather(batch, { layers: [], routed: [layer], summary: 0 }, choiceName(layer), topK * 2)),
    async summaries(sequences, width) {
      const all = new Float64Array(sequences.length * width);
      if (width === 0) return all;
      for (const [z, sequence] of sequences.entries()) {
        const bytes = await part(sequence, { layers: [], routed: [], summary: width }, summaryName, width * 8, true);
        all.set(new Float64Array(bytes.slice().buffer), z * width);
      }
      return all;
    },
    bytes: async () => (await blocksUnder(root)).reduce((sum, { bytes }) => sum + bytes, 0),
    async close() {
      for (const file of files.values()) await file.close();
      files.clear();
    },
  };
}
