// Forget prompts in a real VS Code: ticks in the page and in the tree are the same, heatmap and target follow, and a run forgets the ticked ones alone.
// VSIX=file is installed (tools/vscode/e2e.mjs sets it); PICTURES=folder keeps pictures.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { until } from '../../tools/vscode/browser.mjs';
import { launch, themes } from '../../tools/vscode/page.mjs';
import { writeSample } from '../../tools/vscode/sample.mjs';
import { scenario } from '../../tools/vscode/scenario.mjs';

const workspace = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-prompts-')), 'sample');
const pictures = process.env.PICTURES;
const rail = '#workbench .rail';
const all = fs
  .readFileSync(new URL('../../demo/data/forget.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n');
const spaced = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, '\u202f');
let page;
let vscode;
let close;
let view;

const heading = () => view.locator('h1').first().textContent();
const button = (name) => view.getByRole('button', { name, exact: true });
const list = () => view.getByRole('listbox', { name: 'Forget prompts' });
const counted = (ticked) =>
  until(
    `${ticked} ticked`,
    () => view.locator('.prompt-card header').textContent(),
    (text) => text.includes(`${spaced(ticked)} of ${spaced(all.length)} ticked`),
  );
const picture = async (name) => pictures && vscode.screenshot(path.join(pictures, `${name}.png`));

const step = scenario('prompts', 600_000, () => vscode);

before(
  async () => {
    assert.ok(process.env.VSIX, 'VSIX names the package to install');
    writeSample(workspace);
    ({ page, vscode, close } = await launch({ folder: workspace, vsix: process.env.VSIX, viewport: { width: 1720, height: 1000 } }));
  },
  { timeout: 420_000 },
);

after(async () => {
  await close?.();
  fs.rmSync(path.dirname(workspace), { recursive: true, force: true });
});

step('the demo’s prompts are read, and the page and the tree count them', async () => {
  await vscode.openContainer('UOE');
  await vscode.command('UOE: Use the Demo Model');
  view = await vscode.webview(rail);
  await until('The target', heading, (text) => /^Layer 2, expert 10/.test(text), { timeout: 240_000 });
  await counted(all.length);
  await vscode.treeItem('Forget Prompts', 'forget.jsonl').waitFor();
});

step('the keyboard ticks, shows the tokens of a prompt, and filters', async () => {
  await list().focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Space');
  await counted(all.length - 1);
  await page.keyboard.press('Enter');
  const { text } = JSON.parse(all[1]);
  await until(
    'The tokens',
    () => view.locator('.token').allTextContents(),
    (tokens) => tokens.length > 3,
    { timeout: 60_000 },
  );
  const shown = await view.locator('.token').allTextContents();
  const joined = shown.map((token) => token.trim().replace('·', ' ')).join('');
  assert.ok(joined.includes(text.slice(0, 12)), `${joined} has the beginning of “${text}”`);
  assert.match(await view.locator('.token-readout').textContent(), /chosen experts in L2.*E\d+/s);
  await list().focus();
  await page.keyboard.type('lassa');
  const found = all.filter((line) => /lassa/i.test(line)).length;
  await until(
    'The filter',
    () => view.locator('.prompt-list .hint').textContent(),
    (hint) => hint.startsWith(`${found} of`),
  );
  await button('None found: untick the prompts').click();
  await counted(all.length - 1 - found);
  assert.match(await view.locator('.headline').textContent(), new RegExp(`on the ${spaced(all.length - 1 - found)} ticked of`));
  await picture('prompts-ticked');
});

step('a box of the tree ticks in the page', async () => {
  const item = vscode.treeItem('Forget Prompts', 'forget.jsonl');
  await item.locator('.monaco-checkbox').click();
  view = await vscode.webview(rail);
  await counted(all.length);
  const second = vscode.view('Forget Prompts').locator('.monaco-list-row').nth(2);
  // The tree may be drawn anew between the click and the key.
  const opened = async () => {
    if ((await second.count()) === 0) {
      await item.click();
      await page.keyboard.press('ArrowRight');
    }
    return second.count();
  };
  await until('The prompts of the file', opened, (count) => count > 0);
  await second.locator('.monaco-checkbox').click();
  view = await vscode.webview(rail);
  await counted(all.length - 1);
});

step('a run would forget the ticked prompts alone', async () => {
  await button('Unlearn this expert').click();
  await until('The plan', () => button('Start unlearning').isEnabled(), Boolean, { timeout: 240_000 });
  assert.match(await view.locator('main').textContent(), new RegExp(`${spaced(all.length - 1)} forget rows`));
  const folder = path.join(workspace, '.uoe/selections');
  const [file] = fs.readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  const rows = fs
    .readFileSync(path.join(folder, file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const { id: _first, ...left } = JSON.parse(all[1]);
  assert.equal(rows.length, all.length - 1);
  assert.ok(!rows.some((row) => JSON.stringify(row).includes(JSON.stringify(left).slice(1, -1))), 'the row without a tick is not in it');
});

/** Opens the explorer's menu on a file or folder and takes an entry. */
async function fromExplorer(name, entry) {
  await vscode.openContainer('Explorer');
  const row = page
    .locator('.explorer-folders-view .monaco-list-row')
    .filter({ has: page.locator('.label-name', { hasText: new RegExp(`^${name.replace('.', '\\.')}$`) }) })
    .first();
  await row.click();
  await page.keyboard.press('Shift+F10');
  const item = page.locator('.monaco-menu').last().getByRole('menuitem', { name: entry });
  await item.waitFor();
  // A menu ignores mouse-up for its first 100 ms.
  await page.waitForTimeout(150);
  await item.click();
  view = await vscode.webview(rail);
}

step('the explorer opens a checkpoint and takes data files, a recipe is completed from its schema, and the walkthrough opens', async () => {
  fs.cpSync('demo/checkpoint', path.join(workspace, 'a-model'), { recursive: true });
  fs.writeFileSync(path.join(workspace, 'a.uoe.json'), '{\n  \n}\n');
  await fromExplorer('a-model', 'UOE: Open Checkpoint');
  await until('The model', heading, (text) => text === 'a-model', { timeout: 60_000 });
  await page.locator('.explorer-folders-view').getByText('data', { exact: true }).click();
  await fromExplorer('retain.jsonl', 'UOE: Use as Retain Set');
  const shown = () => view.locator('main').textContent();
  await until('The retain set', shown, (text) => text.includes('data/retain.jsonl'));
  await fromExplorer('forget.jsonl', 'UOE: Use as Forget Set');
  await until('The target', heading, (text) => /^Layer 2, expert 10/.test(text), { timeout: 240_000 });
  await vscode.openFile('a.uoe.json');
  await page.keyboard.press('ControlOrMeta+Home');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('End');
  await page.keyboard.type('"for');
  await page.keyboard.press('Control+Space');
  await page
    .locator('.suggest-widget .monaco-list-row', { hasText: /^forget/ })
    .first()
    .waitFor();
  await page.keyboard.press('Escape');
  await vscode.command('File: Revert File');
  await vscode.command('Welcome: Open Walkthrough...');
  await page.keyboard.type('Unlearn one expert');
  await page.locator('.quick-input-list .monaco-list-row', { hasText: 'Unlearn one expert' }).first().click();
  await page.locator('.gettingStartedContainer').getByText('Open the demo model').first().waitFor();
  await vscode.command('View: Close Editor');
  await vscode.command('UOE: Show Workbench');
});

step('the effect of each component is offered with its cost, measured, and drawn beside affinity', async () => {
  const few = fs.readFileSync('demo/data/forget.jsonl', 'utf8').split('\n').slice(0, 12).join('\n');
  fs.writeFileSync(path.join(workspace, 'few-forget.jsonl'), `${few}\n`);
  await fromExplorer('few-forget.jsonl', 'UOE: Use as Forget Set');
  await until(
    'The prompts',
    () => view.locator('.prompt-card header').textContent(),
    (text) => text.includes('12 of 12 ticked'),
    { timeout: 60_000 },
  );
  const effects = view.locator('.effects-card');
  await button('Measure effects…').click();
  await until(
    'The cost',
    () => effects.textContent(),
    (text) => /\d components on [\d\u202f]+ rows: about \d/.test(text),
    { timeout: 60_000 },
  );
  await button('Start measuring').click();
  const ranked = () => effects.locator('[role=row]').allTextContents();
  const rows = await until('The effects', ranked, (shown) => shown.length > 8, { timeout: 240_000 });
  const maps = path.join(workspace, '.uoe/maps');
  const { components } = JSON.parse(fs.readFileSync(path.join(maps, fs.readdirSync(maps)[0]), 'utf8'));
  const first = components.find(({ rank }) => rank === 1);
  assert.ok(rows[1].includes((100 * first.forget.score).toFixed(1)), `${rows[1]} has the effect of ${JSON.stringify(first)}`);
  await view.getByRole('radio', { name: 'Effect', exact: true }).click();
  await until(
    'The legend',
    () => view.locator('.legend').first().textContent(),
    (text) => text.includes('points lost on forget when left out'),
  );
  assert.deepEqual(await vscode.axe(rail), []);
  await picture('effects');
});

step('axe finds nothing in steps 1 and 2 in four themes, and no script failed', async () => {
  for (const theme of Object.keys(themes)) {
    await vscode.theme(theme);
    for (const name of ['Find expert', 'Model']) {
      view = await vscode.webview(rail);
      await view
        .locator('.rail')
        .getByRole('button', { name: new RegExp(name) })
        .click();
      await until(
        'The step',
        () => view.locator('.rail [aria-current]').textContent(),
        (text) => text.includes(name),
      );
      assert.deepEqual(await vscode.axe(rail), [], `${name} in ${theme}`);
      await picture(`${name.toLowerCase().replace(' ', '-')}-${theme}`);
    }
  }
  assert.deepEqual(vscode.errors, []);
});
