/** The state of a sweep's task in words: what its run folder says, and what an executor sees beside it. */
import type { Sight } from './executor';
import type { TaskResult } from './sweep-results';

/** Reasons of Slurm that are met most, in words; those that end only when somebody changes something say so. */
const reasons: Readonly<Record<string, string>> = {
  None: 'Slurm has not looked at it yet',
  Priority: 'others come first',
  Resources: 'no node is free',
  JobArrayTaskLimit: 'as many as may run at a time do',
  BeginTime: 'Slurm starts it again after a pause',
  Dependency: 'others must end first',
  PartitionTimeLimit: 'never starts: its time is above what the partition allows',
  PartitionNodeLimit: 'never starts: it asks for more than the partition has',
  PartitionConfig: 'never starts: it asks for more than the partition has',
  BadConstraints: 'never starts: no node is as the constraint says',
  DependencyNeverSatisfied: 'never starts: what it waits for has failed',
  ReqNodeNotAvail: 'the nodes it asks for are down or reserved',
  JobHeldUser: 'held by its user',
  JobHeldAdmin: 'held by the administrator',
};

const reasonWords = (why: string): string => (reasons[why] ? `${reasons[why]} (${why})` : why || 'in the queue');

const seenWords = (sight: Sight | undefined): string => {
  if (sight === undefined) return '';
  if (sight.at === 'ended') return `${sight.how}${sight.where === '' ? '' : ` on ${sight.where}`}`;
  return sight.at === 'running' ? `RUNNING on ${sight.where}` : sight.at;
};

/**
 * One phrase. The run folder is the truth: what is done is done whatever the queue says. Late answers, forgotten jobs and lost nodes are told
 * apart where the two differ.
 */
export function taskWords({ state, record }: Pick<TaskResult, 'state' | 'record'>, sight: Sight | undefined): string {
  if (state === 'done') return 'done';
  if (sight?.at === 'queued') return `${record && state !== 'waiting' ? `${state}, ` : ''}queued: ${reasonWords(sight.why)}`;
  if (sight?.at === 'unknown') return `${state}; not known what becomes of it: ${sight.why}`;
  const again = 'the same command takes it up again';
  if (state === 'failed') return `failed${record?.reason ? `: ${record.reason}` : ''}`;
  if (state === 'running') {
    if (sight?.at === 'ended') return `lost (${seenWords(sight)}), its run is still locked for a few minutes`;
    if (sight?.at === 'forgotten') return 'running, though its job is forgotten';
    return sight?.at === 'running' ? `running on ${sight.where}` : 'running';
  }
  // The record of a run that was killed may not say how far it came; its journal does.
  const kept = record ? (record.steps > 0 ? ` at step ${record.steps}` : '') : ' before it began';
  if (sight?.at === 'running') {
    if (state === 'waiting') return `starting on ${sight.where}`;
    return record?.status === 'cancelled'
      ? `stopped${kept}, its job ends`
      : `lost${kept}: its process is gone, though its job counts as running on ${sight.where}`;
  }
  if (sight?.at === 'forgotten' && record?.status !== 'cancelled') return `lost${kept}: its job is forgotten and left no result; ${again}`;
  if (sight?.at === 'ended') {
    if (state === 'waiting') return `did not start: ${seenWords(sight)}`;
    return /^NODE_FAIL|^BOOT_FAIL/.test(sight.how) ? `lost with its node ${sight.where}${kept}; ${again}` : `stopped${kept} (${seenWords(sight)}); ${again}`;
  }
  return state === 'unfinished' ? `stopped${kept}; ${again}` : 'waiting';
}

/** The same of a shard of a reading, which leaves its part or nothing. */
export function shardWords(isDone: boolean, sight: Sight | undefined): string {
  if (isDone) return 'done';
  switch (sight?.at) {
    case undefined:
      return 'waiting';
    case 'queued':
      return `queued: ${reasonWords(sight.why)}`;
    case 'running':
      return `running on ${sight.where}`;
    case 'ended':
      return `left no part (${seenWords(sight)})`;
    case 'forgotten':
      return 'left no part, and its job is forgotten; the same command takes it up again';
    case 'unknown':
      return `not known what becomes of it: ${sight.why}`;
  }
}
