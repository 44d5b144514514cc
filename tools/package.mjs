// `npm run package`: builds for release and writes one uoe-VERSION.vsix into the root folder.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackages } from './packages.mjs';

/** A package that grows past this has something in it that does not belong there. */
const mostBytes = 20_000_000;

const home = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

function run(what, ...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: home, stdio: 'inherit' });
  if (status === 0) return;
  console.error(`${what} failed: see the messages above.`);
  process.exit(1);
}

installPackages();
const { version } = JSON.parse(fs.readFileSync(path.join(home, 'package.json'), 'utf8'));
for (const old of fs.readdirSync(home).filter((name) => name.endsWith('.vsix'))) fs.rmSync(path.join(home, old));
const file = `uoe-${version}.vsix`;
run('The build', 'esbuild.config.mjs', '--production');
run('The bill of materials', 'tools/sbom.mjs');
// Everything is bundled, so the package carries no node_modules.
run('vsce', 'node_modules/@vscode/vsce/vsce', 'package', '--no-dependencies', '--out', file);
const { size } = fs.statSync(path.join(home, file));
console.log(`${file}: ${(size / 1e6).toFixed(1)} MB`);
if (size > mostBytes) {
  console.error(`${file} is larger than ${mostBytes / 1e6} MB: see what .vscodeignore lets in.`);
  process.exit(1);
}
