// `npm run test:slurm`: the tests on a real Slurm. They say why where there can be none, and are skipped. With --editor also the one in a real VS Code.
import { spawnSync } from 'node:child_process';
import { installPackages } from './packages.mjs';

const run = (...args) => spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;

installPackages();
process.exitCode = process.argv.includes('--editor')
  ? run('tools/vscode/e2e.mjs', 'test/slurm')
  : run('esbuild.config.mjs') || run('--test', 'test/slurm/sweep.e2e.mjs');
