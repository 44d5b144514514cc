// From tasks with their runs to the rows of a table: which learning rate was chosen, and the figures over seeds. Reads no files.

import { spreadOf } from './statistics.mjs';
import { forgottenAtMost, rateAxis, seeds as usualSeeds } from './tables.mjs';

const rowName = (labels, axes) => axes.map((axis) => labels[axis] ?? '').join(' · ');
const settled = ({ state }) => state === 'done' || state === 'failed';

/**
 * The stated rule: of the runs whose stop questions reached the goal the one that answers most retain questions of the same kind; where none did,
 * the one that forgot most. Neither looks at the evaluation. Equal ones: the lower rate. Null while a run is still to come, or all failed.
 */
export function chosenRate(searched) {
  if (searched.length === 0 || !searched.every(settled)) return null;
  const done = searched.filter(({ state }) => state === 'done').sort((a, b) => a.rate - b.rate);
  const reached = done.filter(({ run }) => run.reached);
  if (reached.length > 0) return reached.reduce((best, each) => (each.run.stopUtility > best.run.stopUtility ? each : best)).rate;
  return done.length === 0 ? null : done.reduce((best, each) => (each.run.stopForget < best.run.stopForget ? each : best)).rate;
}

/** Tasks of a search by row: `[{ name, labels, searched: [{ rate, state, run }], rate }]` in the sweep's order. */
export function searchedRows(tasks, axes) {
  const rows = new Map();
  for (const { labels, state, run } of tasks) {
    const name = rowName(labels, axes);
    const row = rows.get(name) ?? { name, labels: Object.fromEntries(axes.map((axis) => [axis, labels[axis]])), searched: [] };
    row.searched.push({ rate: Number(labels[rateAxis]), state, run });
    rows.set(name, row);
  }
  return [...rows.values()].map((row) => ({ ...row, rate: chosenRate(row.searched) }));
}

export const figures = ['forget', 'near', 'utility', 'overlapForget', 'overlapRetain', 'share', 'steps', 'seconds', 'forbidden'];

/** A row as the documents show it. `runs`: of each seed its state and figures; `planned`: how many there are to be. */
export function rowOf({ name, labels, searched = [], rate = null, runs, planned }) {
  const done = runs.filter(({ state }) => state === 'done').map(({ run }) => run);
  const failed = runs.filter(({ state }) => state === 'failed');
  const all = Object.fromEntries(figures.map((figure) => [figure, spreadOf(done.map((run) => run[figure]))]));
  return {
    name,
    labels,
    rate,
    searched: searched.map((each) => ({
      rate: each.rate,
      state: each.state,
      stopForget: each.run?.stopForget ?? null,
      stopUtility: each.run?.stopUtility ?? null,
      reached: each.run?.reached ?? null,
      reason: each.state === 'failed' ? (each.run?.reason ?? null) : null,
    })),
    planned,
    done: done.length,
    failed: failed.length,
    reached: done.filter((run) => run.reached).length,
    why: failed.map(({ seed, run }) => `seed ${seed}: ${run?.reason ?? 'it did not start'}`),
    figures: all,
    forgotten: all.forget === null ? null : all.forget.mean <= forgottenAtMost,
    runs: runs.map(({ seed, state, run }) => ({ seed, state, ...(state === 'done' ? run : {}) })),
  };
}

/** A repeat's name: it is found again by this alone. */
const repeatLabel = (name, rate, seed) => `${name}, rate ${rate}, seed ${seed}`;

/** Rows of a sweep whose rate was searched: seed 0 is the search's own run at the chosen rate. `repeats`: tasks of the other seeds. */
export function rowsAtChosenRate(found, repeats, seeds = usualSeeds) {
  return found.map((row) => {
    // With no rate left every search failed: that is the row's result.
    const allFailed = row.rate === null && row.searched.every(({ state }) => state === 'failed');
    const first = allFailed ? row.searched[0] : row.searched.find(({ rate }) => rate === row.rate);
    const runs = seeds.map((seed) => {
      const task = seed === 0 ? first : repeats.find(({ labels }) => labels.run === repeatLabel(row.name, row.rate, seed));
      return { seed, state: task?.state ?? 'waiting', run: task?.run ?? null };
    });
    return rowOf({ ...row, runs, planned: seeds.length });
  });
}

/** Rows of a sweep that names its own seeds. */
export function rowsOfSeeds(tasks, axes) {
  const rows = new Map();
  for (const task of tasks) {
    const name = rowName(task.labels, axes);
    const row = rows.get(name) ?? { name, labels: Object.fromEntries(axes.map((axis) => [axis, task.labels[axis]])), runs: [] };
    row.runs.push({ seed: Number(task.labels.seed ?? 0), state: task.state, run: task.run });
    rows.set(name, row);
  }
  return [...rows.values()].map((row) => rowOf({ ...row, planned: row.runs.length }));
}

/** The sweep file of the other seeds: one task a row and seed, null where no rate is known yet. A random target is another expert with each seed. */
export function repeatSweep(recipe, vary, rows, seeds = usualSeeds) {
  const options = (axis) => vary[axis].map((value) => (value?.set ? value : { label: String(value), set: { [axis]: value } }));
  const settingsOf = (labels) =>
    Object.assign(
      {},
      ...Object.keys(vary).flatMap((axis) =>
        options(axis)
          .filter(({ label }) => label === (labels[axis] ?? label))
          .map(({ set }) => set),
      ),
    );
  const runs = rows
    .filter(({ rate }) => rate !== null)
    .flatMap(({ name, labels, rate }) => {
      const settings = settingsOf({ ...labels, [rateAxis]: String(rate) });
      return seeds
        .filter((seed) => seed !== 0)
        .map((seed) => {
          const target = settings.target?.random === undefined ? {} : { target: { random: seed } };
          return { label: repeatLabel(name, rate, seed), set: { ...settings, ...target, seed, 'checks.utility': [] } };
        });
    });
  return runs.length === 0 ? null : { recipe, vary: { run: runs } };
}
