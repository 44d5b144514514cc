// Runs programs one after the other or in rows beside one another, a line each; what failed is shown in full at the end.
import { spawn } from 'node:child_process';

/** Closing lines of mocha, of Node's test runner, and of our own scripts. */
const PASSED = /^\s*(\d+) passing\b|^(?:#|ℹ) pass (\d+)|^(\d+) passed, \d+ failed/gm;
const FAILED = /^\s*(\d+) failing\b|^(?:#|ℹ) fail (\d+)|^\d+ passed, (\d+) failed/gm;
const SKIPPED = /^\s*(\d+) pending\b|^(?:#|ℹ) skipped (\d+)/gm;

const sum = (text, pattern) => [...text.matchAll(pattern)].reduce((total, [, ...groups]) => total + Number(groups.find((group) => group !== undefined)), 0);

/** Tests a program's output counts. */
export const countTests = (text) => ({ passed: sum(text, PASSED), failed: sum(text, FAILED), skipped: sum(text, SKIPPED) });

/**
 * What a step adds to the total. A check is one test. A suite counts its own, at least one failure when its program failed,
 * and one failure when it ran nothing; of a share of a suite others may have left nothing.
 */
export function verdict(kind, status, output) {
  if (kind === 'check') return status === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
  const counts = countTests(output);
  const broken = status !== 0 || (kind === 'suite' && counts.passed + counts.failed === 0);
  return { ...counts, failed: broken ? Math.max(1, counts.failed) : counts.failed };
}

function run(step) {
  return new Promise((resolve) => {
    const output = [];
    const child = spawn(process.execPath, step.args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: step.minutes * 60_000, killSignal: 'SIGKILL' });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        output.push(text);
        if (process.env.VERBOSE) process.stderr.write(text);
      });
    }
    child.on('error', (error) => output.push(`${error.message}\n`));
    child.on('close', (code, signal) => {
      if (signal !== null) output.push(`\nstopped by ${signal} (limit ${step.minutes} minutes)\n`);
      resolve({ status: code ?? 1, output: output.join('') });
    });
  });
}

/** A failed suite's output from mocha's list of failures on; everything where there is no such list. */
const failuresOf = (output) => output.slice(Math.max(0, output.search(/^\s*\d+ failing\b/m)));

/**
 * Runs steps `{ name, kind: 'check' | 'suite' | 'share', args, minutes }`; returns the sums. An array among them holds rows of steps that run beside one
 * another: tests use one core each.
 */
export async function runSteps(steps) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  const broken = [];
  const one = async (step) => {
    const start = Date.now();
    const { status, output } = await run(step);
    const counts = verdict(step.kind, status, output);
    for (const key of Object.keys(total)) total[key] += counts[key];
    const numbers = step.kind === 'check' ? '' : `  ${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`;
    console.log(`${counts.failed === 0 ? 'ok    ' : 'FAILED'}  ${step.name.padEnd(34)} ${((Date.now() - start) / 1000).toFixed(1).padStart(6)} s${numbers}`);
    if (counts.failed > 0) broken.push({ step, output });
  };
  const inTurn = async (row) => {
    for (const step of row) await (Array.isArray(step) ? Promise.all(step.map(inTurn)) : one(step));
  };
  await inTurn(steps);
  for (const { step, output } of broken) console.log(`\n---- ${step.name} (node ${step.args.join(' ')})\n${failuresOf(output).trimEnd() || 'no output'}`);
  return total;
}
