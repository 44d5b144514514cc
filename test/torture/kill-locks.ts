/** Some processes pass a lock round while one after the other is killed: never two inside, and never all kept out. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { takeLock } from '../../src/files/lock';
import { sentence } from '../../src/protocol/fault';
import { randomOf } from '../oracle/random';
import type { Survived } from './power';

const many = 4;
const patienceMs = 20_000;

/** The process that says it is inside; 0 where none does. */
function holderIn(folder: string): number {
  try {
    return Number(fs.readFileSync(path.join(folder, 'inside'), 'utf8'));
  } catch {
    return 0;
  }
}

/** `program`: the bundle of kill-lock.ts. */
export async function killHolders(folder: string, program: string, kills: number, seed: number): Promise<Survived> {
  fs.mkdirSync(folder, { recursive: true });
  const at = path.join(folder, '.lock');
  const random = randomOf(`locks ${seed}`);
  const failures: string[] = [];
  let passed = 0;
  const begin = (): ChildProcess => {
    const child = spawn(process.execPath, [program, at], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout?.on('data', (dots: Buffer) => {
      passed += dots.length;
    });
    child.stderr?.on('data', (text: Buffer) => failures.push(`lock, seed ${seed}: ${String(text).trim()}`));
    child.once('exit', (code) => {
      if (code === 3) failures.push(`lock, seed ${seed}: two processes held it at once`);
    });
    return child;
  };
  const children = Array.from({ length: many }, begin);
  let tried = 0;
  while (tried < kills && failures.length === 0) {
    const [before, since] = [passed, Date.now()];
    // Somebody gets it again after every kill.
    while (passed === before && Date.now() - since < patienceMs && failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    if (passed === before && failures.length === 0) failures.push(`lock, seed ${seed}: nobody got it for ${patienceMs / 1000} s after kill ${tried}`);
    await new Promise((resolve) => setTimeout(resolve, random.uniform() * 10));
    // Mostly the one that holds it: then all others find it left behind at once.
    const inside = holderIn(folder);
    const holder = children.findIndex(({ pid }) => pid === inside);
    const which = holder >= 0 && random.chance(0.8) ? holder : random.integer(0, many - 1);
    children[which].kill('SIGKILL');
    await new Promise((resolve) =>
      children[which].exitCode === null && children[which].signalCode === null ? children[which].once('exit', resolve) : resolve(null),
    );
    children[which] = begin();
    tried++;
  }
  for (const child of children) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.kill('SIGKILL')) await ended;
  }
  // One killed before it had written a word is told from one about to write by its age.
  const earlier = new Date(Date.now() - 3_600_000);
  for (const name of fs.readdirSync(folder)) fs.utimesSync(path.join(folder, name), earlier, earlier);
  const last = await takeLock(at);
  if (!last.ok) failures.push(`lock, seed ${seed}: at the end it can't be taken: ${sentence(last.fault)}`);
  else await last.value.release();
  const left = fs.readdirSync(folder).filter((name) => name !== 'inside');
  if (left.length > 0) failures.push(`lock, seed ${seed}: ${left.join(', ')} left behind`);
  return { rows: [{ what: `SIGKILL, a lock among ${many} processes`, tried, survived: tried - failures.length }], failures };
}
