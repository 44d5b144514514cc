/** README.md of an exported checkpoint: what was edited, from what, how it scores, and what nobody measured. No path of the machine it was made on. */
import path from 'node:path';
import type { RunFolder } from '../protocol/engine';
import { count, difference, fraction, loss, missing, percent } from '../protocol/numbers';
import type { Recipe } from '../protocol/recipe';
import { moveRecipePaths } from '../protocol/recipe';
import type { EvaluationRecord } from '../protocol/records';
import { methodName } from '../protocol/run-table';
import { trainName } from '../protocol/train-choice';
import { auditViews } from './audits';
import { targetName } from './comparison';
import { type Block, reportAsMarkdown } from './report-blocks';
import type { Cell, Column } from './table';
import { verdictOf } from './verdict';

export interface CardFacts {
  readonly run: RunFolder;
  /** Fingerprint of the checkpoint the patch was made from; null where the patch does not say. */
  readonly base: string | null;
  /** Units changed. */
  readonly changed: readonly string[];
  /** README.md of that checkpoint. */
  readonly card: string | null;
}

const left = (title: string): Column => ({ title, align: 'left' });
const right = (title: string): Column => ({ title, align: 'right' });
const row = (...texts: readonly string[]): Cell[] => texts.map((text) => ({ text }));
const heading = (text: string): Block => ({ kind: 'heading', text });
const baseName = (at: string): string => at.split(/[\\/]/).filter(Boolean).at(-1) ?? at;

const roleNames = { forget: 'Forget', near: 'Near', utility: 'Utility' } as const;

function scores(evaluation: EvaluationRecord | null): Block[] {
  if (!evaluation || evaluation.sets.length === 0) return [heading('Scores'), { kind: 'paragraph', text: 'None: the run measured no set before and after.' }];
  const rows = evaluation.sets.map(({ role, before, after }) =>
    row(
      `${roleNames[role]}: ${baseName(after.name)}`,
      after.kind === 'accuracy' ? 'accuracy' : 'probability per token',
      fraction(before.score.value),
      fraction(after.score.value),
      difference(after.score.value - before.score.value),
      after.score.interval ? `${fraction(after.score.interval[0])} to ${fraction(after.score.interval[1])}` : missing,
      `${loss(before.nll)} → ${loss(after.nll)}`,
      count(after.score.n),
    ),
  );
  const columns = [
    left('Set'),
    left('Score'),
    right('Original'),
    right('Edited'),
    right('Change'),
    right('95 % of edited'),
    right('NLL per token'),
    right('Rows'),
  ];
  return [heading('Scores'), { kind: 'table', caption: 'Original and edited model on the same rows, weights rounded to the stored dtype', columns, rows }];
}

function audits(run: RunFolder): Block[] {
  const items = auditViews(run).flatMap(({ title, outcome }) => (outcome ? [`${title}: ${outcome.verdict.text}. ${outcome.text}`] : []));
  return items.length === 0 ? [] : [heading('Audits'), { kind: 'list', items }];
}

/** What a reader could take for granted and no number here supports. */
function notMeasured(run: RunFolder): Block[] {
  const { evaluation, recipe } = run;
  const roles = new Set(evaluation?.sets.map(({ role }) => role) ?? []);
  const hasQuestions = evaluation?.sets.some(({ role, after }) => role === 'forget' && after.kind === 'accuracy') ?? false;
  const items = [
    ...(roles.has('forget') ? [] : ['Forgetting: no set of what to forget was measured.']),
    ...(roles.has('forget') && !hasQuestions ? ['Forgetting as accuracy: the forget set has no questions.'] : []),
    ...(roles.has('near') ? [] : ['Side effects on neighbouring knowledge.']),
    ...(roles.has('utility') ? [] : ['Utility: no set of what the model should keep was measured.']),
    ...(recipe.retain === undefined ? ['Routing on text that should be kept: the run had no retain set.'] : []),
    ...auditViews(run)
      .filter(({ outcome }) => outcome === null)
      .map(({ title }) => `Audit “${title}”.`),
    'Other languages, other wordings, fine-tuning and quantising after this export, unless an audit above names them.',
  ];
  return [heading('Not measured'), { kind: 'list', items }];
}

/** The recipe with file names for paths; the fingerprints say which files they were. */
function recipeBlock(recipe: Recipe): string {
  const shared = moveRecipePaths(recipe, (file) => path.basename(baseName(file)));
  return `## Recipe\n\n\`\`\`json\n${JSON.stringify(shared, null, 2)}\n\`\`\`\n`;
}

function ownCard({ run, base, changed }: CardFacts): string {
  const { record, evaluation, recipe } = run;
  const { headline, sentences } = verdictOf(evaluation, auditViews(run));
  const { summary } = record;
  const facts = [
    row('Base checkpoint', baseName(record.model)),
    row('Base fingerprint', base ?? 'not recorded'),
    row('Method', `${methodName(record.method)}, step ${record.keptStep} of ${record.steps}`),
    row('Target', targetName(record.target.experts, trainName(record.target.train))),
    row(
      'Changed parameters',
      summary?.trainedParameters === undefined ? missing : `${count(summary.trainedParameters)} (${percent(summary.trainedShare, 3)} of all)`,
    ),
    row('Changed tensors', changed.join(', ')),
    row(
      'Made with',
      Object.entries(record.versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    ),
  ];
  const blocks: Block[] = [
    { kind: 'paragraph', text: headline, strong: true },
    { kind: 'list', items: [...sentences] },
    { kind: 'table', caption: 'The edit; every other tensor has the bytes of the base checkpoint', columns: [left('What'), left('Value')], rows: facts },
    ...scores(evaluation),
    ...audits(run),
    ...notMeasured(run),
  ];
  return `${reportAsMarkdown({ title: `${baseName(record.model)}, edited with UOE`, blocks })}\n${recipeBlock(recipe)}`;
}

/** The YAML block at the head of a card, and the rest. */
function parted(card: string): { readonly front: string; readonly body: string } {
  const match = /^---\r?\n([\s\S]*?\r?\n)---[ \t]*(?:\r?\n|$)/.exec(card);
  return match ? { front: match[1], body: card.slice(match[0].length) } : { front: '', body: card };
}

/**
 * The base's metadata first, word for word (its licence holds on), then this card, then the base's card, word for word, under its own heading.
 * `base_model` is added where the metadata has none.
 */
export function modelCard(facts: CardFacts): string {
  const { front, body } = parted(facts.card ?? '');
  const added = /^base_model\s*:/m.test(front) ? '' : `base_model: ${JSON.stringify(baseName(facts.run.record.model))}\n`;
  const tags = /^tags\s*:/m.test(front) ? '' : 'tags:\n- mixture-of-experts\n- machine-unlearning\n';
  const inherited = body.trim() === '' ? '' : `\n## Card of the base checkpoint\n\nWord for word; it describes the model before the edit.\n\n${body.trim()}\n`;
  return `---\n${front}${added}${tags}---\n\n${ownCard(facts)}${inherited}`;
}
