/** `--shards N` of the readings that can be cut into parts: the parts are made here or on a cluster, and put together to what one reading gives. */
import path from 'node:path';
import { Option } from 'commander';
import { isUnderWay, type Sight, type TaskCommand } from '../experiment/executor';
import { localExecutor, threadsEach } from '../experiment/local-executor';
import { doneShards, mergedFile, openReading, partsFolder, planReading, type ReadingPlan } from '../experiment/reading-folder';
import type { partEnding } from '../experiment/reading-parts';
import type { SlurmSweep } from '../experiment/slurm-executor';
import type { SlurmProfile } from '../experiment/slurm-profile';
import { handsOf } from '../experiment/sweep-hands';
import { textTable } from '../experiment/table';
import { shardWords } from '../experiment/task-words';
import { writeJson } from '../files/atomic-write';
import { refuse, unwrap } from '../protocol/fault';
import { memoryBytes } from '../protocol/recipe';
import { defaults } from '../protocol/recipe-defaults';
import {
  type Batch,
  cancelled,
  checkWhere,
  dryRun,
  handOver,
  onSlurm,
  overBudget,
  type Place,
  programOnNode,
  type Standing,
  siteOf,
  type WhereFlags,
  whereOptions,
} from './handed';
import { type CommonOptions, whole } from './options';
import type { ShardFlags } from './shard-flag';
import type { Shell, Shown } from './verb';

export interface ShardsFlags extends WhereFlags {
  readonly shards?: number;
}

export const shardsOptions = (): Option[] => [
  new Option('--shards <n>', 'make n parts of the rows apart, here or on a cluster, and put them together; parts that are there are kept').argParser((text) =>
    whole(1)(text),
  ),
  ...whereOptions('shards', ''),
];

/** What of a reading its shards are told again. `data`: files whose content counts. */
export interface Reading {
  readonly verb: 'attribute' | 'score';
  readonly kind: keyof typeof partEnding;
  readonly model: string;
  readonly data: { readonly [option: string]: readonly string[] | undefined };
  /** Arguments of the merge besides the parts. */
  readonly merging: readonly string[];
  /** The parts put together. */
  merged(files: readonly string[]): Promise<Shown>;
}

const optional = (flag: string, value: string | number | undefined): string[] => (value === undefined ? [] : [flag, String(value)]);

/** The verb's own arguments, with files as every node finds them. */
function argumentsOf({ verb, model, data }: Reading, options: CommonOptions): string[] {
  const { patch, run, forbid, forbidBy, documentStart, chat, maxLength, scoring, normalise, backend, seed } = options;
  return [
    ...[verb, path.resolve(model)],
    ...Object.entries(data).flatMap(([flag, files = []]) => files.flatMap((file) => [flag, path.resolve(file)])),
    ...optional('--patch', patch === undefined ? undefined : path.resolve(patch)),
    // Where a job begins is another folder.
    ...optional('--run', run !== undefined && /[\\/]/.test(run) ? path.resolve(run) : run),
    ...optional('--forbid', forbid?.map(({ layer, expert }) => `${layer}:${expert}`).join(',')),
    ...[...optional('--forbid-by', forbidBy), ...optional('--document-start', documentStart), ...optional('--chat', chat)],
    ...[...optional('--max-length', maxLength), ...optional('--scoring', scoring), ...optional('--normalise', normalise)],
    ...[...optional('--backend', backend), ...optional('--seed', seed)],
  ];
}

/** What none of the flags beside it can have a meaning for. */
export function isInShards({ shards, shard, to, on, ...flags }: ShardsFlags & ShardFlags): boolean {
  if (shards !== undefined && (shard !== undefined || to !== undefined))
    refuse('usage', '--shards makes all parts, --shard I/N --to FILE makes one.', 'Give one or the other.');
  const { workers, dryRun: dry, state, cancel, wait, site } = flags;
  if (shards === undefined && (on ?? workers ?? dry ?? state ?? cancel ?? site ?? (wait ? undefined : wait)) !== undefined)
    refuse('usage', 'Where it runs can be chosen for shards alone.', 'Add --shards N.');
  return shards !== undefined;
}

function standingOf({ shards }: ReadingPlan, done: ReadonlySet<string>): Map<string, Standing> {
  const standing = (isDone: boolean): Standing => ({
    state: isDone ? 'done' : 'waiting',
    words: (sight) => shardWords(isDone, sight),
    ended: (said) => (isDone ? 'done' : `left no part: ${said}`),
  });
  return new Map(shards.map(({ id }) => [id, standing(done.has(id))]));
}

/** A shard holds to its budget: what a job asks for follows from it. */
function memoryOn({ memory: wanted = 'plan' }: SlurmProfile, budget: number): { readonly job: number | null; readonly task: number | null } {
  if (wanted === 'none') return { job: null, task: null };
  const task = wanted === 'plan' ? budget : unwrap(memoryBytes(wanted)) / overBudget;
  return { job: task * overBudget, task };
}

function placeOf(
  plan: ReadingPlan,
  due: readonly string[],
  { on, workers }: ShardsFlags,
  { memory: own, threads }: CommonOptions,
  workspace: string,
  profile: SlurmProfile,
  merging: readonly string[],
): Place {
  const budget = unwrap(memoryBytes(own ?? defaults.memory.value));
  const commandsOf = (memory: number | null, usualThreads: number): TaskCommand[] =>
    plan.shards
      .filter(({ id }) => due.includes(id))
      .map(({ id, index, part, log }) => ({
        id,
        log,
        args: [
          ...[...plan.args, '--shard', `${index}/${plan.shards.length}`, '--to', part, '--threads', String(threads ?? usualThreads)],
          ...[...optional('--memory', memory === null ? own : Math.floor(memory)), '--workspace', workspace],
        ],
      }));
  const count = workers ?? 1;
  if (on !== 'slurm')
    return {
      ...{ executor: localExecutor(process.argv[1], count, plan.folder), slurm: null, workers: count },
      commands: commandsOf(count > 1 ? budget / count : null, threadsEach(count)),
    };
  const memory = memoryOn(profile, budget);
  const slurm: SlurmSweep = {
    ...{ name: path.basename(plan.folder), folder: plan.folder, profile, program: programOnNode(), parallel: workers ?? profile.parallel },
    ...{ memory: memory.job, startsOver: true },
    merge: ['merge', partsFolder(plan), '--to', mergedFile(plan), ...merging],
  };
  return onSlurm(slurm, commandsOf(memory.task, profile.cpus ?? 1), workers ?? profile.parallel ?? plan.shards.length);
}

function stateShown(batch: Batch, standing: ReadonlyMap<string, Standing>, sights: ReadonlyMap<string, Sight>): Shown {
  const rows = batch.tasks.map(({ id, log }) => ({ task: id, state: standing.get(id)?.state, words: standing.get(id)?.words(sights.get(id)) ?? '', log }));
  const columns = ['Shard', 'State', 'Log'].map((title) => ({ title, align: 'left' as const }));
  const table = textTable(
    columns,
    rows.map(({ task, words, log }) => [task, words, log].map((text) => ({ text }))),
  );
  return { json: { name: batch.name, tasks: rows.map((row) => ({ ...row, seen: sights.get(row.task) ?? null })) }, text: table };
}

/** Makes what parts are missing and gives all of them put together. A shard that left none is a fault with its last words and its log. */
export async function inShards(shell: Shell, reading: Reading, options: ShardsFlags & CommonOptions): Promise<Shown> {
  const { workspace, note, signal } = shell;
  const { shards = 1, state, cancel, wait } = options;
  const profile = await siteOf(options.site);
  await checkWhere(options, profile);
  const files = [...Object.values(reading.data).flatMap((own) => own ?? []), ...(options.patch === undefined ? [] : [options.patch])];
  const plan = await planReading(workspace, reading.kind, argumentsOf(reading, options), shards, { model: path.resolve(reading.model), data: files, signal });
  const batch: Batch = {
    ...{ noun: 'reading', plural: 'shards', name: path.basename(plan.folder), folder: plan.folder, tasks: plan.shards },
    stand: async () => standingOf(plan, await doneShards(plan)),
  };
  const { sights: seen, there } = await handsOf(plan.folder);
  const before = await batch.stand();
  if (state) return stateShown(batch, before, seen);
  if (cancel !== undefined) return cancelled(batch, seen, cancel);
  const due = plan.shards.flatMap(({ id }) => (before.get(id)?.state === 'done' || isUnderWay(there.get(id)) ? [] : [id]));
  const place = placeOf(plan, due, options, options, workspace, profile, reading.merging);
  if (options.dryRun) return dryRun(batch, before, there, place);
  const isIdle = ![...there.values()].some(isUnderWay);
  const { left } = await handOver(shell, batch, place, there, wait, () => openReading(plan, isIdle));
  if (left) return left;
  const after = await batch.stand();
  const missing = plan.shards.filter(({ id }) => after.get(id)?.state !== 'done');
  if (missing.length > 0) {
    const [first, ...others] = missing;
    const said = await place.executor.collect(first);
    const why = isUnderWay(there.get(first.id)) ? shardWords(false, there.get(first.id)) : said.replace(/\.$/, '');
    const more = others.length > 0 ? ` ${others.length} more ${others.length === 1 ? 'has' : 'have'} none.` : '';
    refuse(
      'conflict',
      `${first.name.replace(/^s/, 'S')} has no part${why === '' ? '' : ` (${why})`}; its log is ${first.log}.${more}`,
      'The same command makes what is missing.',
    );
  }
  const shown = await reading.merged(plan.shards.map(({ part }) => part));
  unwrap(await writeJson(mergedFile(plan), shown.json));
  note(`${shards} shards put together in ${mergedFile(plan)}.`);
  return { ...shown, done: true };
}
