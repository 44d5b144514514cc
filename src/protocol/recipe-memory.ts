/** Memory sizes as people write them: decimal units (kB, MB, GB, TB), binary ones (KiB, MiB, GiB, TiB), or plain bytes. */
import { fail, ok, type Result } from './fault';

const units: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  kib: 2 ** 10,
  m: 1e6,
  mb: 1e6,
  mib: 2 ** 20,
  g: 1e9,
  gb: 1e9,
  gib: 2 ** 30,
  t: 1e12,
  tb: 1e12,
  tib: 2 ** 40,
};

/** "8GB" → 8e9, "1.5GiB" → 1610612736, 4096 → 4096. */
export function memoryBytes(size: string | number): Result<number> {
  const match = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)\s*$/i.exec(String(size));
  const unit = match && Object.hasOwn(units, match[2].toLowerCase()) ? units[match[2].toLowerCase()] : undefined;
  const bytes = match && unit !== undefined ? Math.floor(Number(match[1]) * unit) : Number.NaN;
  if (bytes >= 1 && Number.isSafeInteger(bytes)) return ok(bytes);
  return fail('bad-data', `The memory budget ${JSON.stringify(size)} is not a size.`, 'Write a number with a unit, such as "8GB", "512MB" or "1.5GiB".');
}
