import { Option } from 'commander';
import type { DoctorReport } from '../../protocol/engine';
import { bytes } from '../../protocol/numbers';
import { pairs } from '../pairs';
import { verb } from '../verb';

/** `1.2 GB/s`; what the system hides stays unknown. */
const speed = (value: number | null): string => (value === null ? 'at an unknown speed' : `${bytes(value)}/s`);

/** Whether "precision": "fast" pays on this machine. */
const fastOf = (gigaflops: number | null, bf16: number | null): string =>
  bf16 === null || gigaflops === null ? '' : ` (bf16 ${bf16.toFixed(1)}: "precision": "fast" ${bf16 > gigaflops ? 'gains time' : 'costs time'} here)`;

function textOf(report: DoctorReport): string {
  const { memory, disk, backends, selfTest, missing } = report;
  const facts = pairs([
    ['UOE', `${report.version}, Node ${report.node}, ${report.platform}`],
    ['Processor', `${report.cpu}, ${report.cores} cores`],
    ['Memory', `${bytes(memory.total)}, ${bytes(memory.free)} free; budget ${bytes(memory.budget)}`],
    ['Disk', `${disk.free === null ? 'unknown' : bytes(disk.free)} free in ${disk.folder}; writes ${speed(disk.write)}, reads ${speed(disk.read)}`],
    ...(disk.checkpoint ? [['Checkpoint', `reads ${speed(disk.checkpoint.read)} (${disk.checkpoint.file})`] as const] : []),
    ...backends.map(({ name, available, threads, gigaflops, bf16Gigaflops, note }): [string, string] => [
      `Backend ${name}`,
      `${available ? 'ready' : 'not available'}${threads === null ? '' : `, ${threads} thread${threads === 1 ? '' : 's'}`}${gigaflops === null ? '' : `, ${gigaflops.toFixed(1)} GFLOP/s`}${fastOf(gigaflops, bf16Gigaflops)}. ${note}`,
    ]),
    ['Self-test', selfTest.passed ? `passed (relative error ${selfTest.error.toExponential(1)})` : 'FAILED'],
  ]);
  return [facts, ...(missing.length === 0 ? ['Nothing is missing.'] : missing)].join('\n');
}

export const doctor = verb<[model: string | undefined], { readonly quick?: boolean }>({
  name: 'doctor',
  summary: 'Say what this machine can do, and what is missing: a test of about ten seconds',
  arguments: [['[model]', 'checkpoint folder, to measure how fast its disk reads']],
  options: [new Option('--quick', 'a tenth of the time')],
  example: 'uoe doctor demo/checkpoint --quick',
  async run({ request, workspace }, [model], { quick }) {
    const report = await request('doctor', { folder: workspace, quick: quick === true, ...(model === undefined ? {} : { model }) });
    return {
      json: report,
      text: textOf(report),
      ...(report.selfTest.passed ? {} : { failure: 'The self-test failed: products of this backend are wrong or it could not be started.' }),
    };
  },
});
