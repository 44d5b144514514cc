import path from 'node:path';
import { openedTokenizer, readWith } from '../rows';
import { jsonOf, type OpenTarget } from '../target';
import { templates } from '../templates';
import { tokenizerSettings, tokenizers } from '../tokenizers';

export const tokenizerConfig: OpenTarget = ({ folder }) => ({
  name: 'tokenizer_config.json',
  form: 'json',
  share: 4,
  seeds: [jsonOf(tokenizerSettings), jsonOf({ ...tokenizerSettings, chat_template: [{ name: 'default', template: templates[1] }] })],
  run: async (input) => readWith(await openedTokenizer(path.join(folder, 'tokenizer-config'), jsonOf(tokenizers()[0]), input)),
});
