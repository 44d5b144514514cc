/** What the charts of a run draw: series over its steps, made from the rows of steps.jsonl. Pure. */
import type { StepRecord } from './records';

export interface RunSeries {
  /** As shown beside the chart's title. */
  readonly note: string;
  readonly unit: 'loss' | 'share' | 'times';
  readonly values: readonly number[];
}

/** Losses below this are a start at zero: a share of it would mean nothing (KL and RMU's retain term start at 0). */
const zero = 1e-6;

/** Forget loss: NLL for gradient ascent (its loss is the NLL with the sign turned), times its start for RMU, else the loss itself. */
export function forgetSeries(method: string, steps: readonly StepRecord[]): RunSeries {
  const losses = steps.map(({ forget }) => forget);
  if (method === 'ga' || method === 'gdiff') return { note: 'NLL per token', unit: 'loss', values: losses.map((value) => -value) };
  const [start] = losses;
  if (method === 'rmu' && start > zero) return { note: 'times its start', unit: 'times', values: losses.map((value) => value / start) };
  return { note: 'loss of its batch', unit: 'loss', values: losses };
}

/** Retain loss as change from the first step: a share of it, or in units of the loss where it starts at 0. */
export function retainSeries(steps: readonly StepRecord[]): RunSeries {
  const [start] = steps.map(({ retain }) => retain);
  if (start === undefined) return { note: 'change from start', unit: 'share', values: [] };
  if (Math.abs(start) < zero) return { note: 'change from start, NLL', unit: 'loss', values: steps.map(({ retain }) => retain - start) };
  return { note: 'change from start', unit: 'share', values: steps.map(({ retain }) => (retain - start) / Math.abs(start)) };
}
