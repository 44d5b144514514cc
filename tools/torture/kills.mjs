// Crash safety: processes killed with SIGKILL at random instants, and a disk whose power is cut (test/torture/kills.ts, power.ts).
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

export const name = 'kills';

/** Kills and cuts at scale 1. */
const counts = { runs: { wasm: 100, cpu: 100, tensorflow: 50 }, changes: 50, holders: 150, losses: 300, cuts: 1000 };

/** Backends here: TensorFlow where UOE_NATIVE, or this clone's tests, have set it up. */
function backends(home) {
  const native = process.env.UOE_NATIVE ?? path.join(home, '.build/native');
  const none = path.join(home, '.build/no-native');
  const found = fs.existsSync(path.join(native, 'native.json'));
  return [
    { backend: 'wasm', environment: { UOE_NATIVE: none } },
    { backend: 'cpu', environment: { UOE_NATIVE: none } },
    ...(found ? [{ backend: 'tensorflow', environment: { UOE_NATIVE: native } }] : []),
  ];
}

/** One backend in a process of its own. */
function judge(bundle, folder, { backend, environment }, runs, changes, seed, say) {
  const own = path.join(folder, backend);
  fs.mkdirSync(own);
  return new Promise((resolve, reject) => {
    const args = [path.join(bundle, 'kills.js'), backend, runs, changes, seed, own].map(String);
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      for (const line of text.split('\n')) if (line.trim() !== '') say(line);
    });
    child.on('close', (code) => (code === 0 ? resolve(JSON.parse(said)) : reject(new Error(`The kills on ${backend} ended with ${code}.`))));
  });
}

export async function run({ home, bundle, folder, seed, scale, say }) {
  const some = (count) => Math.max(2, Math.round(count * scale));
  const own = backends(home);
  if (own.length < 3) say('TensorFlow is not set up here (npm run setup:native): its kills are left out');
  const require = createRequire(import.meta.url);
  const { cutPower } = require(path.join(bundle, 'power.js'));
  const { killHolders } = require(path.join(bundle, 'kill-locks.js'));
  const { loseLocks } = require(path.join(bundle, 'lost-locks.js'));
  // Two at a time: a killed process and its judge take a core.
  const [wasm, ...others] = own;
  const one = (which, changes) => judge(bundle, folder, which, some(counts.runs[which.backend]), changes, seed, say);
  const inTurn = async () => {
    const results = [];
    for (const which of others) results.push(await one(which, which.backend === 'cpu' ? some(counts.changes) : 0));
    return results;
  };
  const killed = (await Promise.all([one(wasm, some(counts.changes)).then((result) => [result]), inTurn()])).flat();
  const passed = await killHolders(path.join(folder, 'locks'), path.join(bundle, 'kill-lock.js'), some(counts.holders), seed);
  const left = await loseLocks(path.join(folder, 'lost'), path.join(bundle, 'lost-lock.js'), some(counts.losses), seed);
  const cut = await cutPower(folder, some(counts.cuts), seed, say);
  const all = [...killed, passed, left, cut];
  return { rows: all.flatMap(({ rows }) => rows), failures: all.flatMap(({ failures }) => failures) };
}
