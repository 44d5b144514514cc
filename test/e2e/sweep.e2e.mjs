// A sweep that goes on while VS Code is closed: its server too; the next window picks it up from the disk, and one whose process was killed is offered again.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { until } from '../../tools/vscode/browser.mjs';
import { launch } from '../../tools/vscode/page.mjs';
import { scenario } from '../../tools/vscode/scenario.mjs';

const workspace = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-sweep-')), 'study');
const sweep = path.join(workspace, '.uoe/sweeps/seeds');
/** More than end while a window is closed and opened. */
const tasks = 8;
const demo = (file) => path.resolve('demo', file);

let page;
let vscode;
let server;
const servers = [];

const step = scenario('sweep', 400_000, () => vscode);

/** A few rows of a file of the demo's: what takes time is not what is tested. */
function few(name, source) {
  fs.writeFileSync(path.join(workspace, name), `${fs.readFileSync(demo(source), 'utf8').split('\n').slice(0, 12).join('\n')}\n`);
  return name;
}

const open = async () => {
  ({ page, vscode, server } = await launch({ folder: workspace, vsix: process.env.VSIX, viewport: { width: 1440, height: 960 } }));
  servers.push(server);
  await vscode.openContainer('UOE');
};

const close = async () => {
  await page.context().browser().close();
  await server.halt();
};

const ownerOf = (lock) => (fs.existsSync(lock) ? JSON.parse(fs.readFileSync(lock, 'utf8')).pid : null);
const owner = () => ownerOf(path.join(sweep, '.lock'));
const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const runs = () => {
  const folder = path.join(workspace, '.uoe/runs');
  const names = fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => !name.startsWith('.')) : [];
  return names.map((name) => JSON.parse(fs.readFileSync(path.join(folder, name, 'run.json'), 'utf8')));
};
const ended = () => runs().filter(({ status }) => status === 'done').length;
const group = () => vscode.view('Run History').locator('.monaco-list-row', { hasText: 'Sweep seeds' });
const says = (what, words) =>
  until(
    what,
    () => group().textContent(),
    (text) => words.test(text),
    { timeout: 120_000 },
  );

before(
  async () => {
    assert.ok(process.env.VSIX, 'VSIX names the package to install');
    fs.mkdirSync(workspace);
    const recipe = { ...JSON.parse(fs.readFileSync(demo('recipe.uoe.json'), 'utf8')), model: demo('checkpoint'), target: { layer: 2, expert: 10 } };
    for (const field of ['stop', 'seed', 'checks']) delete recipe[field];
    const data = { forget: few('forget.jsonl', 'data/forget.jsonl'), retain: few('retain.jsonl', 'data/retain.jsonl') };
    const evaluate = { forget: few('questions.jsonl', 'data/eval/forget.jsonl'), utility: [few('others.jsonl', 'data/eval/retain.jsonl')] };
    fs.writeFileSync(
      path.join(workspace, 'seeds.sweep.json'),
      JSON.stringify({ recipe: { ...recipe, ...data, evaluate, steps: 24, batchSize: 4 }, vary: { seed: Array.from({ length: tasks }, (_, seed) => seed) } }),
    );
    await open();
  },
  { timeout: 420_000 },
);

after(async () => {
  const pid = owner();
  if (pid !== null && isAlive(pid)) process.kill(pid, 'SIGINT');
  await until('The end of the sweep', () => pid === null || !isAlive(pid), Boolean, { timeout: 60_000 });
  if (server) await close();
  for (const one of servers) await one.stop();
  fs.rmSync(path.dirname(workspace), { recursive: true, force: true });
});

step('a sweep is started from its file and fills its group in the run history', async () => {
  await vscode.command('UOE: Start Sweep');
  await page.locator('.quick-input-list .monaco-list-row', { hasText: 'seeds.sweep.json' }).click();
  await page.locator('.quick-input-list .monaco-list-row', { hasText: 'Run on this machine' }).click();
  await says('A run under way', /0 of 8 done, 1 running, 7 queued/);
});

step('it goes on when VS Code is closed, and the next window has it', async () => {
  const pid = owner();
  await close();
  assert.ok(isAlive(pid), 'the process of the sweep outlives the window and its server');
  await until('A run that ends without a window', ended, (count) => count >= 1, { timeout: 200_000 });
  await open();
  await says('What has ended meanwhile', /[1-7] of 8 done/);
});

step('a killed process is told as an interruption, and the rest goes on', async () => {
  const pid = owner();
  if (pid !== null && isAlive(pid)) process.kill(pid, 'SIGKILL');
  // Its run is ended as well: a machine that was switched off leaves neither.
  for (const { id, status } of runs()) {
    const own = status === 'running' ? ownerOf(path.join(workspace, '.uoe/runs', id, '.lock')) : null;
    if (own !== null && isAlive(own)) process.kill(own, 'SIGKILL');
  }
  const before = ended();
  assert.ok(before < tasks, 'it came in the middle of the sweep');
  await says('The interruption', /interrupted/);
  await vscode.command('Notifications: Show Notifications');
  const offer = page.locator('.notifications-center .monaco-list-row', { hasText: 'Sweep seeds was interrupted' }).first();
  await offer.waitFor();
  await offer.hover();
  await offer.getByRole('button', { name: 'Run the Rest' }).click();
  await until('More runs', ended, (count) => count >= Math.max(2, before + 1), { timeout: 300_000 });
  await says('The group under way again', /[2-8] of 8 done(?!.*interrupted)/);
});

step('its table has mean and deviation over the seeds', async () => {
  await vscode.command('UOE: Show Table of a Sweep');
  const view = await vscode.webview('h1');
  await until(
    'The table',
    () => view.locator('main').textContent(),
    (text) => /Sweep seeds/.test(text) && /[2-8]\/8/.test(text) && /±/.test(text),
  );
});
