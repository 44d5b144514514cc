/** Faults of the disk in every n-th file operation of every kind of work; a JSON line for each finding, for tools/torture/faults.mjs. */
import fs from 'node:fs';
import path from 'node:path';
import { openScene, type Scene, works } from './fault-scene';
import { threadFaults } from './fault-thread';
import { cancelled, codeAt, lastingCodes, type Trial, trial, undisturbed } from './fault-trials';
import { fullDisks, meddledShards, readOnlyDisks, readOnlyFolders, unmountedDisks, type World } from './fault-world';

const [folder, seedText, scaleText, only = '', part = ''] = process.argv.slice(2);
const seed = Number(seedText);
const scale = Number(scaleText);

const tell = (line: object): boolean => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Every `stride`-th operation, from one that the seed names. */
function* places(count: number, every: number): Generator<number> {
  const stride = Math.max(1, Math.round(every / scale));
  for (let at = seed % stride; at < count; at += stride) yield at;
}

/** Faults that the system makes itself, and those of the reading thread. */
async function world(scene: Scene): Promise<void> {
  const some = (most: number) => Math.max(2, Math.round(most * scale));
  const kinds: readonly (readonly [row: string, cases: () => Promise<World>])[] = [
    ['the thread that reads weights ahead', async () => ({ cases: await threadFaults(scene, (count) => places(count, 1)) })],
    ['a real disk of 4 MB that is full', () => fullDisks(scene, some(24))],
    ['a real disk mounted read-only', () => readOnlyDisks(scene)],
    ['a real folder without permission to write', () => readOnlyFolders(scene)],
    ['a real disk unmounted at work', () => unmountedDisks(scene, some(30))],
    ['a shard cut, emptied, replaced, written over or removed by another process', () => meddledShards(scene, some(12), seed)],
  ];
  for (const [row, make] of kinds) {
    const began = performance.now();
    const made = await make();
    if ('skipped' in made) {
      tell({ row, skipped: made.skipped });
      continue;
    }
    for (const { place, said, wrong } of made.cases) {
      tell({ row, survived: wrong.length === 0, said, place });
      for (const one of wrong) tell({ failure: `${place}: ${one}` });
    }
    tell({ say: `${row}: ${made.cases.length} cases, ${((performance.now() - began) / 1000).toFixed(0)} s` });
  }
}

async function main(): Promise<void> {
  const home = path.join(folder, 'scene');
  fs.rmSync(home, { recursive: true, force: true });
  fs.mkdirSync(home, { recursive: true });
  const scene = await openScene(home);
  if (part !== 'works') await world(scene);
  if (part === 'world') return;
  for (const work of works) {
    if (!work.name.includes(only)) continue;
    const began = performance.now();
    const reference = await undisturbed(scene, work);
    const { operations } = reference;
    const note = (row: string, found: Trial, how: string, at: number) => {
      const { operation = '', path: where = '' } = operations[at] ?? {};
      const place = `${work.name}, ${how} at operation ${at} (${operation} ${path.relative(home, where)})`;
      if (found.struck) tell({ row, survived: found.wrong.length === 0, said: found.said, place });
      for (const wrong of found.wrong) tell({ failure: `${place}: ${wrong}` });
    };
    const every = work.every ?? 1;
    for (const at of places(operations.length, every)) {
      const code = codeAt(operations[at].operation, at);
      note(work.group, await trial(scene, work, reference, { at, code }), code, at);
    }
    for (const at of places(operations.length, every * 5)) {
      const code = lastingCodes[(at + seed) % lastingCodes.length];
      note('the drive is gone from then on', await trial(scene, work, reference, { at, code, lasting: true }), `${code} from then on`, at);
    }
    note('every read and write transfers a third', await trial(scene, work, reference, { at: 0, code: 'SHORT' }), 'short transfers', 0);
    const transfers = operations.flatMap(({ operation }, at) => (operation === 'handle.read' || operation === 'handle.write' ? [at] : []));
    for (const which of places(transfers.length, every * 3))
      note(
        'a read or write transfers nothing',
        await trial(scene, work, reference, { at: transfers[which], code: 'END' }),
        'nothing transferred',
        transfers[which],
      );
    let most = 0;
    for (const at of places(operations.length, every * 5)) {
      const found = await cancelled(scene, work, reference, at);
      most = Math.max(most, found.after);
      note('a cancel on a slow disk', found, `${found.after} operations after a cancel`, at);
    }
    tell({ say: `${work.name}: ${operations.length} operations, at most ${most} after a cancel, ${((performance.now() - began) / 1000).toFixed(0)} s` });
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    tell({ failure: `ended with ${error instanceof Error ? error.stack : String(error)}` });
    process.exit(1);
  },
);
