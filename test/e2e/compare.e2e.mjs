// Step 4 in a real VS Code, on runs that the command line made: what is on screen is what the run folders and the engine hold.
// VSIX=file is installed (tools/vscode/e2e.mjs sets it); PICTURES=folder keeps pictures.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { axeSource, until } from '../../tools/vscode/browser.mjs';
import { launch, themes } from '../../tools/vscode/page.mjs';
import { scenario } from '../../tools/vscode/scenario.mjs';

const home = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-compare-'));
const workspace = path.join(home, 'sample');
const pictures = process.env.PICTURES;
const rail = '#workbench .rail';
const demo = path.resolve('demo');
let page;
let vscode;
let close;
let view;

const heading = () => view.locator('h1').first().textContent();
const main = () => view.locator('main').textContent();
const button = (name) => view.getByRole('button', { name, exact: true });
const tab = (name) => view.locator('vscode-panel-tab', { hasText: name }).click();
const rows = (label) =>
  view
    .locator(`vscode-data-grid[aria-label="${label}"] vscode-data-grid-row`)
    .evaluateAll((list) => list.map((row) => [...row.children].map((cell) => cell.textContent.trim())));
const picture = async (name) => pictures && vscode.screenshot(path.join(pictures, `${name}.png`));
const folders = () =>
  fs
    .readdirSync(path.join(workspace, '.uoe/runs'))
    .filter((name) => !name.startsWith('.'))
    .sort();
const readJson = (run, file) => JSON.parse(fs.readFileSync(path.join(workspace, '.uoe/runs', run, file), 'utf8'));
const percent = (share) => `${(100 * share).toFixed(1)}\u202f%`;

const step = scenario('compare', 600_000, () => vscode);

/** The demo recipe with little to measure; SimNPO forgets less in as many steps. */
function unlearn(method, steps) {
  const text = fs.readFileSync(path.join(demo, 'recipe.uoe.json'), 'utf8');
  const { methodOptions, ...recipe } = JSON.parse(text, (_, value) => (/^(checkpoint|data\/)/.test(value) ? path.join(demo, value) : value));
  const file = path.join(home, `${method}.uoe.json`);
  fs.writeFileSync(file, JSON.stringify({ ...recipe, method, ...(method === 'npo' ? { methodOptions } : {}), steps }));
  const { status, stderr } = spawnSync(process.execPath, ['dist/cli.js', 'unlearn', file, '--workspace', workspace], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

before(
  async () => {
    assert.ok(process.env.VSIX, 'VSIX names the package to install');
    fs.mkdirSync(workspace, { recursive: true });
    unlearn('npo', 25);
    unlearn('simnpo', 6);
    ({ page, vscode, close } = await launch({ folder: workspace, vsix: process.env.VSIX, viewport: { width: 1480, height: 1000 } }));
  },
  { timeout: 600_000 },
);

after(async () => {
  await close?.();
  fs.rmSync(home, { recursive: true, force: true });
});

step('a run of the history opens with its scores, each topic beside its own chance', async () => {
  await vscode.command('UOE: Use the Demo Model');
  view = await vscode.webview(rail);
  await until('The demo', heading, (text) => /^Layer 2, expert 10/.test(text), { timeout: 240_000 });
  await vscode.openContainer('UOE');
  await vscode.treeItem('Run History', 'Run 1 · NPO').click();
  view = await vscode.webview(rail);
  await until('The comparison', main, (text) => text.includes('Accuracy per topic'), { timeout: 60_000 });
  const { sets } = readJson(folders()[0], 'evaluation.json');
  const label = await view.locator('svg.topics').getAttribute('aria-label');
  for (const { role, after } of sets) {
    for (const [topic, { accuracy, blind }] of Object.entries(after.topics)) {
      const words = label.split('; ').find((part) => part.includes(`${topic} (${role})`));
      assert.ok(words?.includes(`${accuracy.toFixed(3)} after, chance ${blind.toFixed(3)}`), `${topic}: ${words}`);
    }
  }
  await picture('compare-summary');
});

step('routing is read on demand: its shares are those of the run’s own attribution, and layers below the target stand still', async () => {
  await tab('Routing');
  await button('Read routing').click();
  await view.locator('.triple').waitFor({ timeout: 240_000 });
  const [run] = folders();
  const { layers } = readJson(run, 'attribution.json');
  const before = layers.find(({ layer }) => layer === 2).experts.find(({ expert }) => expert === 10).share;
  await until(
    'The target',
    () => view.locator('.readout').textContent(),
    (text) => text.startsWith('L2·E10') && text.includes(`before${percent(before)}`),
  );
  const [, ...movers] = await rows('Biggest movers');
  assert.equal(movers.length, 6);
  assert.ok(
    movers.every(([name]) => !name.startsWith('L1')),
    'nothing moves in layer 1',
  );
  const grid = view.getByRole('grid', { name: 'Token share after', exact: true });
  await grid.focus();
  await page.keyboard.press('Control+Home');
  await until(
    'Layer 1',
    () => grid.getByRole('gridcell').getAttribute('aria-label'),
    (text) => /^Layer 1, expert 0\. Below layer 2 nothing can change/.test(text),
  );
  assert.match(await view.locator('.readout').textContent(), /^L1·E0.*change0\.0/s);
  await view.getByRole('radio', { name: 'Retain text' }).click();
  await until('The retain prompts', main, (text) => text.includes('Routing of retain prompts'), { timeout: 240_000 });
  await picture('compare-routing');
});

step('answers are paged and filtered, and open in VS Code’s own diff without a file', async () => {
  await tab('Answers');
  await button('Ask both').click();
  await view.locator('.answer').first().waitFor({ timeout: 240_000 });
  assert.equal(await view.locator('.answer').count(), 20);
  await button('Next').click();
  await until(
    'The second page',
    () => view.locator('.page-of').textContent(),
    (text) => text.startsWith('21–40 of 180'),
  );
  await view.getByRole('radio', { name: /^Changed/ }).click();
  const changed = Number((await view.locator('.page-of').textContent()).split('of ')[1]);
  assert.ok(changed > 0 && changed < 180, `${changed} changed`);
  await picture('compare-answers');
  await vscode.command('UOE: Compare Answers');
  await page.locator('.monaco-diff-editor').first().waitFor({ timeout: 60_000 });
  assert.match(await page.locator('.tab.active').getAttribute('aria-label'), /Answers: Original ↔ Run 1/);
  assert.deepEqual(fs.readdirSync(workspace), ['.uoe']);
  await vscode.command('View: Close Editor');
  view = await vscode.webview(rail);
});

step('one click runs all audits: each is judged against the original under the same intervention and kept in the run folder', async () => {
  await tab('Audits');
  assert.match(await main(), /8 audits, about \d/);
  await button('Run all audits').click();
  await until('The audits', main, (text) => text.includes('Run all audits again'), { timeout: 400_000 });
  const { audits } = readJson(folders()[0], 'audits.json');
  assert.deepEqual(Object.keys(audits), ['forbid', 'force-next', 'relearn', 'relearn-full', 'quantise-8', 'quantise-4', 'extraction', 'near']);
  const shown = {
    forbid: 'Expert forbidden',
    'force-next': 'Next-best experts forced',
    'relearn-full': 'Relearning, all parameters',
    'quantise-4': 'Rounded to 4 bit',
  };
  for (const [id, title] of Object.entries(shown)) {
    const facts = await view
      .getByRole('region', { name: `Audit: ${title}`, exact: true })
      .locator('.facts')
      .textContent();
    const { after, underBefore, underAfter } = audits[id].sets.find(({ role }) => role === 'forget');
    for (const { score } of [after, underBefore, underAfter]) assert.ok(facts.includes(score.value.toFixed(3)), `${title}: ${facts}`);
  }
  // What it lacks is a file.
  await view
    .getByRole('region', { name: 'Audit: Other words', exact: true })
    .getByRole('button', { name: /^Choose file…/ })
    .waitFor();
  await picture('compare-audits');
});

step('all runs: the table holds the folders’ figures, a chart is saved in full precision, another run is one click away', async () => {
  await tab('All runs');
  await view.locator('svg.scatter').waitFor();
  const table = await rows('All runs');
  assert.deepEqual(
    table.slice(1).map(([number, method]) => [number, method]),
    [
      ['–', 'original'],
      ['2', 'SimNPO'],
      ['1', 'NPO'],
    ],
  );
  const summaries = folders().map((run) => readJson(run, 'run.json').summary);
  assert.deepEqual(
    table.slice(2).map((row) => row[3]),
    [...summaries].reverse().map(({ forget }) => forget.after.toFixed(3)),
  );
  const file = path.join(home, 'runs.csv');
  await view.locator('summary[aria-label="Save “Utility against forgetting”"]').click();
  await view.locator('.save-menu[open]').getByRole('button', { name: 'CSV' }).click();
  await vscode.filePath(file);
  await until(
    'The file',
    () => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''),
    (text) => text.endsWith('\r\n'),
  );
  for (const { forget, utility } of summaries) assert.ok(fs.readFileSync(file, 'utf8').includes(`,${forget.after},${utility.after},`));
  view = await vscode.webview(rail);
  await picture('compare-runs');
  await button('Compare').click();
  await until(
    'Run 2',
    () => view.locator('.headline').textContent(),
    (text) => text.includes('Run 2: SimNPO'),
  );
});

step('before may be another run, and what is compared survives a reload', async () => {
  await view.locator('vscode-dropdown[aria-label="Before"]').click();
  await view.locator('vscode-dropdown[aria-label="Before"] vscode-option', { hasText: 'Run 1' }).click();
  await until('The two runs', heading, (text) => /^Run 2 (forgets (more|less) than|and run 1 cannot)/.test(text));
  const words = await heading();
  // The extension saves its state shortly after a change.
  await page.waitForTimeout(1000);
  await vscode.reload();
  view = await vscode.webview(rail);
  await until(
    'The restored page',
    () => heading().catch(() => ''),
    (text) => text === words,
    { timeout: 240_000 },
  );
  assert.equal(await view.locator('vscode-panels').getAttribute('activeid'), 'tab-runs');
});

step('a run is repeated with its recipe, seed and data: the patch is the same to the byte', async () => {
  await button('Run 2 again').click();
  await until(
    'Run 3',
    () =>
      view
        .locator('.headline')
        .textContent()
        .catch(() => ''),
    (text) => text.includes('Run 3: SimNPO'),
    { timeout: 240_000 },
  );
  const [, second, third] = folders().map((run) => fs.readFileSync(path.join(workspace, '.uoe/runs', run, 'patch.safetensors')));
  assert.ok(second.equals(third));
});

step('the report is the same view in one file that asks nothing of a network, in light and dark', async () => {
  const file = path.join(home, 'report.html');
  const { status, stderr } = spawnSync(process.execPath, ['dist/cli.js', 'report', '1', '--html', '--to', file, '--workspace', workspace], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  const { sets } = readJson(folders()[0], 'evaluation.json');
  const forget = sets.find(({ role }) => role === 'forget').after.score.value;
  for (const colorScheme of ['light', 'dark']) {
    const context = await page
      .context()
      .browser()
      .newContext({ colorScheme, offline: true, viewport: { width: 1200, height: 900 } });
    const report = await context.newPage();
    const asked = [];
    const problems = [];
    report.on('request', (request) => !request.url().startsWith('data:') && asked.push(request.url()));
    report.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    report.on('pageerror', (error) => problems.push(String(error)));
    await report.goto(`file://${file}`);
    await report.locator('body[data-drawn="report"]').waitFor();
    assert.deepEqual([asked.length, problems], [1, []]);
    assert.ok((await report.getByRole('region', { name: 'Forget', exact: true }).locator('.numbers').textContent()).includes(forget.toFixed(3)));
    assert.equal(await report.locator('.triple canvas').count(), 6);
    assert.ok((await report.locator('.answer').count()) > 0);
    assert.ok(await report.getByRole('heading', { name: 'Settings' }).isVisible());
    // Through the debugger: the page's own policy lets no other script in.
    const debug = await context.newCDPSession(report);
    await debug.send('Runtime.evaluate', { expression: axeSource() });
    const { result } = await debug.send('Runtime.evaluate', {
      expression: 'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes[0].html.slice(0, 120)]))',
      awaitPromise: true,
      returnByValue: true,
    });
    assert.deepEqual(result.value, [], colorScheme);
    await context.close();
  }
});

step('axe finds nothing in any tab in four themes', async () => {
  for (const theme of Object.keys(themes)) {
    await vscode.theme(theme);
    view = await vscode.webview(rail);
    for (const name of ['Summary', 'Routing', 'Answers', 'Audits', 'All runs']) {
      await tab(name);
      assert.deepEqual(await vscode.axe(rail), [], `${name} in ${theme}`);
    }
  }
});

/** Pieces of our English sentences, without their placeholders, that the German bundle replaces. */
function englishPieces() {
  const read = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));
  const german = read('l10n/bundle.l10n.de.json');
  const pairs = [...Object.entries(german), ...Object.entries(read('package.nls.json')).map(([key, text]) => [text, read('package.nls.de.json')[key]])];
  return pairs.flatMap(([english, own]) =>
    english
      .split(/\{\d\}|[\n“”"]|\[|\]\(|`/)
      .map((piece) => piece.trim())
      .filter((piece) => /[a-z] [a-z]/i.test(piece) && piece.length >= 10 && !own.includes(piece)),
  );
}

/** What a person reads on a page or hears from it: texts, labels, tooltips. */
const wordsOf = (root) =>
  root.evaluate((element) => {
    const words = [];
    for (const node of [element, ...element.querySelectorAll('*')]) {
      for (const name of ['aria-label', 'title', 'placeholder', 'aria-valuetext']) words.push(node.getAttribute(name) ?? '');
      for (const child of node.childNodes) if (child.nodeType === 3) words.push(child.textContent);
    }
    return words
      .map((text) => text.trim())
      .filter((text) => text !== '')
      .join('\n');
  });

step('a German window shows no English sentence of ours on any step, and no head of a table is cut at 700 pixels', async () => {
  const pieces = englishPieces();
  const left = [];
  const look = async (what, root) => {
    const words = await wordsOf(root);
    const lines = new Set(words.split('\n'));
    // A short piece may well stand in a sentence of the engine.
    const isShown = (piece) => (piece.length >= 20 ? words.includes(piece) : lines.has(piece));
    left.push(...pieces.filter(isShown).map((piece) => `${what}: ${piece}`));
  };
  await vscode.theme('dark');
  // The extension saves its state shortly after a change.
  await page.waitForTimeout(1000);
  await vscode.speak('test/e2e/language-pack-de');
  view = await vscode.webview(rail);
  await until(
    'The German page',
    () => view.locator('.rail').textContent(),
    (text) => text.includes('Vergleichen'),
    { timeout: 240_000 },
  );
  await vscode.openContainer('UOE');
  await vscode.treeItem('Läufe', 'Lauf 3 · SimNPO').waitFor();
  await look('side bar', page.locator('.part.sidebar'));
  await look('status bar', page.locator('.part.statusbar'));
  await vscode.command('View: Toggle Primary Side Bar Visibility');
  await page.setViewportSize({ width: 770, height: 1000 });
  view = await vscode.webview(rail);
  const steps = view.locator('.rail').getByRole('button');
  for (const [at, name] of ['model', 'find', 'unlearn', 'compare', 'export'].entries()) {
    await steps.nth(at).click();
    await until(
      name,
      () => steps.nth(at).getAttribute('aria-current'),
      (current) => current === 'step',
    );
    const tabs = name === 'compare' ? await view.locator('vscode-panel-tab').count() : 1;
    for (let tab = 0; tab < tabs; tab++) {
      if (tabs > 1) await view.locator('vscode-panel-tab').nth(tab).click();
      await page.waitForTimeout(300);
      await look(`${name} ${tab}`, view.locator('#workbench'));
      const cut = await view
        .locator('vscode-data-grid-cell[cell-type="columnheader"]:visible')
        .evaluateAll((cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent.trim()));
      left.push(...cut.map((head) => `${name} ${tab}: the head “${head}” is cut`));
      await picture(`german-${name}-${tab}`);
    }
  }
  assert.deepEqual(left, []);
  assert.deepEqual(vscode.errors, []);
});
