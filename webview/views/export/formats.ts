/** How step 5 writes norms and fingerprints. Pure. */
import { t } from '../../text';

/** Fixed digits where they say something, an exponent below. */
export const size = (value: number, digits: number): string =>
  value === 0 || value >= 10 ** -digits ? value.toFixed(digits) : value.toExponential(1).replace('-', '−');

/** `9f3c 41d7 …`: enough to compare by eye; the whole is in "Copy checksums". */
export function shortHash(fingerprint: string): string {
  const [kind, digits = ''] = fingerprint.split(':');
  const groups = digits.slice(0, 32).match(/.{4}/g) ?? [];
  const shown = `${groups.join(' ')} …`;
  return kind.startsWith('sampled') ? t('{0} (sampled)', shown) : shown;
}
