/** From data sources to sequences, as one request reads them. */
import type { DataSource, Reading, Scoring } from '../protocol/engine';
import { unwrap } from '../protocol/fault';
import type { Purpose, Row } from '../text/row-kind';
import { readAllRows } from '../text/rows';
import { type Sequences, toSequences } from '../text/sequences';
import type { OpenedModel } from './opened-models';

export interface ReadSet {
  /** Every row, those without a target too. */
  readonly rows: readonly Row[];
  /** Which source each row came from. */
  readonly sourceOf: ReadonlyMap<Row, number>;
  readonly made: Sequences;
}

export async function readSet(
  { model, tokenizer }: OpenedModel,
  sources: readonly DataSource[],
  purpose: Purpose,
  how: Reading & Scoring,
  signal: AbortSignal,
): Promise<ReadSet> {
  const sourceOf = unwrap(await readAllRows(sources, signal));
  const rows = [...sourceOf.keys()];
  const { vocabSize, maxPositions } = model.shape;
  const { maxLength, documentStart, chat, options } = how;
  return {
    rows,
    sourceOf,
    made: unwrap(await toSequences(rows, { tokenizer, purpose, maxLength, documentStart, chat, options, vocabSize, maxPositions, signal })),
  };
}
