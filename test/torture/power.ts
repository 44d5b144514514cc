/** What a run, an apply, a restore, an export and a sweep's folder are when the power goes at any instant, and whether all goes on from there. */
import fs from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { appliedNote, appliedState } from '../../src/checkpoint/applied-state';
import { applyPatch, restoreOriginal } from '../../src/checkpoint/apply-patch';
import { exportCheckpoint } from '../../src/checkpoint/export-checkpoint';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { readHistory } from '../../src/experiment/history';
import { resumeRun, startRun } from '../../src/experiment/run';
import { diskReader } from '../../src/experiment/run-reader';
import { openSweep } from '../../src/experiment/sweep-folder';
import { planSweep, type Sweep } from '../../src/experiment/sweep-plan';
import { isLockHeld } from '../../src/files/lock';
import { ok, type Result, sentence, unwrap } from '../../src/protocol/fault';
import type { Patch } from '../../src/protocol/tensors';
import { snapshot, threeShards, writeFolder } from '../checkpoint/small-checkpoint';
import { movedBy, SOME_UNITS } from '../checkpoint/small-patch';
import { goldenFolder, recipeFor, sharedModels, type Trace, traceOf, writeData } from '../experiment/run-case';
import { type Random, randomOf } from '../oracle/random';
import { type Recording, recordDisk } from './power-cut';

/** The first thing that is not as it should be. */
export class Lost extends Error {}
export const lost = (text: string): never => {
  throw new Lost(text);
};

interface Case {
  readonly what: string;
  /** Share of all cuts that are made in this case. */
  readonly share: number;
  /** Works on the disk `root`, a folder that it fills first. */
  record(root: string): Promise<Recording>;
  /** Looks at what a cut left in `root` and goes on from there; `was` is whether the work had reached a mark before the cut. */
  goOn(root: string, was: (mark: string) => boolean): Promise<void>;
}

/**
 * Nothing unfinished may stay once the work is done, and no lock that keeps anybody out. A lock that was being taken is cleared up by the next one
 * that takes it when it is old enough to be nobody's: without `locks` it may still be there.
 */
export async function expectClean(folder: string, { locks = true } = {}): Promise<void> {
  for (const name of fs.readdirSync(folder, { recursive: true }) as string[]) {
    if (!locks && path.basename(name).startsWith('..')) continue;
    if (name.endsWith('.uoe-tmp') || name.endsWith('.takeover')) lost(`${name} is left behind`);
    if (name.endsWith('lock') && (await isLockHeld(path.join(folder, name)))) lost(`${name} still keeps others out`);
  }
}

function runCase(what: string, share: number, worthKeeping: number): Case & { close(): Promise<void> } {
  const models = sharedModels();
  const recipe = recipeFor(goldenFolder('olmoe'), { keep: 'best' });
  let undisturbed: Trace | null = null;
  return {
    what,
    share,
    close: models.close,
    async record(root) {
      fs.mkdirSync(root);
      writeData(root);
      const { value, recording } = await recordDisk(root, async (mark) => {
        const { folder } = await startRun(recipe, root, root, { open: models.open, worthKeeping, step: ({ step }) => mark(`step ${step}`) });
        mark('done');
        return folder;
      });
      undisturbed = traceOf(value);
      return recording;
    },
    async goOn(root, was) {
      const { runs, broken } = await readHistory(diskReader, root);
      if (broken.length > 0) lost(`the history can't be read: ${broken[0].why}`);
      if (runs.length > 1) lost(`there are ${runs.length} runs`);
      const hooks = { open: models.open, worthKeeping };
      const [found] = runs;
      if (found === undefined) {
        if (was('step 1')) lost('the run is gone');
        await startRun(recipe, root, root, hooks);
      } else {
        if (was('done') !== (found.record.status === 'done') && was('done')) lost(`a finished run is ${found.record.status}`);
        const journal = path.join(found.folder, 'steps.jsonl');
        const rows = fs.existsSync(journal) ? fs.readFileSync(journal, 'utf8').split('\n').length - 1 : 0;
        for (let step = 1; step <= Number(recipe.steps); step++) if (was(`step ${step}`) && rows < step) lost(`the journal has lost step ${step}`);
        if (found.record.status !== 'done') await resumeRun(found.folder, hooks);
      }
      const [{ folder }] = (await readHistory(diskReader, root)).runs;
      const trace = traceOf(folder);
      for (const part of Object.keys(trace) as (keyof Trace)[])
        if (!isDeepStrictEqual(trace[part], undisturbed?.[part])) lost(`${part} of the run is another than that of an undisturbed one`);
      await expectClean(path.join(root, '.uoe'));
    },
  };
}

/** A checkpoint without what UOE keeps beside it. */
export const own = (folder: string): Record<string, string> =>
  Object.fromEntries(Object.entries(snapshot(folder)).filter(([name]) => !name.startsWith('.') && !name.endsWith('.uoe-tmp')));

/** A folder in which a patch was applied or the original restored, and that was cut short: what it says it is. */
export async function expectOldOrNew(folder: string, before: Record<string, string>, after: Record<string, string>): Promise<string> {
  const is = (wanted: Record<string, string>) => isDeepStrictEqual(own(folder), wanted);
  const state = unwrap(await appliedState(folder));
  const note = await appliedNote(folder);
  const opened = await openCheckpoint(folder);
  if (opened.ok) {
    await opened.value.close();
    if (!is(before) && !is(after)) lost(`the checkpoint opens (${state.state}), but is a mix`);
    const [word] = state.state === 'interrupted' ? [state.content] : [state.state === 'applied' ? 'patched' : 'original'];
    if (word !== (is(after) ? 'patched' : 'original')) lost(`it says that it is ${word}, which it is not`);
    if ((note === null) !== (state.state === 'none')) lost('nothing says that a patch is applied or was being applied');
  } else if (!/was interrupted.*Restore the original first/.test(sentence(opened.fault))) lost(`it does not open: ${sentence(opened.fault)}`);
  if (state.state === 'none' && !is(before)) lost('nothing is applied, but it is not the original');
  return state.state;
}

/** The way back from wherever it was cut short. */
export async function expectRestored(folder: string, before: Record<string, string>): Promise<void> {
  if (unwrap(await appliedState(folder)).state !== 'none') unwrap(await restoreOriginal(folder));
  if (!isDeepStrictEqual(own(folder), before)) lost('restoring does not give the very bytes');
}

/** As huggingface_hub lays out its cache: the shards are links to blobs. */
function asLinks(home: string, folder: string): void {
  fs.mkdirSync(path.join(home, 'blobs'));
  for (const name of fs.readdirSync(folder)) {
    fs.renameSync(path.join(folder, name), path.join(home, 'blobs', name));
    fs.symlinkSync(path.join('..', '..', 'blobs', name), path.join(folder, name));
  }
}

function checkpointCase(what: string, share: number, units: readonly string[], layout: 'plain' | 'links'): Case {
  const place = (root: string) => path.join(root, 'snapshots', 'model');
  const exported = (root: string) => path.join(root, 'out', 'exported');
  let patch: Patch | null = null;
  let before: Record<string, string> = {};
  let after: Record<string, string> = {};
  let whole: Record<string, string> = {};
  const onCheckpoint = async <T>(root: string, work: (checkpoint: Parameters<typeof applyPatch>[0], own: Patch) => Promise<Result<T>>): Promise<T> => {
    const checkpoint = unwrap(await openCheckpoint(place(root)));
    try {
      patch ??= await movedBy(checkpoint, units);
      return unwrap(await work(checkpoint, patch));
    } finally {
      await checkpoint.close();
    }
  };
  const exportTo = (root: string) =>
    onCheckpoint(root, (checkpoint, made) => exportCheckpoint({ checkpoint, patch: made, to: exported(root), link: layout === 'plain' }));
  return {
    what,
    share,
    async record(root) {
      writeFolder(threeShards(), { folder: place(root) });
      if (layout === 'links') asLinks(root, place(root));
      before = own(place(root));
      const { recording } = await recordDisk(root, async (mark) => {
        await exportTo(root);
        mark('exported');
        await onCheckpoint(root, applyPatch);
        mark('applied');
        after = own(place(root));
        mark('restoring');
        unwrap(await restoreOriginal(place(root)));
        mark('restored');
      });
      whole = snapshot(exported(root));
      return recording;
    },
    async goOn(root, was) {
      const folder = place(root);
      const is = (wanted: Record<string, string>) => isDeepStrictEqual(own(folder), wanted);
      const state = await expectOldOrNew(folder, before, after);
      if (was('applied') && !was('restoring') && !(state === 'applied' && is(after))) lost('an applied patch is gone');
      if (was('restored') && state !== 'none') lost('a restored original is gone');
      await expectRestored(folder, before);
      const there = fs.existsSync(exported(root));
      if (was('exported') && !there) lost('a finished export is gone');
      if (!there) await exportTo(root);
      if (!isDeepStrictEqual(snapshot(exported(root)), whole)) lost('an export under its final name is not whole');
      await onCheckpoint(root, applyPatch);
      if (!is(after)) lost('applied again it is another result');
      unwrap(await restoreOriginal(folder));
      if (!is(before)) lost('restored again it is another original');
      await expectClean(root);
    },
  };
}

/** The folder that a sweep's tasks are read from. */
function sweepCase(): Case {
  const plan = async (seeds: readonly number[]): Promise<Sweep> =>
    unwrap(await planSweep({ recipe: { model: 'model', forget: 'forget.jsonl' }, vary: { seed: seeds } }, '/study/a.sweep.json', async () => ok({})));
  return {
    what: 'sweep: its recipes and its manifest',
    share: 0.1,
    async record(root) {
      fs.mkdirSync(root);
      const { recording } = await recordDisk(root, async () => {
        for (const seeds of [
          [1, 2],
          [1, 2, 3],
        ])
          await (await openSweep(root, await plan(seeds), '/study/a.sweep.json')).release();
      });
      return recording;
    },
    async goOn(root) {
      const folder = path.join(root, '.uoe', 'sweeps', 'a');
      const read = (): string[] =>
        (fs.existsSync(folder) ? (fs.readdirSync(folder, { recursive: true }) as string[]) : []).filter((name) => name.endsWith('.json'));
      for (const name of read()) JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8'));
      const { tasks = [] } = read().includes('sweep.json')
        ? (JSON.parse(fs.readFileSync(path.join(folder, 'sweep.json'), 'utf8')) as { tasks?: { recipe: string }[] })
        : {};
      for (const { recipe } of tasks) if (!read().includes(recipe)) lost(`${recipe} is named in sweep.json, but is not there`);
      await (await openSweep(root, await plan([1, 2, 3]), '/study/a.sweep.json')).release();
      await expectClean(path.join(root, '.uoe'));
    },
  };
}

const cases = (): (Case & { close?: () => Promise<void> })[] => [
  runCase('run: journal, state, patch', 0.06, Number.POSITIVE_INFINITY),
  runCase('run with activations on disk', 0.04, 0),
  checkpointCase('export, apply, restore: two shards', 0.4, SOME_UNITS, 'plain'),
  checkpointCase('export, apply, restore: one shard', 0.2, ['lm_head'], 'plain'),
  checkpointCase('export, apply, restore: links to blobs', 0.2, SOME_UNITS, 'links'),
  sweepCase(),
];

export interface Survived {
  readonly rows: { readonly what: string; readonly tried: number; readonly survived: number; readonly note?: string }[];
  readonly failures: string[];
}

/** Cuts the power `count` times over all cases; a third of the cuts cut what goes on from there once more. */
export async function cutPower(folder: string, count: number, seed: number, say: (text: string) => void = () => undefined): Promise<Survived> {
  const rows: Survived['rows'] = [];
  const failures: string[] = [];
  for (const own of cases()) {
    const random: Random = randomOf(`${own.what} ${seed}`);
    const recording = await own.record(path.join(folder, 'recorded'));
    const tried = Math.max(2, Math.round(count * own.share));
    let survived = 0;
    for (let i = 0; i < tried; i++) {
      const at = random.integer(0, recording.instants);
      const root = path.join(folder, 'cut');
      const again = path.join(folder, 'cut-again');
      const goOn = (where: string, until: number) => own.goOn(where, (mark) => recording.marks.some((one) => one.name === mark && one.at < until));
      let where = `instant ${at} of ${recording.instants}`;
      try {
        recording.lay(at, random, root);
        if (random.chance(1 / 3)) {
          const { recording: second } = await recordDisk(root, async () => goOn(root, at));
          const next = random.integer(0, second.instants);
          where += `, then ${next} of ${second.instants}`;
          second.lay(next, random, again);
          // What the first life promised the second may have changed.
          await goOn(again, -1);
        } else await goOn(root, at);
        survived++;
      } catch (error) {
        const why = error instanceof Lost ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
        failures.push(`${own.what}, power cut ${i} with seed ${seed} at ${where}: ${why}`);
      }
      fs.rmSync(root, { recursive: true, force: true });
      fs.rmSync(again, { recursive: true, force: true });
    }
    fs.rmSync(path.join(folder, 'recorded'), { recursive: true, force: true });
    await own.close?.();
    rows.push({ what: `power cut, ${own.what}`, tried, survived });
    say(`${own.what}: ${survived} of ${tried} power cuts`);
  }
  return { rows, failures };
}
