/**
 * The checkpoint's own tokenizer: tokenizer.json and tokenizer_config.json through @huggingface/tokenizers.
 * Truncation and padding set in tokenizer.json are not applied (that library ignores them, and cutting is `maxLength`'s).
 */
import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import { exists } from '../files/folder';
import { readJson, readText } from '../files/read';
import { FaultError, fail, ok, type Result, refuse, unwrap } from '../protocol/fault';
import { timely } from './time-limit';

export type DocumentStart = 'auto' | 'yes' | 'no';

export interface Tokenizer {
  /** Ids of the text alone. A special token written out in the text becomes that token, as in transformers. */
  encode(text: string): Int32Array;
  /** Ids with whatever the tokenizer puts around a text (tokenizer.json's post_processor). */
  encodeWithSpecial(text: string): Int32Array;
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecial?: boolean }): string;
  /** `auto`: what the tokenizer itself puts before a text. `yes`: bos_token of tokenizer_config.json, else bos_token_id of config.json; refused if neither. */
  documentStart(mode: DocumentStart): readonly number[];
  /** Ids that end a generation: eos_token_id of generation_config.json, else of config.json, else the tokenizer's eos_token. */
  readonly endTokens: readonly number[];
  /** Jinja source, or null. */
  readonly chatTemplate: string | null;
  /** Special tokens by their names in tokenizer_config.json (bos_token, eos_token, ...), as a chat template sees them. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** One more than the largest id. */
  readonly vocabularySize: number;
  /** Model type of tokenizer.json: BPE, Unigram, WordPiece. */
  readonly kind: string;
  /** One token for display: its text where it is text, else its entry in the vocabulary. */
  tokenText(id: number): string;
}

const MODELS: readonly string[] = ['BPE', 'Unigram', 'WordPiece', 'WordLevel'];
const COPY_AGAIN = 'Copy it again from where the checkpoint came from.';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Opens the tokenizer of a checkpoint folder; null when there is no tokenizer.json.
 * `config` is the parsed config.json. Faults: bad-file for JSON that is no tokenizer.
 */
export async function openTokenizer(folder: string, config: unknown): Promise<Result<Tokenizer | null>> {
  const file = `${folder}/tokenizer.json`;
  try {
    if (!unwrap(await exists(file))) return ok(null);
    const definition = objectAt(unwrap(await readJson(file)), file);
    const settings = await optionalObject(`${folder}/tokenizer_config.json`);
    const generation = await optionalObject(`${folder}/generation_config.json`);
    const template = `${folder}/chat_template.jinja`;
    const chatTemplate = unwrap(await exists(template)) ? unwrap(await readText(template)) : templateOf(settings.chat_template);
    return ok(tokenizerOf(file, definition, settings, [generation, fieldsOf(config)], chatTemplate));
  } catch (error) {
    if (error instanceof FaultError) return { ok: false, fault: error.fault };
    return fail('bad-file', `${file} can't be used as a tokenizer: ${error instanceof Error ? error.message : error}.`, COPY_AGAIN);
  }
}

function tokenizerOf(
  file: string,
  definition: Fields,
  settings: Fields,
  configs: readonly [generation: Fields, config: Fields],
  chatTemplate: string | null,
): Tokenizer {
  const hub = timely(file, entriesOf(definition), () => build(file, definition, settings));
  const patterned = JSON.stringify(definition.decoder ?? null).includes('"Regex"');
  const decodeIds = (ids: number[], skip: boolean): string => {
    const decode = () => usable(file, () => hub.decode(ids, { skip_special_tokens: skip, clean_up_tokenization_spaces: false }));
    return patterned ? timely(file, ids.length, decode) : decode();
  };
  const encodeIds = (text: string, special: boolean): Int32Array =>
    // Where a vocabulary has no unknown token, characters it lacks give no id; the Rust library drops them too.
    usable(file, () => Int32Array.from(hub.encode(text, { add_special_tokens: special }).ids.filter((id) => id !== undefined)));
  const specialTokens = specialTokensOf(settings);
  const vocabularySize = vocabularySizeOf(hub);
  const prefix = timely(file, 1, () => prefixOf(encodeIds('a', true), encodeIds('a', false)));
  return {
    encode: (text) => encodeIds(text, false),
    encodeWithSpecial: (text) => encodeIds(text, true),
    decode: (ids, options) => (ids.length === 0 ? '' : decodeIds(Array.from(ids), options?.skipSpecial ?? false)),
    documentStart: (mode) => {
      if (mode === 'no') return [];
      if (mode === 'auto') return prefix;
      return [startToken(file, hub, specialTokens.bos_token, configs)];
    },
    endTokens: endTokensOf(hub, specialTokens.eos_token, configs),
    chatTemplate,
    specialTokens,
    vocabularySize,
    kind: String(fieldsOf(definition.model).type ?? 'BPE'),
    tokenText: (id) => {
      const text = hub.id_to_token(id);
      if (text === undefined) return `[${id}]`;
      const decoded = decodeIds([id], false);
      return decoded === '' || decoded.includes('\uFFFD') ? text : decoded;
    },
  };
}

/** Entries of the vocabulary and merges: each takes its time to be built in, and there may be half a million. */
function entriesOf(definition: Fields): number {
  const { vocab, merges } = fieldsOf(definition.model);
  const size = (value: unknown): number => (Array.isArray(value) ? value.length : Object.keys(fieldsOf(value)).length);
  return size(vocab) + size(merges);
}

/** The library accepts broken definitions silently, or fails with a TypeError: try it on a text before trusting it. */
function build(file: string, definition: Fields, settings: Fields): HubTokenizer {
  const model = fieldsOf(definition.model);
  if (model.vocab === undefined || model.vocab === null || typeof model.vocab !== 'object') {
    refuse('bad-file', `${file} is not a tokenizer: it has no model with a vocabulary.`, COPY_AGAIN);
  }
  if (model.type !== undefined && !MODELS.includes(String(model.type))) {
    refuse('unsupported', `${file} holds a tokenizer of type ${JSON.stringify(model.type)}; understood are ${MODELS.join(', ')}.`);
  }
  refuseIds(file, definition, model.vocab as object);
  return usable(file, () => {
    // Absent parts mean the same as null; only the library insists that they be written out.
    const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [], ...definition };
    // For WordLevel the library looks for the unknown token in the settings only.
    const hub = new HubTokenizer(parts, model.type === 'WordLevel' ? { unk_token: model.unk_token, ...settings } : settings);
    hub.decode([...hub.encode('A text, to try it.').ids.filter((id) => id !== undefined), 0]);
    return hub;
  });
}

/** Whatever the library throws is the definition's fault. */
function usable<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof FaultError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    return refuse('bad-file', `${file} can't be used as a tokenizer: ${why.replace(/\.\s*$/, '')}.`, COPY_AGAIN);
  }
}

/** Ids of 22 bits: a list that long takes a quarter of a second. The largest vocabulary has 18. */
const LARGEST_ID = (1 << 22) - 1;

/** The library makes lists as long as the largest id. */
function refuseIds(file: string, definition: Fields, vocab: object): void {
  const added = Array.isArray(definition.added_tokens) ? definition.added_tokens.map((token) => fieldsOf(token).id) : [];
  for (const id of [...(Array.isArray(vocab) ? [] : Object.values(vocab)), ...added] as unknown[]) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > LARGEST_ID)
      refuse('bad-file', `${file} has ${JSON.stringify(id) ?? 'nothing'} as the id of a token.`, COPY_AGAIN);
  }
}

function vocabularySizeOf(hub: HubTokenizer): number {
  let largest = -1;
  for (const id of hub.get_vocab().values()) largest = Math.max(largest, id);
  for (const id of hub.get_added_tokens_decoder().keys()) largest = Math.max(largest, id);
  return largest + 1;
}

/** Ids before the text in `framed`, which is `bare` with special tokens around it. */
function prefixOf(framed: Int32Array, bare: Int32Array): readonly number[] {
  for (let start = 0; start + bare.length <= framed.length; start++) {
    if (bare.every((id, at) => framed[start + at] === id)) return Array.from(framed.subarray(0, start));
  }
  return [];
}

function startToken(file: string, hub: HubTokenizer, bos: string | undefined, configs: readonly [generation: Fields, config: Fields]): number {
  const known = bos === undefined ? undefined : hub.token_to_id(bos);
  if (known !== undefined) return known;
  const [generation, config] = configs;
  const id = idsOf(config.bos_token_id)[0] ?? idsOf(generation.bos_token_id)[0];
  if (id !== undefined) return id;
  return refuse(
    'bad-data',
    `No document start for ${file}: tokenizer_config.json has no bos_token and config.json no bos_token_id.`,
    'Use --document-start auto or no.',
  );
}

function endTokensOf(hub: HubTokenizer, eos: string | undefined, configs: readonly [generation: Fields, config: Fields]): readonly number[] {
  const ids = endTokenIds(configs[0], configs[1]);
  if (ids.length > 0) return ids;
  const id = eos === undefined ? undefined : hub.token_to_id(eos);
  return id === undefined ? [] : [id];
}

/** End tokens without a tokenizer: eos_token_id (a number or a list) of generation_config.json, else of config.json. */
export function endTokenIds(generation: unknown, config: unknown): readonly number[] {
  const first = idsOf(fieldsOf(generation).eos_token_id);
  return first.length > 0 ? first : idsOf(fieldsOf(config).eos_token_id);
}

const idsOf = (value: unknown): number[] => [value].flat().filter((id): id is number => Number.isInteger(id) && (id as number) >= 0);

/** A special token is a string, or an object with its text under `content`. */
function specialTokensOf(settings: Fields): Readonly<Record<string, string>> {
  const names = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'];
  const pairs = names.flatMap((name) => {
    const value = settings[name];
    const text = typeof value === 'string' ? value : fieldsOf(value).content;
    return typeof text === 'string' ? [[name, text] as const] : [];
  });
  return Object.fromEntries(pairs);
}

/** A template is a string, or a list of named ones of which "default" is used. */
function templateOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const named = value.map(fieldsOf);
  const chosen = named.find((entry) => entry.name === 'default') ?? named[0];
  return typeof chosen?.template === 'string' ? chosen.template : null;
}

async function optionalObject(file: string): Promise<Fields> {
  return unwrap(await exists(file)) ? objectAt(unwrap(await readJson(file)), file) : {};
}

function objectAt(value: unknown, file: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse('bad-file', `${file} is not a JSON object.`, COPY_AGAIN);
  return value as Fields;
}

const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {});
