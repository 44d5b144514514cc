// The command line as it is built: `dist/cli.js`, made where it is missing or older than its sources.
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

/** Its path. Ends the process with a sentence where packages can't be installed or UOE can't be built. */
export function builtProgram() {
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
  return program;
}
