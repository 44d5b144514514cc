// The static checks: `npm run lint` runs them alone, `npm test` before the tests.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackages } from './packages.mjs';
import { runSteps } from './steps.mjs';

const check = (name, ...args) => ({ name, kind: 'check', args, minutes: 5 });

/** In rows that take about as long. */
export const checks = [
  [
    check('types', 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'),
    check('types of the webview', 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.webview.json'),
    check('lint and format', 'node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '--max-diagnostics=50', '.'),
  ],
  [check('walls', 'tools/walls.mjs'), check('dead code', 'node_modules/knip/bin/knip.js', '--no-progress')],
];

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  installPackages();
  const { failed } = await runSteps([checks]);
  process.exitCode = failed === 0 ? 0 : 1;
}
