// `npm run demo`: from a fresh clone to the demo's table. Options after `--` go to `uoe demo`, e.g. `npm run demo -- --forget-topic geography`.
import { spawnSync } from 'node:child_process';
import { builtProgram } from './program.mjs';

const demo = spawnSync(process.execPath, [builtProgram(), 'demo', ...process.argv.slice(2)], { stdio: 'inherit' });
process.exit(demo.status ?? (demo.signal === 'SIGINT' ? 130 : 1));
