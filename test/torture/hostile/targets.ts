/**
 * The readers of files and messages from strangers, each as a function of bytes. A target answers with the refusal, or null where the input was taken;
 * whatever it throws is a defect. Seeds are small real inputs.
 */
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from 'vscode-jsonrpc/node';
import { checkPatch } from '../../../src/checkpoint/check-patch';
import { readHeader } from '../../../src/checkpoint/header';
import { openCheckpoint } from '../../../src/checkpoint/open-checkpoint';
import { readPatch, writePatch } from '../../../src/checkpoint/patch-file';
import { type RequestHandler, serve } from '../../../src/engine/serve';
import { createSession } from '../../../src/engine/session';
import { auditViews } from '../../../src/experiment/audits';
import { comparisonCsv, comparisonJson, comparisonMarkdown, comparisonText, rowOf, tableOf } from '../../../src/experiment/comparison';
import { comparisonView } from '../../../src/experiment/comparison-view';
import { readHistory, readRunFolder, readScores } from '../../../src/experiment/history';
import { modelCard } from '../../../src/experiment/model-card';
import { reportMarkdown } from '../../../src/experiment/report';
import { filledPage, reportPage } from '../../../src/experiment/report-page';
import type { RunReader } from '../../../src/experiment/run-reader';
import { planSweep } from '../../../src/experiment/sweep-plan';
import { sweepLines, sweepText, taskResults } from '../../../src/experiment/sweep-results';
import { parseJson } from '../../../src/files/read';
import { openArchitecture } from '../../../src/model/families';
import { allParts } from '../../../src/passes/model';
import { type Fault, FaultError, fail, ok, type Result, unwrap } from '../../../src/protocol/fault';
import { parseRecipe, resolveRecipe } from '../../../src/protocol/recipe';
import { paramsFault } from '../../../src/protocol/request-schema';
import { webviewMessage } from '../../../src/protocol/webview-message';
import { openChat } from '../../../src/text/chat';
import { readRows } from '../../../src/text/rows';
import { toSequences } from '../../../src/text/sequences';
import { openTokenizer, type Tokenizer } from '../../../src/text/tokenizer';
import { threeShards, writeFolder } from '../../checkpoint/small-checkpoint';
import { movedBy, SOME_UNITS } from '../../checkpoint/small-patch';
import { runFolder, runRecord } from '../../experiment/run-fixture';

export interface Target {
  readonly name: string;
  /** What the input is made of. `wrapped`: a safetensors file, whose header is JSON. */
  readonly form: 'json' | 'text' | 'bytes' | 'wrapped';
  /** Of 100,000 inputs in all. */
  readonly share: number;
  /** Words of the format. */
  readonly words?: readonly string[];
  /** Bytes at the end that hold the format's directory. */
  readonly tail?: number;
  readonly seeds: readonly Uint8Array[];
  /** Some of them ask for what is not there. */
  readonly refusedSeeds?: true;
  run(input: Uint8Array): Promise<Fault | null>;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const jsonOf = (value: unknown): Uint8Array => bytesOf(JSON.stringify(value));
const textOf = (input: Uint8Array): string => new TextDecoder().decode(input);
const faultOfResult = (result: Result<unknown>): Fault | null => (result.ok ? null : result.fault);

/** Requests that read files and nothing else; the parameters of the others are checked, and that is all. */
const READS: ReadonlySet<string> = new Set([
  'openModel',
  'closeModel',
  'preview',
  'chosenRows',
  'resolveRecipe',
  'steerRun',
  'runs',
  'readRun',
  'compare',
  'report',
  'expertSet',
]);

/** A FaultError is a refusal like any other; anything else goes on up. */
async function refused(work: () => Promise<Fault | null> | Fault | null): Promise<Fault | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FaultError) return error.fault;
    throw error;
  }
}

const small = (value: unknown): unknown => (Array.isArray(value) ? value.slice(0, 3) : value);

/** Small tokenizers of every kind that checkpoints come with. */
function tokenizers(): object[] {
  const letters = [...'abcdefghijklmnopqrstuvwxyzA ,.:Ġ▁'];
  const vocab = Object.fromEntries(['<unk>', '<s>', '</s>', ...letters, 'th', 'Ġt', '▁t', '##e', 'the', 'text'].map((token, id) => [token, id]));
  const added = [
    { id: 0, content: '<unk>', special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
    { id: 1, content: '<s>', special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
  ];
  const llama3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  const start = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
  };
  const base = {
    version: '1.0',
    added_tokens: added,
    normalizer: null as unknown,
    pre_tokenizer: null as unknown,
    post_processor: null as unknown,
    decoder: null as unknown,
  };
  return [
    {
      ...base,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Split', pattern: { Regex: llama3 }, behavior: 'Isolated', invert: false },
          { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
        ],
      },
      post_processor: { type: 'ByteLevel', trim_offsets: false },
      decoder: { type: 'ByteLevel' },
      model: { type: 'BPE', vocab, merges: ['t h', 'Ġ t'] },
    },
    {
      ...base,
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        ],
      },
      post_processor: start,
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: {
        type: 'BPE',
        unk_token: '<unk>',
        fuse_unk: true,
        byte_fallback: true,
        vocab,
        merges: [
          ['t', 'h'],
          ['▁', 't'],
        ],
      },
    },
    {
      ...base,
      normalizer: { type: 'NFKC' },
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
      decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
      model: { type: 'Unigram', unk_id: 0, vocab: Object.keys(vocab).map((token, id) => [token, -id / 10]), byte_fallback: false },
    },
    {
      ...base,
      normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
      model: { type: 'WordPiece', unk_token: '<unk>', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab },
    },
    { ...base, pre_tokenizer: { type: 'Whitespace' }, model: { type: 'WordLevel', unk_token: '<unk>', vocab } },
  ];
}

const MESSAGES = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'What is the capital of Kenya?' },
  { role: 'assistant', content: 'Nairobi.' },
  { role: 'user', content: 'And of Peru?' },
  { role: 'assistant', content: 'Lima.' },
];

const TEMPLATE_WORDS = [
  '{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}',
  "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
  '{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}',
  '{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}',
  '{% macro f(x) %}{{ f(x) }}{% endmacro %}',
  '{{',
  '}}',
  '{%',
  '%}',
  '{#',
  '#}',
  '{%-',
  '-%}',
  ' for ',
  ' in ',
  ' if ',
  '{% endif %}',
  '{% endfor %}',
  '{% else %}',
  '{% set x = ',
  '{% macro f(a, b=1) %}',
  '{% endmacro %}',
  '{{ f(f(1)) }}',
  '{% call f() %}',
  '{% endcall %}',
  '{% filter upper %}',
  '{% endfilter %}',
  '{% generation %}',
  '{% endgeneration %}',
  'messages',
  'message',
  "['content']",
  '.content',
  '|length',
  '|tojson',
  '|tojson(indent=2)',
  '|trim',
  '|join(", ")',
  "|replace('a', 'bb')",
  '|indent(8)',
  "|selectattr('role', 'equalto', 'user')",
  "|map(attribute='content')",
  '|list',
  '|sort',
  '|unique',
  '|default(1)',
  '|items',
  '|dictsort',
  '|first',
  '|last',
  '|reverse',
  'range(',
  'range(10**9)',
  'range(1000)',
  '10**18',
  '~',
  '+',
  '*',
  '**',
  '//',
  '%',
  'namespace(',
  'ns.x',
  'loop.index',
  'loop.previtem',
  'is defined',
  'is string',
  'not in',
  '.split(',
  '.strip()',
  '.upper()',
  '.replace(',
  '[::-1]',
  '[1:3]',
  '*args',
  '**kwargs',
  'caller()',
  '__proto__',
  'constructor',
  'prototype',
  '__class__',
  'self',
  'strftime_now("%Y")',
  'raise_exception("x")',
  '{% break %}',
  '{% continue %}',
  'varargs',
  'kwargs',
  'true',
  'none',
  '(',
  ')',
  '[',
  ']',
  "'",
  '"',
  '\\x41',
  ',',
];

const TEMPLATES = [
  "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}{{ message.content | trim }}{% if not loop.last %}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
  "{%- set ns = namespace(found=false, n=0) %}{%- for message in messages[::-1] %}{%- if message.role == 'user' and not ns.found %}{%- set ns.found = true %}{%- endif %}{%- set ns.n = ns.n + 1 %}{%- endfor %}{{ ns.n }}{{ messages | tojson(indent=2) }}",
  "{% macro say(m, end='') %}{{ m.role | upper }}: {{ m['content'].replace('a', 'A').split(' ') | join('_') }}{{ end }}{% endmacro %}{% for m in messages if m.role != 'system' %}{{ say(m, end='\\n') }}{% else %}none{% endfor %}",
  "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content | indent(2) }}{% endif %}{% endfor %}",
  "{% set x = [1, 2.5, 'a', {'k': none}] %}{% for i in range(0, 10, 2) %}{{ i // 3 ~ x[1] }}{{ x | length }}{{ x[:2] }}{% endfor %}{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }}{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}{% endfor %}",
  "{% set ns = namespace(x='ab') %}{% for i in range(12) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
];

const ROWS: readonly object[] = [
  { text: 'The text of a paragraph.' },
  { prompt: 'the capital of Kenya', answer: 'Nairobi', id: 7 },
  { question: 'the', answer: 'text', paraphrased_answer: 'th', perturbed_answer: ['a', 'b'] },
  { messages: MESSAGES },
  { question: 'Which?', choices: ['a', 'b', 'c', 'd'], answer: 2, subject: 'bio' },
  { prompt: 'Which?', options: ['a', 'the'], answer: 'the', topic: 'x' },
  { question: 'Which?', option1: 'a', option2: 'b', answer: 'b' },
  { input_ids: [1, 4, 5, 6, 7], labels: [-100, 4, 5, 6, 7] },
];
const LINES = ROWS.map((row) => JSON.stringify(row)).join('\n');
const TABLE = 'question,choices,answer,input_ids\n"Which, if any?","[\'a\', ""b""]",1,\nthe,"[\'a\' \'b\'\n \'c\']",0,"[1, 2, 3]"\n';

const fixtures = (folder: string, ending: string): string[] =>
  fs
    .readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => path.join(folder, name));

/** `folder`: an empty folder for the files that inputs are written to; fixtures are read from the current folder, the root of a clone. */
export async function targetsIn(folder: string): Promise<{ readonly targets: readonly Target[]; close(): Promise<void> }> {
  const model = writeFolder(threeShards(), { folder: path.join(folder, 'model') });
  const checkpoint = unwrap(await openCheckpoint(model));
  const patchFile = path.join(folder, 'patch.safetensors');
  unwrap(await writePatch(patchFile, { ...(await movedBy(checkpoint, SOME_UNITS)), metadata: { method: 'npo', note: 'a patch' } }));
  const shard = fs.readFileSync(path.join(model, checkpoint.shards[0].file));
  const indexFile = path.join(model, 'model.safetensors.index.json');
  const indexModel = path.join(folder, 'indexed');
  fs.cpSync(model, indexModel, { recursive: true });
  const tokenizerFolder = path.join(folder, 'tokenizer');
  fs.mkdirSync(tokenizerFolder);
  const [wordy] = tokenizers();
  const settings = { bos_token: '<s>', eos_token: { content: '</s>' }, chat_template: TEMPLATES[0], add_bos_token: true };

  const openedTokenizer = async (definition: Uint8Array, config: Uint8Array): Promise<Result<Tokenizer | null>> => {
    fs.writeFileSync(path.join(tokenizerFolder, 'tokenizer.json'), definition);
    fs.writeFileSync(path.join(tokenizerFolder, 'tokenizer_config.json'), config);
    return openTokenizer(tokenizerFolder, { bos_token_id: 1 });
  };
  const known = unwrap(await openedTokenizer(jsonOf(wordy), jsonOf(settings)));
  const readAll = async (source: Parameters<typeof readRows>[0], tokenizer: Tokenizer | null): Promise<Fault | null> => {
    const rows = await readRows(source);
    if (!rows.ok) return rows.fault;
    for (const purpose of ['train', 'evaluate', 'generate'] as const) {
      const made = await toSequences(rows.value, {
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
  };
  const fromFile =
    (name: string) =>
    async (input: Uint8Array): Promise<Fault | null> => {
      const file = path.join(folder, name);
      fs.writeFileSync(file, input);
      return readAll(file, known);
    };
  const withTokenizer = async (opened: Result<Tokenizer | null>): Promise<Fault | null> => {
    if (!opened.ok) return opened.fault;
    if (opened.value === null) return null;
    const { value: tokenizer } = opened;
    return refused(async () => {
      const fault = await readAll({ kind: 'text', text: LINES.replace('Nairobi', 'a'.repeat(200)), origin: 'rows.jsonl', line: 1 }, tokenizer);
      tokenizer.decode([0, 1, 2, 5, 9, 100], { skipSpecial: true });
      for (const id of [0, 3, 1e6]) tokenizer.tokenText(id);
      return fault;
    });
  };

  const run = runFolder({
    attribution: { ...runFolder().attribution, layers: [{ layer: 2, experts: [{ expert: 10, affinity: 0.4, share: 0.3 }] }] } as ReturnType<
      typeof runFolder
    >['attribution'],
  });
  const shortened = {
    ...run.evaluation,
    sets: run.evaluation?.sets.map((set) => ({
      ...set,
      before: { ...set.before, score: { ...set.before.score, perExample: small(set.before.score.perExample) } },
      after: { ...set.after, score: { ...set.after.score, perExample: small(set.after.score.perExample) } },
      ...(set.forbiddenBefore
        ? { forbiddenBefore: { ...set.forbiddenBefore, score: { value: 0.9, n: 3 } }, forbiddenAfter: { ...set.forbiddenAfter, score: { value: 0.9, n: 3 } } }
        : {}),
    })),
  };
  const audited = {
    run: run.record.id,
    audits: {
      forbid: {
        settings: { experts: [] },
        seconds: 2,
        sets: shortened.sets?.map((set) => ({ role: set.role, before: set.before, after: set.after, underBefore: set.before, underAfter: set.after })),
      },
    },
  };
  const files: Readonly<Record<string, string>> = {
    'run.json': JSON.stringify(
      runRecord({
        weights: { bytes: 1, reading: 1, widening: 1, waiting: 0 },
        memory: { budget: 8, planned: 4, peak: 5 },
        sweep: { name: 'beta', task: 'abc' },
        plannedSeconds: { training: 3 },
      }),
    ),
    'recipe.json': JSON.stringify(run.recipe),
    'steps.jsonl': run.steps
      .slice(0, 4)
      .map((step) => `${JSON.stringify(step)}\n`)
      .join(''),
    'checks.jsonl': `${JSON.stringify(run.checks[0])}\n`,
    'attribution.json': JSON.stringify(run.attribution),
    'evaluation.json': JSON.stringify(shortened),
    'audits.json': JSON.stringify(audited),
  };
  const runsRoot = path.join(path.sep, 'w', '.uoe', 'runs');
  const runAt = path.join(runsRoot, 'one');
  const page = '<title>%REPORT-TITLE%</title><script type="application/json">%REPORT-DATA%</script>';
  const readRun = async (name: string, content: string): Promise<Fault | null> => {
    const reader: RunReader = {
      folders: async () => ok(['one']),
      text: async (at) => {
        const own = path.basename(at);
        if (path.dirname(at) !== runAt || files[own] === undefined) return fail('not-found', `There is no ${at}.`, 'Check the path.');
        return ok(own === name ? content : files[own]);
      },
      held: async () => false,
    };
    const history = await readHistory(reader, path.join(path.sep, 'w'));
    for (const { why } of history.broken) if (why.includes('Unexpected error')) throw new Error(why);
    tableOf(history.runs.map(({ record }) => rowOf({ record, recipe: null, evaluation: null })));
    taskResults(
      { name: 'beta', axes: ['beta'], workers: 1, tasks: [{ id: 'abc', labels: { beta: '1' }, recipe: run.recipe }] },
      history.runs.map(({ record }) => record),
    );
    const scores = await readScores(reader, runAt);
    if (scores.ok) {
      const table = tableOf([rowOf(scores.value), rowOf({ record: runRecord({ id: 'other' }), recipe: null, evaluation: null })]);
      for (const form of [comparisonText, comparisonMarkdown, comparisonCsv, comparisonJson]) form(table);
    }
    const read = await readRunFolder(reader, runAt);
    if (!read.ok) return read.fault;
    auditViews(read.value);
    comparisonView(read.value, false);
    comparisonView(read.value, true, run);
    reportMarkdown(read.value, runAt);
    unwrap(filledPage(page, reportPage(read.value, runAt, { routing: null, answers: null, left: null })));
    modelCard({ run: read.value, base: null, changed: [], card: null });
    const results = taskResults({ name: 'beta', axes: ['beta'], workers: 1, tasks: [{ id: 'abc', labels: { beta: '1' }, recipe: run.recipe }] }, [
      read.value.record,
    ]);
    sweepText({ axes: ['beta'] }, sweepLines({ axes: ['beta'] }, results));
    return null;
  };

  const recipe = {
    model: 'checkpoint',
    forget: 'forget.jsonl',
    retain: 'retain.jsonl',
    target: { experts: [{ layer: 1, expert: 2 }] },
    train: { components: [{ kind: 'expert', layers: [1], experts: [2] }] },
    method: 'rmu',
    methodOptions: { c: { timesHiddenNorm: 8 }, retainWeight: 100, controlVector: 'seed' },
    anchor: { weight: 1, form: 'paper' },
    retainLoss: { kind: 'kl', weight: 1 },
    optimizer: { lr: 1e-4, beta1: 0.9, schedule: 'cosine', clipNorm: 1 },
    steps: 100,
    batchSize: 'all',
    accumulate: 2,
    checks: { everySteps: 10, forget: 'stop.jsonl', utility: ['a.jsonl'] },
    stop: { forgetAtMost: 0.3, patience: 2 },
    evaluate: { forget: 'e.jsonl', utility: ['u.jsonl'] },
    scoring: { options: 'lettered' },
    memory: '8GB',
    fingerprints: { model: 'sha256:0' },
  };
  const sweep = {
    recipe: { model: 'm', forget: 'f.jsonl', retain: 'r.jsonl' },
    vary: { 'anchor.weight': [0, 1], method: [{ label: 'GA', set: { method: 'ga', 'optimizer.lr': 0.001 } }, 'npo'], seed: [0, 1] },
    workers: 2,
  };

  const names = { has: () => true, stored: (name: string) => name };
  const configs = [
    ...fixtures('test/fixtures/golden', 'config.json'),
    ...fixtures('test/fixtures/variants', 'config.json'),
    'demo/checkpoint/config.json',
  ].filter((file) => fs.existsSync(file) && fs.statSync(file).size < 20_000);

  // Requests reach the session as another process sends them; those that write are answered by nobody.
  const carrier = Object.assign(new EventEmitter(), {
    send: (_message: unknown, ...rest: unknown[]) => void (rest.at(-1) as ((error: Error | null) => void) | undefined)?.(null),
    connected: true,
  });
  const answers = new EventEmitter();
  const session = createSession(() => undefined, { backend: 'cpu', threads: 1 });
  const handler: RequestHandler = {
    handle: async (name, params, context) => {
      const nobody = fail('unsupported', 'Nobody answers this here.', 'Ask for something that only reads.') as never;
      const result = READS.has(name)
        ? await session.handle(name, params, context)
        : (paramsFault(name, params) ?? null) === null
          ? nobody
          : { ok: false as const, fault: paramsFault(name, params) as Fault };
      answers.emit('answer', result.ok ? null : result.fault);
      return result;
    },
    dispose: () => session.dispose(),
  };
  const connection = createMessageConnection(
    new IPCMessageReader(carrier as unknown as NodeJS.Process),
    new IPCMessageWriter(carrier as unknown as NodeJS.Process),
    { error: () => undefined, warn: () => undefined, info: () => undefined, log: () => undefined },
  );
  connection.onError(() => undefined);
  serve(connection, () => handler);
  connection.listen();
  const file = (at: string) => ({ kind: 'file', path: at });
  const request = (method: string, params: object) => jsonOf({ jsonrpc: '2.0', id: 1, method, params: [{ request: 'r-1', params }] });
  const rowsFile = path.join(folder, 'known.jsonl');
  fs.writeFileSync(rowsFile, LINES);

  const targets: readonly Target[] = [
    {
      name: 'safetensors header',
      form: 'wrapped',
      share: 14,
      seeds: [shard, fs.readFileSync(patchFile)],
      run: async (input) => {
        const read = await readHeader('/models/model.safetensors', input.length, async (offset, length) => ok(input.slice(offset, offset + length)));
        if (!read.ok) return read.fault;
        let end = read.value.headerBytes;
        for (const { name, shape, offset, bytes } of read.value.tensors) {
          const sizes = shape.every((size) => Number.isInteger(size) && size >= 0);
          if (offset !== end || bytes < 0 || !sizes) throw new Error(`Tensor ${name} was taken with wrong bounds.`);
          end += bytes;
        }
        if (end !== input.length) throw new Error('Tensors were taken that are not in the file.');
        return null;
      },
    },
    {
      name: 'index.json',
      form: 'json',
      share: 6,
      seeds: [fs.readFileSync(indexFile)],
      words: ['"weight_map"', 'model-00001-of-00003.safetensors', '../', '/'],
      run: async (input) => {
        fs.writeFileSync(path.join(indexModel, 'model.safetensors.index.json'), input);
        const opened = await openCheckpoint(indexModel);
        if (!opened.ok) return opened.fault;
        for (const { path: at } of opened.value.shards) if (path.dirname(at) !== indexModel) throw new Error(`${at} was opened.`);
        await opened.value.close();
        return null;
      },
    },
    {
      name: 'config.json',
      form: 'json',
      share: 14,
      seeds: configs.map((at) => fs.readFileSync(at)),
      run: async (input) =>
        refused(() => {
          const raw = parseJson(textOf(input), '/models/config.json');
          if (!raw.ok) return raw.fault;
          const opened = openArchitecture(raw.value, names);
          if (!opened.ok) return opened.fault;
          if (opened.value.layers.length * opened.value.shape.experts < 10_000) allParts(opened.value);
          opened.value.layers[0].attention.rope.rows(Int32Array.of(0, 1, 2));
          return null;
        }),
    },
    {
      name: 'tokenizer.json',
      form: 'json',
      share: 8,
      seeds: tokenizers().map(jsonOf),
      words: ['"Regex"', '(a+)+$', '(\\\\w+\\\\s?)*$', '"Sequence"'],
      run: async (input) => withTokenizer(await openedTokenizer(input, jsonOf(settings))),
    },
    {
      name: 'tokenizer_config.json',
      form: 'json',
      share: 4,
      seeds: [jsonOf(settings), jsonOf({ ...settings, chat_template: [{ name: 'default', template: TEMPLATES[1] }] })],
      run: async (input) => withTokenizer(await openedTokenizer(jsonOf(wordy), input)),
    },
    {
      name: 'chat templates',
      form: 'text',
      share: 12,
      seeds: TEMPLATES.map(bytesOf),
      words: TEMPLATE_WORDS,
      run: async (input) =>
        refused(() => {
          const chat = openChat(textOf(input), { bos_token: '<s>', eos_token: '</s>' });
          const { text } = chat.conversation(MESSAGES);
          const prompt = chat.prompt(MESSAGES.slice(0, 2));
          for (const made of [text, prompt]) if (/\[native code\]|process\.binding|mainModule/.test(made)) throw new Error('A template reached JavaScript.');
          return null;
        }),
    },
    {
      name: 'rows of JSON lines',
      form: 'text',
      share: 8,
      seeds: [bytesOf(LINES)],
      words: ['"text"', '"messages":[', '"input_ids":', '"choices":[', '"answer":', '\n'],
      run: fromFile('rows.jsonl'),
    },
    { name: 'rows of JSON', form: 'json', share: 6, seeds: [jsonOf(ROWS), jsonOf({ data: ROWS.slice(0, 3) })], run: fromFile('rows.json') },
    {
      name: 'rows of CSV',
      form: 'text',
      share: 6,
      seeds: [bytesOf(TABLE), bytesOf('text,id\n"a ""b""\nc",1\n')],
      words: [',', '"', '\n', '\r\n', '[', "['a', 'b']", 'array(', 'nan', 'constructor', "'\\x41'"],
      run: fromFile('rows.csv'),
    },
    {
      name: 'rows of parquet',
      form: 'bytes',
      share: 9,
      tail: 700,
      seeds: fixtures('test/fixtures/text', '.parquet').map((at) => fs.readFileSync(at)),
      run: fromFile('rows.parquet'),
    },
    {
      name: 'recipes',
      form: 'json',
      share: 10,
      seeds: [
        jsonOf(recipe),
        jsonOf({ model: 'm', forget: 'f', method: 'npo', target: { layer: 1, expert: 2 }, train: { lora: { rank: 8 } }, methodOptions: { beta: 0.1 } }),
      ],
      run: async (input) => {
        const raw = parseJson(textOf(input), 'recipe.uoe.json');
        if (!raw.ok) return raw.fault;
        const parsed = parseRecipe(raw.value);
        return parsed.ok ? faultOfResult(resolveRecipe(parsed.value)) : parsed.fault;
      },
    },
    {
      name: 'sweep files',
      form: 'json',
      share: 5,
      seeds: [jsonOf(sweep)],
      run: async (input) => {
        const raw = parseJson(textOf(input), '/w/beta.sweep.json');
        return raw.ok ? faultOfResult(await planSweep(raw.value, '/w/beta.sweep.json', async () => ok(recipe))) : raw.fault;
      },
    },
    ...Object.entries(files).map(
      ([name, content]): Target => ({
        name: `run folders: ${name}`,
        form: name.endsWith('l') ? 'text' : 'json',
        share: 2,
        seeds: [bytesOf(content)],
        words: ['"step":', '{}', 'null'],
        run: (input) => refused(() => readRun(name, textOf(input))),
      }),
    ),
    {
      name: 'requests to the engine',
      refusedSeeds: true,
      form: 'json',
      share: 5,
      seeds: [
        request('chosenRows', { sources: [file(rowsFile), { kind: 'text', text: 'a\n\nb', origin: 'x.txt', line: 1 }], rows: [{ source: 0, line: 1 }] }),
        request('resolveRecipe', { recipe, folder }),
        request('runs', { workspace: folder }),
        request('readRun', { run: '1', workspace: folder }),
        request('compare', { workspace: folder, runs: [] }),
        request('report', { run: '1', workspace: folder, form: 'markdown', filesOnly: true }),
        request('preview', { model: '/nowhere', forget: [file(rowsFile)], maxLength: 5 }),
        request('expertSet', { record: run.attribution ?? {}, score: 'affinity', p: 0.2 }),
        request('score', { model: '/nowhere', data: [file(rowsFile)], forbid: [{ layer: 0, expert: 1 }] }),
        request('openModel', { path: '/nowhere' }),
        request('steerRun', { action: 'pause' }),
      ],
      run: async (input) => {
        // They come as values, not as text: what a reader of text refuses is no message.
        const { value: message = null } = parseJson(textOf(input), 'message') as { value?: unknown };
        if (message === null) return null;
        let fault: Fault | null = null;
        let answered: () => void = () => undefined;
        const answer = new Promise<void>((resolve) => {
          answered = resolve;
        });
        answers.once('answer', (own: Fault | null) => {
          fault = own;
          answered();
        });
        carrier.emit('message', message);
        await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 4))]);
        answers.removeAllListeners('answer');
        return fault;
      },
    },
    {
      name: 'messages of the page',
      form: 'json',
      share: 5,
      seeds: [
        { type: 'settings', patch: { target: 'one', lr: 1e-4, steps: 10, batchSize: 'all', forgetAtMost: null } },
        { type: 'tick', prompts: [0, 1, 2], ticked: true },
        { type: 'saveFigure', name: 'heat map', form: 'svg', content: '<svg/>' },
        { type: 'compare', before: null, after: 'run' },
        { type: 'cancel', id: 3 },
      ].map(jsonOf),
      run: async (input) => {
        const raw = parseJson(textOf(input), 'message');
        if (!raw.ok) return raw.fault;
        const parsed = webviewMessage.safeParse(raw.value);
        if (parsed.success && JSON.stringify(parsed.data).includes('polluted')) throw new Error('A message brought a field that it has not.');
        return null;
      },
    },
    {
      name: 'patch files',
      form: 'wrapped',
      share: 5,
      seeds: [fs.readFileSync(patchFile)],
      run: async (input) => {
        const at = path.join(folder, 'hostile.safetensors');
        fs.writeFileSync(at, input);
        const patch = await readPatch(at);
        return patch.ok ? faultOfResult(await checkPatch(patch.value, checkpoint)) : patch.fault;
      },
    },
  ];
  const close = async (): Promise<void> => {
    await checkpoint.close();
    await session.dispose();
    connection.dispose();
  };
  return { targets, close };
}
