/** `--trace FILE` on verbs that read the weights. */
import path from 'node:path';
import { Option } from 'commander';
import { percent } from '../protocol/numbers';
import type { WeightOverlap } from '../protocol/records';

export const traceOption = (): Option => new Option('--trace <file>', 'write when weights were read and computed with, for a viewer of trace events');

/** Absolute, or nothing. */
export const traceOf = ({ trace }: { readonly trace?: string }): { readonly trace?: string } => (trace === undefined ? {} : { trace: path.resolve(trace) });

/** One line. */
export function overlapText({ reading, widening, computing, share }: WeightOverlap): string {
  const seconds = (value: number) => `${value.toFixed(1)} s`;
  const beside = share === null ? '' : `; ${percent(share, 0)} of the shorter went on beside the other`;
  return `Weights: reading ${seconds(reading)}, widening ${seconds(widening)}, arithmetic ${seconds(computing)}${beside}.`;
}
