/** Faults of the disk in every n-th file operation of every kind of work; one JSON line a row, for tools/torture/faults.mjs. */
import fs from 'node:fs';
import path from 'node:path';
import { openScene, works } from './fault-scene';
import { codeAt, lastingCodes, trial, undisturbed } from './fault-trials';

const [folder, seed, scale, only] = process.argv.slice(2);
const home = path.join(folder, 'scene');
fs.rmSync(home, { recursive: true, force: true });
fs.mkdirSync(home, { recursive: true });

async function main() {
  const scene = await openScene(home);
  for (const work of works) {
    if (only && !work.name.includes(only)) continue;
    const began = performance.now();
    const reference = await undisturbed(scene, work);
    const n = reference.operations.length;
    console.log(`${work.name}: ${n} operations ${(performance.now() - began).toFixed(0)} ms`);
    const said = new Map<string, string>();
    const stride = Math.max(1, Math.round((work.every ?? 1) / Number(scale)));
    for (let at = Number(seed) % stride; at < n; at += stride) {
      for (const lasting of [false, true]) {
        const code = lasting ? lastingCodes[at % lastingCodes.length] : codeAt(reference.operations[at].operation, at);
        const found = await trial(scene, work, reference, { at, code, lasting });
        const key = `${code} ${lasting ? 'from' : 'at'} ${at} ${reference.operations[at].operation} ${reference.operations[at].path.replace(home, '')}`;
        if (process.env.VERBOSE) console.log('   ', key, '=>', found.said);
        for (const wrong of found.wrong) {
          const kind = wrong.replaceAll(/[0-9a-f]{12}/g, '*');
          if (!said.has(kind)) console.log('  !!', key, '::', wrong);
          said.set(kind, key);
        }
      }
    }
    console.log(`   ${(performance.now() - began).toFixed(0)} ms`);
  }
}
main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
