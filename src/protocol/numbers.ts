/** How numbers are written in the interface: trees, status bar and webview alike. */

/** Narrow no-break space: groups of three, and before a unit. */
const thin = '\u202f';
const minus = '\u2212';
export const missing = '–';

const finite = (value: number | null | undefined): value is number => typeof value === 'number' && Number.isFinite(value);

/** Affinity, accuracy, overlap, gate: `0.211`. */
export const fraction = (value: number | null | undefined): string => (finite(value) ? value.toFixed(3).replace('-', minus) : missing);

/** Losses: `0.2437`. */
export const loss = (value: number | null | undefined): string => (finite(value) ? value.toFixed(4).replace('-', minus) : missing);

/** A share of one as a percentage: `10.1 %`. */
export const percent = (value: number | null | undefined, digits = 1): string => (finite(value) ? `${(100 * value).toFixed(digits)}${thin}%` : missing);

/** How many times an equal share: `13.5 ×`, `9.33 ×`, `0.016 ×`. */
export function times(value: number | null | undefined): string {
  if (!finite(value)) return missing;
  const digits = value >= 10 ? 1 : value >= 0.1 ? 2 : 3;
  return `${value.toFixed(digits)}${thin}×`;
}

/** A signed difference, zero unsigned: `−0.094`, `+0.037`. */
export function difference(value: number | null | undefined, digits = 3): string {
  if (!finite(value)) return missing;
  const size = Math.abs(value).toFixed(digits);
  if (Number(size) === 0) return size;
  return `${value < 0 ? minus : '+'}${size}`;
}

/** p of a test: `0.375`, `< 0.001`. */
export const pValue = (value: number | null | undefined): string => (finite(value) && value < 0.001 ? '< 0.001' : fraction(value));

/** `1 664` */
export const count = (value: number | null | undefined): string =>
  finite(value)
    ? Math.round(value)
        .toString()
        .replace(/\B(?=(\d{3})+$)/g, thin)
    : missing;

/** Decimal units, one decimal below 100: `17.6 MB`, `205 kB`. */
export function bytes(value: number | null | undefined): string {
  if (!finite(value)) return missing;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${size.toFixed(size >= 100 || unit === 0 ? 0 : 1)}${thin}${units[unit]}`;
}

/** `15.71 B`, `1.26 M`; exact below a million. */
export function parameters(value: number | null | undefined): string {
  if (!finite(value)) return missing;
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)}${thin}B`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)}${thin}M`;
  return count(value);
}

/** Two units: `3 h 25 min`, `2 min 05 s`, `58 s`, `3.2 s`, `0.04 s`. */
export function duration(seconds: number | null | undefined): string {
  if (!finite(seconds)) return missing;
  if (seconds < 1) return `${seconds.toFixed(2)}${thin}s`;
  if (seconds < 10) return `${seconds.toFixed(1)}${thin}s`;
  const total = Math.round(seconds);
  if (total < 60) return `${total}${thin}s`;
  const two = (value: number) => String(value).padStart(2, '0');
  if (total < 3600) return `${Math.floor(total / 60)}${thin}min ${two(total % 60)}${thin}s`;
  return `${Math.floor(total / 3600)}${thin}h ${two(Math.floor((total % 3600) / 60))}${thin}min`;
}

/** `L16·E20`: layer and expert as in the checkpoint's tensor names. */
export const expertName = (id: { readonly layer: number; readonly expert: number }): string => `L${id.layer}·E${id.expert}`;

/** `layer 16, expert 20`: for sentences and accessible names. */
export const expertWords = (id: { readonly layer: number; readonly expert: number }): string => `layer ${id.layer}, expert ${id.expert}`;

/** An axis or a setting in its shortest exact form: `1e-4`, `0.003`, `16`. */
export function setting(value: number): string {
  const plain = String(value);
  if (value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6)) return plain;
  return value.toExponential().replace('e+', 'e');
}
