// Faults of the disk: an error at every file operation of every kind of work, a drive that goes away, short transfers, a slow disk,
// and what the system makes itself: full and read-only disks, unmounted ones, shards that another process cuts or replaces.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';

export const name = 'faults';

/** Failures that are told; the others are counted. */
const told = 30;

export async function run({ bundle, folder, seed, scale, say }) {
  // A program of its own, whose thread for reading weights can fail too.
  const program = path.join(folder, 'program');
  fs.cpSync(bundle, program, { recursive: true });
  fs.copyFileSync(path.join(program, 'faulty-reading-thread.js'), path.join(program, 'reading-thread.js'));
  const rows = new Map();
  const failures = [];
  const child = spawn(process.execPath, [path.join(program, 'faults.js'), folder, String(seed), String(scale)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)));
  for await (const line of readline.createInterface({ input: child.stdout })) {
    const found = JSON.parse(line);
    if (found.say) say(found.say);
    if (found.failure) failures.push(`${found.failure} (seed ${seed})`);
    if (!found.row) continue;
    const row = rows.get(found.row) ?? { what: found.row, tried: 0, survived: 0, said: 0 };
    if (found.skipped) row.note = `skipped: ${found.skipped}`;
    else {
      row.tried++;
      if (found.survived) row.survived++;
      if (found.said) row.said++;
    }
    rows.set(found.row, row);
  }
  const end = await ended;
  if (end !== 0 && failures.length === 0) failures.push(`The program ended with ${end} (seed ${seed}).`);
  return {
    rows: [...rows.values()].map(({ said, ...row }) => ({ note: `${said} said so, ${row.tried - said} went on`, ...row })),
    failures: failures.length <= told ? failures : [...failures.slice(0, told), `and ${failures.length - told} more`],
  };
}
