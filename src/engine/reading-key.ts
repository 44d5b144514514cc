/** What a reading depends on besides the open model, as a hash. */
import { sha256Of } from '../files/sha256';
import type { Conditions } from '../passes/model';
import type { ReadSet } from './reading';

export function keyOf(sets: readonly (ReadSet | null)[], { overlay, forbidden }: Conditions, ...settings: readonly (string | number)[]): string {
  const parts: string[] = [settings.join()];
  for (const set of sets) {
    parts.push(set === null ? '-' : String(set.made.sequences.length));
    for (const { id, ids } of set?.made.sequences ?? []) parts.push(`${id} ${ids.join(' ')}`);
  }
  for (const [unit, { values }] of overlay) parts.push(unit, sha256Of(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)));
  for (const [layer, { experts, by }] of forbidden) parts.push(`${layer}:${[...experts].join(',')}:${by}`);
  return sha256Of(parts.join('\n'));
}
