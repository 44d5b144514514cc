// `npm run test:slurm`: the tests on a real Slurm, in test/slurm. They say why where there can be none, and are skipped; so is the one in VS Code
// where that can't be had.
import { spawnSync } from 'node:child_process';
import { installPackages } from './packages.mjs';

const run = (...args) => spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;

installPackages();
const hasEditor = process.platform === 'linux' && process.arch === 'x64';
process.exitCode = hasEditor
  ? run('tools/vscode/e2e.mjs', 'test/slurm')
  : run('esbuild.config.mjs') || run('--test', '--test-concurrency=1', 'test/slurm/sweep.e2e.mjs', 'test/slurm/editor.e2e.mjs');
