// `npm run bench`: UOE beside PyTorch on the CPU, same checkpoint, same rows of tokens, same target, in turns; medians, and the goals beside them.
//   npm run bench -- [--backend wasm|tensorflow|all] [--only forward,attribution,rmu,gdiff,npo,endtoend] [--format text|json|markdown] [--quick]
//                    [--model FOLDER] [--target LAYER:EXPERT] [--tokens N] [--threads N] [--repeat N] [--steps N]
//   npm run bench -- growth     cost against arithmetic while prompts, layers, experts and hidden size grow (bench/growth.mjs)
//   npm run bench -- large      14.3 B parameters in 8 GB (bench/large/run.mjs)
//   npm run bench -- load       1,000 runs, a million rows, 100,000 prompts, 94 x 512 experts, a vocabulary of 200,000, a night's journal (bench/load.mjs)
//   npm run bench -- scale      checkpoints of 16 to 671 B parameters on 1 to 64 nodes, by the plan's model (bench/scale.mjs)
//   npm run bench -- vscode     times in a real VS Code (bench/vscode.mjs)
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackages } from '../tools/packages.mjs';

const home = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const bundle = path.join(home, '.build/bench');

/** A kind of benchmark: its file and function. Loaded once the packages are there. */
const kinds = {
  versus: async () => (await import('./versus.mjs')).benchVersus,
  growth: async () => (await import('./growth.mjs')).benchGrowth,
  large: async () => (await import('./large/run.mjs')).benchLarge,
  load: async () => (await import('./load.mjs')).benchLoad,
  scale: async () => (await import('./scale.mjs')).benchScale,
};

installPackages();
process.chdir(home);
const [first, ...rest] = process.argv.slice(2);
if (first === 'vscode') {
  const { benchVscode } = await import('./vscode.mjs');
  await benchVscode();
  process.exit(0);
}
const [kind, argv] = first !== undefined && Object.hasOwn(kinds, first) ? [first, rest] : ['versus', process.argv.slice(2)];
const { buildBench } = await import('../esbuild.config.mjs');
await buildBench(bundle);
const run = await kinds[kind]();
await run(argv, { home, bundle });
