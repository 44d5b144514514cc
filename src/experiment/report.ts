import path from 'node:path';
import { wilson } from '../evaluate/statistics';
import type { RunFolder } from '../protocol/engine';
import { bytes, count, difference, duration, expertName, expertWords, fraction, loss, missing, percent } from '../protocol/numbers';
import type { EvaluationRecord, SetScore, StepRecord } from '../protocol/records';
import type { Figure, Point } from '../protocol/report-page';
import { methodName } from '../protocol/run-table';
import { trainName, trainSentence } from '../protocol/train-choice';
import { auditViews } from './audits';
import { runSeconds, targetName } from './comparison';
import { type Block, type Report, reportAsMarkdown } from './report-blocks';
import { combinedScore, setsOf } from './role-score';
import type { Cell, Column } from './table';
import { thinned } from './thinned';
import { roleVerdict, verdictOf } from './verdict';

/** One run as Markdown. `folder` is where it lies, for the line that repeats it. */
export const reportMarkdown = (run: RunFolder, folder: string): string => reportAsMarkdown(reportOf(run, folder));

/** What a page says besides step 4 of the workbench. */
export const pageBlocks = (run: RunFolder, folder: string): readonly Block[] => [
  ...edited(run),
  ...attribution(run),
  ...course(run),
  ...settings(run),
  ...time(run),
  ...repeat(run, folder),
];

export const reportTitle = ({ record }: RunFolder): string =>
  `Run ${record.number}: ${methodName(record.method)} on ${targetName(record.target.experts, trainName(record.target.train))}`;

function reportOf(run: RunFolder, folder: string): Report {
  return {
    title: reportTitle(run),
    blocks: [...summary(run), ...results(run), ...audited(run), ...pageBlocks(run, folder)],
  };
}

const left = (title: string): Column => ({ title, align: 'left' });
const right = (title: string): Column => ({ title, align: 'right' });
const row = (...texts: readonly string[]): Cell[] => texts.map((text) => ({ text }));
const heading = (text: string): Block => ({ kind: 'heading', text });

function summary(run: RunFolder): Block[] {
  const { record, evaluation } = run;
  const { headline, sentences } = verdictOf(evaluation, auditViews(run));
  const end = record.reason ?? `The run's status is "${record.status}".`;
  const kept = record.keptStep === record.steps ? '' : ` The weights of step ${record.keptStep} are kept.`;
  return [
    { kind: 'paragraph', text: headline, strong: true },
    { kind: 'list', items: sentences },
    { kind: 'paragraph', text: `Model ${record.model}. Started ${record.startedAt}, ${record.steps} of ${record.plannedSteps} steps. ${end}${kept}` },
  ];
}

const roleNames = { forget: 'Forget', near: 'Near', utility: 'Utility' } as const;

function results({ evaluation, record }: RunFolder): Block[] {
  if (evaluation === null || evaluation.sets.length === 0) {
    return [
      heading('Before and after'),
      { kind: 'paragraph', text: 'Not measured: the run has no evaluation. Name sets under "evaluate" in the recipe to measure them before and after.' },
    ];
  }
  const rows = evaluation.sets.flatMap(({ role, before, after, forbiddenBefore, forbiddenAfter }) => {
    const name = `${roleNames[role]}: ${before.name}`;
    const lines = [
      row(
        name,
        withInterval(before),
        withInterval(after),
        difference(after.score.value - before.score.value),
        fraction(before.blind),
        count(before.score.n),
        nllChange(before, after),
      ),
    ];
    if (forbiddenBefore !== undefined && forbiddenAfter !== undefined) {
      const change = difference(forbiddenAfter.score.value - forbiddenBefore.score.value);
      lines.push(
        row(
          `${name}, target expert forbidden`,
          withInterval(forbiddenBefore),
          withInterval(forbiddenAfter),
          change,
          fraction(before.blind),
          count(forbiddenBefore.score.n),
          nllChange(forbiddenBefore, forbiddenAfter),
        ),
      );
    }
    return [...lines, ...topicRows(before, after)];
  });
  const utility = [combinedScore(setsOf(evaluation, 'utility', 'before')), combinedScore(setsOf(evaluation, 'utility', 'after'))] as const;
  const sets = setsOf(evaluation, 'utility', 'after').length;
  if (sets > 1 && utility[0] !== null && utility[1] !== null)
    rows.push(row('Utility, all topics', fraction(utility[0]), fraction(utility[1]), difference(utility[1] - utility[0]), missing, missing, missing));
  const kinds = new Set(evaluation.sets.map(({ before }) => before.kind));
  const meaning = [
    kinds.has('accuracy')
      ? 'Scores of questions are accuracy, averaged over topics, with 95 % Wilson intervals; "blind" is the accuracy of always giving the topic\'s commonest answer without knowing the subject.'
      : '',
    kinds.has('probability') ? 'Scores of text are exp(-NLL per token).' : '',
    `The edited model is measured on weights rounded to the checkpoint's dtype${record.summary?.roundingLoss === undefined ? '' : `; rounding ate ${percent(record.summary.roundingLoss, 2)} of the update's norm`}.`,
  ];
  return [
    heading('Before and after'),
    {
      kind: 'table',
      caption: 'Scores of the original and the edited model',
      columns: [left('Set'), right('Original'), right('Edited'), right('Change'), right('Blind'), right('Rows'), right('NLL per token')],
      rows,
    },
    { kind: 'list', items: judgements(evaluation) },
    { kind: 'paragraph', text: meaning.filter(Boolean).join(' ') },
  ];
}

/** `Utility: Keeps 99.2 % of the original.`, as on the cards of the workbench. */
const judgements = (evaluation: EvaluationRecord): string[] =>
  (['forget', 'near', 'utility'] as const).flatMap((role) => {
    const [before, after] = [setsOf(evaluation, role, 'before'), setsOf(evaluation, role, 'after')];
    return after.length === 0 ? [] : [`${roleNames[role]}: ${roleVerdict(role, before, after).text}.`];
  });

/** What each audit that was run says. */
function audited(run: RunFolder): Block[] {
  const items = auditViews(run).flatMap(({ title, outcome }) => (outcome ? [`${title}: ${outcome.verdict.text}. ${outcome.text}`] : []));
  return items.length === 0 ? [] : [heading('Audits'), { kind: 'list', items }];
}

/** Topics of a set that has more than one. */
function topicRows(before: SetScore, after: SetScore): Cell[][] {
  const topics = Object.entries(before.topics ?? {});
  if (topics.length < 2) return [];
  return topics.map(([topic, original]) => {
    const now = after.topics?.[topic];
    const shown = (score: { accuracy: number; rows: number } | undefined): string =>
      score === undefined ? missing : `${fraction(score.accuracy)} ${ends(wilson(score.accuracy, score.rows))}`;
    return row(
      `– ${topic}`,
      shown(original),
      shown(now),
      difference(now === undefined ? null : now.accuracy - original.accuracy),
      fraction(original.blind),
      count(original.rows),
      missing,
    );
  });
}

const ends = ([low, high]: readonly [number, number]): string => `(${low.toFixed(2)}–${high.toFixed(2)})`;
const withInterval = ({ score }: SetScore): string =>
  score.interval === undefined ? fraction(score.value) : `${fraction(score.value)} ${ends(score.interval)}`;
const nllChange = (before: SetScore, after: SetScore): string => `${loss(before.nll)} → ${loss(after.nll)}`;

function edited({ record, evaluation, recipe }: RunFolder): Block[] {
  const { summary: figures, target } = record;
  const routing = evaluation?.routing;
  const share = figures?.targetShare ?? (routing === undefined ? undefined : { before: routing.targetShareBefore, after: routing.targetShareAfter });
  const rows = [
    row('Target', target.experts.map(expertWords).join('; ')),
    row('Trained', trainSentence(target.train)),
    row(
      'Trained parameters',
      figures?.trainedParameters === undefined ? missing : `${count(figures.trainedParameters)} (${percent(figures.trainedShare, 2)} of the model)`,
    ),
    row('Anchor weight α', recipe.anchor?.weight === undefined ? missing : String(recipe.anchor.weight)),
    row('Weights of step', `${record.keptStep} of ${record.steps}`),
    row('Target share on forget tokens', share === undefined ? missing : `${fraction(share.before)} → ${fraction(share.after)}`),
    row('Routing overlap, forget', fraction(figures?.overlapForget ?? routing?.overlapForget)),
    row('Routing overlap, retain', fraction(figures?.overlapRetain ?? routing?.overlapRetain)),
    row('Update lost by rounding', percent(figures?.roundingLoss, 2)),
  ];
  const reading =
    'Target share: forget tokens that choose the target; a fall means that the router dodges. Overlap: share of the chosen experts that the original also chose.';
  return [
    heading('What was edited'),
    { kind: 'table', caption: 'The edit', columns: [left('What'), left('Value')], rows },
    { kind: 'paragraph', text: reading },
  ];
}

const MOST_EXPERTS = 10;

function attribution({ attribution: found, record }: RunFolder): Block[] {
  if (found === null) return [];
  const isTarget = (layer: number, expert: number): boolean => record.target.experts.some((id) => id.layer === layer && id.expert === expert);
  const rows = found.ranking
    .slice(0, MOST_EXPERTS)
    .map((expert, i) =>
      row(String(i + 1), `${expertName(expert)}${isTarget(expert.layer, expert.expert) ? ' (target)' : ''}`, fraction(expert.affinity), percent(expert.share)),
    );
  const { stability, sequences, tokens } = found;
  const stable =
    stability === null
      ? 'Stability was not measured.'
      : `Random halves named the same expert in ${percent(stability.sameTarget, 0)} of ${stability.halves} repetitions; their best experts overlap by ${fraction(stability.topOverlap)}.`;
  return [
    heading('Why this expert'),
    {
      kind: 'table',
      caption: 'Experts by affinity on the forget prompts',
      columns: [right('Rank'), left('Expert'), right('Affinity'), right('Share of slots')],
      rows,
    },
    { kind: 'paragraph', text: `${count(sequences)} sequences, ${count(tokens)} tokens. ${stable}` },
  ];
}

function course({ steps, checks }: RunFolder): Block[] {
  if (steps.length === 0) return [heading('Course'), { kind: 'paragraph', text: 'No step was recorded.' }];
  const points = (pick: (step: StepRecord) => number | null): readonly Point[] => thinned(steps.map((step) => [step.step, pick(step)]));
  const figures: Figure[] = [
    { title: 'Forget loss', series: [{ name: 'forget', kind: 'forget', points: points(({ forget }) => forget) }] },
    { title: 'Retain loss', series: [{ name: 'retain', kind: 'retain', points: points(({ retain }) => retain) }] },
    { title: 'Anchor loss', series: [{ name: 'anchor', kind: 'anchor', points: points(({ anchor }) => anchor) }] },
    {
      title: 'Routing',
      domain: [0, 1],
      series: [
        { name: 'overlap, forget', kind: 'forget', points: points(({ overlapForget }) => overlapForget) },
        { name: 'overlap, retain', kind: 'retain', points: points(({ overlapRetain }) => overlapRetain) },
        ...(steps.every(({ targetShare }) => targetShare <= 1)
          ? [{ name: 'target share', kind: 'anchor' as const, points: points(({ targetShare }) => targetShare) }]
          : []),
      ],
    },
  ];
  if (checks.length > 1) {
    figures.push({
      title: 'Scores at checks',
      domain: [0, 1],
      series: [
        { name: 'forget', kind: 'forget', points: checks.map(({ step, forget }) => [step, forget]) },
        { name: 'utility', kind: 'retain', points: checks.map(({ step, utility }) => [step, utility]) },
      ],
    });
  }
  const [first, last] = [steps[0], steps[steps.length - 1]];
  const line = (name: string, pick: (step: StepRecord) => number | null): Cell[] => row(name, loss(pick(first)), loss(pick(last)));
  const blocks: Block[] = [
    heading('Course'),
    { kind: 'figures', figures },
    {
      kind: 'table',
      caption: 'Losses of the batch, each with its weight, before the update',
      columns: [left('Loss'), right(`Step ${first.step}`), right(`Step ${last.step}`)],
      rows: [
        line('Forget', ({ forget }) => forget),
        line('Retain', ({ retain }) => retain),
        line('Anchor', ({ anchor }) => anchor),
        line('Total', ({ total }) => total),
        line('Gradient norm', ({ gradNorm }) => gradNorm),
      ],
    },
  ];
  if (checks.length > 0) {
    blocks.push({
      kind: 'table',
      caption: 'Checks; step 0 is the original',
      columns: [right('Step'), right('Forget'), right('Utility'), right('Utility NLL'), right('Overlap, forget'), right('Target share')],
      rows: checks.map((check) =>
        row(
          String(check.step),
          fraction(check.forget),
          fraction(check.utility),
          loss(check.utilityNll),
          fraction(check.overlapForget),
          fraction(check.targetShare),
        ),
      ),
    });
  }
  return blocks;
}

function settings({ recipe }: RunFolder): Block[] {
  return [
    heading('Settings'),
    {
      kind: 'table',
      caption: 'The recipe as the run resolved it',
      columns: [left('Field'), left('Value')],
      rows: flatten('', recipe).map(([name, value]) => row(name, value)),
    },
  ];
}

/** `optimizer.lr` and its value, for every leaf; lists in one line. */
function flatten(name: string, value: unknown): [name: string, value: string][] {
  if (typeof value === 'string') return [[name, value]];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value === undefined ? [] : [[name, JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, inner]) => flatten(name === '' ? key : `${name}.${key}`, inner));
}

function time({ record }: RunFolder): Block[] {
  const phases = Object.entries(record.seconds).filter(([phase]) => phase !== 'total');
  const rows = [...phases.map(([phase, seconds]) => row(phase, duration(seconds))), row('total', duration(runSeconds(record)))];
  const { machine, backend } = record;
  const where = `${machine.cpu}, ${count(machine.cores)} cores, ${bytes(machine.memory)} memory; backend ${backend.name}, ${count(backend.threads)} threads.`;
  return [heading('Time'), { kind: 'table', caption: 'Time by phase', columns: [left('Phase'), right('Time')], rows }, { kind: 'paragraph', text: where }];
}

function repeat({ record, recipe }: RunFolder, folder: string): Block[] {
  const versions = Object.entries(record.versions).map(([name, version]) => `${name} ${version}`);
  const hashes =
    recipe.fingerprints === undefined ? '' : ' The recipe holds the fingerprints of the checkpoint and the data: if one has changed, the command says which.';
  return [
    heading('Repeat it'),
    { kind: 'command', text: `uoe unlearn ${shellQuoted(path.join(folder, 'recipe.json'))}` },
    {
      kind: 'paragraph',
      text: `The same recipe, seed, backend and threads give the same result.${hashes}${versions.length === 0 ? '' : ` Made with ${versions.join(', ')}.`}`,
    },
  ];
}

const shellQuoted = (text: string): string => (/^[\w./:\\@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
