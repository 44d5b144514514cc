/** Which answers are shown: a filter, and pages of twenty. Pure. */
import type { AnswerRow } from '../../../src/protocol/comparison-view';
import type { WebviewMemory } from '../../../src/protocol/workbench';

export type Filter = WebviewMemory['answers']['filter'];
export const pageLength = 20;

export const matching = (rows: readonly AnswerRow[], filter: Filter): readonly AnswerRow[] =>
  filter === 'all' ? rows : filter === 'changed' ? rows.filter(({ changed }) => changed) : rows.filter(({ set }) => set === filter);

export const pageCount = (rows: number): number => Math.max(1, Math.ceil(rows / pageLength));
