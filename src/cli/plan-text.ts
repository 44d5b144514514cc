/** A plan as people read it. */
import { Option } from 'commander';
import { textTable } from '../experiment/table';
import type { RunPlan } from '../protocol/engine';
import { bytes, count, duration, expertName, percent } from '../protocol/numbers';
import type { RunRecord } from '../protocol/records';
import { pairs } from './pairs';

export const planOption = (): Option => new Option('--plan', 'only say what it will read, hold and take, and start nothing');

/** `, planned: 2 min`, where it was. */
export function plannedText({ plannedSeconds = {} }: RunRecord): string {
  const seconds = Object.values(plannedSeconds).reduce((sum, own) => sum + own, 0);
  return seconds > 0 ? `, planned: ${duration(seconds)}` : '';
}

const wayOut = ({ change, peakBytes }: RunPlan['waysOut'][number]): string => {
  const [[field, value]] = Object.entries(change);
  return `"${field}": ${JSON.stringify(value)} needs ${bytes(peakBytes)}`;
};

function timeTable({ time }: RunPlan): string {
  if (!time) return '';
  const columns = ['Phase', 'Reads', 'GFLOP', 'Reading', 'Arithmetic', 'Takes about'].map((title, i) => ({
    title,
    align: i === 0 ? ('left' as const) : ('right' as const),
  }));
  const seconds = (value: number) => (value === 0 ? '–' : duration(value));
  const rows = time.phases.map(({ name, bytesToRead, flops, reading, computing, seconds: all }) =>
    [
      name,
      bytesToRead === 0 ? '–' : bytes(bytesToRead),
      flops === 0 ? '–' : (flops / 1e9).toPrecision(3),
      seconds(reading),
      seconds(computing),
      seconds(all),
    ].map((text) => ({ text })),
  );
  return `${textTable(columns, rows)}\n`;
}

export function planText(plan: RunPlan): string {
  const { target, memory, disk, time, waysOut, warnings } = plan;
  const facts = pairs([
    ['Target', target.length > 0 ? target.map(expertName).join(' ') : 'chosen by affinity'],
    ['Trains', `${count(plan.trainedParameters)} parameters, ${percent(plan.trainedShare, 2)}`],
    ['Rows', `${count(plan.forgetRows)} forget, ${count(plan.retainRows)} retain, ${count(plan.checkRows)} in checks`],
    ['Memory', `${bytes(memory.peakBytes)} at its largest, ${bytes(memory.budgetBytes)} allowed`],
    ...(waysOut.length > 0 && memory.peakBytes > memory.budgetBytes ? [['Smaller', waysOut.slice(0, 2).map(wayOut).join('; ')] as const] : []),
    [
      'Disk',
      `${bytes(disk.bytes)} in the run's folder, ${bytes(disk.activations)} of activations kept for later runs${disk.free === null ? '' : `; ${bytes(disk.free)} free`}; an export takes ${bytes(disk.exported)} more`,
    ],
    ...(time ? [['Time', `about ${duration(time.seconds)}, from a sample of ${duration(time.sampleSeconds)} of this model on this machine`] as const] : []),
  ]);
  return [facts, timeTable(plan), ...plan.measured, ...plan.notMeasured.map((text) => `Not measured: ${text}`), ...warnings]
    .filter((part) => part !== '')
    .join('\n');
}
