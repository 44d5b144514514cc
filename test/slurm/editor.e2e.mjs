// A sweep on a real Slurm of two nodes from a real VS Code: submitted from its file with the site's settings, watched, a log opened, a task and the
// sweep cancelled, VS Code closed and opened in between, failed tasks submitted again, and the table filling. `npm run test:slurm -- --editor`.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { until } from '../../tools/vscode/browser.mjs';
import { launch } from '../../tools/vscode/page.mjs';
import { scenario } from '../../tools/vscode/scenario.mjs';
import { startCluster } from './cluster.mjs';

const { why: noCluster, folder, environment, slurm, end } = startCluster();
const why = noCluster ?? (process.env.VSIX ? null : 'VSIX names no package to install');
const workspace = path.join(folder, 'study');
const sweep = path.join(workspace, '.uoe/sweeps/cluster');
const demo = (file) => path.resolve('demo', file);
const settings = { partition: 'main', time: '20', cpus: 1, parallel: 2, pollSeconds: 10 };

let page;
let vscode;
let server;
const servers = [];

const scene = scenario('slurm', 600_000, () => vscode);
const step = (title, run) => scene(title, (context) => (why === null ? run(context) : context.skip(why)));

/** How often the controller was asked for jobs, by its own count. */
const looked = () => [...slurm('sdiag').matchAll(/REQUEST_JOB_INFO\S*\s+\( *\d+\) count:(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);

/** A few rows of a file of the demo's: what takes time is not what is tested. */
function few(name, source) {
  fs.writeFileSync(path.join(workspace, name), `${fs.readFileSync(demo(source), 'utf8').split('\n').slice(0, 8).join('\n')}\n`);
  return name;
}

const open = async () => {
  const started = { folder: workspace, vsix: process.env.VSIX, viewport: { width: 1440, height: 960 }, server: { environment } };
  ({ page, vscode, server } = await launch(started));
  servers.push(server);
  await vscode.openContainer('UOE');
};

const close = async () => {
  await page.context().browser().close();
  await server.halt();
};

const row = (name) => vscode.view('Run History').locator('.monaco-list-row', { hasText: name }).first();
const group = () => row('Sweep cluster');
const says = (what, of, words) =>
  until(
    what,
    async () => (await of().textContent({ timeout: 5000 })) ?? '',
    (text) => words.test(text),
    { timeout: 240_000 },
  );

/** By the keyboard: where the mouse rests, a row's hover may lie over the next list. */
async function pick(label) {
  const rows = vscode.quickInput().locator('.quick-input-list .monaco-list-row');
  await rows.filter({ hasText: label }).waitFor();
  await vscode.quickInput().locator('input.input').first().fill(label);
  await until(
    `"${label}" alone`,
    () => rows.allTextContents(),
    (texts) => texts.length === 1 && texts[0].includes(label),
  );
  await page.keyboard.press('Enter');
}

async function unfold() {
  if ((await group().getAttribute('aria-expanded')) === 'true') return;
  await group().click();
  await page.keyboard.press('ArrowRight');
  await row('long a').waitFor();
}

/** The button of a row that stands there while the mouse is over it. */
async function press(of, title) {
  await of().hover();
  await of().locator(`.actions .action-label[aria-label^="${title}"]`).click();
}

const submission = (number) => JSON.parse(fs.readFileSync(path.join(sweep, 'slurm', String(number), 'submission.json'), 'utf8'));
const taskIds = () => new Map(JSON.parse(fs.readFileSync(path.join(sweep, 'sweep.json'), 'utf8')).tasks.map(({ id, labels }) => [labels.run, id]));
const runs = () => {
  const all = path.join(workspace, '.uoe/runs');
  const names = fs.existsSync(all) ? fs.readdirSync(all).filter((name) => !name.startsWith('.')) : [];
  return names.map((name) => JSON.parse(fs.readFileSync(path.join(all, name, 'run.json'), 'utf8')));
};

before(
  async () => {
    if (why !== null) return;
    // Of the machine, or of the folder: a user's own don't reach a login node.
    const site = Object.fromEntries(Object.entries(settings).map(([name, value]) => [`uoe.slurm.${name}`, value]));
    fs.mkdirSync(path.join(workspace, '.vscode'), { recursive: true });
    fs.writeFileSync(path.join(workspace, '.vscode/settings.json'), JSON.stringify(site));
    const recipe = { ...JSON.parse(fs.readFileSync(demo('recipe.uoe.json'), 'utf8')), model: demo('checkpoint'), target: { layer: 2, expert: 10 } };
    for (const field of ['stop', 'seed', 'checks']) delete recipe[field];
    const data = { forget: few('forget.jsonl', 'data/forget.jsonl'), retain: few('retain.jsonl', 'data/retain.jsonl') };
    const evaluate = { forget: few('questions.jsonl', 'data/eval/forget.jsonl'), utility: [few('others.jsonl', 'data/eval/retain.jsonl')] };
    const run = [
      { label: 'fails', set: { 'optimizer.lr': 1e30 } },
      { label: 'short', set: { steps: 2 } },
      // They end when they are cancelled.
      ...['a', 'b'].map((name, i) => ({ label: `long ${name}`, set: { steps: 9000 + i, 'optimizer.lr': 0.0001 } })),
      { label: 'late', set: { steps: 3 } },
    ];
    const base = { ...recipe, ...data, evaluate, batchSize: 2, backend: 'wasm', threads: 1 };
    fs.writeFileSync(path.join(workspace, 'cluster.sweep.json'), JSON.stringify({ recipe: base, vary: { run } }));
    await open();
  },
  { timeout: 420_000 },
);

after(async () => {
  if (server) await close();
  end();
  for (const one of servers) await one.stop();
});

step('a sweep is submitted from its file, with the settings of the site', async () => {
  await vscode.command('UOE: Start Sweep');
  await pick('cluster.sweep.json');
  await pick('Submit to Slurm');
  await says('The sweep in the history', group, /0 of 5 done.*[1-5] (?:running|queued)/);
  const script = fs.readFileSync(path.join(sweep, 'slurm/1/array.sh'), 'utf8');
  for (const line of ['--partition=main', '--time=20', '--cpus-per-task=1', '--array=0-4%2']) assert.ok(script.includes(`#SBATCH ${line}\n`), line);
});

step('its tasks say where they run and how far they are, one that failed why, and a click opens the log', async () => {
  await unfold();
  await says('A task on its node', () => row('long a'), /running on tn\d, step \d+ of 9000/);
  await says('A task that failed', () => row('fails'), /failed: /);
  await row('long a').click();
  const log = `${taskIds().get('long a')}.log`;
  await page.locator(`.tab.active[data-resource-name="${log}"]`).waitFor();
  await until(
    'The log',
    () => page.locator('.editor-group-container.active .view-lines').first().textContent(),
    (text) => /job\s\d+_2\son\stn\d/.test(text),
  );
});

step('one task is cancelled, the next takes its place, and the table fills', async () => {
  await says('Another task on its node', () => row('long b'), /running on tn\d, step \d+ of 9001/);
  await says('A task that waits', () => row('late'), /queued: as many as may run at a time do/);
  await vscode.command('UOE: Show Table of a Sweep');
  const view = await vscode.webview('h1');
  const shows = (what, words) =>
    until(
      what,
      () => view.locator('main').textContent(),
      (text) => words.test(text),
      { timeout: 240_000 },
    );
  await shows('The table of one run', /Sweep cluster\s*1 of 5 done, 1 failed, 2 running, 1 queued · on the cluster/);
  await press(() => row('long b'), 'Cancel This Task');
  await says('The cancelled task', () => row('long b'), /stopped at step \d+/);
  await shows('The table of two runs', /2 of 5 done, 1 failed, 1 running · on the cluster/);
  await until(
    'The drawing of two runs',
    () => view.locator('.run-mark').count(),
    (count) => count === 2,
  );
});

step('it goes on while VS Code is closed, and the next window has it, asking the queue every ten seconds at most', async () => {
  await close();
  const before = looked();
  const step = () =>
    Math.max(
      0,
      ...runs()
        .filter(({ status }) => status === 'running')
        .map(({ id }) => fs.statSync(path.join(workspace, '.uoe/runs', id, 'steps.jsonl'), { throwIfNoEntry: false })?.size ?? 0),
    );
  const size = step();
  await until('Steps without a window', step, (now) => now > size, { timeout: 120_000 });
  assert.equal(looked(), before, 'nobody asks the queue meanwhile');
  await open();
  await says('The sweep in the next window', group, /2 of 5 done, 1 failed, 1 running/);
  await unfold();
  const [from, asked] = [Date.now(), looked()];
  await until('Four looks at the queue', looked, (count) => count >= asked + 4, { timeout: 120_000 });
  const seconds = (Date.now() - from) / 1000;
  assert.ok(seconds > 28, `four looks at the queue in ${seconds} s`);
});

step('the sweep is cancelled as a whole', async () => {
  await press(group, 'Cancel Sweep');
  await vscode.answerModal('Cancel sweep cluster?', 'Cancel Sweep');
  await says('The end of all', group, /2 of 5 done, 1 failed$/);
  await says('A cancelled task', () => row('long a'), /stopped at step \d+/);
});

step('what failed is submitted again with the rest, which goes on from where it was', async () => {
  await press(group, 'Run Failed Again');
  await says('The sweep under way again', group, /2 of 5 done.*[1-3] (?:running|queued)/);
  const ids = taskIds();
  const due = ['fails', 'long a', 'long b'].map((name) => ids.get(name));
  assert.deepEqual(submission(2).tasks, due, 'all but what is done');
  await says('A task that goes on', () => row('long a'), /running on tn\d, step \d+ of 9000/);
  const of = (name) => runs().filter(({ sweep: own }) => own.task === ids.get(name));
  await until(
    'The end of the failed one',
    () => of('fails').map(({ status }) => status),
    (all) => all.join() === 'failed,failed',
    { timeout: 240_000 },
  );
  assert.deepEqual(
    ['short', 'late', 'long a'].map((name) => of(name).length),
    [1, 1, 1],
    'each has one run',
  );
});
