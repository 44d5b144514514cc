/**
 * Step 4 in the host: which two are compared, and what is computed for them when it is asked for. Routing and answers run the model, so they
 * are jobs, and are kept for each pair; everything else is read from run folders.
 */

import { answerRow } from '../../experiment/answer-rows';
import { comparisonView } from '../../experiment/comparison-view';
import { routingFigures } from '../../experiment/routing-comparison';
import { type AnswersFigures, everyAudit, type RoutingFigures } from '../../protocol/comparison-view';
import type { AttributionResult, Reading, RunFolder } from '../../protocol/engine';
import { type Fault, fail, type Result } from '../../protocol/fault';
import { mostSteps } from '../../protocol/kept-steps';
import type { Recipe } from '../../protocol/recipe';
import type { ComparisonView, WorkbenchState } from '../../protocol/workbench';
import type { EngineClient } from '../engine/client';
import { comparisonInWords, inWords } from './engine-words';
import type { Jobs } from './job';
import type { Store } from './store';
import { t } from './text';

/** Large answers of step 4; they go to the page in messages of their own. */
export interface ComparisonFigures {
  readonly routing?: RoutingFigures | null;
  readonly answers?: AnswersFigures | null;
}

export interface ComparisonParts {
  readonly engine: EngineClient;
  readonly store: Store<WorkbenchState>;
  readonly figures: { set(change: ComparisonFigures): void };
  readonly jobs: Jobs;
  readonly workspace: () => string;
  readonly report: (fault: Fault) => void;
}

export interface Comparison {
  /** Shows a run beside `before`, a run, or beside the original. False where a folder could not be read. */
  show(run: string, before: string | null): Promise<boolean>;
  readRouting(prompts: RoutingFigures['prompts']): Promise<void>;
  /** The rows that are shown; asked for first where they are not there yet. */
  askAnswers(): Promise<AnswersFigures | null>;
  /** One audit, measured anew; or `everyAudit`: all that are not measured yet. */
  runAudit(audit: string, paraphrases?: string): Promise<void>;
  /** The table of all runs again. */
  readTable(): Promise<void>;
}

/** Rows of each evaluation set that are asked. */
const answersPerSet = 60;
/** Of the pairs looked at last, the figures are kept. */
const keptPairs = 8;

/** How the run read its data. */
const readingOf = ({ maxLength, chat, addDocumentStart }: Recipe): Reading => ({
  maxLength,
  chat,
  documentStart: addDocumentStart === undefined ? 'auto' : addDocumentStart ? 'yes' : 'no',
});

function kept<T>(): { get(key: string): T | undefined; keep(key: string, value: T): void } {
  const values = new Map<string, T>();
  return {
    get: (key) => values.get(key),
    keep(key, value) {
      values.set(key, value);
      const [oldest] = values.keys();
      if (values.size > keptPairs) values.delete(oldest);
    },
  };
}

export function createComparison({ engine, store, figures, jobs, workspace, report }: ComparisonParts): Comparison {
  let own: RunFolder | null = null;
  let other: RunFolder | null = null;
  const routings = kept<RoutingFigures>();
  const answers = kept<AnswersFigures>();

  const set = (comparison: ComparisonView) => store.set({ comparison });
  const shown = () => store.get().comparison;
  const failed = ({ fault }: { readonly fault: Fault }) => fault.code !== 'cancelled' && report(fault);

  const read = (run: string) => engine.request('readRun', { run, workspace: workspace(), mostSteps });

  async function show(run: string, before: string | null): Promise<boolean> {
    const folder = await read(run);
    const second = before === null ? null : await read(before);
    if (!folder.ok) {
      report(folder.fault);
      return false;
    }
    if (second && !second.ok) {
      report(second.fault);
      return false;
    }
    own = folder.value;
    other = second?.value ?? null;
    const last = shown();
    const view = comparisonInWords(comparisonView(own, last?.run === run && last.discarded, other));
    set({ ...view, table: last?.table ?? null });
    figures.set({ routing: routings.get(`${view.pair}|forget`) ?? routings.get(`${view.pair}|retain`) ?? null, answers: answers.get(view.pair) ?? null });
    void readTable();
    return true;
  }

  async function readTable(): Promise<void> {
    const answer = await engine.request('compare', { workspace: workspace(), model: own?.record.model });
    if (!answer.ok) return void failed(answer);
    const now = shown();
    if (now) set({ ...now, table: answer.value.table });
  }

  async function readRouting(prompts: RoutingFigures['prompts']): Promise<void> {
    const view = shown();
    const run = own;
    if (!view || !run) return;
    const { recipe } = run;
    const key = `${view.pair}|${prompts}`;
    const known = routings.get(key);
    if (known) return figures.set({ routing: known });
    const data = prompts === 'forget' ? recipe.forget : recipe.retain;
    if (data === undefined || data === null)
      return report(fail('usage', t('Run {0} has no retain set.', view.number), t('Look at the routing of its forget prompts.')).fault);
    const runs = [run.record.target, ...(other ? [other.record.target] : [])];
    const title = prompts === 'forget' ? t('Routing of forget prompts') : t('Routing of retain prompts');
    const result = await jobs.run(title, async (options): Promise<Result<readonly [AttributionResult, AttributionResult]>> => {
      const attribute = (folder: RunFolder | null) =>
        engine.request(
          'attribute',
          {
            model: recipe.model,
            prompts: [{ kind: 'file', path: data }],
            ...readingOf(recipe),
            ...(folder ? { run: folder.record.id, workspace: workspace() } : {}),
          },
          options,
        );
      const before = await attribute(other);
      if (!before.ok) return before;
      const after = await attribute(run);
      return after.ok ? { ok: true, value: [before.value, after.value] } : after;
    });
    if (!result.ok) return void failed(result);
    const routing = routingFigures({ pair: view.pair, prompts, runs }, ...result.value);
    routings.keep(key, routing);
    if (shown()?.pair === view.pair) figures.set({ routing });
  }

  async function askAnswers(): Promise<AnswersFigures | null> {
    const view = shown();
    const run = own;
    if (!view || !run) return null;
    const known = answers.get(view.pair);
    if (known) return known;
    const params = { model: run.recipe.model, workspace: workspace(), limit: answersPerSet };
    const result = await jobs.run(t('Asking before and after'), (options) =>
      engine.request('answers', { ...params, run: run.record.id, ...(other ? { before: other.record.id } : {}) }, options),
    );
    if (!result.ok) {
      failed(result);
      return null;
    }
    const rows: AnswersFigures = { pair: view.pair, rows: result.value.rows.map(answerRow) };
    answers.keep(view.pair, rows);
    if (shown()?.pair === view.pair) figures.set({ answers: rows });
    return rows;
  }

  async function runAudit(audit: string, paraphrases?: string): Promise<void> {
    const view = shown();
    if (!view || !own) return;
    const all = audit === everyAudit;
    const title = view.audits.find(({ id }) => id === audit)?.title ?? audit;
    const which = all ? { again: view.auditsToRun.again } : { audits: [audit], again: true };
    const result = await jobs.run(all ? t('All audits') : t('Audit: {0}', title), (options) =>
      engine.request('audit', { run: view.run, workspace: workspace(), paraphrases, ...which }, options),
    );
    // What was measured before a cancel or a fault is there.
    if (shown()?.pair === view.pair) await show(view.run, view.before.run);
    if (!result.ok) return void failed(result);
    // What could not be run for a reason that its card does not name.
    for (const { audit: id, why } of result.value.left) {
      const one = result.value.views.find((own) => own.id === id);
      if (one?.refusal === null) report(fail('bad-data', t('The audit “{0}” could not be run: {1}', inWords(one.title), inWords(why))).fault);
    }
  }

  return { show, readRouting, askAnswers, runAudit, readTable };
}
