import { Option } from 'commander';
import { kindOfParts, mergeAttribution, partsIn } from '../../experiment/reading-parts';
import { writeJson } from '../../files/atomic-write';
import { unwrap } from '../../protocol/fault';
import { verb } from '../verb';
import { attributionShown, type EsftFlags, esftOptions } from './attribute';
import { mergedScore } from './score';

interface Own extends EsftFlags {
  readonly to?: string;
}

export const merge = verb<[parts: readonly string[]], Own>({
  name: 'merge',
  summary: 'Put the parts of a sharded attribution or scoring together: the same numbers as without shards',
  arguments: [['<parts...>', 'every part, as written by attribute or score with --shard I/N --to FILE, or the folder of all of them']],
  options: [new Option('--to <file>', 'also write the result as JSON'), ...esftOptions()],
  example: 'uoe merge part-1.safetensors part-2.safetensors part-3.safetensors part-4.safetensors',
  async run(shell, [parts], options) {
    const files = await partsIn(parts);
    const shown =
      kindOfParts(files) === 'attribution'
        ? await attributionShown(shell, await mergeAttribution(files, options.seed ?? 0), options)
        : await mergedScore(files);
    if (options.to === undefined) return shown;
    unwrap(await writeJson(options.to, shown.json));
    shell.note(`Wrote ${options.to}.`);
    return { ...shown, done: true };
  },
});
