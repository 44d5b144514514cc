// A run by the keyboard alone; what is left of one after its engine was killed and after its window was reloaded or closed; one that an agent asks for;
// two windows on one workspace, and a command beside them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { until } from '../../tools/vscode/browser.mjs';
import { launch, vscodePage } from '../../tools/vscode/page.mjs';
import { scenario } from '../../tools/vscode/scenario.mjs';
import { enginesOf } from '../../tools/vscode/server.mjs';

const workspace = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-resume-')), 'empty');
const rail = '#workbench .rail';
const plannedSteps = 60;
/** By then a check, each ten steps, has saved the state. */
const saved = 12;

let page;
let vscode;
let close;
let server;
let view;

const step = scenario('resume', 300_000, () => vscode);

const heading = () => view.locator('h1').first().textContent();
const runs = () => path.join(workspace, '.uoe/runs');
/** In the order of their numbers; what begins with a dot is on its way to be one. */
const runNames = () =>
  fs.existsSync(runs())
    ? fs
        .readdirSync(runs())
        .filter((name) => !name.startsWith('.'))
        .sort()
    : [];
const runFolder = (number) => path.join(runs(), runNames()[number - 1]);
const recordOf = (number) => JSON.parse(fs.readFileSync(path.join(runFolder(number), 'run.json'), 'utf8'));

/** Step numbers of a run's journal; the last line may be half written. */
function stepsOf(number) {
  const file = path.join(runFolder(number), 'steps.jsonl');
  if (!fs.existsSync(file)) return [];
  const lines = fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line).step);
}

/** Name of what has the focus in the page: its label or its text. */
const focused = () =>
  view.locator('body').evaluate(() => {
    let element = document.activeElement;
    if (element === document.body) return '';
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    const labels = (element?.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '');
    const host = element?.getRootNode().host;
    return [
      element?.getAttribute('aria-label'),
      ...labels,
      element?.labels?.[0]?.textContent,
      element?.textContent,
      host?.getAttribute('aria-label'),
      host?.textContent,
    ]
      .map((text) => text?.trim())
      .find((text) => text);
  });

/** Tab until `name` has the focus. */
async function tabTo(name) {
  const seen = [];
  for (let presses = 0; presses < 120; presses++) {
    await page.keyboard.press('Tab');
    const text = await focused();
    if (text === name) return;
    seen.push(text);
  }
  assert.fail(`Tab does not reach "${name}": ${seen.join(' | ')}`);
}

async function press(name) {
  await tabTo(name);
  await page.keyboard.press('Enter');
}

/** The journal of the run that goes on has `wanted` steps. */
const stepped = (number, wanted) =>
  until(
    `Step ${wanted} of run ${number}`,
    () => (runNames().length >= number ? (stepsOf(number).at(-1) ?? 0) : 0),
    (last) => last >= wanted,
    { timeout: 120_000, interval: 20 },
  );

/** A run is over, and its journal has every step once. */
async function ended(number) {
  await until(
    `The end of run ${number}`,
    () => recordOf(number).status,
    (status) => status === 'done' || status === 'stopped',
    { timeout: 200_000 },
  );
  const steps = stepsOf(number);
  assert.deepEqual(
    steps,
    Array.from({ length: plannedSteps }, (_, index) => index + 1),
  );
}

before(
  async () => {
    assert.ok(process.env.VSIX, 'VSIX names the package to install');
    fs.mkdirSync(workspace);
    ({ page, vscode, close, server } = await launch({
      folder: workspace,
      vsix: process.env.VSIX,
      extension: 'test/e2e/tool-caller',
      settings: { 'chat.disableAIFeatures': false },
      viewport: { width: 1440, height: 960 },
    }));
  },
  { timeout: 420_000 },
);

after(async () => {
  await close?.();
  fs.rmSync(path.dirname(workspace), { recursive: true, force: true });
});

step('the keyboard alone leads from an empty workspace to a run', async () => {
  await page.keyboard.press('F1');
  await page.keyboard.type('UOE: Use the Demo Model');
  await page.locator('.quick-input-list .monaco-list-row.focused', { hasText: 'UOE: Use the Demo Model' }).waitFor();
  await page.keyboard.press('Enter');
  view = await vscode.webview(rail);
  await until('The target', heading, (text) => /^Layer 2, expert 10/.test(text), { timeout: 60_000 });
  await press('Unlearn this expert');
  await until('The plan', () => view.getByRole('button', { name: 'Start unlearning', exact: true }).isEnabled(), Boolean, { timeout: 60_000 });
  const anchor = view.getByRole('slider', { name: 'Anchor weight α' });
  const weight = await anchor.getAttribute('aria-valuetext');
  await tabTo('Anchor weight α');
  await page.keyboard.press('ArrowRight');
  await until(
    'Another anchor weight',
    () => anchor.getAttribute('aria-valuetext'),
    (text) => text !== weight,
  );
  for (const [label, value] of [
    ['Steps', String(plannedSteps)],
    // Off: the run does all its steps.
    ['Forget falls to', ''],
  ]) {
    await tabTo(label);
    // Not Select All: the window answers it a moment later and would select what has been typed by then.
    await page.keyboard.press('End');
    await page.keyboard.press('Shift+Home');
    await page.keyboard.press('Delete');
    await page.keyboard.type(value);
  }
  await press('Start unlearning');
  await stepped(1, saved);
  const { steps, anchor: recipeAnchor } = JSON.parse(fs.readFileSync(path.join(runFolder(1), 'recipe.json'), 'utf8'));
  assert.equal(steps, plannedSteps);
  assert.notEqual(String(recipeAnchor.weight), weight);
});

step('a killed engine is told with its reason, and its run goes on from the saved step', async () => {
  const [engine, ...others] = enginesOf(server);
  assert.deepEqual(others, []);
  process.kill(engine, 'SIGKILL');
  const problem = view.getByRole('alert').filter({ hasText: 'The engine stopped' });
  await problem.waitFor();
  assert.match(await problem.textContent(), /signal SIGKILL.*memory ran out.*It happened at step \d+ of 60/s);
  const resume = view.locator('vscode-button', { hasText: 'Restart and resume' });
  await until(
    'The saved step',
    () => resume.textContent(),
    (text) => /^Restart and resume from step \d+$/.test(text.trim()),
  );
  await press((await resume.textContent()).trim());
  // Past the place where it was killed.
  await stepped(1, stepsOf(1).at(-1) + saved);
});

step('a reloaded window offers its run again, and leaves no engine behind', async () => {
  const [old] = enginesOf(server);
  await vscode.reload();
  view = await vscode.webview(rail);
  // The toast goes away by itself, the notification stays.
  await vscode.command('Notifications: Show Notifications');
  const notification = page.locator('.notifications-center .monaco-list-row', { hasText: /Run 1 \(NPO\) was cut off at step \d+ of 60/ });
  await notification.waitFor();
  const offered = view.getByRole('button', { name: /^(Resume from step \d+|Start it again)$/ });
  await offered.waitFor();
  assert.ok(!enginesOf(server).includes(old), 'the engine of the window before is gone');
  assert.equal(recordOf(1).status === 'done', false, 'the reload came in the middle of the run');
  await notification.hover();
  await notification.getByRole('button', { name: 'Resume' }).click();
  await ended(1);
  await until('The comparison', () => view.getByRole('heading', { name: 'Before and after', exact: true }).count(), Boolean, { timeout: 200_000 });
  assert.equal(enginesOf(server).length, 1);
  assert.deepEqual(vscode.errors, []);
});

/** What a call of start_run answers once its confirmation is answered with `button`. */
async function startRunTool(button) {
  const file = path.join(workspace, 'answer.json');
  fs.rmSync(file, { force: true });
  await vscode.command('Tool Caller: Call');
  const dialog = page.getByRole('dialog').filter({ hasText: 'Start an unlearning run?' });
  assert.match(await dialog.textContent(), /Trains one expert to forget rows\.jsonl \(npo, 3 steps\)\. It writes into \.uoe\/runs only/);
  await dialog.getByRole('button', { name: button, exact: true }).click();
  await until('The answer of the tool', () => fs.existsSync(file) && fs.statSync(file).size > 0, Boolean, { timeout: 120_000 });
  return JSON.parse(fs.readFileSync(file, 'utf8'));
}

step('a chat agent starts a run only when a person says yes', async () => {
  const rows = fs.readFileSync('demo/data/forget.jsonl', 'utf8').split('\n').slice(0, 12);
  fs.writeFileSync(path.join(workspace, 'rows.jsonl'), `${rows.join('\n')}\n`);
  const input = { forget: 'rows.jsonl', method: 'npo', steps: 3, batchSize: 4, target: { layer: 2, expert: 10 } };
  fs.writeFileSync(path.join(workspace, 'call.json'), JSON.stringify({ name: 'uoe_start_run', input }));
  const before = runNames();
  assert.deepEqual(await startRunTool('Cancel'), { error: 'Canceled' });
  assert.deepEqual(runNames(), before);
  const { answer } = await startRunTool('Yes');
  const { number, status, steps } = JSON.parse(answer);
  assert.deepEqual({ number, status, steps }, { number: 2, status: 'done', steps: 3 });
  assert.equal(recordOf(2).status, 'done');
  await vscode.openContainer('UOE');
  await vscode.treeItem('Run History', 'Run 2 · NPO').waitFor();
  assert.deepEqual(vscode.errors, []);
});

/** A plan of so many steps on the demo model, up to its Start button; `code` is a window. */
async function planned(code, steps) {
  await code.command('UOE: Use the Demo Model');
  const own = await code.webview(rail);
  const named = (name) => own.getByRole('button', { name, exact: true });
  await until(
    'The target',
    () => own.locator('h1').first().textContent(),
    (text) => /^Layer 2, expert 10/.test(text),
    { timeout: 120_000 },
  );
  await named('Unlearn this expert').click();
  for (const [label, value] of [
    ['Steps', String(steps)],
    ['Forget falls to', ''],
  ]) {
    const field = own.getByRole('textbox', { name: label, exact: true });
    await field.fill(value);
    await field.press('Tab');
  }
  await until('The plan', () => named('Start unlearning').isEnabled(), Boolean, { timeout: 120_000 });
  return named('Start unlearning');
}

let other;
let two;

async function openSecond() {
  other = await page.context().newPage();
  two = vscodePage(other, server);
  await two.open(workspace);
}

step('two windows on one workspace make two runs, each with a number of its own', async () => {
  await openSecond();
  const starts = [await planned(vscode, 12), await planned(two, 12)];
  await Promise.all(starts.map((start) => start.click()));
  const done = () => runNames().length === 4 && [3, 4].every((number) => recordOf(number).status === 'done');
  await until('Both runs', done, Boolean, { timeout: 200_000 });
  assert.deepEqual([3, 4].map((number) => recordOf(number).number).sort(), [3, 4]);
  const [third, fourth] = [3, 4].map((number) => fs.readFileSync(path.join(runFolder(number), 'patch.safetensors')));
  assert.ok(third.equals(fourth), 'neither disturbed the other');
  for (const code of [vscode, two]) {
    await code.openContainer('UOE');
    for (const number of [3, 4]) await code.treeItem('Run History', `Run ${number} · NPO`).waitFor();
  }
});

step('a command is kept off a window’s run; the window closed leaves no engine behind, and offers the run when it is opened again', async () => {
  await (await planned(two, plannedSteps)).click();
  await stepped(5, saved);
  const engines = enginesOf(server);
  assert.equal(engines.length, 2);
  // A command beside the window, while its run stands still.
  for (const pid of engines) process.kill(pid, 'SIGSTOP');
  try {
    const command = ['dist/cli.js', 'unlearn', '--resume', runNames()[4], '--workspace', workspace];
    const { status, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
    assert.equal(status, 1, stderr);
    const [, owner] = /^Run \S+ is in use by process (\d+) on .*Wait until it is done, or end it\./m.exec(stderr) ?? assert.fail(stderr);
    assert.ok(engines.includes(Number(owner)), `${owner} is none of ${engines.join(', ')}`);
  } finally {
    for (const pid of engines) process.kill(pid, 'SIGCONT');
  }
  await other.close({ runBeforeUnload: true });
  await until(
    'The end of its engine',
    () => enginesOf(server).length,
    (count) => count === 1,
    { timeout: 30_000 },
  );
  assert.notEqual(recordOf(5).status, 'done');
  await openSecond();
  await two.command('UOE: Show Workbench');
  const again = await two.webview(rail);
  await again.getByRole('button', { name: /^(Resume from step \d+|Start it again)$/ }).click();
  await ended(5);
  assert.deepEqual([...vscode.errors, ...two.errors], []);
});
