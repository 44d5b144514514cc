/**
 * The header of a safetensors file: 8 bytes length, JSON, then the tensors' bytes without hole or overlap.
 * As strict as the format (https://huggingface.co/docs/safetensors): what this accepts, every reader reads alike.
 */

import { onDisk } from '../files/disk-fault';
import { type Result, refuse, unwrap } from '../protocol/fault';
import { jsonExcess } from '../protocol/json-excess';
import { duplicateKey } from './duplicate-key';

/** Bits of one element, for all dtypes of the format; UOE reads F32, F16 and BF16 as weights. */
export const STORED_BITS: ReadonlyMap<string, number> = new Map(
  Object.entries({
    BOOL: 8,
    U8: 8,
    I8: 8,
    F8_E4M3: 8,
    F8_E5M2: 8,
    F8_E8M0: 8,
    F8_E4M3FNUZ: 8,
    F8_E5M2FNUZ: 8,
    F4: 4,
    F6_E2M3: 6,
    F6_E3M2: 6,
    I16: 16,
    U16: 16,
    F16: 16,
    BF16: 16,
    I32: 32,
    U32: 32,
    F32: 32,
    I64: 64,
    U64: 64,
    F64: 64,
    C64: 64,
  }),
);

const LARGEST_HEADER = 100_000_000;

export interface HeaderTensor {
  readonly name: string;
  /** As in the file: any dtype of the format. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface Header {
  /** In the order of their bytes. */
  readonly tensors: readonly HeaderTensor[];
  readonly metadata: ReadonlyMap<string, string>;
  /** Bytes before the first tensor: the length field and the JSON. */
  readonly headerBytes: number;
}

/** Bytes from an offset; the caller decides where they come from. */
export type ReadBytes = (offset: number, length: number) => Promise<Result<Uint8Array>>;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

const broken = (file: string, what: string, remedy = 'Get a complete, unchanged copy of the file.'): never => refuse('bad-file', `${file}: ${what}.`, remedy);

/** Quoted for a sentence, however long or odd the name is. */
const quoted = (name: string): string => JSON.stringify(name.length > 120 ? `${name.slice(0, 117)}...` : name);

function readTensor(file: string, name: string, raw: unknown): { dtype: string; shape: number[]; from: number; to: number } {
  const at = `tensor ${quoted(name)} in the header`;
  if (!isObject(raw)) return broken(file, `${at} is not an object`);
  const { dtype, shape, data_offsets: offsets } = raw;
  const bits = typeof dtype === 'string' ? STORED_BITS.get(dtype) : undefined;
  if (typeof dtype !== 'string' || bits === undefined)
    return broken(
      file,
      `${at} has ${typeof dtype === 'string' ? `the unknown dtype ${quoted(dtype)}` : 'no dtype'}`,
      'The format knows F32, F16, BF16 and a few more; convert the file.',
    );
  if (!Array.isArray(shape) || !shape.every(isCount)) return broken(file, `${at} has no valid shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) return broken(file, `${at} has no valid data_offsets`);
  const [from, to] = offsets;
  if (to < from) return broken(file, `${at} ends (byte ${to}) before it starts (byte ${from})`);
  let size = bits;
  for (const length of shape) {
    size *= length;
    if (!Number.isSafeInteger(size)) return broken(file, `${at} has the shape [${shape.join(', ')}], which no file can hold`);
  }
  if (size !== (to - from) * 8)
    return broken(file, `${at} has the shape [${shape.join(', ')}] of ${dtype}, which is ${size / 8} bytes, but its data_offsets span ${to - from}`);
  return { dtype, shape, from, to };
}

function readMetadata(file: string, raw: unknown): Map<string, string> {
  const metadata = new Map<string, string>();
  if (raw === undefined || raw === null) return metadata;
  if (!isObject(raw)) return broken(file, '__metadata__ in the header is not an object');
  for (const [key, value] of Object.entries(raw)) {
    if (typeof value !== 'string') return broken(file, `__metadata__ ${quoted(key)} in the header is not a string`);
    metadata.set(key, value);
  }
  return metadata;
}

/** Reads and checks the header of a file of `size` bytes; `file` names it in sentences. Reads nothing beyond the header. */
export const readHeader = (file: string, size: number, read: ReadBytes): Promise<Result<Header>> =>
  onDisk('read', file, async () => {
    if (size < 8) return broken(file, `it has ${size} bytes, too few for a safetensors file`);
    const field = unwrap(await read(0, 8));
    const length = Number(new DataView(field.buffer, field.byteOffset, 8).getBigUint64(0, true));
    if (length > LARGEST_HEADER)
      return broken(file, `its header claims ${length} bytes, more than the format's 100 MB`, 'It is no safetensors file, or it is damaged.');
    if (length < 2) return broken(file, `its header claims ${length} bytes, too few for one`, 'It is no safetensors file, or it is damaged.');
    if (8 + length > size) return broken(file, `its header claims ${length} bytes, but the file has only ${size - 8} after the length: it is cut short`);
    return parseHeader(file, unwrap(await read(8, length)), size);
  });

/** Checks the JSON of a header against the size of its file. Throws FaultError. */
function parseHeader(file: string, json: Uint8Array, size: number): Header {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
  } catch {
    return broken(file, 'its header is not UTF-8 text');
  }
  if (!text.startsWith('{')) return broken(file, 'its header does not start with {');
  const excess = jsonExcess(text);
  if (excess !== null) return broken(file, `its header ${excess}`);
  // Not files/read's parseJson: a tensor may be called __proto__, and stays one among others in a Map.
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return broken(file, 'its header is not valid JSON');
  }
  if (!isObject(raw)) return broken(file, 'its header is not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== null) return broken(file, `its header holds ${quoted(twice)} twice`);

  const entries = Object.entries(raw).filter(([name]) => name !== '__metadata__');
  const found = entries.map(([name, value]) => ({ name, ...readTensor(file, name, value) })).sort((a, b) => a.from - b.from || a.to - b.to);
  let end = 0;
  let previous = '';
  for (const { name, from, to } of found) {
    if (from < end) return broken(file, `tensors ${quoted(previous)} and ${quoted(name)} overlap (byte ${from} of the data)`);
    if (from > end) return broken(file, `${from - end} bytes before tensor ${quoted(name)} belong to no tensor`);
    end = to;
    previous = name;
  }
  const start = 8 + json.length;
  if (start + end > size) return broken(file, `it is cut short: ${start + end - size} of ${start + end} bytes are missing`);
  if (start + end < size) return broken(file, `${size - start - end} bytes after the last tensor belong to no tensor`);
  return {
    tensors: found.map(({ name, dtype, shape, from, to }) => ({ name, dtype, shape, offset: start + from, bytes: to - from })),
    metadata: readMetadata(file, Object.hasOwn(raw, '__metadata__') ? raw.__metadata__ : undefined),
    headerBytes: start,
  };
}
