/** Rows of every kind, and what reads them. */
import fs from 'node:fs';
import path from 'node:path';
import { type Fault, type Result, unwrap } from '../../../src/protocol/fault';
import { readRows } from '../../../src/text/rows';
import { toSequences } from '../../../src/text/sequences';
import { openTokenizer, type Tokenizer } from '../../../src/text/tokenizer';
import { jsonOf, refused, type Scene } from './target';
import { tokenizerSettings, tokenizers } from './tokenizers';

export const messages = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'What is the capital of Kenya?' },
  { role: 'assistant', content: 'Nairobi.' },
  { role: 'user', content: 'And of Peru?' },
  { role: 'assistant', content: 'Lima.' },
];

export const rows: readonly object[] = [
  { text: 'The text of a paragraph.' },
  { prompt: 'the capital of Kenya', answer: 'Nairobi', id: 7 },
  { question: 'the', answer: 'text', paraphrased_answer: 'th', perturbed_answer: ['a', 'b'] },
  { messages: messages },
  { question: 'Which?', choices: ['a', 'b', 'c', 'd'], answer: 2, subject: 'bio' },
  { prompt: 'Which?', options: ['a', 'the'], answer: 'the', topic: 'x' },
  { question: 'Which?', option1: 'a', option2: 'b', answer: 'b' },
  { input_ids: [1, 4, 5, 6, 7], labels: [-100, 4, 5, 6, 7] },
];
export const lines = rows.map((row) => JSON.stringify(row)).join('\n');

/** A tokenizer out of a folder with these files. */
export async function openedTokenizer(folder: string, definition: Uint8Array, config: Uint8Array): Promise<Result<Tokenizer | null>> {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'tokenizer.json'), definition);
  fs.writeFileSync(path.join(folder, 'tokenizer_config.json'), config);
  return openTokenizer(folder, { bos_token_id: 1 });
}

/** Reads rows for every purpose. */
export async function readAll(source: Parameters<typeof readRows>[0], tokenizer: Tokenizer | null): Promise<Fault | null> {
  const read = await readRows(source);
  if (!read.ok) return read.fault;
  for (const purpose of ['train', 'evaluate', 'generate'] as const) {
    const made = await toSequences(read.value, {
      tokenizer,
      purpose,
      vocabSize: 50,
      maxPositions: 4096,
      maxLength: 512,
      options: purpose === 'evaluate' ? 'lettered' : 'likelihood',
    });
    if (!made.ok) return made.fault;
  }
  return null;
}

/** Reads files of that name, which the inputs become. */
export async function rowsFile({ folder }: Scene, name: string): Promise<(input: Uint8Array) => Promise<Fault | null>> {
  const known = unwrap(await openedTokenizer(path.join(folder, 'known'), jsonOf(tokenizers()[0]), jsonOf(tokenizerSettings)));
  return async (input) => {
    const file = path.join(folder, name);
    fs.writeFileSync(file, input);
    return readAll(file, known);
  };
}

/** Reads known rows with a tokenizer that was opened, or was refused. */
export async function readWith(opened: Result<Tokenizer | null>): Promise<Fault | null> {
  if (!opened.ok) return opened.fault;
  if (opened.value === null) return null;
  const { value: tokenizer } = opened;
  return refused(async () => {
    const fault = await readAll({ kind: 'text', text: lines.replace('Nairobi', 'a'.repeat(200)), origin: 'rows.jsonl', line: 1 }, tokenizer);
    tokenizer.decode([0, 1, 2, 5, 9, 100], { skipSpecial: true });
    for (const id of [0, 3, 1e6]) tokenizer.tokenText(id);
    return fault;
  });
}
