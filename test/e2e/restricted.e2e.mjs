// Restricted Mode in a real VS Code: nothing of the workspace is read, nothing runs, until the workspace is trusted.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../../tools/vscode/browser.mjs';
import { launch } from '../../tools/vscode/page.mjs';
import { writeSample } from '../../tools/vscode/sample.mjs';
import { enginesOf } from '../../tools/vscode/server.mjs';

const workspace = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-restricted-')), 'sample');
let page;
let vscode;
let close;

let server;
before(
  async () => {
    assert.ok(process.env.VSIX, 'VSIX names the package to install');
    writeSample(workspace);
    // What a hostile workspace could bring: a run to show, settings for the engine, a recipe.
    const run = path.join(workspace, '.uoe/runs/2026-01-01T00-00-00-npo');
    fs.mkdirSync(run, { recursive: true });
    fs.writeFileSync(path.join(run, 'run.json'), '{"id":"2026-01-01T00-00-00-npo"}');
    fs.mkdirSync(path.join(workspace, '.vscode'));
    fs.writeFileSync(path.join(workspace, '.vscode/settings.json'), '{"uoe.engine.memory": "1GB"}');
    ({ page, vscode, close, server } = await launch({ folder: workspace, vsix: process.env.VSIX, server: { trust: true } }));
  },
  { timeout: 420_000 },
);

after(async () => {
  await close?.();
  fs.rmSync(path.dirname(workspace), { recursive: true, force: true });
});

test('every view says that nothing is done, and no command can be run', { timeout: 300_000 }, async () => {
  await vscode.openContainer('UOE');
  for (const name of ['Model', 'Expert Explorer', 'Forget Prompts', 'Run History']) {
    const view = vscode.view(name);
    await view.waitFor();
    const text = async () =>
      (await view.locator('.pane-header[aria-expanded="true"]').count()) === 0 || (await view.textContent()).includes('until you trust it');
    await until(`The welcome of ${name}`, text, Boolean);
  }
  await page.keyboard.press('F1');
  await page.locator('.quick-input-widget:visible input.input').first().fill('>UOE: Use the Demo Model');
  await page.waitForTimeout(1000);
  const rows = await page.locator('.quick-input-widget:visible .quick-input-list .label-name').allTextContents();
  assert.ok(!rows.includes('UOE: Use the Demo Model'), JSON.stringify(rows));
  await page.keyboard.press('Escape');
  assert.deepEqual(enginesOf(server), []);
  assert.deepEqual(fs.readdirSync(path.join(workspace, '.uoe')), ['runs']);
});

test('after trust the views offer to begin', { timeout: 300_000 }, async () => {
  await vscode.command('Workspaces: Manage Workspace Trust');
  await page
    .locator('.workspace-trust-editor')
    .getByRole('button', { name: /^Trust$/ })
    .click();
  await vscode.openContainer('UOE');
  await until(
    'The welcome of Model',
    () => vscode.view('Model').textContent(),
    (text) => text.includes('Use the Demo Model'),
  );
});
