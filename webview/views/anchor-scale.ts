/** The anchor-weight slider: 62 positions, 0 is off, then ten steps a decade from 0.001 to 1000. Pure. */
import { t } from '../text';

export const lastPosition = 61;

/** Weight of a position, to the three digits that are shown. */
export function weightAt(position: number): number {
  return position <= 0 ? 0 : Number((10 ** (-3 + (position - 1) / 10)).toPrecision(3));
}

/** The nearest position of a weight; any weight above 0 is at least position 1. */
export function positionOf(weight: number): number {
  if (!(weight > 0)) return 0;
  return Math.max(1, Math.min(lastPosition, Math.round((Math.log10(weight) + 3) * 10) + 1));
}

/** Marks under the slider with the position of each. */
export const ticks: readonly (readonly [text: string, position: number])[] = [
  ['0', 0],
  ['.01', 11],
  ['.1', 21],
  ['1', 31],
  ['10', 41],
  ['100', 51],
  ['1000', 61],
];

export function advice(weight: number): string {
  if (weight === 0) return t('Off: the router is free to send forget tokens elsewhere. Expect hidden, not erased, knowledge.');
  if (weight < 0.1) return t('Weak: routing may drift away from the target.');
  if (weight <= 10) return t('Paper’s range: 1 is best of 0, 1, 100, 1000 (Table 6).');
  return t('Strong: routing is held; forgetting takes more steps.');
}

/** A number as people type it: point or comma, exponents; null when it is none. */
export function parseNumber(text: string): number | null {
  const value = Number(text.trim().replace(',', '.').replace('−', '-'));
  return text.trim() === '' || !Number.isFinite(value) ? null : value;
}
