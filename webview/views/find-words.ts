/** Sentences of steps 1 and 2. Pure. */
import { count, expertName, fraction, times } from '../../src/protocol/numbers';
import type { PromptsView } from '../../src/protocol/prompts-view';
import type { AttributionView, RankingRow } from '../../src/protocol/workbench';

/** `the 240 forget prompts`, or how many of them are ticked. */
function promptWords({ ticked, total }: PromptsView): string {
  return ticked === total ? `the ${count(total)} forget prompts` : `the ${count(ticked)} ticked of ${count(total)} forget prompts`;
}

/** The answer of step 2 in one or two sentences. */
export function headlineWords(target: RankingRow, { best, selectable }: AttributionView, prompts: PromptsView): string {
  const rank = `rank ${count(target.rank)} of ${count(selectable)}`;
  if (target.rank === 1)
    return `It gets the largest router score on ${promptWords(prompts)}: affinity ${fraction(target.affinity)}, ${times(target.timesEqual)} an equal share, ${rank}.`;
  return `Affinity ${fraction(target.affinity)} on ${promptWords(prompts)}, ${rank}. The best expert is ${expertName(best)}; utility falls as the rank grows (paper, Table 5).`;
}

/** What a run forgets, in one sentence. */
export function forgottenWords({ ticked, total, sources }: PromptsView): string {
  const from = sources.length === 1 ? sources[0].name : `${sources.length} sources`;
  if (ticked === 0) return 'Nothing would be forgotten: tick a prompt.';
  if (ticked === total) return `A run forgets all ${count(total)} prompts of ${from}.`;
  return `A run forgets the ${count(ticked)} ticked prompts alone, not the other ${count(total - ticked)} of ${from}.`;
}

/** What rows of each kind are called. */
const units: Readonly<Record<string, readonly [one: string, many: string]>> = {
  text: ['text', 'texts'],
  'multiple choice': ['question', 'questions'],
  'prompt and answer': ['prompt with answer', 'prompts with answers'],
  messages: ['conversation', 'conversations'],
  input_ids: ['row of input_ids', 'rows of input_ids'],
};

/** `question`, `questions` */
export const unitOf = (kind: string, rows: number): string => (units[kind] ?? [kind, kind])[rows === 1 ? 0 : 1];

/** `240 texts`, `180 questions, 20 texts` */
export const kindWords = (kinds: Readonly<Record<string, number>>): string =>
  Object.entries(kinds)
    .map(([kind, rows]) => `${count(rows)} ${unitOf(kind, rows)}`)
    .join(', ');
