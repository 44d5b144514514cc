/** The files of a run folder, and what reads them. */
import path from 'node:path';
import { auditViews } from '../../../src/experiment/audits';
import { comparisonCsv, comparisonJson, comparisonMarkdown, comparisonText, rowOf, tableOf } from '../../../src/experiment/comparison';
import { comparisonView } from '../../../src/experiment/comparison-view';
import { readHistory, readRunFolder, readScores } from '../../../src/experiment/history';
import { modelCard } from '../../../src/experiment/model-card';
import { reportMarkdown } from '../../../src/experiment/report';
import { filledPage, reportPage } from '../../../src/experiment/report-page';
import type { RunReader } from '../../../src/experiment/run-reader';
import { sweepLines, sweepText, taskResults } from '../../../src/experiment/sweep-results';
import { type Fault, fail, ok, unwrap } from '../../../src/protocol/fault';
import { runFolder, runRecord } from '../../experiment/run-fixture';

const small = (value: unknown): unknown => (Array.isArray(value) ? value.slice(0, 3) : value);

export const run = runFolder({
  attribution: { ...runFolder().attribution, layers: [{ layer: 2, experts: [{ expert: 10, affinity: 0.4, share: 0.3 }] }] } as ReturnType<
    typeof runFolder
  >['attribution'],
});
const shortened = {
  ...run.evaluation,
  sets: run.evaluation?.sets.map((set) => ({
    ...set,
    before: { ...set.before, score: { ...set.before.score, perExample: small(set.before.score.perExample) } },
    after: { ...set.after, score: { ...set.after.score, perExample: small(set.after.score.perExample) } },
    ...(set.forbiddenBefore
      ? { forbiddenBefore: { ...set.forbiddenBefore, score: { value: 0.9, n: 3 } }, forbiddenAfter: { ...set.forbiddenAfter, score: { value: 0.9, n: 3 } } }
      : {}),
  })),
};
const audited = {
  run: run.record.id,
  audits: {
    forbid: {
      settings: { experts: [] },
      seconds: 2,
      sets: shortened.sets?.map((set) => ({ role: set.role, before: set.before, after: set.after, underBefore: set.before, underAfter: set.after })),
    },
  },
};
export const runFiles: Readonly<Record<string, string>> = {
  'run.json': JSON.stringify(
    runRecord({
      weights: { bytes: 1, reading: 1, widening: 1, waiting: 0 },
      memory: { budget: 8, planned: 4, peak: 5 },
      sweep: { name: 'beta', task: 'abc' },
      plannedSeconds: { training: 3 },
    }),
  ),
  'recipe.json': JSON.stringify(run.recipe),
  'steps.jsonl': run.steps
    .slice(0, 4)
    .map((step) => `${JSON.stringify(step)}\n`)
    .join(''),
  'checks.jsonl': `${JSON.stringify(run.checks[0])}\n`,
  'attribution.json': JSON.stringify(run.attribution),
  'evaluation.json': JSON.stringify(shortened),
  'audits.json': JSON.stringify(audited),
};
const runsRoot = path.join(path.sep, 'w', '.uoe', 'runs');
const runAt = path.join(runsRoot, 'one');
const page = '<title>%REPORT-TITLE%</title><script type="application/json">%REPORT-DATA%</script>';
/** Reads a run folder of which one file has that content, as every place does that shows runs. */
export async function readRun(name: string, content: string): Promise<Fault | null> {
  const reader: RunReader = {
    folders: async () => ok(['one']),
    text: async (at) => {
      const own = path.basename(at);
      if (path.dirname(at) !== runAt || runFiles[own] === undefined) return fail('not-found', `There is no ${at}.`, 'Check the path.');
      return ok(own === name ? content : runFiles[own]);
    },
    held: async () => false,
  };
  const history = await readHistory(reader, path.join(path.sep, 'w'));
  for (const { why } of history.broken) if (why.includes('Unexpected error')) throw new Error(why);
  tableOf(history.runs.map(({ record }) => rowOf({ record, recipe: null, evaluation: null })));
  taskResults(
    { name: 'beta', axes: ['beta'], workers: 1, tasks: [{ id: 'abc', labels: { beta: '1' }, recipe: run.recipe }] },
    history.runs.map(({ record }) => record),
  );
  const scores = await readScores(reader, runAt);
  if (scores.ok) {
    const table = tableOf([rowOf(scores.value), rowOf({ record: runRecord({ id: 'other' }), recipe: null, evaluation: null })]);
    for (const form of [comparisonText, comparisonMarkdown, comparisonCsv, comparisonJson]) form(table);
  }
  const read = await readRunFolder(reader, runAt);
  if (!read.ok) return read.fault;
  auditViews(read.value);
  comparisonView(read.value, false);
  comparisonView(read.value, true, run);
  reportMarkdown(read.value, runAt);
  unwrap(filledPage(page, reportPage(read.value, runAt, { routing: null, answers: null, left: null })));
  modelCard({ run: read.value, base: null, changed: [], card: null });
  const results = taskResults({ name: 'beta', axes: ['beta'], workers: 1, tasks: [{ id: 'abc', labels: { beta: '1' }, recipe: run.recipe }] }, [
    read.value.record,
  ]);
  sweepText({ axes: ['beta'] }, sweepLines({ axes: ['beta'] }, results));
  return null;
}
