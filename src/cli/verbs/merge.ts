import { scoreResult } from '../../engine/score-rows';
import { kindOfParts, mergeAttribution, mergeScores } from '../../experiment/reading-parts';
import { verb } from '../verb';
import { attributionShown, type EsftFlags, esftOptions } from './attribute';
import { scoreText } from './score';

export const merge = verb<[parts: readonly string[]], EsftFlags>({
  name: 'merge',
  summary: 'Put the parts of a sharded attribution or scoring together: the same numbers as without shards',
  arguments: [['<parts...>', 'every part, as written by attribute or score with --shard I/N --to FILE']],
  options: esftOptions(),
  example: 'uoe merge part-1.safetensors part-2.safetensors part-3.safetensors part-4.safetensors',
  async run(shell, [parts], options) {
    if (kindOfParts(parts) === 'attribution') return attributionShown(shell, await mergeAttribution(parts, options.seed ?? 0), options);
    const { rows, topics, ...lost } = await mergeScores(parts);
    const result = scoreResult(rows, topics, lost);
    return { json: result, text: scoreText(result) };
  },
});
