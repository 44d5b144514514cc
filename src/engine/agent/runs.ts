import { z } from 'zod';
import { historyOnce } from '../../experiment/history';
import { diskReader } from '../../experiment/run-reader';
import { requireOwnRun } from './grants';
import { tool } from './tool';

const run = z.string().min(1).describe('Id or number of a run.');

/** Steps at the end of the journal that an answer holds. */
const shownSteps = 5;

export const listRuns = tool({
  name: 'list_runs',
  title: 'List unlearning runs',
  description: 'The unlearning runs of this workspace, oldest first, each with status and summary of what it did. Reads only.',
  input: z.strictObject({}),
  readOnly: true,
  async run(_input, { request, workspace }) {
    const { runs, broken } = await request('runs', { workspace });
    return {
      runs: runs.map(({ id, number, method, status, reason, steps, plannedSteps, keptStep, summary }) => ({
        run: id,
        number,
        method,
        status,
        reason,
        steps,
        plannedSteps,
        keptStep,
        summary: summary ?? null,
      })),
      broken,
    };
  },
});

export const readRun = tool({
  name: 'read_run',
  title: 'Read an unlearning run',
  description: 'What one run did: its recipe, every check, the last steps, and the scores before and after. Reads only.',
  input: z.strictObject({ run }),
  readOnly: true,
  async run(given, { request, workspace }) {
    const { record, recipe, steps, checks, evaluation } = await request('readRun', {
      run: await requireOwnRun(workspace, given.run),
      workspace,
      mostSteps: shownSteps,
    });
    const sets = evaluation?.sets.map(({ role, before, after }) => ({
      role,
      name: after.name,
      kind: after.kind,
      before: before.score.value,
      after: after.score.value,
      interval: after.score.interval ?? null,
      rows: after.score.n,
      blind: after.blind,
    }));
    return {
      record: { ...record },
      recipe: { ...recipe },
      checks,
      lastSteps: steps.slice(-shownSteps),
      sets: sets ?? [],
      routing: evaluation?.routing ?? null,
    };
  },
});

export const compareRuns = tool({
  name: 'compare_runs',
  title: 'Compare unlearning runs',
  description: 'Runs in one table: what was forgotten, what was kept, and which are on the Pareto front of the two. Reads only.',
  input: z.strictObject({ runs: z.array(run).min(1).max(100) }),
  readOnly: true,
  async run({ runs }, { request, workspace }) {
    const own: string[] = [];
    const history = historyOnce(diskReader, workspace);
    for (const one of runs) own.push(await requireOwnRun(workspace, one, history));
    const forms = await request('compare', { runs: own, workspace });
    return { table: forms.markdown, comparison: JSON.parse(forms.json) as unknown };
  },
});
