// Runs the test files of a bundle (tools/unit.mjs) that no other process with the same list has taken:
//   node tools/mocha.mjs FOLDER LIST [PATH ...] [--grep TEXT] [--slow]
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import Mocha from 'mocha';

/** They come first, so that no process is left alone with one of them. */
const long = [
  'test/unlearn/golden-training.test.ts',
  'test/engine/process.test.ts',
  'test/cli/runs.test.ts',
  'test/unlearn/components.test.ts',
  'test/cli/sweep.test.ts',
  'test/demo/run.test.ts',
  'test/unlearn/step.test.ts',
  'test/experiment/resume.test.ts',
  'test/torture/faults.test.ts',
];

const { values, positionals } = parseArgs({ allowPositionals: true, options: { grep: { type: 'string' }, slow: { type: 'boolean' } } });
const [folder, list, ...filters] = positionals;
// Without word to the contrary 'auto' is wasm, whatever this machine has set up.
if (!process.env.UOE_TEST_BACKEND) process.env.UOE_NATIVE = path.resolve('.build', 'no-native');
process.setSourceMapsEnabled(true);
const { files, afterEach } = createRequire(import.meta.url)(path.resolve(folder, 'tests.js'));

const place = (file) => (long.indexOf(file) + long.length + 1) % (long.length + 1);
const wanted = Object.keys(files)
  .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
  .sort((a, b) => place(a) - place(b));
const taken = path.join(folder, `taken-${list}`);
fs.mkdirSync(taken, { recursive: true });

/** Whether this process is the one that has a file. */
function take(file) {
  try {
    fs.closeSync(fs.openSync(path.join(taken, file.replaceAll('/', '-')), 'wx'));
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

const all = { passes: 0, pending: 0, failures: [], ms: 0 };
const times = [];

/** Mocha's own; the closing lines come once for all files. */
class Spec extends Mocha.reporters.Spec {
  epilogue() {
    const { passes, pending, duration } = this.stats;
    all.passes += passes;
    all.pending += pending;
    all.ms += duration;
    all.failures.push(...this.failures);
  }
}

/** Seconds of all cores that this process has had, and on Linux the programs that it started and that have ended. */
function computed() {
  const { user, system } = process.cpuUsage();
  if (process.platform !== 'linux') return (user + system) / 1e6;
  // After the name in brackets; in hundredths.
  const fields = fs.readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ');
  return (user + system) / 1e6 + (Number(fields[13]) + Number(fields[14])) / 100;
}

function run(file) {
  const mocha = new Mocha({ timeout: 60_000, reporter: Spec, grep: values.grep, rootHooks: { afterEach } });
  mocha.suite.emit('pre-require', globalThis, file, mocha);
  const [since, before] = [performance.now(), computed()];
  files[file]();
  return new Promise((resolve) => {
    mocha.run(() => {
      times.push({ file, wall: (performance.now() - since) / 1000, cpu: computed() - before });
      resolve();
    });
  });
}

for (const file of wanted) if (take(file)) await run(file);

const lines = [`  ${all.passes} passing (${(all.ms / 1000).toFixed(0)}s)`];
if (all.pending > 0) lines.push(`  ${all.pending} pending`);
if (values.slow) {
  const longest = times.sort((a, b) => b.wall - a.wall).slice(0, 40);
  lines.push('', '     s   CPU s  the files that took longest');
  for (const { file, wall, cpu } of longest) lines.push(`${wall.toFixed(1).padStart(6)} ${cpu.toFixed(1).padStart(7)}  ${file}`);
}
if (all.failures.length > 0) lines.push(`  ${all.failures.length} failing`);
console.log(`\n${lines.join('\n')}`);
if (all.failures.length > 0) Mocha.reporters.Base.list(all.failures);
// What a test left open does not hold the process.
process.stdout.write('', () => process.exit(all.failures.length > 0 ? 1 : 0));
