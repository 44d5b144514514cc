import type { ModelInfo } from '../../protocol/engine';
import { bytes, count, parameters } from '../../protocol/numbers';
import { pairs } from '../pairs';
import { verb } from '../verb';

/** `0-3, 5, 7-9` */
export function ranges(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < numbers.length; ) {
    let end = i;
    while (end + 1 < numbers.length && numbers[end + 1] === numbers[end] + 1) end++;
    parts.push(i === end ? String(numbers[i]) : `${numbers[i]}-${numbers[end]}`);
    i = end + 1;
  }
  return parts.join(', ');
}

function textOf(info: ModelInfo): string {
  const { tokenizer, plan } = info;
  const facts = pairs([
    ['Family', info.family],
    ['Layers', `${info.layers}, of which MoE: ${ranges(info.moeLayers)}`],
    ['Experts', `${info.experts} in a layer, ${info.topK} for each token${info.sharedExperts > 0 ? `, ${info.sharedExperts} shared` : ''}`],
    [
      'Parameters',
      `${parameters(info.parameters.total)} in all, ${parameters(info.parameters.active)} for each token, ${parameters(info.parameters.perExpert)} in an expert`,
    ],
    ['Weights', `${info.dtype}, ${bytes(info.bytes)} in ${count(info.tensors)} tensors, ${info.shards} file${info.shards === 1 ? '' : 's'}`],
    ['Tokenizer', tokenizer ? `${tokenizer.kind}, ${count(tokenizer.vocabulary)} tokens${tokenizer.chatTemplate ? ', with a chat template' : ''}` : 'none'],
    ['One pass', `reads ${bytes(plan.bytesToRead)}, takes about ${bytes(plan.peakBytes)} of memory (budget ${bytes(plan.budgetBytes)})`],
    ['Fingerprint', info.fingerprint],
  ]);
  return [facts, ...(info.notes ?? []), ...info.unsupported].join('\n');
}

export const inspect = verb<[model: string], object>({
  name: 'inspect',
  summary: 'Show what a checkpoint is, and whether all of it is there',
  arguments: [['<model>', 'checkpoint folder (config.json and *.safetensors)']],
  options: [],
  example: 'uoe inspect demo/checkpoint',
  async run({ request }, [model]) {
    const info = await request('openModel', { path: model });
    return { json: info, text: textOf(info) };
  },
});
