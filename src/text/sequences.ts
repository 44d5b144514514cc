/** Rows as the sequences of tokens that the passes see (DESIGN 4.1). */
import { FaultError, ok, type Result, refuse } from '../protocol/fault';
import type { RowSource, TokenSequence } from '../protocol/sequences';
import { type Chat, openChat } from './chat';
import { type Place, placeName } from './columns';
import type { Draft, Encoding, Purpose, Row, TokenPath } from './row-kind';
import { slices } from './slices';
import { timely } from './time-limit';
import type { DocumentStart, Tokenizer } from './tokenizer';

export interface SequenceOptions {
  readonly tokenizer: Tokenizer | null;
  readonly purpose: Purpose;
  /** Tokens kept of a sequence; the end is cut. */
  readonly maxLength?: number;
  readonly documentStart?: DocumentStart;
  readonly chat?: 'auto' | 'never';
  readonly options?: 'likelihood' | 'lettered';
  /** Rows of the embedding: ids from here on are refused. */
  readonly vocabSize: number;
  /** Positions the model was made for (max_position_embeddings). */
  readonly maxPositions?: number;
  readonly signal?: AbortSignal;
}

export interface Sequences {
  readonly sequences: readonly TokenSequence[];
  /** The row of each sequence. */
  readonly rows: readonly Row[];
  /** Rows left out because no target is left in them. */
  readonly skipped: number;
  /** Sequences that maxLength cut. */
  readonly truncated: number;
}

/** Milliseconds of short rows, in characters, that are timed as one. */
const TOGETHER = 20;
const SHORT = 10_000;

/**
 * One sequence per row that has a target. Faults name the row: no tokenizer, an id outside the vocabulary, more tokens than the model has positions.
 * Purpose `generate` gives prompts without targets.
 */
export async function toSequences(rows: readonly Row[], options: SequenceOptions): Promise<Result<Sequences>> {
  try {
    const encoding = encodingOf(options);
    const sequences: TokenSequence[] = [];
    const kept: Row[] = [];
    let truncated = 0;
    const slice = slices(options.signal);
    let done = 0;
    const next = (): void => {
      const row = rows[done];
      const made = toSequence(row, row.encode(encoding), options);
      done++;
      if (made === null) return;
      sequences.push(made.sequence);
      kept.push(row);
      if (made.cut) truncated++;
    };
    while (done < rows.length) {
      await slice();
      const first = rows[done];
      const until = performance.now() + TOGETHER;
      timely(placeName(first.at), first.text.length, () => {
        do next();
        while (done < rows.length && rows[done].text.length < SHORT && performance.now() < until);
      });
    }
    return ok({ sequences, rows: kept, skipped: rows.length - sequences.length, truncated });
  } catch (error) {
    if (error instanceof FaultError) return { ok: false, fault: error.fault };
    throw error;
  }
}

function encodingOf(options: SequenceOptions): Encoding {
  const { tokenizer } = options;
  const needed = (at: Place): Tokenizer =>
    tokenizer ??
    refuse(
      'bad-data',
      `${placeName(at)}: text needs a tokenizer, and this checkpoint has no tokenizer.json.`,
      'Add tokenizer.json to the checkpoint, or give rows of "input_ids".',
    );
  let chat: Chat | null = null;
  const opened = (template: string): Chat => (chat ??= openChat(template, tokenizer?.specialTokens ?? {}));
  return {
    purpose: options.purpose,
    lettered: options.options === 'lettered',
    tokenizer: needed,
    start: (at) => needed(at).documentStart(options.documentStart ?? 'auto'),
    promptChat: (at) => {
      const template = needed(at).chatTemplate;
      return template === null || options.chat === 'never' ? null : named(opened(template), at);
    },
    messagesChat: (at) => {
      const template = needed(at).chatTemplate;
      if (template !== null) return named(opened(template), at);
      return refuse(
        'bad-data',
        `${placeName(at)}: "messages" need a chat template, and this checkpoint has none.`,
        'Give rows of "prompt" and "answer", or add chat_template.jinja.',
      );
    },
  };
}

/** The same chat, its faults naming the row. */
function named(chat: Chat, at: Place): Chat {
  const naming = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      return refuse(error.fault.code, `${placeName(at)}: ${error.fault.message}`, error.fault.remedy);
    }
  };
  return { prompt: (messages) => naming(() => chat.prompt(messages)), conversation: (messages) => naming(() => chat.conversation(messages)) };
}

/** Null where the row has no target (generating: no token). */
function toSequence(row: Row, draft: Draft, options: SequenceOptions): { readonly sequence: TokenSequence; readonly cut: boolean } | null {
  const limit = options.maxLength ?? Number.POSITIVE_INFINITY;
  const cut = draft.paths.some((path) => path.ids.length > limit);
  const paths = draft.paths.map((path) => shorten(path, limit));
  const empty = (path: TokenPath): boolean => (options.purpose === 'generate' ? path.ids.length === 0 : !path.targets.includes(1));
  if (paths.some(empty)) return null;
  for (const path of paths) checkIds(row.at, path.ids, options);
  const source: RowSource = { file: row.at.file, line: row.at.line, columns: row.columns };
  const shared = { id: row.id, ...(row.topic === undefined ? {} : { topic: row.topic }), source };
  const { alternatives } = draft;
  if (alternatives !== undefined) return { sequence: { ...shared, ...branch(paths), alternatives }, cut };
  if (draft.options === undefined) return { sequence: { ...shared, ids: Int32Array.from(paths[0].ids), targetMask: paths[0].targets }, cut };
  const { answer, texts, bytes, characters } = draft.options;
  return { sequence: { ...shared, ...branch(paths), answer, optionTexts: texts, optionBytes: bytes, optionCharacters: characters }, cut };
}

const shorten = (path: TokenPath, limit: number): TokenPath =>
  path.ids.length <= limit ? path : { ids: Array.from(path.ids).slice(0, limit), targets: path.targets.slice(0, limit) };

function checkIds(at: Place, ids: ArrayLike<number>, options: SequenceOptions): void {
  if (options.maxPositions !== undefined && ids.length > options.maxPositions) {
    const remedy = `Shorten the row, or set the maximum length to at most ${options.maxPositions} to cut it.`;
    refuse('out-of-range', `${placeName(at)}: ${ids.length} tokens, but the model's context has ${options.maxPositions}.`, remedy);
  }
  for (let index = 0; index < ids.length; index++) {
    if (ids[index] < options.vocabSize) continue;
    refuse(
      'out-of-range',
      `${placeName(at)}: token id ${ids[index]} at index ${index} is outside the model's vocabulary of ${options.vocabSize}.`,
      'Check that data and tokenizer belong to this checkpoint.',
    );
  }
}

/**
 * Options after their shared prompt: the trunk is what all paths begin with, at most up to the first target, so that a token that forms across the
 * border of prompt and option stays in its branch.
 */
function branch(paths: readonly TokenPath[]): Pick<TokenSequence, 'ids' | 'targetMask' | 'branches'> {
  const firstTarget = Math.min(...paths.map((path) => path.targets.indexOf(1)));
  let trunk = 0;
  while (trunk < firstTarget && paths.every((path) => path.ids[trunk] === paths[0].ids[trunk])) trunk++;
  const ids = Array.from(paths[0].ids).slice(0, trunk);
  const targets: number[] = ids.map(() => 0);
  const branches: number[] = [];
  for (const path of paths) {
    branches.push(ids.length);
    for (let at = trunk; at < path.ids.length; at++) {
      ids.push(path.ids[at]);
      targets.push(path.targets[at]);
    }
  }
  return { ids: Int32Array.from(ids), targetMask: Uint8Array.from(targets), branches };
}
