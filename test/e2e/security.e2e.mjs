// Data from a stranger in a real VS Code: markup, links, escapes and marks that turn writing stay text, in the page, the trees and notifications; the page's
// policy holds; a page that floods the host is held off. VSIX=file is installed (tools/vscode/e2e.mjs sets it); PICTURES=folder keeps pictures.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { until } from '../../tools/vscode/browser.mjs';
import { launch } from '../../tools/vscode/page.mjs';
import { scenario } from '../../tools/vscode/scenario.mjs';
import { enginesOf } from '../../tools/vscode/server.mjs';

const workspace = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-security-')), 'sample');
const rail = '#workbench .rail';
const pictures = process.env.PICTURES;
let page;
let vscode;
let close;
let server;
let view;
let frame;

const markup = '<img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>';
const turned = 'safe\u202egpj.exe';
const model = `model <b>${turned}`;
const link = '[Update now](command:workbench.action.terminal.new)';
const prompts = [markup, `The capital of ${turned} is quiet.`, 'A \u001b[31mred\u001b[0m bell \u0007', link, 'Plain text about rivers and harbours.'];

const step = scenario('security', 300_000, () => vscode);
const picture = async (name) => pictures && vscode.screenshot(path.join(pictures, `${name}.png`));

before(
  async () => {
    assert.ok(process.env.VSIX, 'VSIX names the package to install');
    fs.mkdirSync(workspace, { recursive: true });
    fs.cpSync('demo/checkpoint', path.join(workspace, model), { recursive: true });
    fs.writeFileSync(path.join(workspace, 'forget.jsonl'), prompts.map((text) => `${JSON.stringify({ text })}\n`).join(''));
    fs.writeFileSync(path.join(workspace, 'good.uoe.json'), JSON.stringify({ model, forget: 'forget.jsonl' }));
    fs.writeFileSync(path.join(workspace, 'bad.uoe.json'), JSON.stringify({ model, forget: 'forget.jsonl', [link]: 1 }));
    ({ page, vscode, close, server } = await launch({ folder: workspace, vsix: process.env.VSIX, viewport: { width: 1440, height: 900 } }));
  },
  { timeout: 420_000 },
);

after(async () => {
  await close?.();
  fs.rmSync(path.dirname(workspace), { recursive: true, force: true });
});

async function runRecipe(name) {
  await vscode.openFile(name);
  await page
    .locator('.editor-group-container.active .editor-actions')
    .getByRole('button', { name: /Run Recipe/ })
    .click();
}

step('a checkpoint and prompts with markup and turned writing are shown as text', async () => {
  await vscode.openContainer('UOE');
  await vscode.command('View: Show Explorer');
  await runRecipe('good.uoe.json');
  view = await vscode.webview(rail);
  frame = await vscode.webviewFrame(rail);
  await until('The steps', () => view.locator('.rail').first().textContent(), Boolean, { timeout: 240_000 });
  await view
    .getByRole('button', { name: /Find expert/ })
    .first()
    .click();
  const listed = view.getByRole('listbox', { name: 'Forget prompts' });
  await until(
    'The prompts',
    () => listed.textContent().catch(() => ''),
    (text) => text.includes('onerror'),
    { timeout: 240_000 },
  );
  const text = await listed.textContent();
  assert.ok(text.includes('<script>globalThis.pwned=1</script>'), text);
  assert.ok(text.includes('safe\\u202egpj.exe'), text);
  assert.ok(text.includes('\\u001b[31mred'), text);
  const whole = await view.locator('body').textContent();
  assert.ok(!/\p{Cc}|\p{Bidi_Control}/u.test(whole.replaceAll(/\s/g, '')), 'a control character or a mark is on the page');
  const marked = await frame.evaluate(() => ({
    pwned: globalThis.pwned ?? null,
    elements: document.querySelectorAll('#workbench img, #workbench script, #workbench b b').length,
  }));
  assert.deepEqual(marked, { pwned: null, elements: 0 });
  await picture('security-page');
});

step('the trees show the same text, and make nothing of it', async () => {
  await vscode.openContainer('UOE');
  const names = async (name) => vscode.view(name).locator('.monaco-list-row .label-name').allTextContents();
  const shown = await until(
    'The model',
    () => names('Model'),
    (rows) => rows.some((row) => row.includes('safe')),
  );
  assert.ok(
    shown.some((row) => row.includes('safe\\u202egpj.exe')),
    JSON.stringify(shown),
  );
  assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
  const status = await page.locator('[id$="uoe.status"]').textContent();
  assert.ok(status.includes('safe\\u202egpj.exe'), status);
});

step('the policy lets in nothing inline, nothing evaluated and no connection', async () => {
  const policy = await frame.evaluate(() => document.querySelector('meta[http-equiv="Content-Security-Policy"]').content);
  assert.match(policy, /^default-src 'none'; base-uri 'none'; form-action 'none'; style-src /);
  assert.ok(!policy.includes('unsafe'), policy);
  const tried = await frame.evaluate(async () => {
    const script = document.createElement('script');
    script.textContent = 'globalThis.pwned = "inline"';
    document.body.append(script);
    const image = document.createElement('div');
    image.innerHTML = '<img src=x onerror="globalThis.pwned = \'handler\'">';
    document.body.append(image);
    setTimeout('globalThis.pwned = "evaluated"', 0);
    // In a turn of the page's own: the debugger's call may evaluate.
    const evaluated = await new Promise((resolve) =>
      setTimeout(() => {
        try {
          resolve(new Function('return 1')());
        } catch (error) {
          resolve(error.name);
        }
      }, 50),
    );
    const fetched = await fetch('https://example.invalid/').then(
      () => 'fetched',
      (error) => error.name,
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    script.remove();
    image.remove();
    return { pwned: globalThis.pwned ?? null, evaluated, fetched };
  });
  assert.deepEqual(tried, { pwned: null, evaluated: 'EvalError', fetched: 'TypeError' });
});

step('a notification with a command link in its data has no link', async () => {
  await runRecipe('bad.uoe.json');
  const toast = vscode.toast('Update now');
  await toast.waitFor();
  const text = await toast.textContent();
  assert.ok(text.includes('[Update now] (command:workbench.action.terminal.new)'), text);
  assert.equal(await toast.locator('.notification-list-item-message a').count(), 0);
  await picture('security-notification');
});

step('a page that sends messages without end is held off: the host answers, the refusals are told of once', async () => {
  await vscode.command('UOE: Show Workbench');
  view = await vscode.webview(rail);
  frame = await vscode.webviewFrame(rail);
  await frame.evaluate(() => {
    const button = document.querySelector('.rail button');
    for (let i = 0; i < 3000; i++) button.click();
  });
  await page.waitForTimeout(2500);
  await view
    .getByRole('button', { name: /Find expert/ })
    .first()
    .click();
  await until(
    'The page turned to',
    () => frame.evaluate(() => document.body.dataset.drawn),
    (drawn) => drawn === 'find',
  );
  assert.equal(enginesOf(server).length, 1);
  const logs = fs.readdirSync(path.join(server.home, 'data', 'logs'), { recursive: true }).filter((file) => /UOE\.log$/.test(String(file)));
  assert.equal(logs.length, 1, logs.join(', '));
  const log = fs.readFileSync(path.join(server.home, 'data', 'logs', String(logs[0])), 'utf8');
  assert.equal(log.match(/sends more messages than the host takes in/g)?.length, 1, log);
  assert.match(log, /is calm again; \d+ of its messages were refused/);
  assert.ok(!/[^\P{Cc}\s]|\p{Bidi_Control}/u.test(log), 'the log has an escape or a mark');
  assert.deepEqual(vscode.errors, []);
});
