// `npm run demo`: from a fresh clone to the demo's table. Options after `--` go to `uoe demo`, e.g. `npm run demo -- --forget-topic geography`.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackages } from './packages.mjs';

const home = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Newest change among what the build reads. */
function newest(entry) {
  const stat = fs.statSync(entry);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...fs.readdirSync(entry).map((name) => newest(path.join(entry, name))));
}

installPackages();
const program = path.join(home, 'dist/cli.js');
const sources = ['src', 'webview', 'tools/kernels', 'esbuild.config.mjs', 'package-lock.json']
  .map((name) => path.join(home, name))
  .filter((entry) => fs.existsSync(entry));
if (!fs.existsSync(program) || fs.statSync(program).mtimeMs < Math.max(...sources.map(newest))) {
  const build = spawnSync(process.execPath, ['esbuild.config.mjs'], { cwd: home, stdio: ['ignore', 2, 2] });
  if (build.status !== 0) {
    console.error('UOE could not be built: see the messages above.');
    process.exit(1);
  }
}
const demo = spawnSync(process.execPath, [program, 'demo', ...process.argv.slice(2)], { stdio: 'inherit' });
process.exit(demo.status ?? (demo.signal === 'SIGINT' ? 130 : 1));
