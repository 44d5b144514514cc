// Runs unit tests: all of them, or those whose path contains an argument. `node tools/unit.mjs test/checkpoint --grep shard`
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { buildTests } from '../esbuild.config.mjs';

const args = process.argv.slice(2);
const firstFlag = args.findIndex((arg) => arg.startsWith('--'));
const filters = firstFlag < 0 ? args : args.slice(0, firstFlag);
const flags = firstFlag < 0 ? [] : args.slice(firstFlag);
const name = filters.length === 0 ? 'all' : filters.join('-').replace(/[^\w.-]+/g, '_');
const folder = path.join('.build', 'test', name);
await buildTests(folder, (file) => filters.length === 0 || filters.some((filter) => `test/${file}`.includes(filter)));
// Without word to the contrary 'auto' is wasm, whatever this machine has set up.
const environment = process.env.UOE_TEST_BACKEND ? process.env : { ...process.env, UOE_NATIVE: path.resolve('.build', 'no-native') };
const mocha = spawnSync(
  process.execPath,
  ['--enable-source-maps', 'node_modules/mocha/bin/mocha.js', path.join(folder, 'all.test.js'), '--timeout', '60000', '--exit', ...flags],
  { stdio: 'inherit', env: environment },
);
fs.rmSync(folder, { recursive: true, force: true });
process.exit(mocha.status ?? 1);
