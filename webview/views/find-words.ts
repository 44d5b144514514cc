/** Sentences of steps 1 and 2. Pure. */
import { count, expertName, fraction, times } from '../../src/protocol/numbers';
import type { PromptsView } from '../../src/protocol/prompts-view';
import type { AttributionView, RankingRow } from '../../src/protocol/workbench';
import { t } from '../text';

/** `the 240 forget prompts`, or how many of them are ticked. */
function promptWords({ ticked, total }: PromptsView): string {
  return ticked === total ? t('the {0} forget prompts', count(total)) : t('the {0} ticked of {1} forget prompts', count(ticked), count(total));
}

/** The answer of step 2 in one or two sentences. */
export function headlineWords(target: RankingRow, { best, selectable }: AttributionView, prompts: PromptsView): string {
  const rank = t('rank {0} of {1}', count(target.rank), count(selectable));
  if (target.rank === 1)
    return t(
      'It gets the largest router score on {0}: affinity {1}, {2} an equal share, {3}.',
      promptWords(prompts),
      fraction(target.affinity),
      times(target.timesEqual),
      rank,
    );
  return t(
    'Affinity {0} on {1}, {2}. The best expert is {3}; utility falls as the rank grows (paper, Table 5).',
    fraction(target.affinity),
    promptWords(prompts),
    rank,
    expertName(best),
  );
}

/** What a run forgets, in one sentence. */
export function forgottenWords({ ticked, total, sources }: PromptsView): string {
  const from = sources.length === 1 ? sources[0].name : t('{0} sources', sources.length);
  if (ticked === 0) return t('Nothing would be forgotten: tick a prompt.');
  if (ticked === total) return t('A run forgets all {0} prompts of {1}.', count(total), from);
  return t('A run forgets the {0} ticked prompts alone, not the other {1} of {2}.', count(ticked), count(total - ticked), from);
}

/** What rows of each kind are called. */
const units: Readonly<Record<string, readonly [one: string, many: string]>> = {
  text: [t('text'), t('texts')],
  'multiple choice': [t('question'), t('questions')],
  'prompt and answer': [t('prompt with answer'), t('prompts with answers')],
  messages: [t('conversation'), t('conversations')],
  input_ids: [t('row of input_ids'), t('rows of input_ids')],
};

/** `question`, `questions` */
export const unitOf = (kind: string, rows: number): string => (units[kind] ?? [kind, kind])[rows === 1 ? 0 : 1];

/** `240 texts`, `180 questions, 20 texts` */
export const kindWords = (kinds: Readonly<Record<string, number>>): string =>
  Object.entries(kinds)
    .map(([kind, rows]) => `${count(rows)} ${unitOf(kind, rows)}`)
    .join(', ');
