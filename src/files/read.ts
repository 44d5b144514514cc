/** Small files whole: bytes, text, JSON. */
import { fail, ok, type Result, refuse, unwrap } from '../protocol/fault';
import { jsonExcess } from '../protocol/json-excess';
import { withRanged } from './ranged';
import { readableSize } from './readable-size';

/** Data and tokenizers are well below; a mistaken path to a checkpoint is above. */
const TEXT_LIMIT = 1 << 29;
const JSON_LIMIT = 1 << 28;

/** All of a file; larger than `limit` bytes is a fault. */
export const readBytes = (at: string, limit = TEXT_LIMIT): Promise<Result<Uint8Array>> =>
  withRanged(at, async (file) => {
    if (file.size > limit)
      refuse('bad-file', `${at} has ${readableSize(file.size)}; at most ${readableSize(limit)} can be read here.`, 'Check that it is the right file.');
    return unwrap(await file.read(0, file.size));
  });

/** A UTF-8 text file, without its byte order mark. */
export async function readText(at: string, limit = TEXT_LIMIT): Promise<Result<string>> {
  const bytes = await readBytes(at, limit);
  if (!bytes.ok) return bytes;
  try {
    return ok(new TextDecoder('utf-8', { fatal: true }).decode(bytes.value));
  } catch {
    return fail('bad-file', `${at} is not UTF-8 text.`, 'Save it as UTF-8.');
  }
}

/** JSON of unknown form. A key `__proto__` is dropped, so that no later copy can change a prototype. */
export function parseJson(text: string, at: string): Result<unknown> {
  const excess = jsonExcess(text);
  if (excess !== null) return fail('bad-file', `${at} ${excess}.`, 'Get an unchanged copy.');
  try {
    const value: unknown = JSON.parse(text, text.includes('__proto__') ? (key, item: unknown) => (key === '__proto__' ? undefined : item) : undefined);
    return ok(value);
  } catch (error) {
    return fail('bad-file', `${at} is not valid JSON: ${error instanceof Error ? error.message : String(error)}.`, 'Repair it, or get a complete copy.');
  }
}

/** A JSON file of unknown form. */
export async function readJson(at: string, limit = JSON_LIMIT): Promise<Result<unknown>> {
  const text = await readText(at, limit);
  return text.ok ? parseJson(text.value, at) : text;
}
