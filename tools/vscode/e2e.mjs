// End-to-end tests: packages the extension and runs test/e2e/*.e2e.mjs, or those of the folder that is named, on the installed VSIX. VSIX=file takes that one instead, --packaged the one
// that lies here.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setup } from './setup.mjs';

await setup();
const run = (args, env = {}) => spawnSync(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...env } }).status ?? 1;

function packaged() {
  if (process.env.VSIX) return path.resolve(process.env.VSIX);
  const status = process.argv.includes('--packaged') ? 0 : run(['tools/package.mjs']);
  if (status !== 0) process.exit(status);
  const file = fs.readdirSync('.').find((name) => name.endsWith('.vsix'));
  return path.resolve(file);
}

const folder = process.argv.slice(2).find((word) => !word.startsWith('--')) ?? 'test/e2e';
const scenarios = fs
  .readdirSync(folder)
  .filter((name) => name.endsWith('.e2e.mjs'))
  .map((name) => path.join(folder, name));
process.exit(run(['--test', '--test-concurrency=1', ...scenarios], { VSIX: packaged() }));
