import path from 'node:path';
import { Option } from 'commander';
import { runSeconds } from '../../experiment/comparison';
import { taskResult } from '../../experiment/sweep-results';
import type { RunOutcome } from '../../protocol/engine';
import { FaultError, fail, refuse } from '../../protocol/fault';
import { difference, duration, expertName, fraction, percent } from '../../protocol/numbers';
import type { RunSummary } from '../../protocol/records';
import type { CommonOptions } from '../options';
import { pairs } from '../pairs';
import { plannedText, planOption, planText } from '../plan-text';
import { type RecipeFlags, recipeOf, recipeOptions } from '../recipe-flags';
import { overlapText, traceOf, traceOption } from '../trace-flag';
import { type Shell, type Shown, verb } from '../verb';

interface Own extends RecipeFlags {
  readonly resume?: string;
  readonly sweep?: string;
  readonly task?: string;
  readonly goOn?: boolean;
  readonly trace?: string;
  readonly plan?: boolean;
}

/** As the caller would write it: relative below the current folder, else absolute. */
export function shownPath(folder: string): string {
  const relative = path.relative(process.cwd(), folder);
  return relative.startsWith('..') || path.isAbsolute(relative) ? folder : relative;
}

const change = (name: string, pair: { readonly before: number; readonly after: number } | undefined): [string, string][] =>
  pair ? [[name, `${fraction(pair.before)} → ${fraction(pair.after)} (${difference(pair.after - pair.before)})`]] : [];

const summaryRows = (summary: RunSummary): [string, string][] => [
  ...change('Forget (lower is more forgotten)', summary.forget),
  ...change('Forget with the expert forbidden', summary.forbidden),
  ...change('Near', summary.near),
  ...change('Utility', summary.utility),
  ...(summary.overlapForget === undefined ? [] : ([['Routing kept on forget rows', percent(summary.overlapForget)]] as [string, string][])),
  ...(summary.overlapRetain === undefined ? [] : ([['Routing kept on retain rows', percent(summary.overlapRetain)]] as [string, string][])),
  ...change('Target share on forget rows', summary.targetShare),
  ...(summary.roundingLoss === undefined ? [] : ([['Update lost by rounding', percent(summary.roundingLoss)]] as [string, string][])),
];

/** What `unlearn` shows of a run that came to an end. */
/** Below the current folder only where that is the workspace (`.uoe/runs/<id>`); else absolute, so that it can be joined to either. */
const jsonFolder = (folder: string): string => (path.resolve(folder).startsWith(path.join(process.cwd(), '.uoe')) ? shownPath(folder) : path.resolve(folder));

export function shownRun({ folder, record, overlap }: RunOutcome): Shown {
  const { experts } = record.target;
  const json = {
    run: record.id,
    folder: jsonFolder(folder),
    status: record.status,
    ...(record.reason === undefined ? {} : { reason: record.reason }),
    steps: record.steps,
    keptStep: record.keptStep,
    target: experts.length === 1 ? { layer: experts[0].layer, expert: experts[0].expert } : { experts },
    train: record.target.train,
    summary: record.summary ?? null,
    ...(overlap ? { overlap } : {}),
  };
  const text = pairs([
    ['Run', `${record.number} (${record.id}), ${record.status}${record.reason === undefined ? '' : `: ${record.reason}`}`],
    ['Target', experts.map(expertName).join(' ')],
    ['Steps', `${record.steps} of ${record.plannedSteps}, kept: ${record.keptStep}, ${duration(runSeconds(record))}`],
    ...(record.summary ? summaryRows(record.summary) : []),
    ['Folder', shownPath(folder)],
    ...(overlap ? [['Trace', overlapText(overlap)] as [string, string]] : []),
  ]);
  return { json, text, done: true, ...(record.status === 'failed' ? { failure: record.reason ?? 'The run failed.' } : {}) };
}

/** A task of a sweep says so in its run folder; "uoe sweep" writes these. */
const sweepOptions = () => [
  new Option('--sweep <name>', 'the sweep that the run belongs to').hideHelp(),
  new Option('--task <id>', 'its task there').hideHelp(),
  new Option('--go-on', 'what is there of the task is gone on with, and left alone when it is done').hideHelp(),
];

const lookAgainMs = 3000;
/** A run of a machine that can't be looked at counts as running until its lock has not been touched for three minutes. */
const lockPatienceMs = 240_000;

/** The unfinished run of a task, its result where it is done, or neither. Waits for one that another process has, or had when its machine was lost. */
async function earlierRun(
  { request, workspace, signal, note }: Shell,
  sweep: string,
  task: string,
): Promise<{ readonly resume?: string; readonly done?: string }> {
  const began = performance.now();
  for (let told = false; ; told = true) {
    const { state, record } = taskResult(sweep, task, (await request('runs', { workspace })).runs);
    if (record && state === 'done') return { done: record.id };
    if (record && state === 'unfinished') return { resume: record.id };
    // Of a run that another process has, the attempt to take it up says who.
    if (!record || state !== 'running' || signal.aborted) return {};
    if (performance.now() - began > lockPatienceMs) return { resume: record.id };
    if (!told) note(`Run ${record.number} of this task is locked by another process; waiting for it.`);
    await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
  }
}

/** Starts or resumes a run; a cancel tells how to go on. */
export async function runToEnd(shell: Shell, recipe: unknown, { resume, trace, sweep, task }: Partial<Own> = {}): Promise<RunOutcome> {
  let id = '';
  shell.listen('runStarted', ({ record, folder }) => {
    id = record.id;
    shell.note(`Run ${record.number}: ${shownPath(folder)}${plannedText(record)}`);
  });
  shell.listen('check', ({ record }) => {
    shell.note(`Step ${record.step}: forget ${fraction(record.forget)}${record.utility === null ? '' : `, utility ${fraction(record.utility)}`}`);
  });
  try {
    return await shell.request('startRun', {
      recipe,
      folder: process.cwd(),
      workspace: shell.workspace,
      ...(resume === undefined ? {} : { resume }),
      ...traceOf({ trace }),
      ...(sweep === undefined || task === undefined ? {} : { sweep: { name: sweep, task } }),
    });
  } catch (error) {
    if (!(error instanceof FaultError) || error.fault.code !== 'cancelled' || id === '') throw error;
    throw new FaultError(fail('cancelled', `Cancelled run ${id}.`, `Go on with: uoe unlearn --resume ${id}`).fault);
  }
}

export const unlearn = verb<[recipe: string | undefined], Own & CommonOptions>({
  name: 'unlearn',
  summary: 'Run a recipe: attribution, training of the target expert, before and after',
  arguments: [['[recipe]', 'recipe file (*.uoe.json); flags are written over it']],
  options: [...recipeOptions(), new Option('--resume <run>', 'go on with a run that was cancelled or killed'), traceOption(), planOption(), ...sweepOptions()],
  example: 'uoe unlearn demo/recipe.uoe.json\n  uoe unlearn --model demo/checkpoint --forget forget.jsonl --retain retain.jsonl --preset demo-npo',
  async run(shell, [file], options) {
    if (options.resume !== undefined) {
      if (file !== undefined) refuse('usage', 'Both a recipe and --resume are given.', 'A run is resumed with its own recipe: leave the recipe out.');
      return shownRun(await runToEnd(shell, null, options));
    }
    if (options.goOn && options.sweep !== undefined && options.task !== undefined) {
      const { resume, done } = await earlierRun(shell, options.sweep, options.task);
      if (done !== undefined) return { json: { run: done, status: 'done' }, text: `Run ${done} is done already.` };
      if (resume !== undefined) return shownRun(await runToEnd(shell, null, { ...options, resume }));
    }
    const recipe = await recipeOf(file, options);
    if (options.plan) {
      const plan = await shell.request('planRun', { recipe, folder: process.cwd(), time: true });
      return { json: plan, text: planText(plan) };
    }
    return shownRun(await runToEnd(shell, recipe, options));
  },
});
