/** What strangers' files and messages can hold, case by case, with the very sentence that their reader sees. Cases that the fuzzer found are among them. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import { expect } from 'chai';
import { readHeader } from '../../src/checkpoint/header';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { readPatch } from '../../src/checkpoint/patch-file';
import { createSession } from '../../src/engine/session';
import { readRunFolder } from '../../src/experiment/history';
import type { RunReader } from '../../src/experiment/run-reader';
import { planSweep } from '../../src/experiment/sweep-plan';
import { parseJson, readJson, readText } from '../../src/files/read';
import { openArchitecture } from '../../src/model/families';
import { FaultError, fail, ok, type Result, sentence, unwrap } from '../../src/protocol/fault';
import { parseRecipe, resolveRecipe } from '../../src/protocol/recipe';
import { openChat } from '../../src/text/chat';
import { letteredPrompt } from '../../src/text/lettered';
import { parseList } from '../../src/text/python-literal';
import { readRows } from '../../src/text/rows';
import { toSequences } from '../../src/text/sequences';
import { openTokenizer } from '../../src/text/tokenizer';
import { fileOf, filled, rawFile, writeFolder, writeIndex } from '../checkpoint/small-checkpoint';
import { runFolder } from '../experiment/run-fixture';
import { temporaryFolder } from '../files/temporary-folder';
import { faultProblem } from './hostile/sentences';

const said = (result: Result<unknown>): string => {
  if (result.ok) return 'taken';
  expect(faultProblem(result.fault)).to.equal(null);
  return sentence(result.fault);
};
const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    expect(faultProblem(error.fault)).to.equal(null);
    return sentence(error.fault);
  }
  return 'taken';
};
const written = (name: string, content: string | Uint8Array): string => {
  const file = path.join(temporaryFolder(), name);
  fs.writeFileSync(file, content);
  return file;
};
/** A sentence without the temporary folder it names, and without the middle of a long one. */
const bare = (text: string): string => {
  const named = text.replaceAll(/[^ (]*uoe-test-[^/ ]*\//g, '');
  return named.length <= 400 ? named : `${named.slice(0, 150)} [..] ${named.slice(-150)}`;
};
const pipe = (at: string): string => {
  spawnSync('mkfifo', [at]);
  return at;
};
const device = (at: string): string => {
  fs.symlinkSync('/dev/zero', at);
  return at;
};

type Case = readonly [what: string, work: () => string | Promise<string>, says: string];
function holds(group: string, cases: readonly Case[]): void {
  describe(group, () => {
    for (const [what, work, says] of cases) it(what, async () => expect(bare(await work())).to.equal(says));
  });
}

const headerSays = async (file: Uint8Array): Promise<string> =>
  said(await readHeader('x', file.length, async (offset, length) => ok(file.slice(offset, offset + length))));
const sized = (length: bigint, rest = 8): Uint8Array => {
  const file = Buffer.alloc(8 + rest);
  file.writeBigUInt64LE(BigInt.asUintN(64, length));
  return file;
};
const tensor = (fields: object) => rawFile({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4], ...fields } }, Buffer.alloc(4));
const bytes = (from: number, to: number) => ({ dtype: 'U8', shape: [to - from], data_offsets: [from, to] });
const header = (what: string, file: () => Uint8Array, says: string): Case => [what, () => headerSays(file()), says];

holds('a hostile safetensors file', [
  header(
    'shorter than its length field',
    () => new Uint8Array(7),
    'x: it has 7 bytes, too few for a safetensors file. Get a complete, unchanged copy of the file.',
  ),
  header('a header of 0 bytes', () => sized(0n), 'x: its header claims 0 bytes, too few for one. It is no safetensors file, or it is damaged.'),
  header(
    'a header of -1 bytes',
    () => sized(-1n),
    "x: its header claims 18446744073709552000 bytes, more than the format's 100 MB. It is no safetensors file, or it is damaged.",
  ),
  header(
    'a header of 2^63 bytes',
    () => sized(2n ** 63n),
    "x: its header claims 9223372036854776000 bytes, more than the format's 100 MB. It is no safetensors file, or it is damaged.",
  ),
  header(
    'a header of 101 MB',
    () => sized(101_000_000n),
    "x: its header claims 101000000 bytes, more than the format's 100 MB. It is no safetensors file, or it is damaged.",
  ),
  header(
    'a header beyond the file',
    () => sized(9n),
    'x: its header claims 9 bytes, but the file has only 8 after the length: it is cut short. Get a complete, unchanged copy of the file.',
  ),
  header(
    '100,000 brackets',
    () => rawFile(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
    'x: its header nests its brackets deeper than 256 levels. Get a complete, unchanged copy of the file.',
  ),
  header('brackets in a name are none', () => rawFile(`{"${'['.repeat(600)}":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, Buffer.alloc(4)), 'taken'),
  header(
    'a shape whose product overflows',
    () => tensor({ shape: [2 ** 32, 2 ** 32, 4] }),
    'x: tensor "a" in the header has the shape [4294967296, 4294967296, 4], which no file can hold. Get a complete, unchanged copy of the file.',
  ),
  header('a shape of 2^53', () => tensor({ shape: [2 ** 53] }), 'x: tensor "a" in the header has no valid shape. Get a complete, unchanged copy of the file.'),
  header('a negative shape', () => tensor({ shape: [-1] }), 'x: tensor "a" in the header has no valid shape. Get a complete, unchanged copy of the file.'),
  header(
    'offsets that overlap',
    () => rawFile({ a: bytes(0, 4), b: bytes(2, 6) }, Buffer.alloc(6)),
    'x: tensors "a" and "b" overlap (byte 2 of the data). Get a complete, unchanged copy of the file.',
  ),
  header(
    'a hole between tensors, out of their order',
    () => rawFile({ b: bytes(4, 6), a: bytes(0, 2) }, Buffer.alloc(6)),
    'x: 2 bytes before tensor "b" belong to no tensor. Get a complete, unchanged copy of the file.',
  ),
  header(
    'offsets out of the file',
    () => tensor({ shape: [1000], data_offsets: [0, 4000] }),
    'x: it is cut short: 3996 of 4068 bytes are missing. Get a complete, unchanged copy of the file.',
  ),
  header(
    'offsets backwards',
    () => tensor({ data_offsets: [4, 0] }),
    'x: tensor "a" in the header ends (byte 0) before it starts (byte 4). Get a complete, unchanged copy of the file.',
  ),
  header(
    'a dtype that can be no text',
    () => tensor({ dtype: { toString: 1 } }),
    'x: tensor "a" in the header has no dtype. The format knows F32, F16, BF16 and a few more; convert the file.',
  ),
  header(
    'a dtype from Object.prototype',
    () => tensor({ dtype: 'constructor' }),
    'x: tensor "a" in the header has the unknown dtype "constructor". The format knows F32, F16, BF16 and a few more; convert the file.',
  ),
  header(
    'a key twice',
    () => rawFile('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    'x: its header holds "a" twice. Get a complete, unchanged copy of the file.',
  ),
  header(
    'a name that turns the direction of writing and colours a terminal',
    () => rawFile({ 'w\u202egnp.\u001b[31m': 1 }),
    'x: tensor "w\\u202egnp.\\u001b[31m" in the header is not an object. Get a complete, unchanged copy of the file.',
  ),
  header(
    'a name with half a character, and too long',
    () => rawFile(`{"\\ud800${'x'.repeat(5000)}":1}`),
    'x: tensor "\\ud800xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..." in the header is not an object. Get a complete, unchanged copy of the file.',
  ),
  header(
    'no UTF-8',
    () => rawFile('{"\u0000').map((byte, at) => (at === 10 ? 0xff : byte)),
    'x: its header is not UTF-8 text. Get a complete, unchanged copy of the file.',
  ),
]);

const checkpointSays = async (spoil: (folder: string) => void): Promise<string> => {
  const folder = writeFolder([{ a: filled('F32', [2]) }, { b: filled('F32', [2]) }], { folder: path.join(temporaryFolder(), 'model') });
  spoil(folder);
  const opened = await openCheckpoint(folder);
  if (opened.ok) await opened.value.close();
  return said(opened);
};
const mapped = (file: unknown) => (folder: string) => writeIndex(folder, { a: file, b: 'model-00002-of-00002.safetensors' });
const inPlaceOf = (name: string, put: (at: string) => unknown) => (folder: string) => {
  fs.rmSync(path.join(folder, name), { force: true });
  put(path.join(folder, name));
};
const config = (text: string) => inPlaceOf('config.json', (at) => fs.writeFileSync(at, text));
const index = (text: string) => inPlaceOf('model.safetensors.index.json', (at) => fs.writeFileSync(at, text));
const first = 'model-00001-of-00002.safetensors';
const movedOut = (folder: string): void => {
  fs.renameSync(path.join(folder, first), path.join(folder, '..', 'elsewhere.safetensors'));
  fs.symlinkSync('../elsewhere.safetensors', path.join(folder, first));
};

holds('a hostile checkpoint folder', [
  [
    'a weight_map that leads up',
    () => checkpointSays(mapped('../secret.safetensors')),
    'model/model.safetensors.index.json points outside its folder: tensor "a" in "../secret.safetensors". Every file named in it must be a plain file name in the same folder; get an unchanged copy.',
  ],
  [
    'a weight_map with an absolute path',
    () => checkpointSays(mapped('/etc/passwd')),
    'model/model.safetensors.index.json points outside its folder: tensor "a" in "/etc/passwd". Every file named in it must be a plain file name in the same folder; get an unchanged copy.',
  ],
  [
    'a weight_map with a path of Windows',
    () => checkpointSays(mapped('..\\secret')),
    'model/model.safetensors.index.json points outside its folder: tensor "a" in "..\\\\secret". Every file named in it must be a plain file name in the same folder; get an unchanged copy.',
  ],
  [
    'a weight_map with NUL',
    () => checkpointSays(mapped('a\0b')),
    'model/model.safetensors.index.json points outside its folder: tensor "a" in "a\\u0000b". Every file named in it must be a plain file name in the same folder; get an unchanged copy.',
  ],
  [
    'a weight_map with a number',
    () => checkpointSays(mapped(7)),
    'model/model.safetensors.index.json points outside its folder: tensor "a" in 7. Every file named in it must be a plain file name in the same folder; get an unchanged copy.',
  ],
  [
    'a weight_map that names the folder above',
    () => checkpointSays(mapped('..')),
    'model/model.safetensors.index.json points outside its folder: tensor "a" in "..". Every file named in it must be a plain file name in the same folder; get an unchanged copy.',
  ],
  [
    'a weight_map that turns the direction of writing',
    () => checkpointSays(mapped('a/\u202egnp')),
    'model/model.safetensors.index.json points outside its folder: tensor "a" in "a/\\u202egnp". Every file named in it must be a plain file name in the same folder; get an unchanged copy.',
  ],
  [
    'a shard that is a link out of the folder',
    () => checkpointSays(movedOut),
    'model/model-00001-of-00002.safetensors is a link that points outside its folder (elsewhere.safetensors). Copy the file into the folder.',
  ],
  [
    'a shard that is a pipe',
    () => checkpointSays(inPlaceOf(first, pipe)),
    'model/model-00001-of-00002.safetensors is a pipe, not a file; model.safetensors.index.json lists 1 tensors in it. Get the file itself.',
  ],
  [
    'a shard that is a device',
    () => checkpointSays(inPlaceOf(first, device)),
    'model/model-00001-of-00002.safetensors is a device, not a file; model.safetensors.index.json lists 1 tensors in it. Get the file itself.',
  ],
  [
    'a config.json that is a pipe',
    () => checkpointSays(inPlaceOf('config.json', pipe)),
    "Can't read model/config.json: it is not a plain file. Give the path of a file.",
  ],
  [
    'an index that is a pipe',
    () => checkpointSays(inPlaceOf('model.safetensors.index.json', pipe)),
    "Can't read model/model.safetensors.index.json: it is not a plain file. Give the path of a file.",
  ],
  [
    'a config.json that is a device',
    () => checkpointSays(inPlaceOf('config.json', device)),
    "Can't read model/config.json: it is not a plain file. Give the path of a file.",
  ],
  [
    'a config.json of 100,000 brackets',
    () => checkpointSays(config(`{"a":${'['.repeat(100_000)}`)),
    'model/config.json nests its brackets deeper than 256 levels. Get an unchanged copy.',
  ],
  [
    'an index with a key twice',
    () => checkpointSays(index('{"weight_map":{"a":"x","a":"y"}}')),
    'model/model.safetensors.index.json holds "a" twice. Get an unchanged copy of the index.',
  ],
  [
    'an index without a map but in a prototype',
    () => checkpointSays(index('{"__proto__":{"weight_map":{"a":"x"}}}')),
    'model/model.safetensors.index.json has no weight_map. Get an unchanged copy of the index.',
  ],
]);

const mixtral = {
  model_type: 'mixtral',
  hidden_size: 8,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  num_hidden_layers: 2,
  num_local_experts: 4,
  num_experts_per_tok: 2,
  intermediate_size: 16,
  vocab_size: 32,
};
const names = { has: () => true, stored: (name: string) => name };
const architecture = (fields: object) => (): string => said(openArchitecture({ ...mixtral, ...fields }, names));
holds('a hostile config.json', [
  ['as it should be', architecture({}), 'taken'],
  [
    '10^9 layers',
    architecture({ num_hidden_layers: 1e9 }),
    'config.json: 1000000000 layers are more than the 4096 that can be read. Check that config.json belongs to this checkpoint.',
  ],
  [
    '10^15 layers',
    architecture({ num_hidden_layers: 1e15 }),
    'config.json: "num_hidden_layers" is 1000000000000000, expected a whole number up to 2147483647. Check that config.json belongs to this checkpoint.',
  ],
  [
    '10^9 experts',
    architecture({ num_local_experts: 1e9 }),
    'config.json: 2 layers of 1000000000 experts are more than the 1048576 experts that can be read. Check that config.json belongs to this checkpoint.',
  ],
  ['no attention heads', architecture({ num_attention_heads: 0 }), 'config.json: heads is 0. Check that config.json belongs to this checkpoint.'],
  [
    'a head of 0 dimensions',
    architecture({ num_attention_heads: 16, num_key_value_heads: 16 }),
    'config.json: rotary position embedding over 0 dimensions of a head. Check that config.json belongs to this checkpoint.',
  ],
  [
    'a head of 2^31 dimensions',
    architecture({ head_dim: 2 ** 31 - 1 }),
    'config.json: rotary position embedding over 2147483647 dimensions of a head. Check that config.json belongs to this checkpoint.',
  ],
  [
    'an odd head',
    architecture({ head_dim: 3 }),
    'config.json: rotary position embedding over 3 dimensions of a head. Check that config.json belongs to this checkpoint.',
  ],
  ['a theta of 0', architecture({ rope_theta: 0 }), 'config.json: rope_theta is 0. Check that config.json belongs to this checkpoint.'],
  [
    'an activation that is a very long list',
    architecture({ hidden_act: Array.from({ length: 10_000 }, () => 'silu') }),
    'config.json: hidden_act is ["silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","si [..] ","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu","silu"]. UOE reads models with silu.',
  ],
  [
    'a model_type from Object.prototype',
    architecture({ model_type: 'constructor' }),
    'config.json says model_type "constructor", a Mixture-of-Experts family UOE does not read yet. Supported: mixtral, qwen2_moe, qwen3_moe, olmoe, deepseek_v2, deepseek_v3, phimoe, glm4_moe, gpt_oss.',
  ],
]);

const rowsSay = async (name: string, content: string | Uint8Array): Promise<string> => said(await readRows(written(name, content)));
const gzip = () => fs.readFileSync('test/fixtures/text/questions.gzip.parquet');
/** A file of questions with such a number in place of its byte `at`. */
const withCount = (at: number, count: readonly number[]): Uint8Array => {
  const file = fs.readFileSync('test/fixtures/text/questions.none.parquet');
  return Buffer.concat([file.subarray(0, at), Uint8Array.from(count), file.subarray(at + 1)]);
};
const columns = (count: number, form: (i: number) => string): string => Array.from({ length: count }, (_, i) => form(i)).join();
holds('hostile data rows', [
  [
    'a row of 100,000 brackets',
    () => rowsSay('x.jsonl', `{"text":${'['.repeat(100_000)}`),
    'x.jsonl nests its brackets deeper than 256 levels. Give a simpler file, or cut it into several.',
  ],
  [
    'a list of 100,000 brackets',
    () => rowsSay('x.json', '['.repeat(100_000)),
    'x.json nests its brackets deeper than 256 levels. Give a simpler file, or cut it into several.',
  ],
  [
    'more lists than memory holds',
    () => rowsSay('x.json', `[${'[],'.repeat(10_000_001)}[]]`),
    'x.json holds more than 10000000 lists and objects. Give a simpler file, or cut it into several.',
  ],
  [
    'NaN in JSON',
    () => rowsSay('x.jsonl', '{"text": NaN}'),
    'x.jsonl, line 1, column 10: not valid JSON, unexpected "N". Every line must be one complete JSON object.',
  ],
  [
    'columns of Object.prototype',
    () => rowsSay('x.jsonl', '{"__proto__": {"text": "a"}, "constructor": 1}'),
    'x.jsonl, line 1: a row of no known kind. Columns found: "__proto__", "constructor". Columns understood: "input_ids" with or without "labels"; "messages"; "question" or "prompt" with "choices", "options" or "option1", "option2", .. and "answer"; "prompt", "question" or "query" with "answer" or "gt"; "text". Rename the columns, or remove the row.',
  ],
  [
    'names that can not be seen',
    () => rowsSay('x.jsonl', '{"te\u202ext\\u0000": "a"}'),
    'x.jsonl, line 1: a row of no known kind. Columns found: "te\\u202ext\\u0000". Columns understood: "input_ids" with or without "labels"; "messages"; "question" or "prompt" with "choices", "options" or "option1", "option2", .. and "answer"; "prompt", "question" or "query" with "answer" or "gt"; "text". Rename the columns, or remove the row.',
  ],
  [
    '10,000 columns',
    () => rowsSay('x.jsonl', `{${columns(10_000, (i) => `"c${i}":1`)}}`),
    'x.jsonl, line 1: a row of no known kind. Columns found: "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11", "c12", "c13", "c14", [..] tions" or "option1", "option2", .. and "answer"; "prompt", "question" or "query" with "answer" or "gt"; "text". Rename the columns, or remove the row.',
  ],
  [
    'an answer of a million characters',
    () => rowsSay('x.jsonl', JSON.stringify({ question: 'a', choices: ['b', 'c'], answer: 'x'.repeat(1e6) })),
    'x.jsonl, line 1: "answer" is "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx [..] xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", which is none of the options. Give the index of the right option, from 0, or its text.',
  ],
  [
    '20,000 columns of CSV',
    () => rowsSay('x.csv', `${columns(20_000, (i) => `c${i}`)},c0\n`),
    'x.csv, line 1: the column "c0" is there twice. Give every column its own name.',
  ],
  [
    'a quote of CSV that never ends',
    () => rowsSay('x.csv', `text\n"${'a\n'.repeat(1000)}`),
    'x.csv, line 1001: not valid CSV: Quote Not Closed: the parsing is finished with an opening quote. Every line needs as many cells as the header; put text with commas or quotes in double quotes.',
  ],
  [
    'a list of CSV that is a name of Object.prototype',
    () => rowsSay('x.csv', 'question,choices,answer\na,[constructor],0\n'),
    'x.csv, line 2: "choices" is not a list. Write it as JSON, like ["one", "two"], or as Python prints it.',
  ],
  [
    'a list of CSV with a very long text',
    () => rowsSay('x.csv', `question,choices,answer\na,"['${'x\\n'.repeat(1_500_000)}",0\n`),
    'x.csv, line 2: "choices" is not a list. Write it as JSON, like ["one", "two"], or as Python prints it.',
  ],
  [
    'a pipe',
    async () => said(await readRows(pipe(path.join(temporaryFolder(), 'x.jsonl')))),
    "Can't read x.jsonl: it is not a plain file. Give the path of a file.",
  ],
  [
    'a device',
    async () => said(await readRows(device(path.join(temporaryFolder(), 'x.jsonl')))),
    "Can't read x.jsonl: it is not a plain file. Give the path of a file.",
  ],
  [
    'parquet cut short',
    () => rowsSay('x.parquet', gzip().subarray(0, 900)),
    "x.parquet can't be read as parquet: parquet file invalid (footer != PAR1). Check that the file is complete.",
  ],
  [
    'parquet with a page of 2^31 bytes',
    () => rowsSay('x.parquet', withCount(7, [0xfe, 0xff, 0xff, 0xff, 0x0f])),
    "x.parquet can't be read as parquet: a page has no valid size. Check that the file is complete.",
  ],
  [
    'parquet with a number that goes on and on',
    () => rowsSay('x.parquet', withCount(5, [...Array.from({ length: 12 }, () => 0xff), 1])),
    "x.parquet can't be read as parquet: a number has too many bytes. Check that the file is complete.",
  ],
  // The fuzzer: columns are read at once, and all but the first that failed ended the process.
  [
    'parquet with several broken columns',
    async () => {
      const file = new Uint8Array(gzip());
      for (const [at, byte] of [
        [205, 0xff],
        [494, 0xff],
        [691, 1],
        [1324, 0x7f],
      ])
        file[at] = byte;
      let unheard = 0;
      const hear = (): void => {
        unheard++;
      };
      process.on('unhandledRejection', hear);
      const says = await rowsSay('x.parquet', file);
      await new Promise((resolve) => setTimeout(resolve, 20));
      process.off('unhandledRejection', hear);
      expect(unheard).to.equal(0);
      return says;
    },
    "x.parquet can't be read as parquet: parquet schema element not found: choices,list,element. Check that the file is complete.",
  ],
]);

const MESSAGES = [
  { role: 'user', content: 'a question' },
  { role: 'assistant', content: 'an answer' },
];
/** Forty times what the slowest case takes: without its bounds a template never ends, and this says so. */
const inTime = <T>(work: () => T): T => vm.runInContext('work()', vm.createContext({ work }), { timeout: 20_000 }) as T;
const template = (source: string) => (): string => refusal(() => inTime(() => openChat(source, {}).conversation(MESSAGES)));
const shows = (source: string) => (): string => openChat(source, {}).prompt(MESSAGES);
const grown = (start: string, step: string): string =>
  `{% set ns = namespace(x=${start}) %}{% for i in range(60) %}{% set ns.x = ${step} %}{% endfor %}{{ ns.x }}`;
const long = "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(14) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
holds('a hostile chat template', [
  [
    'that loops for hours',
    template('{% for i in range(1000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}'),
    "The chat template can't render this conversation: it takes too many steps. Shorten the conversation, repair the template, or use --chat never.",
  ],
  [
    'that asks for 10^18 numbers',
    template('{{ range(10**18) }}'),
    "The chat template can't render this conversation: it asks for a range of 1000000000000000000 numbers. Shorten the conversation, repair the template, or use --chat never.",
  ],
  [
    'that doubles a text',
    template(grown("'ab'", 'ns.x ~ ns.x')),
    "The chat template can't render this conversation: it makes a value of more than 4194304 characters. Shorten the conversation, repair the template, or use --chat never.",
  ],
  [
    'that doubles a list',
    template(grown('[1]', 'ns.x + ns.x')),
    "The chat template can't render this conversation: it makes a value of more than 4194304 characters. Shorten the conversation, repair the template, or use --chat never.",
  ],
  [
    'that shares a list in a list',
    template(grown('[1]', '[ns.x, ns.x]')),
    "The chat template can't render this conversation: it makes a value of more than 4194304 characters. Shorten the conversation, repair the template, or use --chat never.",
  ],
  [
    'that puts a namespace into itself',
    template('{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}'),
    "The chat template can't render this conversation: it goes too deep into itself. Correct the messages, or use --chat never.",
  ],
  [
    'that replaces every character by a text',
    template(`${long}{{ ns.x.replace('a', ns.x) }}`),
    "The chat template can't render this conversation: its replace makes a text of more than 4194304 characters. Shorten the conversation, repair the template, or use --chat never.",
  ],
  [
    'that filters every character into a text',
    template(`${long}{{ ns.x | replace('a', ns.x) | length }}`),
    "The chat template can't render this conversation: its replace makes a text of more than 4194304 characters. Shorten the conversation, repair the template, or use --chat never.",
  ],
  [
    'that hides what it replaces',
    template("{% set f = 'a'.replace %}{{ f('a', 'b') }}"),
    "The chat template can't render this conversation: replace must be called where it is named. Correct the messages, or use --chat never.",
  ],
  [
    'that indents by 10^12',
    template("{{ 'a\nb' | indent(10**12) }}"),
    "The chat template can't render this conversation: its indent makes a text of more than 4194304 characters. Shorten the conversation, repair the template, or use --chat never.",
  ],
  [
    'that writes JSON with 10^9 spaces',
    template('{{ messages | tojson(indent=10**9) }}'),
    "The chat template can't render this conversation: its tojson makes a text of more than 4194304 characters. Shorten the conversation, repair the template, or use --chat never.",
  ],
  [
    'that looks up a list again and again',
    template('{% set x = range(100000) %}{% for i in x %}{{ -1 in x }}{% endfor %}'),
    "The chat template can't render this conversation: it takes too many steps. Shorten the conversation, repair the template, or use --chat never.",
  ],
  [
    'that calls itself',
    template('{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}'),
    "The chat template can't render this conversation: Cannot call something that is not a function: got UndefinedValue. Correct the messages, or use --chat never.",
  ],
  [
    'of 50,000 brackets',
    template(`{{ ${'('.repeat(50_000)}1 }}`),
    "The checkpoint's chat template can't be read: it goes too deep into itself. Repair chat_template in tokenizer_config.json, or use --chat never.",
  ],
  [
    'of a megabyte',
    template('a'.repeat(2 ** 20)),
    "The checkpoint's chat template can't be read: it has 1048576 characters, more than 262144. Repair chat_template in tokenizer_config.json, or use --chat never.",
  ],
  [
    'that breaks out of nothing',
    template('{% break %}'),
    "The chat template can't render this conversation: it breaks off without a word. Correct the messages, or use --chat never.",
  ],
  [
    'that speaks to the terminal',
    template("{{ raise_exception('\u001b[2J\u202eno') }}"),
    "The chat template can't render this conversation: \\u001b[2J\\u202eno. Correct the messages, or use --chat never.",
  ],
  [
    'that reaches for the constructor',
    template("{{ ''.constructor.constructor('return process')() }}"),
    "The chat template can't render this conversation: Cannot call something that is not a function: got UndefinedValue. Correct the messages, or use --chat never.",
  ],
  [
    'that reaches for what is global',
    shows('[{{ process }}{{ globalThis }}{{ require }}{{ messages.__proto__ }}{{ messages[0].constructor }}{{ messages["__class__"] }}]'),
    '[]',
  ],
  // The fuzzer's own seed: the bounds had replaced what the filter looks at.
  [
    'filters that insist on a text written out get one',
    shows("{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }}"),
    '["a question"]',
  ],
  ['a filter of an empty list', shows('[{{ [] | first }}]'), '[]'],
]);

const vocab = Object.fromEntries([...'abcdefghijklmnopqrstuvwxyzATo ,.'].map((token, id) => [token, id]));
async function tokenizerSays(fields: object, text = 'a'): Promise<string> {
  const folder = temporaryFolder();
  fs.writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify({ model: { type: 'BPE', vocab, merges: [] }, ...fields }));
  const opened = await openTokenizer(folder, {});
  if (!opened.ok) return said(opened);
  const rows = unwrap(await readRows({ kind: 'text', text, origin: 'x.txt', line: 1 }));
  return said(await toSequences(rows, { tokenizer: opened.value, purpose: 'train', vocabSize: 100 }));
}
const split = (pattern: string) => ({ pre_tokenizer: { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false } });
const withId = (id: unknown) => ({ model: { type: 'BPE', vocab: { ...vocab, x: id }, merges: [] } });
holds('a hostile tokenizer', [
  [
    'a pattern that never ends on a row',
    () => tokenizerSays(split('(a+)+c'), `ab${'a'.repeat(60)}`),
    "x.txt, line 1: the checkpoint's tokenizer takes too long for 62 characters. One of its patterns in tokenizer.json may never end; copy the file again from where the checkpoint came from.",
  ],
  [
    'a pattern that never ends on any text',
    () => tokenizerSays(split(`${'(.+)+'.repeat(12)}\\d`)),
    "tokenizer.json: the checkpoint's tokenizer takes too long for 31 characters. One of its patterns in tokenizer.json may never end; copy the file again from where the checkpoint came from.",
  ],
  [
    'a pattern that is none',
    () => tokenizerSays(split('(')),
    "tokenizer.json can't be used as a tokenizer: Invalid regular expression: /(/gu: Unterminated group. Copy it again from where the checkpoint came from.",
  ],
  [
    'an id of 2^31',
    () => tokenizerSays(withId(2 ** 31)),
    'tokenizer.json has 2147483648 as the id of a token. Copy it again from where the checkpoint came from.',
  ],
  [
    'an id that takes a list of twelve million (0.8 s of it, found by torture)',
    () => tokenizerSays(withId(12_000_000)),
    'tokenizer.json has 12000000 as the id of a token. Copy it again from where the checkpoint came from.',
  ],
  ['an id that is a text', () => tokenizerSays(withId('y')), 'tokenizer.json has "y" as the id of a token. Copy it again from where the checkpoint came from.'],
  [
    'a model type that can be no text',
    () => tokenizerSays({ model: { type: { toString: 1 }, vocab } }),
    "tokenizer.json can't be used as a tokenizer: Cannot convert object to primitive value. Copy it again from where the checkpoint came from.",
  ],
  [
    'no vocabulary',
    () => tokenizerSays({ model: { type: 'BPE' } }),
    'tokenizer.json is not a tokenizer: it has no model with a vocabulary. Copy it again from where the checkpoint came from.',
  ],
  [
    'a pipe',
    async () => said(await openTokenizer(path.dirname(pipe(path.join(temporaryFolder(), 'tokenizer.json'))), {})),
    "Can't read tokenizer.json: it is not a plain file. Give the path of a file.",
  ],
]);

const recipe = (fields: object) => (): string => {
  const parsed = parseRecipe({ model: 'm', forget: 'f', ...fields });
  return said(parsed.ok ? resolveRecipe(parsed.value) : parsed);
};
const none = async () => fail('not-found', 'None.', 'None.');
const sweep = (fields: object) => async (): Promise<string> =>
  said(await planSweep({ recipe: { model: 'm', forget: 'f', retain: 'r' }, ...fields }, 'x.sweep.json', none));
const tenfold = Array.from({ length: 10 }, (_, i) => i + 1);
const manyExperts = [...Array.from({ length: 1e5 }, (_, expert) => ({ layer: 0, expert })), { layer: 0, expert: 7 }];
holds('a hostile recipe or sweep', [
  [
    'a field of a million characters',
    recipe({ ['x'.repeat(1e6)]: 1 }),
    'The recipe has an unknown field "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx [..] xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx". Take it out.',
  ],
  ['a field of Object.prototype', recipe({ constructor: 1 }), 'The recipe has an unknown field "constructor". Did you mean "anchor"?'],
  [
    'a memory of Object.prototype',
    recipe({ memory: '1constructor' }),
    'Recipe field "memory": The memory budget "1constructor" is not a size. Write a number with a unit, such as "8GB", "512MB" or "1.5GiB".',
  ],
  [
    '100,000 experts, one twice',
    recipe({ target: { experts: manyExperts } }),
    'Recipe field "target.experts" names layer 0 expert 7 twice. Name each expert once.',
  ],
  [
    'a method that colours a terminal',
    recipe({ method: '\u001b[31mnpo' }),
    'Recipe field "method" is "\\u001b[31mnpo"; expected "npo", "gdiff", "ga", "simnpo" or "rmu". Did you mean "simnpo"?',
  ],
  [
    '10^8 tasks',
    sweep({ vary: Object.fromEntries(['steps', 'seed', 'accumulate', 'maxLength', 'batchSize', 'a', 'b', 'c'].map((name) => [name, tenfold])) }),
    'x.sweep.json: 10 × 10 × 10 × 10 × 10 × 10 × 10 × 10 tasks are more than 10000. Vary fewer settings, or cut the sweep into several files.',
  ],
  [
    'a setting that reaches for a prototype',
    sweep({ vary: { '__proto__.polluted': [1], 'constructor.prototype.polluted': [1] } }),
    'x.sweep.json, task "__proto__.polluted 1, constructor.prototype.polluted 1": The recipe has an unknown field "__proto__". Did you mean "retain"?',
  ],
]);

type Fields = Record<string, unknown>;
const runSays = async (name: string, change: (value: Fields) => Fields): Promise<string> => {
  const { record, recipe: own, steps, checks, attribution, evaluation } = runFolder();
  const lines = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join('\n');
  const files: Record<string, string> = {
    'run.json': JSON.stringify(record),
    'recipe.json': JSON.stringify(own),
    'steps.jsonl': lines(steps),
    'checks.jsonl': lines(checks),
    'attribution.json': JSON.stringify(attribution),
    'evaluation.json': JSON.stringify(evaluation),
  };
  files[name] = JSON.stringify(change(JSON.parse(files[name].split('\n')[0]) as Fields));
  const reader: RunReader = {
    folders: async () => ok(['one']),
    text: async (at) => (files[path.basename(at)] === undefined ? fail('not-found', 'None.', 'None.') : ok(files[path.basename(at)])),
    held: async () => false,
  };
  return said(await readRunFolder(reader, 'one')).replaceAll(path.sep, '/');
};
const withTopics = (value: Fields): Fields => ({
  ...value,
  sets: (value.sets as { before: object }[]).map((set) => ({ ...set, before: { ...set.before, topics: { a: 1 } } })),
});
holds('a hostile run folder', [
  [
    'a summary that is no figures',
    () => runSays('run.json', (record) => ({ ...record, summary: { forget: 5 } })),
    'one/run.json cannot be used: its field "summary.forget" is missing or not of the expected form. Restore the file, or delete the run folder.',
  ],
  [
    'a start that is no time',
    () => runSays('run.json', (record) => ({ ...record, startedAt: 'then' })),
    'one/run.json cannot be used: its field "startedAt" is missing or not of the expected form. Restore the file, or delete the run folder.',
  ],
  [
    'a train that is nothing',
    () => runSays('run.json', (record) => ({ ...record, target: { experts: [], train: {} } })),
    'one/run.json cannot be used: its field "target.train" is missing or not of the expected form. Restore the file, or delete the run folder.',
  ],
  [
    'weights that are a text',
    () => runSays('run.json', (record) => ({ ...record, weights: 'x' })),
    'one/run.json cannot be used: its field "weights" is missing or not of the expected form. Restore the file, or delete the run folder.',
  ],
  [
    'a step that is a text',
    () => runSays('steps.jsonl', (step) => ({ ...step, forget: 'x' })),
    'one/steps.jsonl line 1 cannot be used: its field "forget" is missing or not of the expected form. Restore the file, or delete the run folder.',
  ],
  [
    'an attribution without experts',
    () => runSays('attribution.json', (value) => ({ ...value, layers: [{ layer: 1 }] })),
    'one/attribution.json cannot be used: its field "layers.0.experts" is missing or not of the expected form. Restore the file, or delete the run folder.',
  ],
  // The fuzzer: the report looked into it.
  [
    'an attribution without its stability',
    () => runSays('attribution.json', (value) => ({ ...value, stability: undefined })),
    'one/attribution.json cannot be used: its field "stability" is missing or not of the expected form. Restore the file, or delete the run folder.',
  ],
  [
    'topics that are numbers',
    () => runSays('evaluation.json', withTopics),
    'one/evaluation.json cannot be used: its field "sets.0.before.topics.a" is missing or not of the expected form. Restore the file, or delete the run folder.',
  ],
]);

const asked = async (name: string, params: unknown): Promise<string> => {
  const session = createSession(() => undefined, { backend: 'cpu' });
  const result = await session.handle(name as 'runs', params as { workspace: string }, { request: 'r', signal: new AbortController().signal });
  await session.dispose();
  return said(result);
};
holds('a hostile request', [
  [
    'without parameters',
    () => asked('runs', undefined),
    "The request runs can't be answered: what it asks is missing or not of the expected form. Send what the protocol says.",
  ],
  [
    'with a list for a text',
    () => asked('readRun', { run: ['1'], workspace: '.' }),
    `The request readRun can't be answered: "run" is missing or not of the expected form. Send what the protocol says.`,
  ],
  [
    'with rows that are none',
    () => asked('chosenRows', { sources: [{ kind: 'file' }], rows: 7 }),
    `The request chosenRows can't be answered: "sources.0" is missing or not of the expected form. Send what the protocol says.`,
  ],
  [
    'with an action from Object.prototype',
    () => asked('steerRun', { action: 'constructor' }),
    `The request steerRun can't be answered: "action" is missing or not of the expected form. Send what the protocol says.`,
  ],
]);

const notANumber = { a: { dtype: 'F32', shape: [1], bytes: Buffer.from(Float32Array.of(Number.NaN).buffer) } };
holds('a hostile text', [
  ['a list in Python is no code', () => JSON.stringify(parseList('[constructor, __import__("os")]')), 'null'],
  [
    'a subject of Object.prototype',
    () => letteredPrompt('Which?', ['a', 'b'], 'constructor', 'x.jsonl').split('\n')[0],
    'The following are multiple choice questions (with answers) about constructor.',
  ],
  [
    'a patch of NaN',
    async () => said(await readPatch(written('p.safetensors', fileOf(notANumber)))),
    'p.safetensors: a holds NaN (value number 0). Such a patch would break the model; run again with a lower learning rate or with clipping.',
  ],
  [
    'a JSON file that is a pipe',
    async () => said(await readJson(pipe(path.join(temporaryFolder(), 'x.json')))),
    "Can't read x.json: it is not a plain file. Give the path of a file.",
  ],
  ['a prototype in JSON is dropped', () => JSON.stringify(unwrap(parseJson('{"a":{"__proto__":{"b":1}}}', 'x'))), '{"a":{}}'],
  [
    'a path with a line end',
    async () => said(await readText(path.join(temporaryFolder(), 'a\nb\u202e'))),
    "Can't open a b\\u202e: there is no such file or folder. Check the path.",
  ],
]);
