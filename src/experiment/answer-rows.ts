/** Answers before and after, as rows to read: what was chosen or written, and each option's share of the options' probability. */
import type { AnswerOption, AnswerRow, SetRole } from '../protocol/comparison-view';
import type { AnswerComparison } from '../protocol/engine';
import { percent } from '../protocol/numbers';

type Answered = AnswerComparison['rows'][number];

/** exp of the scores over their sum; scores are log-probabilities, normalised as the run was scored. */
function shares(scores: readonly number[]): readonly number[] {
  const highest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - highest));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

function optionsOf({ options = [], answer }: Answered): readonly AnswerOption[] {
  const before = shares(options.map((option) => option.before));
  const after = shares(options.map((option) => option.after));
  return options.map(({ text }, i) => ({ text: text.trim(), before: before[i], after: after[i], isRight: i === answer }));
}

const roles: readonly string[] = ['forget', 'near', 'utility'];

export function answerRow(row: Answered): AnswerRow {
  const options = optionsOf(row);
  const chosen = (index: number | undefined) => (index === undefined ? '' : (options[index]?.text ?? ''));
  const isQuestion = options.length > 0;
  const before = isQuestion ? chosen(row.chosenBefore) : (row.before ?? '').trim();
  const after = isQuestion ? chosen(row.chosenAfter) : (row.after ?? '').trim();
  return {
    id: row.id,
    set: roles.includes(row.set) ? (row.set as SetRole) : 'utility',
    prompt: row.prompt.trim(),
    before,
    after,
    changed: isQuestion ? row.chosenBefore !== row.chosenAfter : before !== after,
    options,
    chance: isQuestion ? 1 / options.length : null,
  };
}

/** One side as text, a paragraph a row: the same lines on both sides but for what changed, so that an editor's diff lines them up. */
export function answersText(rows: readonly AnswerRow[], side: 'before' | 'after', title: string): string {
  const blocks = rows.map((row) => {
    const options = row.options.map((option) => `  ${option.isRight ? '*' : ' '} ${percent(option[side], 0).padStart(6)}  ${option.text}`);
    return [`[${row.set}] ${row.prompt}`, `  → ${row[side]}`, ...options].join('\n');
  });
  return `${title}\n\n${blocks.join('\n\n')}\n`;
}
