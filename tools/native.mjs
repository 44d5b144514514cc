// The native backend for tests: `node tools/native.mjs` sets it up in .build/native with the built program (whose one it is, the user's own cache
// stays as it is); `node tools/native.mjs --test` runs the numeric tests on it, `--test FOLDER` out of a bundle.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const home = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const environment = { ...process.env, UOE_NATIVE: path.join(home, '.build', 'native') };

/** What runs on TensorFlow too: everything that compares numbers. */
const numeric = [
  'test/tensor/gradients',
  'test/tensor/host',
  'test/tensor/native',
  'test/tensor/rows',
  'test/tensor/steady',
  'test/passes',
  'test/unlearn',
  'test/attribution',
  'test/weights/read-ahead',
  'test/model/families',
];

const runs = (program, ...args) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;

/** Why this machine can't set it up, as a sentence; null where it can. */
export function whyNotNative() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return `the native backend needs Linux on x64, this is ${process.platform} on ${process.arch}`;
  if (!runs(process.env.CXX || 'g++', '--version')) return 'there is no g++ to compile the native backend with';
  if (!runs(process.env.PYTHON || 'python3', '-m', 'pip', '--version')) return 'there is no Python with pip to fetch TensorFlow with';
  return null;
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [flag, bundle] = process.argv.slice(2);
  const test = bundle === undefined ? ['tools/unit.mjs', ...numeric] : ['tools/mocha.mjs', bundle, 'numeric', ...numeric];
  const args = flag === '--test' ? test : ['dist/cli.js', 'setup-native', '--yes'];
  const { status } = spawnSync(process.execPath, args, { cwd: home, stdio: 'inherit', env: { ...environment, UOE_TEST_BACKEND: 'tensorflow' } });
  process.exitCode = status ?? 1;
}
