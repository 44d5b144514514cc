// Hostile input: fuzzed files and messages to every reader, guided by coverage (test/torture/hostile.ts). What is found lies in .build/torture-found.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export const name = 'hostile';

/** Inputs at scale 1. */
const INPUTS = 100_000;
const LINES = 3000;

const runProgram = (program, args, home) =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, ['--max-old-space-size=1024', program, ...args], { cwd: home, stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, errors] = ['', ''];
    child.stdout.on('data', (text) => {
      out += text;
    });
    child.stderr.on('data', (text) => {
      errors = (errors + text).slice(-1000);
    });
    child.on('close', (code, signal) => {
      try {
        resolve(JSON.parse(out));
      } catch {
        resolve({ tried: 0, problems: [{ what: `its process ended with ${signal ?? code}: ${errors}`, file: '' }] });
      }
    });
  });

export async function run({ home, bundle, folder, seed, scale, say }) {
  const program = path.join(bundle, 'hostile.js');
  const found = path.join(home, '.build/torture-found');
  fs.rmSync(found, { recursive: true, force: true });
  fs.mkdirSync(found, { recursive: true });
  fs.mkdirSync(path.join(folder, 'list'));
  const targets = await runProgram(program, ['--list', path.join(folder, 'list')], home);
  const shares = targets.reduce((sum, { share }) => sum + share, 0);
  const jobs = targets.map(({ name: what, share }) => ({
    what,
    args: [what, String(Math.max(50, Math.ceil((INPUTS * scale * share) / shares))), String(seed)],
  }));
  jobs.push({
    what: 'lines to uoe mcp',
    args: ['--agent', String(Math.max(100, Math.ceil(LINES * scale))), String(seed)],
    rest: [path.join(bundle, 'cli.js')],
  });

  const rows = [];
  const failures = [];
  let peak = 0;
  const next = async () => {
    for (let job = jobs.shift(); job; job = jobs.shift()) {
      const own = path.join(folder, String(jobs.length));
      fs.mkdirSync(own);
      const outcome = await runProgram(program, [...job.args, own, ...(job.rest ?? [])], home);
      peak = Math.max(peak, outcome.peak ?? 0);
      for (const { what, file } of outcome.problems) {
        const kept = file === '' ? '' : path.join(found, path.basename(file));
        if (kept !== '') fs.copyFileSync(file, kept);
        failures.push(`${job.what}: ${what} (seed ${seed}; the input is ${path.relative(home, kept)})`);
      }
      const survived = Math.max(0, outcome.tried - outcome.problems.length);
      const note = outcome.places === undefined ? '' : `${outcome.taken} taken, ${outcome.corpus} kept, ${outcome.places} places reached`;
      rows.push({ what: job.what, tried: outcome.tried, survived, note });
      say(`${job.what}: ${outcome.tried} inputs, ${outcome.problems.length} problems`);
      fs.rmSync(own, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: Math.min(2, os.availableParallelism()) }, next));
  const order = [...targets.map(({ name: what }) => what), 'lines to uoe mcp'];
  rows.sort((a, b) => order.indexOf(a.what) - order.indexOf(b.what));
  const tried = rows.reduce((sum, row) => sum + row.tried, 0);
  const survived = rows.reduce((sum, row) => sum + row.survived, 0);
  rows.push({ what: 'all inputs', tried, survived, note: `at most ${Math.round(peak / 1e6)} MB resident` });
  return { rows, failures };
}
