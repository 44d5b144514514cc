/** Opens a Hugging Face checkpoint folder: reads config.json, the index and the headers; no weights. */
import path from 'node:path';
import { UNFINISHED } from '../files/atomic-write';
import { kindInWords, kindOf, listFolder } from '../files/folder';
import { rangedPool, withRanged } from '../files/ranged';
import { parseJson, readText } from '../files/read';
import { faultOf, ok, type Result, refuse, unwrap } from '../protocol/fault';
import { elementCount, type TensorRef, unitName } from '../protocol/tensors';
import { firstNotFinite, widen } from '../tensor/dtype';
import { appliedState, refuseMixed } from './applied-state';
import type { Checkpoint, RawTensor, Shard, StoredSlice, TensorEntry } from './checkpoint';
import { fingerprintOf } from './fingerprint';
import { type Header, readHeader } from './header';
import { refuseEscape } from './inside-folder';
import { quantisationOf } from './quantisation';
import { INDEX_NAME, readShardIndex } from './shard-index';
import { locate } from './slice';

const SINGLE_NAME = 'model.safetensors';
const CONFIG_LIMIT = 16 << 20;
/** Weights in any format: an export must not carry the original's along. */
const WEIGHTS = /\.(safetensors|bin|pt|pth|ckpt|h5|msgpack|gguf|ggml|onnx|npz|index\.json)$/;
/** Folders that are part of a checkpoint for transformers. */
const PART_FOLDERS = ['additional_chat_templates'];

async function readConfig(folder: string): Promise<{ text: string; config: Readonly<Record<string, unknown>> }> {
  const at = path.join(folder, 'config.json');
  const kind = unwrap(await kindOf(at));
  if (kind === 'absent')
    return refuse('not-found', `${folder} has no config.json.`, 'Give the folder of a Hugging Face checkpoint (config.json and *.safetensors).');
  const text = unwrap(await readText(at, CONFIG_LIMIT));
  const config = unwrap(parseJson(text, at));
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    return refuse('bad-file', `${at} is not a JSON object.`, 'Get an unchanged copy.');
  return { text, config: config as Readonly<Record<string, unknown>> };
}

/** Why there are no safetensors here, as helpfully as the other files allow. */
function refuseWithoutWeights(folder: string, names: readonly string[]): never {
  const other = names.find((name) => /\.(bin|pt|pth|gguf|h5|msgpack)$/.test(name));
  if (other !== undefined)
    refuse(
      'unsupported',
      `${folder} holds weights as ${other}; UOE reads safetensors.`,
      'Convert it, for instance with transformers: save_pretrained(folder, safe_serialization=True).',
    );
  const shard = names.find((name) => name.endsWith('.safetensors'));
  if (shard !== undefined)
    refuse('not-found', `${folder} holds ${shard}, but neither ${SINGLE_NAME} nor ${INDEX_NAME}, which says what is in which file.`, `Get ${INDEX_NAME} too.`);
  refuse('not-found', `${folder} has no weights (${SINGLE_NAME}, or shards with ${INDEX_NAME}).`, 'Give the folder of a complete checkpoint.');
}

/** Which files hold the weights. Like transformers, a single file wins over an index that names others. */
async function findShards(
  folder: string,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<{ files: readonly string[]; index: ReadonlyMap<string, string> | null }> {
  const single = names.includes(SINGLE_NAME);
  if (!names.includes(INDEX_NAME)) return single ? { files: [SINGLE_NAME], index: null } : refuseWithoutWeights(folder, names);
  const index = await readShardIndex(folder);
  const files = [...new Set(index.values())].sort();
  if (single && !files.includes(SINGLE_NAME)) return { files: [SINGLE_NAME], index: null };
  for (const file of files) {
    signal?.throwIfAborted();
    const at = path.join(folder, file);
    const kind = unwrap(await kindOf(at));
    if (kind !== 'file') {
      const listed = [...index.values()].filter((value) => value === file).length;
      const what = kind === 'absent' ? 'is missing' : `is ${unwrap(await kindInWords(at))}, not a file`;
      refuse(
        kind === 'absent' ? 'not-found' : 'bad-file',
        `${at} ${what}; ${INDEX_NAME} lists ${listed} tensors in it.`,
        kind === 'absent' ? 'Get the missing file.' : 'Get the file itself.',
      );
    }
    await refuseEscape(folder, file);
  }
  return { files, index };
}

const headerOf = async (at: string): Promise<{ size: number; version: string; header: Header }> =>
  unwrap(await withRanged(at, async ({ size, version, read }) => ({ size, version, header: unwrap(await readHeader(at, size, read)) })));

/** Every tensor of every shard, each once, and none that the index lists elsewhere. */
async function collectTensors(
  folder: string,
  files: readonly string[],
  index: ReadonlyMap<string, string> | null,
  pathOf: (file: string) => string,
  signal?: AbortSignal,
) {
  const tensors = new Map<string, TensorEntry>();
  const shards: Shard[] = [];
  for (const file of files) {
    signal?.throwIfAborted();
    const { size, version, header } = await headerOf(pathOf(file));
    shards.push({ file, path: pathOf(file), bytes: size, headerBytes: header.headerBytes, version });
    for (const tensor of header.tensors) {
      const known = tensors.get(tensor.name);
      if (known)
        refuse('bad-file', `Tensor ${tensor.name} is in two files of ${folder}: ${known.file} and ${file}.`, 'Get an unchanged copy of the checkpoint.');
      tensors.set(tensor.name, { ...tensor, file });
    }
  }
  for (const [name, file] of index ?? []) {
    const entry = tensors.get(name);
    if (entry?.file === file) continue;
    const where = entry ? `it is in ${entry.file}` : 'it is nowhere';
    refuse('bad-file', `${path.join(folder, INDEX_NAME)} lists tensor ${name} in ${file}, but ${where}.`, 'Get index and shards of the same version.');
  }
  if (tensors.size === 0) refuse('bad-file', `${folder} holds no tensors.`, 'Give the folder of a complete checkpoint.');
  return { tensors, shards };
}

async function sortOtherFiles(folder: string, used: ReadonlySet<string>): Promise<{ otherFiles: string[]; unusedWeights: string[] }> {
  const otherFiles: string[] = [];
  const unusedWeights: string[] = [];
  const entries = unwrap(await listFolder(folder));
  for (const { name, kind } of entries) {
    if (kind === 'folder' && PART_FOLDERS.includes(name)) {
      for (const part of unwrap(await listFolder(path.join(folder, name)))) if (part.kind === 'file') otherFiles.push(path.join(name, part.name));
    }
    if (kind !== 'file' || name.startsWith('.uoe') || name.endsWith(UNFINISHED)) continue;
    if (used.has(name)) {
      if (name === INDEX_NAME) otherFiles.push(name);
    } else (WEIGHTS.test(name) ? unusedWeights : otherFiles).push(name);
  }
  return { otherFiles, unusedWeights };
}

function commonestDtype(tensors: Iterable<TensorEntry>): string {
  const bytes = new Map<string, number>();
  for (const { dtype, bytes: size } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + size);
  return [...bytes].reduce((most, one) => (one[1] > most[1] ? one : most))[0];
}

/** Where in a slice the value number `index` is: `[3, 17]`. */
function place(shape: readonly number[], index: number): string {
  const at: number[] = [];
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    at.unshift(rest % shape[axis]);
    rest = Math.floor(rest / shape[axis]);
  }
  return `[${at.join(', ')}]`;
}

/** The open checkpoint over already located shards. Throws FaultError. `pathOf` says where a shard's bytes are. */
export async function openAt(folder: string, pathOf: (file: string) => string, signal?: AbortSignal): Promise<Checkpoint> {
  signal?.throwIfAborted();
  const { text, config } = await readConfig(folder);
  const names = unwrap(await listFolder(folder))
    .filter(({ kind }) => kind !== 'folder')
    .map(({ name }) => name);
  const { files, index } = await findShards(folder, names, signal);
  const { tensors, shards } = await collectTensors(folder, files, index, pathOf, signal);
  signal?.throwIfAborted();
  const others = await sortOtherFiles(folder, new Set(index ? [...files, INDEX_NAME] : files));
  const pool = rangedPool();
  for (const { path: at, version } of shards) pool.expect(at, version);
  const versions = new Map(shards.map(({ file, version }) => [file, version]));
  let fingerprint: Promise<Result<string>> | undefined;

  const attempt = async <T>(work: () => Promise<T>): Promise<Result<T>> => {
    try {
      return ok(await work());
    } catch (error) {
      return { ok: false, fault: faultOf(error) };
    }
  };
  const placeOf = (ref: TensorRef): StoredSlice => {
    const entry = tensors.get(ref.name);
    if (!entry) return refuse('bad-file', `${folder} has no tensor ${ref.name}.`, 'Check that config.json and the weights belong together.');
    return { file: pathOf(entry.file), version: versions.get(entry.file) ?? '', ...locate(entry, ref) };
  };
  const readRaw = async (ref: TensorRef): Promise<RawTensor> => {
    const { file, dtype, shape, offset, bytes } = placeOf(ref);
    return { dtype, shape, bytes: unwrap(await pool.read(file, offset, bytes)) };
  };

  const checkpoint: Checkpoint = {
    folder,
    config,
    configText: text,
    tensors,
    shards,
    dtype: commonestDtype(tensors.values()),
    totalBytes: [...tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0),
    ...others,
    quantisation: quantisationOf(config, tensors.values()),
    place(ref) {
      try {
        return ok(placeOf(ref));
      } catch (error) {
        return { ok: false, fault: faultOf(error) };
      }
    },
    read: (ref) => attempt(() => readRaw(ref)),
    readValues: (ref) =>
      attempt(async () => {
        const { dtype, shape, bytes } = await readRaw(ref);
        const bad = firstNotFinite(bytes, dtype);
        if (bad >= 0)
          refuse(
            'not-finite',
            `Tensor ${unitName(ref)} of ${folder} holds a NaN or infinity at ${place(shape, bad)}.`,
            'The checkpoint is damaged; get an unchanged copy.',
          );
        const values = new Float32Array(elementCount(shape));
        widen(bytes, dtype, values);
        return values;
      }),
    readRange: (file, offset, length, into) => pool.read(pathOf(file), offset, length, into),
    fingerprint: async (signal) => {
      fingerprint ??= attempt(() => fingerprintOf(checkpoint, signal));
      const made = await fingerprint;
      // A cancelled or failed attempt must not stand for the next.
      if (!made.ok) fingerprint = undefined;
      return made;
    },
    close: () => pool.close(),
  };
  return checkpoint;
}

/** Opens a checkpoint folder. Reads configuration and headers only; every fault is one sentence that names file or tensor. */
export async function openCheckpoint(folder: string, signal?: AbortSignal): Promise<Result<Checkpoint>> {
  const at = path.resolve(folder);
  try {
    const kind = unwrap(await kindOf(at));
    if (kind === 'absent') refuse('not-found', `There is no folder ${at}.`, 'Give the folder of a Hugging Face checkpoint.');
    if (kind !== 'folder') refuse('bad-file', `${at} is a file; a checkpoint is a folder.`, 'Give the folder that holds config.json and the weights.');
    const applied = unwrap(await appliedState(at));
    if (applied.state === 'interrupted' && applied.content === 'mixed') await refuseMixed(at);
    return ok(await openAt(at, (file) => path.join(at, file), signal));
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}
