import path from 'node:path';
import { openedTokenizer, readWith } from '../rows';
import { jsonOf, type OpenTarget } from '../target';
import { tokenizerSettings, tokenizers } from '../tokenizers';

export const tokenizerJson: OpenTarget = ({ folder }) => ({
  name: 'tokenizer.json',
  form: 'json',
  share: 8,
  seeds: tokenizers().map(jsonOf),
  words: ['"Regex"', '(a+)+$', '(\\\\w+\\\\s?)*$', '"Sequence"'],
  run: async (input) => readWith(await openedTokenizer(path.join(folder, 'tokenizer'), input, jsonOf(tokenizerSettings))),
});
