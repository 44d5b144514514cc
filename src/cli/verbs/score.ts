import { Option } from 'commander';
import { scoreResult } from '../../engine/score-rows';
import { mergeScores } from '../../experiment/reading-parts';
import { textTable } from '../../experiment/table';
import type { ScoredRow, ScoreResult } from '../../protocol/engine';
import { refuse } from '../../protocol/fault';
import { fraction, loss, missing } from '../../protocol/numbers';
import { inShards, isInShards, type ShardsFlags, shardsOptions } from '../in-shards';
import { collected, readingOf, readingOptions, scoringOf, scoringOptions, variantOf, variantOptions } from '../options';
import { type ShardFlags, shardOf, shardOptions } from '../shard-flag';
import { fileSources } from '../sources';
import { type Shown, verb } from '../verb';

interface Own extends ShardFlags, ShardsFlags {
  readonly data: readonly string[];
  readonly logits?: string;
  readonly routing?: string;
}

const shownRows = 20;

const cellsOf = (row: ScoredRow): string[] =>
  'scores' in row
    ? [row.id, missing, missing, String(row.chosen), String(row.answer), row.correct ? 'yes' : 'no']
    : [row.id, String(row.tokens), loss(row.nll), missing, missing, missing];

/** The parts put together: what a scoring without shards gives. Throws FaultError. */
export async function mergedScore(files: readonly string[]): Promise<Shown> {
  const { rows, topics, ...lost } = await mergeScores(files);
  const result = scoreResult(rows, topics, lost);
  return { json: result, text: scoreText(result) };
}

export function scoreText({ rows, mean, skipped, truncated, byTopic }: ScoreResult): string {
  const columns = ['Row', 'Tokens', 'NLL', 'Chosen', 'Answer', 'Right'].map((title, i) => ({ title, align: i === 0 ? ('left' as const) : ('right' as const) }));
  const table = textTable(
    columns,
    rows.slice(0, shownRows).map((row) => cellsOf(row).map((text) => ({ text }))),
  );
  const more = rows.length > shownRows ? `\n… and ${rows.length - shownRows} more rows (all of them with --json)` : '';
  const means = [mean.nll === null ? '' : `NLL per token ${loss(mean.nll)}`, mean.accuracy === null ? '' : `accuracy ${fraction(mean.accuracy)}`]
    .filter(Boolean)
    .join(', ');
  const topics = Object.entries(byTopic).map(
    ([topic, own]) =>
      `${topic}: ${own.rows} rows${own.accuracy === undefined ? '' : `, accuracy ${fraction(own.accuracy)}`}${own.nll === undefined ? '' : `, NLL ${loss(own.nll)}`}`,
  );
  const lost = [skipped > 0 ? `${skipped} rows without a target were skipped.` : '', truncated > 0 ? `${truncated} rows were cut.` : ''].filter(Boolean);
  return [`${table}${more}\n`, `Mean: ${means}.`, ...topics, ...lost].join('\n');
}

export const score = verb<[model: string], Own>({
  name: 'score',
  summary: 'Measure rows: NLL of their targets, or the choice and the score of each option',
  arguments: [['<model>', 'checkpoint folder']],
  options: [
    new Option('--data <file>', 'data file; may be given several times').argParser(collected).makeOptionMandatory(),
    new Option('--logits <file>', 'also write logits to a safetensors file: row.{i}.logits [L,V]'),
    new Option('--routing <file>', 'also write routing and hidden states to a safetensors file: row.{i}.layer.{l}.probs [L,E] and more'),
    ...shardOptions(),
    ...shardsOptions(),
    ...scoringOptions(),
    ...readingOptions(),
    ...variantOptions(),
  ],
  example: 'uoe score demo/checkpoint --data demo/data/eval/forget.jsonl --document-start yes --normalise tokens',
  async run(shell, [model], options) {
    const { request, workspace } = shell;
    const { data, logits, routing } = options;
    if (isInShards(options)) {
      if (logits !== undefined || routing !== undefined)
        refuse('usage', 'A scoring in shards writes no logits and no routing.', 'Leave out --logits and --routing, or --shards.');
      return inShards(shell, { verb: 'score', kind: 'score', model, data: { '--data': data }, merging: [], merged: mergedScore }, options);
    }
    const { shard } = shardOf(options);
    const result = await request('score', {
      model,
      data: fileSources(data),
      logits,
      routing,
      shard,
      ...readingOf(options),
      ...scoringOf(options),
      ...variantOf(options, workspace),
    });
    const part = shard ? `\nPart ${shard.index} of ${shard.count}, in ${shard.to}.` : '';
    return { json: result, text: `${scoreText(result)}${part}`, done: logits !== undefined || routing !== undefined || shard !== undefined };
  },
});
