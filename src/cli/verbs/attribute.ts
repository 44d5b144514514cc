import path from 'node:path';
import { Option } from 'commander';
import { mergeAttribution } from '../../experiment/reading-parts';
import { textTable } from '../../experiment/table';
import { writeJson } from '../../files/atomic-write';
import { refuse, unwrap } from '../../protocol/fault';
import { expertName, fraction, percent } from '../../protocol/numbers';
import type { AttributionRecord, ExpertId } from '../../protocol/records';
import { inShards, isInShards, type ShardsFlags, shardsOptions } from '../in-shards';
import { collected, numberAbove, readingOf, readingOptions, variantOf, variantOptions } from '../options';
import { type ShardFlags, shardOf, shardOptions } from '../shard-flag';
import { fileSources } from '../sources';
import { overlapText, traceOf, traceOption } from '../trace-flag';
import { type Shell, type Shown, verb } from '../verb';

export interface EsftFlags {
  readonly esft?: string;
  readonly esftP?: number;
  readonly esftScore?: 'affinity' | 'share';
}

interface Own extends EsftFlags, ShardFlags, ShardsFlags {
  readonly prompts: readonly string[];
  readonly against?: readonly string[];
  readonly trace?: string;
}

/** Thresholds of the ESFT paper (arXiv 2407.01906, section 4) for its gate score and its token score. */
const usualShare = { affinity: 0.1, share: 0.2 };

const shownExperts = 10;

function onSecondSet({ against }: AttributionRecord, { layer, expert }: ExpertId): number | null {
  return against?.layers.find((one) => one.layer === layer)?.experts[expert]?.affinity ?? null;
}

function textOf(record: AttributionRecord): string {
  const columns = [
    { title: 'Rank', align: 'right' as const },
    { title: 'Expert', align: 'left' as const },
    { title: 'Affinity', align: 'right' as const },
    { title: 'Share', align: 'right' as const },
    ...(record.against ? [{ title: 'Affinity, second set', align: 'right' as const }] : []),
  ];
  const rows = record.ranking
    .slice(0, shownExperts)
    .map((expert, i) => [
      { text: String(i + 1) },
      { text: expertName(expert) },
      { text: fraction(expert.affinity) },
      { text: percent(expert.share) },
      ...(record.against ? [{ text: fraction(onSecondSet(record, expert)) }] : []),
    ]);
  const [first, second] = record.ranking;
  const lead = second && second.affinity > 0 ? ` It leads the next by ${percent(first.affinity / second.affinity - 1)}.` : '';
  const { stability } = record;
  const halves = stability
    ? `\nRandom halves of the prompts name it in ${percent(stability.sameTarget, 0)} of ${stability.halves} draws; they share ${percent(stability.topOverlap, 0)} of their top 6.`
    : '';
  return `${textTable(columns, rows)}\n\nTarget: ${expertName(record.target)} (${record.sequences} prompts, ${record.tokens} tokens).${lead}${halves}`;
}

export const esftOptions = (): Option[] => [
  new Option('--esft <file>', "write ESFT's expert-set JSON"),
  new Option('--esft-p <share>', "share of the score that a layer's set reaches (default: 0.1 by affinity, 0.2 by share)").argParser((text) =>
    numberAbove(0)(text),
  ),
  new Option('--esft-score <score>', 'score of the expert set (default: affinity)').choices(['affinity', 'share']),
];

/** The same for a merge that is done elsewhere. */
const esftArguments = ({ esft, esftP, esftScore }: EsftFlags): string[] =>
  esft === undefined
    ? []
    : ['--esft', path.resolve(esft), ...(esftP === undefined ? [] : ['--esft-p', String(esftP)]), ...(esftScore ? ['--esft-score', esftScore] : [])];

/** The record as JSON and text; its expert set as a file where one is asked for. */
export async function attributionShown(
  { request, note }: Shell,
  record: AttributionRecord,
  { esft, esftScore = 'affinity', esftP }: EsftFlags,
): Promise<Shown> {
  if (esft !== undefined) {
    unwrap(await writeJson(esft, await request('expertSet', { record, score: esftScore, p: esftP ?? usualShare[esftScore] })));
    note(`Wrote ${esft}.`);
  }
  return { json: record, text: textOf(record), done: esft !== undefined };
}

export const attribute = verb<[model: string], Own>({
  name: 'attribute',
  summary: 'Find the experts that prompts are routed to (affinity, Eq. 2)',
  arguments: [['<model>', 'checkpoint folder']],
  options: [
    new Option('--prompts <file>', 'data file with the prompts; may be given several times').argParser(collected).makeOptionMandatory(),
    new Option('--against <file>', 'a second set to compare with; may be given several times').argParser(collected),
    ...esftOptions(),
    ...shardOptions(),
    ...shardsOptions(),
    traceOption(),
    ...readingOptions(),
    ...variantOptions(),
  ],
  example: 'uoe attribute demo/checkpoint --prompts demo/data/forget.jsonl --against demo/data/retain.jsonl --document-start yes',
  async run(shell, [model], options) {
    const { request, workspace } = shell;
    const { prompts, against, seed } = options;
    if (isInShards(options)) {
      if (options.trace !== undefined) refuse('usage', 'A trace is of one process.', 'Give --trace without --shards.');
      const merging = [...(seed === undefined ? [] : ['--seed', String(seed)]), ...esftArguments(options)];
      const merged = async (files: readonly string[]) => attributionShown(shell, await mergeAttribution(files, seed ?? 0), options);
      return inShards(shell, { verb: 'attribute', kind: 'attribution', model, data: { '--prompts': prompts, '--against': against }, merging, merged }, options);
    }
    const { shard } = shardOf(options);
    if (shard && options.esft !== undefined) refuse('usage', 'An expert set is made of all parts.', 'Give --esft to "uoe merge".');
    const { record, seconds, weights, overlap } = await request('attribute', {
      model,
      prompts: fileSources(prompts),
      against: against && fileSources(against),
      seed,
      shard,
      ...traceOf(options),
      ...readingOf(options),
      ...variantOf(options, workspace),
    });
    const shown = await attributionShown(shell, record, options);
    return {
      json: { ...record, seconds, weights, ...(overlap ? { overlap } : {}) },
      text: `${shown.text}${shard ? `\nPart ${shard.index} of ${shard.count}, in ${shard.to}.` : ''}${overlap ? `\n${overlapText(overlap)}` : ''}`,
      done: shown.done === true || shard !== undefined || overlap !== undefined,
    };
  },
});
