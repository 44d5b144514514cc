// A window used all day (test/torture/soak.ts): open → read → run → compare → close without growth of memory, descriptors, threads or processes.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';

export const name = 'load';

/** Cycles at scale 1, and after how many a window is closed. */
const counts = { cycles: 150, window: 50 };
/** Fewer say nothing of a slope after the warm-up. */
const fewest = 48;

export async function run({ home, bundle, folder, scale, say }) {
  const { judged } = createRequire(import.meta.url)(path.join(bundle, 'soak.js'));
  const cycles = Math.max(fewest, Math.round(counts.cycles * scale));
  const window = Math.min(counts.window, cycles >> 1);
  const job = { engine: path.join(bundle, 'engine.js'), demo: path.join(home, 'demo'), folder, cycles, window };
  const child = spawn(process.execPath, ['--expose-gc', path.join(bundle, 'soak.js'), JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let last = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
      last = line;
      if (/ cycles$/.test(line)) say(line);
    }
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) return { rows: [{ what: 'open → run → compare → close', tried: cycles, survived: 0 }], failures: [`the soak ended with ${code}: ${last}`] };
  const soaked = JSON.parse(out);
  const results = judged(soaked, window);
  const shown = ({ what, slope, last: now }) =>
    what.startsWith('memory')
      ? `${slope < 0 ? '−' : '+'}${Math.abs(slope / 1000).toFixed(1)} kB a cycle, ${(now / 1e6).toFixed(0)} MB at the end`
      : `${now} at the end`;
  return {
    rows: [
      { what: 'open → run → compare → close', tried: cycles, survived: soaked.held.length },
      ...results.map((result) => ({ what: result.what, tried: result.cycles, survived: result.failure === null ? result.cycles : 0, note: shown(result) })),
    ],
    failures: results.flatMap(({ failure }) => (failure === null ? [] : [failure])),
  };
}
