// `npm run bench -- vscode`: times in a real VS Code (server and browser of the tests), printed, never asserted.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { launchBrowser, until } from '../tools/vscode/browser.mjs';
import { vscodePage } from '../tools/vscode/page.mjs';
import { startServer } from '../tools/vscode/server.mjs';
import { setup } from '../tools/vscode/setup.mjs';
import { writeWideModel } from './wide-model.mjs';

const limit = 90_000;
/** Windows that the activation is timed in. */
const windows = 5;
const rail = '#workbench .rail';

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const ms = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

async function buildHost(folder) {
  await build({
    entryPoints: ['bench/host/parts.ts'],
    outfile: path.join(folder, 'index.js'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['vscode'],
    logLevel: 'warning',
  });
}

/** Times what the page does in animation frames from now on. */
const watchFrames = (frame) =>
  frame.evaluate(() => {
    globalThis.frames = [];
    const original = globalThis.requestAnimationFrame.bind(globalThis);
    globalThis.requestAnimationFrame = (callback) =>
      original((time) => {
        const began = performance.now();
        callback(time);
        globalThis.frames.push(performance.now() - began);
      });
  });

/** Script time of `times` redraws of the whole page, which the theme's id asks for. */
const redraws = (frame, times) =>
  frame.evaluate(async (count) => {
    const wait = () => new Promise((resolve) => setTimeout(resolve, 60));
    globalThis.frames.length = 0;
    for (let i = 0; i < count; i++) {
      document.body.dataset.vscodeThemeId = `bench ${i}`;
      await wait();
    }
    return globalThis.frames.slice();
  }, times);

/** Handler and redraw of pointer moves over the heatmap. */
const hovers = (frame, times) =>
  frame.evaluate(async (count) => {
    const target = [...document.querySelectorAll('.heatmap canvas')].at(-1);
    const box = target.getBoundingClientRect();
    const spent = [];
    for (let i = 0; i < count; i++) {
      const place = { clientX: box.x + 60 + ((i * 37) % Math.max(1, box.width - 120)), clientY: box.y + 30 + ((i * 23) % Math.max(1, box.height - 60)) };
      globalThis.frames.length = 0;
      const began = performance.now();
      target.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, ...place }));
      const handler = performance.now() - began;
      await new Promise((resolve) => setTimeout(resolve, 40));
      spent.push(handler + globalThis.frames.reduce((sum, value) => sum + value, 0));
    }
    return spent;
  }, times);

export async function benchVscode() {
  await setup();
  // As it is shipped.
  if (spawnSync(process.execPath, ['esbuild.config.mjs', '--production'], { stdio: 'inherit' }).status !== 0) throw new Error('The build failed.');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-bench-vscode-'));
  const workspace = path.join(folder, 'workspace');
  fs.mkdirSync(workspace);
  const entry = path.resolve('.build/bench-host');
  await buildHost(entry);
  writeWideModel(path.join(folder, 'wide'), { layers: 26, experts: 64 });
  const server = await startServer({ smoke: true, environment: { BENCH_FOLDER: folder } });
  const browser = await launchBrowser();

  /** Lets the extension host do a part; gives its answer. */
  async function part(name) {
    fs.writeFileSync(path.join(folder, `${name}.ask`), '');
    const file = path.join(folder, `${name}.json`);
    await until(`"${name}"`, () => fs.existsSync(file), Boolean, { timeout: limit, interval: 20 });
    const answer = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (answer.error) throw new Error(`${name}: ${answer.error}`);
    return answer;
  }

  /** Ends the part of this window's extension host, so that only the next one answers. */
  async function endHost() {
    const end = path.join(folder, 'end.ask');
    fs.writeFileSync(end, '');
    await until('The end of the host', () => fs.existsSync(path.join(folder, 'ended')), Boolean, { timeout: limit, interval: 20 });
    for (const name of ['end.ask', 'ended']) fs.rmSync(path.join(folder, name));
  }

  const rows = [];
  const row = (what, value, note = '') => {
    rows.push([what, value, note]);
    console.error(`${what}: ${value} ${note}`);
  };
  try {
    const page = await browser.newPage({ viewport: { width: 1440, height: 1100 } });
    await page.exposeFunction('codeAutomationExit', () => undefined);
    await page.exposeFunction('codeAutomationLog', () => undefined);
    const remote = (file) => `vscode-remote://${server.authority}${file}`;
    const payload = [
      ['extensionDevelopmentPath', remote(process.cwd())],
      ['extensionTestsPath', remote(path.join(entry, 'index.js'))],
    ];
    const vscode = vscodePage(page, server);
    const starts = [];
    for (let window = 0; window < windows; window++) {
      if (window > 0) await endHost();
      await page.goto(`${server.origin}/?folder=${encodeURIComponent(workspace)}&payload=${encodeURIComponent(JSON.stringify(payload))}`);
      starts.push(await part('activate'));
      fs.rmSync(path.join(folder, 'activate.json'));
    }
    const middle = (of) => ms(median(starts.map(of)));
    const first = (of) => ms(of(starts[0]));
    const times = { loading: ({ loading }) => loading, call: ({ call }) => call, sum: ({ loading, call }) => loading + call, total: ({ total }) => total };
    row(
      'Activation',
      middle(times.sum),
      `code loading ${middle(times.loading)} + activate() ${middle(times.call)}, VS Code's own marks; median of ${windows} windows`,
    );
    row('Activation, first window', first(times.sum), `code loading ${first(times.loading)} + activate() ${first(times.call)}`);
    row('extension.activate()', middle(times.total), 'as another extension waits for it: the extension’s stored state is read meanwhile');

    const { at } = await part('open');
    const frame = await vscode.webviewFrame(rail);
    const painted = await frame.evaluate(() => performance.timeOrigin + performance.getEntriesByName('first-contentful-paint')[0].startTime);
    row('Panel, first paint', ms(painted - at), 'from the command to the first contentful paint of the page');

    const read = await part('read');
    await until(
      'The heatmap',
      () => frame.locator('.heatmap canvas').count(),
      (count) => count > 0,
      { timeout: limit },
    );
    row(
      '26 × 64 model, tree to heatmap',
      ms(read.ms),
      `${read.experts} experts, 64 prompts of 64 tokens; the host's event loop was away ${ms(read.longest)} at most`,
    );

    await part('wide');
    await until(
      'The large heatmap',
      () =>
        frame
          .locator('.heatmap canvas')
          .first()
          .evaluate((canvas) => canvas.height),
      (height) => height > 500,
      { timeout: limit },
    );
    await watchFrames(frame);
    const drawn = await redraws(frame, 30);
    row('Heatmap 94 × 128, redraw of the page', ms(median(drawn)), `median of ${drawn.length}, slowest ${ms(Math.max(...drawn))}`);
    const hovered = await hovers(frame, 60);
    row('Heatmap 94 × 128, hover', ms(median(hovered)), `median of ${hovered.length}, handler and redraw, slowest ${ms(Math.max(...hovered))}`);

    await part('run');
    await frame.evaluate(() => {
      globalThis.frames.length = 0;
    });
    await until(
      'Step 20',
      () =>
        frame
          .locator('.progress-line')
          .textContent()
          .catch(() => ''),
      (text) => /^\s*step\s*(2\d|[3-6]\d) of/.test(text.replace(/\u2007/g, ' ')),
      { timeout: limit },
    );
    const live = await frame.evaluate(() => globalThis.frames.slice());
    row('Live update during a run', ms(median(live)), `median of ${live.length} frames, slowest ${ms(Math.max(...live))}`);
  } finally {
    fs.writeFileSync(path.join(folder, 'end.ask'), '');
    await browser.close();
    await server.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
  const width = Math.max(...rows.map(([what]) => what.length));
  const cpu = os.cpus()[0]?.model ?? 'unknown';
  console.log(`\n${cpu}, ${os.availableParallelism()} cores; Chromium without a GPU`);
  for (const [what, value, note] of rows) console.log(`${what.padEnd(width)}  ${value.padStart(9)}  ${note}`);
}
