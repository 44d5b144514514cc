/** A process that takes a lock and gives it back, again and again, and ends with 3 when it was not alone inside: `node kill-lock.js LOCK`. */
import fs from 'node:fs';
import path from 'node:path';
import { takeLock } from '../../src/files/lock';

const [at] = process.argv.slice(2);
const inside = path.join(path.dirname(at), 'inside');

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function pass(): Promise<void> {
  for (;;) {
    const lock = await takeLock(at, 'The lock');
    if (!lock.ok) {
      if (lock.fault.code !== 'conflict') {
        process.stderr.write(`${lock.fault.message}\n`);
        process.exit(4);
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
      continue;
    }
    const other = fs.existsSync(inside) ? Number(fs.readFileSync(inside, 'utf8')) : 0;
    // One that was killed inside has left its mark.
    if (other !== 0 && isAlive(other)) process.exit(3);
    fs.writeFileSync(inside, String(process.pid));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
    if (fs.readFileSync(inside, 'utf8') !== String(process.pid)) process.exit(3);
    fs.rmSync(inside);
    await lock.value.release();
    process.stdout.write('.');
  }
}

void pass();
