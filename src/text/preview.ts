/** What data will be used as, before anything runs on it. */
import type { DataPreview } from '../protocol/engine';
import { FaultError, ok, type Result } from '../protocol/fault';
import type { TokenSequence } from '../protocol/sequences';
import { nearDuplicates } from './near-duplicates';
import type { Row } from './row-kind';
import type { Sequences } from './sequences';
import type { Tokenizer } from './tokenizer';

export interface PreviewSet {
  readonly name: string;
  /** Every row, the skipped ones too. */
  readonly rows: readonly Row[];
  readonly made: Sequences;
}

/** Rows shown of each set, and characters shown of each. */
const EXAMPLES = 5;
const SHOWN = 200;

/** Counts and first rows of each set; near-duplicates are those of the set "forget" in the set "retain". Fault: cancelled. */
export async function previewOf(sets: readonly PreviewSet[], tokenizer: Tokenizer | null, signal?: AbortSignal): Promise<Result<DataPreview>> {
  const [forget, retain] = ['forget', 'retain'].map((name) => sets.find((set) => set.name === name)?.rows);
  try {
    return ok({ sets: sets.map((set) => countsOf(set, tokenizer)), nearDuplicates: forget && retain ? await pairsOf(forget, retain, signal) : [] });
  } catch (error) {
    if (error instanceof FaultError) return { ok: false, fault: error.fault };
    throw error;
  }
}

async function pairsOf(forget: readonly Row[], retain: readonly Row[], signal?: AbortSignal): Promise<DataPreview['nearDuplicates']> {
  const texts = (rows: readonly Row[]) => rows.map((row) => row.text);
  const pairs = await nearDuplicates(texts(forget), texts(retain), signal);
  return pairs.map(({ left, right, similarity }) => ({
    forget: forget[left].id,
    retain: retain[right].id,
    similarity,
    text: excerpt(forget[left].text),
    retainText: excerpt(retain[right].text),
  }));
}

const countsOf = ({ name, rows, made }: PreviewSet, tokenizer: Tokenizer | null): DataPreview['sets'][number] => ({
  name,
  rows: rows.length,
  kinds: countKinds(rows),
  tokens: made.sequences.reduce((sum, sequence) => sum + sequence.ids.length, 0),
  targetTokens: made.sequences.reduce((sum, sequence) => sum + targetCount(sequence), 0),
  truncated: made.truncated,
  skipped: made.skipped,
  examples: made.rows.slice(0, EXAMPLES).map((row, at) => {
    const sequence = made.sequences[at];
    return { id: row.id, line: row.at.line, text: excerpt(rowText(row, sequence, tokenizer)), tokens: sequence.ids.length };
  }),
});

/** A row as text for people: ids are decoded where the checkpoint can. */
export const rowText = (row: Row, sequence: TokenSequence, tokenizer: Tokenizer | null): string =>
  row.kind === 'input_ids' && tokenizer !== null ? tokenizer.decode(sequence.ids) : row.text;

const targetCount = (sequence: TokenSequence): number => sequence.targetMask.reduce((sum, bit) => sum + bit, 0);

function countKinds(rows: readonly Row[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of rows) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

const excerpt = (text: string): string => (text.length <= SHOWN ? text : `${text.slice(0, SHOWN - 1)}…`);
