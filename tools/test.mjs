// `npm test`: sets up what it needs, then runs everything. `npm test -- walls unit` runs only the steps with these words in their names;
// VERBOSE=1 shows the output of every step as it comes.

import path from 'node:path';
import { checks } from './checks.mjs';
import { whyNotNative } from './native.mjs';
import { installPackages } from './packages.mjs';
import { runSteps } from './steps.mjs';

const bundle = '.build/test/all';
const build = { name: 'build', kind: 'check', args: ['esbuild.config.mjs'], minutes: 5 };
/** Builds too, and before anything runs: the tests beside use dist/. */
const packaged = { name: 'build and package', kind: 'check', args: ['tools/package.mjs'], minutes: 5 };
const bundled = { name: 'bundle of the tests', kind: 'check', args: ['tools/unit.mjs', '--bundle'], minutes: 5 };
/** Each process takes files that no other has taken. */
const unit = { name: 'unit and property tests', kind: 'share', args: ['tools/mocha.mjs', bundle, 'unit'], minutes: 20 };
const native = [
  { name: 'native set-up', kind: 'check', args: ['tools/native.mjs'], minutes: 5 },
  { name: 'numeric tests on TensorFlow', kind: 'suite', args: ['tools/native.mjs', '--test', bundle], minutes: 15 },
];
const editor = [
  { name: 'VS Code set-up', kind: 'check', args: ['tools/vscode/setup.mjs'], minutes: 10 },
  { name: 'tests inside VS Code', kind: 'suite', args: ['tools/vscode/inhost.mjs'], minutes: 10 },
  { name: 'end-to-end tests in VS Code', kind: 'suite', args: ['tools/vscode/e2e.mjs', '--packaged'], minutes: 20 },
];

const wanted = process.argv.slice(2);
const start = Date.now();
installPackages();
const hasEditor = process.platform === 'linux' && process.arch === 'x64';
if (!hasEditor) console.log(`skipped: the tests in VS Code need Linux on x64, this is ${process.platform} on ${process.arch}`);
const noNative = whyNotNative();
if (noNative !== null) console.log(`skipped: ${noNative}`);
// The other tests know no native backend, whatever this machine has set up.
process.env.UOE_NATIVE = path.resolve('.build', 'no-native');
const chosen = (row) => row.filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
// Two cores: one row mostly waits for windows, one computes; whoever is through goes on with unit tests.
const rows = [
  [...(hasEditor ? editor : []), unit],
  [...(noNative === null ? native : []), unit],
].map(chosen);
const has = (...steps) => steps.some((step) => rows.flat().includes(step));
const made = [has(...editor.slice(1)) ? [packaged] : has(unit, ...native) ? [build] : chosen([build]), has(unit, native[1]) ? [bundled] : []];
const steps = [checks.map(chosen), made, rows];
if (steps.flat(2).length === 0) console.error(`No step is called ${wanted.join(' or ')}.`);
const sums = await runSteps(steps);
const { passed, failed } = sums;
const skipped = sums.skipped + (noNative === null ? 0 : 1) + (hasEditor ? 0 : 1);
console.log(`\n${((Date.now() - start) / 1000).toFixed(0)} s${skipped > 0 ? `, ${skipped} skipped` : ''}`);
console.log(`${passed} passed, ${failed} failed`);
// Not process.exit: it would cut off what a slow pipe has not taken yet.
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
