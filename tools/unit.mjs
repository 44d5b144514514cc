// Runs unit tests: all of them, or those whose path contains an argument. `node tools/unit.mjs test/checkpoint --grep shard`; `--slow` ends with the
// files that took longest. `npm test` runs them in several processes: `--bundle` only builds, in .build/test/all.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { buildTests } from '../esbuild.config.mjs';

const args = process.argv.slice(2);
const firstFlag = args.findIndex((arg) => arg.startsWith('--'));
const filters = firstFlag < 0 ? args : args.slice(0, firstFlag);
const flags = firstFlag < 0 ? [] : args.slice(firstFlag);
const name = filters.length === 0 ? 'all' : filters.join('-').replace(/[^\w.-]+/g, '_');
const folder = path.join('.build', 'test', flags.includes('--bundle') ? 'all' : `${name}-${process.pid}`);
fs.rmSync(folder, { recursive: true, force: true });
const files = await buildTests(folder, (file) => filters.length === 0 || filters.some((filter) => file.includes(filter)));
if (files.length === 0) {
  console.error(`No test file has ${filters.join(' or ')} in its path.`);
  process.exit(1);
}
if (!flags.includes('--bundle')) {
  const { status } = spawnSync(process.execPath, ['tools/mocha.mjs', folder, 'all', ...filters, ...flags], { stdio: 'inherit' });
  fs.rmSync(folder, { recursive: true, force: true });
  process.exitCode = status ?? 1;
}
