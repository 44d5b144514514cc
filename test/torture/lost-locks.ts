/**
 * Locks that are lost while they are held: a process that applies, restores or exports is stopped before any of its operations on the disk, long enough to
 * count as gone; a process of another host takes its lock, or somebody removes it; then it goes on. It must say so and leave the old or the new checkpoint.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { isDeepStrictEqual } from 'node:util';
import { appliedState, lockOf } from '../../src/checkpoint/applied-state';
import { restoreOriginal } from '../../src/checkpoint/apply-patch';
import { exportLock } from '../../src/checkpoint/export-checkpoint';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { writePatch } from '../../src/checkpoint/patch-file';
import { sentence, unwrap } from '../../src/protocol/fault';
import { snapshot, threeShards, writeFolder } from '../checkpoint/small-checkpoint';
import { movedBy, SOME_UNITS } from '../checkpoint/small-patch';
import { randomOf } from '../oracle/random';
import type { Stop } from './lost-lock';
import { expectClean, Lost, lost, own, type Survived } from './power';

type Line = Partial<Stop> & { readonly holds?: true; readonly ok?: boolean; readonly said?: string; readonly operations?: number };

interface Process {
  readonly child: ChildProcess;
  /** The next line it says; null once it has ended. */
  next(): Promise<Line | null>;
}

/** Who comes while a process is stopped. */
type Other = 'another host restores' | 'another host applies' | 'another host holds the lock' | 'somebody removes the lock';
const others: readonly Other[] = ['another host restores', 'another host applies', 'another host holds the lock', 'somebody removes the lock'];

/** It says so before it stops. */
async function isStopped(child: ChildProcess): Promise<void> {
  while (!/\) [Tt] /.test(fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8'))) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Operations after the last look at the lock: its own removal and what is removed or renamed just before. */
const afterLastLook = { apply: 2, restore: 4, export: 7 };

const textOf = (file: string): string | null => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : null);

const longAgo = (): Date => new Date(Date.now() - 3_600_000);
/** Who took the lock while another process had it for a moment finds what that one made. */
const foundSentence = /A patch is applied to|was interrupted\. Restore|No patch is applied in/;
const lostSentence = /was in work here, but its lock .* (is gone: it was removed|is held by process \d+ on elsewhere now).*\. This process has stopped/;

/** `program`: the bundle of lost-lock.ts. Linux alone can stop a process and see that it is. */
export async function loseLocks(folder: string, program: string, count: number, seed: number): Promise<Survived> {
  fs.mkdirSync(folder, { recursive: true });
  const elsewhere = path.join(folder, 'elsewhere.cjs');
  fs.writeFileSync(elsewhere, "require('node:os').hostname = () => 'elsewhere';\n");
  const begin = (where: 'here' | 'elsewhere', ...args: readonly string[]): Process => {
    const own = where === 'elsewhere' ? ['--require', elsewhere] : [];
    const child = spawn(process.execPath, [...own, program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      child,
      next: async () => {
        const { value, done } = await lines.next();
        return done ? null : (JSON.parse(value) as Line);
      },
    };
  };
  const model = writeFolder(threeShards(), { folder: path.join(folder, 'model') });
  const checkpoint = unwrap(await openCheckpoint(model));
  const patches = [path.join(folder, 'one.safetensors'), path.join(folder, 'two.safetensors')];
  for (const [i, file] of patches.entries()) unwrap(await writePatch(file, await movedBy(checkpoint, SOME_UNITS, i + 0.5)));
  await checkpoint.close();
  const original = own(model);
  const copied = (name: string): string => {
    const to = path.join(folder, name, 'model');
    fs.cpSync(model, to, { recursive: true });
    return to;
  };
  /** What a change makes undisturbed, and how many operations it takes. */
  const whole = async (at: string, ...args: readonly string[]): Promise<number> => {
    const line = await begin('here', args[0], at, ...args.slice(1)).next();
    return line?.ok === true ? (line.operations ?? 0) : lost(`an undisturbed ${args[0]} ended with ${line?.said}`);
  };
  const sample = copied('sample');
  const exported = path.join(folder, 'sample', 'out');
  const operations: Record<string, number> = { export: await whole(sample, 'export', exported) };
  const whatIsExported = snapshot(exported);
  operations.apply = await whole(sample, 'apply', patches[0]);
  const first = own(sample);
  operations.restore = await whole(sample, 'restore');
  await whole(sample, 'apply', patches[1]);
  const second = own(sample);

  const failures: string[] = [];
  let [tried, told] = [0, 0];
  const once = async (number: number): Promise<void> => {
    const random = randomOf(`lost locks ${seed} ${number}`);
    const change = random.pick(['apply', 'apply', 'restore', 'export'] as const);
    const other = change === 'export' ? random.pick(['somebody removes the lock', 'another host holds the lock'] as const) : random.pick(others);
    const stopAt = random.integer(0, operations[change] - 1);
    const at = copied(`case-${number}`);
    const home = path.dirname(at);
    const to = path.join(home, 'out');
    if (change === 'restore') await whole(at, 'apply', patches[0]);
    const worker = begin('here', change, at, change === 'apply' ? patches[0] : to, String(stopAt));
    let helper: Process | null = null;
    try {
      const stop = (await worker.next()) as Stop | null;
      if (stop?.operation === undefined) return lost('it did not stop');
      await isStopped(worker.child);
      const lock = change === 'export' ? exportLock(to) : lockOf(at);
      const before = textOf(lock);
      const held = before !== null;
      if (held) fs.utimesSync(lock, longAgo(), longAgo());
      if (other === 'somebody removes the lock') fs.rmSync(lock, { force: true });
      else if (change === 'export') {
        if (held) fs.writeFileSync(lock, JSON.stringify({ pid: 1, host: 'elsewhere', token: 'other', since: 'now', started: null, lease: 60_000 }));
      } else {
        helper = begin('elsewhere', other.endsWith('lock') ? 'hold' : other.endsWith('restores') ? 'restore' : 'apply', at, patches[1]);
        await helper.next();
      }
      // Who finds a checkpoint that can't be opened does not even ask for its lock.
      const gone = held && textOf(lock) !== before;
      const done = stopAt >= operations[change] - afterLastLook[change];
      worker.child.kill('SIGCONT');
      const end = await worker.next();
      helper?.child.kill('SIGKILL');
      const place = `${change}, stopped before ${stop.operation} of ${path.relative(home, stop.at)}, ${other}`;
      const judged = (text: string): never => lost(`${place}: ${text}`);
      if (end === null) return judged('it ended without a word');
      if (end.ok === false && lostSentence.test(end.said ?? '')) told++;
      else if (gone && !done && end.ok === true) judged('it went on without its lock');
      else if (gone && !done && !foundSentence.test(end.said ?? '')) judged(`it said: ${end.said}`);
      if (change === 'export') {
        if (fs.existsSync(to) && !isDeepStrictEqual(snapshot(to), whatIsExported)) judged('an export under its final name is not whole');
        if (!isDeepStrictEqual(own(at), original)) judged('the exported checkpoint was changed');
        fs.rmSync(lock, { force: true });
        return await expectClean(home);
      }
      const now = own(at);
      const is = isDeepStrictEqual(now, original) ? 'old' : isDeepStrictEqual(now, first) || isDeepStrictEqual(now, second) ? 'new' : 'mixed';
      // Whoever holds the lock for good leaves it to the next start, which is told what to do.
      const left = other === 'another host holds the lock' && /When the other one is done, uoe restore/.test(end.said ?? '');
      if (is === 'mixed' && !left) judged('the checkpoint is a mix');
      if (unwrap(await appliedState(at)).state === 'interrupted' && !left) judged('the change is left half done');
      const opened = await openCheckpoint(at);
      if (opened.ok) await opened.value.close();
      else if (!left || !/Restore the original first|Wait until it is done/.test(sentence(opened.fault)))
        judged(`it can't be opened: ${sentence(opened.fault)}`);
      if (unwrap(await appliedState(at)).state !== 'none') {
        fs.rmSync(lockOf(at), { force: true });
        unwrap(await restoreOriginal(at));
      }
      if (!isDeepStrictEqual(own(at), original)) judged('restoring does not give the original');
    } finally {
      for (const one of [worker, helper]) {
        one?.child.kill('SIGCONT');
        one?.child.kill('SIGKILL');
      }
      fs.rmSync(home, { recursive: true, force: true });
    }
  };
  for (let number = 0; number < count; number++) {
    tried++;
    try {
      await once(number);
    } catch (error) {
      const why = error instanceof Lost ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
      failures.push(`lost lock ${number} with seed ${seed}: ${why}`);
    }
  }
  const note = `${told} times it was told; the others were stopped before they had the lock, or when they were done`;
  return { rows: [{ what: 'locks lost while held: apply, restore, export', tried, survived: tried - failures.length, note }], failures };
}
