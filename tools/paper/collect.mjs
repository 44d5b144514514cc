// What run folders hold, as the rows of the tables. Reads alone; a file that is not there is a run that was not made.
import fs from 'node:fs';
import path from 'node:path';
import { rowsAtChosenRate, rowsOfSeeds, searchedRows } from './rows.mjs';
import { rateAxis } from './tables.mjs';

const readText = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : null);
export const readJson = (file) => {
  const text = readText(file);
  return text === null ? null : JSON.parse(text);
};

/** The forget score of both models under an audit, for each audit of audits.json. */
function auditsOf(folder) {
  const audits = readJson(path.join(folder, 'audits.json'))?.audits ?? {};
  return Object.fromEntries(
    Object.entries(audits).flatMap(([id, { sets }]) => {
      const set = sets.find(({ role }) => role === 'forget');
      return set ? [[id, { original: set.underBefore.score.value, edited: set.underAfter.score.value }]] : [];
    }),
  );
}

/** Figures of one run folder. Checks that the stop rule looked at: forget score, and retain score where it was asked for. */
export function runFigures(folder) {
  const record = readJson(path.join(folder, 'run.json'));
  if (record === null) return null;
  const checks = (readText(path.join(folder, 'checks.jsonl')) ?? '')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const last = checks.at(-1);
  const recipe = readJson(path.join(folder, 'recipe.json'));
  const goal = recipe?.stop?.forgetAtMost ?? null;
  const { summary = {} } = record;
  return {
    id: record.id,
    reason: record.reason ?? null,
    stopForget: last?.forget ?? null,
    stopUtility: last?.utility ?? null,
    reached: goal === null || last === undefined ? null : last.forget <= goal,
    forget: summary.forget?.after ?? null,
    near: summary.near?.after ?? null,
    utility: summary.utility?.after ?? null,
    before: { forget: summary.forget?.before ?? null, near: summary.near?.before ?? null, utility: summary.utility?.before ?? null },
    forbidden: summary.forbidden?.after ?? null,
    forbiddenBefore: summary.forbidden?.before ?? null,
    overlapForget: summary.overlapForget ?? null,
    overlapRetain: summary.overlapRetain ?? null,
    share: summary.trainedShare ?? null,
    parameters: summary.trainedParameters ?? null,
    steps: record.keptStep,
    seconds: Object.values(record.seconds).reduce((sum, value) => sum + value, 0),
    experts: record.target.experts.map(({ layer, expert }) => `L${layer}·E${expert}`),
    full: recipe?.train === 'full',
    audits: auditsOf(folder),
    machine: { cpu: record.machine.cpu, cores: record.machine.cores, backend: record.backend.name, ...record.versions },
    startedAt: record.startedAt,
  };
}

/** Affinities of the forget set, from the first run that looked for its expert or for the layer that a random one is not drawn from. */
function attributionOf(workspace, runs) {
  for (const { id } of runs) {
    const [record, recipe] = ['attribution.json', 'recipe.json'].map((name) => readJson(path.join(workspace, '.uoe/runs', id, name)));
    // Where the target was given only some rows are routed, to compare with after; a topic of its own has other rows.
    const attributed = recipe?.target === 'auto' || recipe?.target?.random !== undefined;
    if (record === null || !attributed || !/demo[/\\]data[/\\]forget\.jsonl$/.test(recipe.forget)) continue;
    return { tokens: record.tokens, sequences: record.sequences, ranking: record.ranking, layers: record.layers };
  }
  return null;
}

/**
 * All tables. `results(file)`: what `uoe sweep FILE --results-only --json` says, null for a file that does not exist yet; `repeatsOf(name)`: the
 * generated file of a sweep's other seeds.
 */
export function collect({ tables, sweepFile, repeatsOf, results, workspace, seeds }) {
  const withRuns = (answer) =>
    (answer?.tasks ?? []).map(({ labels, state, run }) => ({ labels, state, run: run === null ? null : runFigures(path.join(workspace, '.uoe/runs', run)) }));
  const collected = tables.map((table) => {
    const missing = table.sweeps.filter((name) => !fs.existsSync(sweepFile(name)));
    const rows = table.sweeps
      .filter((name) => !missing.includes(name))
      .flatMap((name) => {
        const tasks = withRuns(results(sweepFile(name)));
        if (readJson(sweepFile(name)).vary[rateAxis] === undefined) return rowsOfSeeds(tasks, table.axes);
        return rowsAtChosenRate(searchedRows(tasks, table.axes), withRuns(fs.existsSync(repeatsOf(name)) ? results(repeatsOf(name)) : null), seeds);
      });
    return { ...table, missing, rows };
  });
  const named = new Map(collected.map((table) => [table.id, table]));
  const ordered = collected.map((table) => {
    const { also, order = {}, axes } = table;
    const same = also && named.get(also.table)?.rows.find(({ labels }) => Object.entries(also.labels).every(([axis, value]) => labels[axis] === value));
    const rows = [...(same ? [{ ...same, labels: also.as, name: Object.values(also.as).join(' · '), borrowed: also.table }] : []), ...table.rows];
    const place = ({ labels }) => axes.map((axis) => order[axis]?.indexOf(labels[axis]) ?? 0);
    const before = (a, b) => {
      const [x, y] = [place(a), place(b)];
      const at = x.findIndex((value, i) => value !== y[i]);
      return at < 0 ? 0 : x[at] - y[at];
    };
    return { ...table, rows: rows.sort(before) };
  });
  const runs = collected.flatMap(({ rows }) => rows.flatMap((row) => row.runs.filter(({ state }) => state === 'done')));
  return {
    tables: ordered,
    attribution: attributionOf(
      workspace,
      runs.filter(({ id }) => id !== undefined),
    ),
    ...measuredWith(runs),
  };
}

/** Of the original, and of the machines; topics have sets of their own. */
function measuredWith(runs) {
  const machines = [...new Map(runs.map(({ machine }) => [JSON.stringify(machine), machine])).values()];
  const started = runs.map(({ startedAt }) => startedAt).sort();
  return { machines, from: started[0] ?? null, to: started.at(-1) ?? null };
}
