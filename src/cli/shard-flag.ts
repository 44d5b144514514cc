/** `--shard 2/4 --to FILE`, of the readings that can be cut into parts. */
import { InvalidArgumentError, Option } from 'commander';
import type { Shard } from '../protocol/engine';
import { refuse } from '../protocol/fault';

export interface ShardFlags {
  readonly shard?: Pick<Shard, 'index' | 'count'>;
  readonly to?: string;
}

function parseShard(text: string): Pick<Shard, 'index' | 'count'> {
  const [, index, count] = /^([1-9]\d{0,5})\/([1-9]\d{0,5})$/.exec(text) ?? [];
  if (index === undefined || Number(index) > Number(count)) throw new InvalidArgumentError('It is I/N, such as 1/4 to 4/4.');
  return { index: Number(index), count: Number(count) };
}

export const shardOptions = (): Option[] => [
  new Option('--shard <i/n>', 'read the i-th of n equal parts of the rows alone, for "uoe merge"').argParser((text) => parseShard(text)),
  new Option('--to <file>', 'where the part goes'),
];

/** Both or neither. */
export function shardOf({ shard, to }: ShardFlags): { readonly shard?: Shard } {
  if (shard === undefined && to === undefined) return {};
  if (shard === undefined || to === undefined) return refuse('usage', 'A part needs both --shard I/N and --to FILE.', 'Give both, or neither.');
  return { shard: { ...shard, to } };
}
