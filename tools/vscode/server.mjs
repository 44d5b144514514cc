// A throw-away VS Code server: own home, settings, extensions and port, all removed by stop().
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { paths } from './setup.mjs';

const userSettings = {
  'workbench.startupEditor': 'none',
  'security.workspace.trust.startupPrompt': 'never',
  'security.workspace.trust.banner': 'never',
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'workbench.enableExperiments': false,
  'chat.disableAIFeatures': true,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.editor.useModal': 'off',
  'git.enabled': false,
  'files.simpleDialog.enable': true,
  // Else any port that another process opens on this machine raises a toast.
  'remote.autoForwardPorts': false,
  // Else the server lists every open file of this machine every two seconds.
  'remote.autoForwardPortsSource': 'output',
  'workbench.colorTheme': 'Dark 2026',
  'window.autoDetectColorScheme': false,
};

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** What test runners and npm put into the environment must not reach the extension host. */
function cleanEnvironment(home, extra) {
  const entries = Object.entries({ ...process.env, ...extra }).filter(([name]) => !/^(NODE_TEST_CONTEXT|NODE_OPTIONS|VSCODE_(?!TEST_)|npm_)/.test(name));
  return { ...Object.fromEntries(entries), HOME: home, XDG_DATA_HOME: path.join(home, 'data-home'), XDG_CONFIG_HOME: path.join(home, 'config-home') };
}

/** Runs to its end; fails with its output. */
function finished(child, what) {
  return new Promise((resolve, reject) => {
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${what} failed: ${output}`))));
  });
}

/** Until the server listens; fails with its output, or after three minutes. */
function listening(child) {
  return new Promise((resolve, reject) => {
    let output = '';
    const timer = setTimeout(() => reject(new Error(`The VS Code server did not start in 180 s: ${output}`)), 180_000);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        output += data;
        if (!output.includes('HTTP server listening')) return;
        clearTimeout(timer);
        resolve();
      });
    }
    child.on('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`The VS Code server ended with ${code}: ${output}`));
    });
  });
}

/** Ends the server and, with its group, the extension hosts that it may leave behind. */
async function ended(child) {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  if (child.exitCode === null && child.kill('SIGTERM')) await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 5000).unref())]);
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nobody of the group is left.
  }
}

/**
 * settings: user settings on top of ours; vsix: file to install first; port: a fixed one; trust: Workspace Trust on;
 * smoke: lets the page's `payload` in (tests inside the extension host; hides toasts and modal dialogs).
 */
export async function startServer({ settings = {}, vsix, port, smoke = false, trust = false, environment = {} } = {}) {
  const places = paths();
  const missing = [places.node, places.server, places.chromium].find((file) => !fs.existsSync(file));
  if (missing) throw new Error(`${missing} is missing: run "node tools/vscode/setup.mjs" first.`);
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-vscode-'));
  const user = path.join(home, 'data', 'User');
  fs.mkdirSync(user, { recursive: true });
  fs.writeFileSync(path.join(user, 'settings.json'), JSON.stringify({ ...userSettings, 'security.workspace.trust.enabled': trust, ...settings }, null, 1));
  const folders = ['--extensions-dir', path.join(home, 'extensions'), '--user-data-dir', path.join(home, 'data')];
  const entry = path.join(places.server, 'out/node/entry.js');
  const run = (args) => spawn(places.node, [entry, ...args], { env: cleanEnvironment(home, environment), stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  if (vsix) await finished(run([...folders, '--install-extension', path.resolve(vsix)]), 'Installing the VSIX');
  const used = port ?? (await freePort());
  const child = run([
    ...['--auth', 'none', '--bind-addr', `127.0.0.1:${used}`, ...folders],
    ...['--disable-telemetry', '--disable-update-check', '--disable-getting-started-override'],
    ...(trust ? [] : ['--disable-workspace-trust']),
    ...(smoke ? ['--vscode-option', 'enable-smoke-test-driver'] : []),
  ]);
  const stop = async () => {
    await ended(child);
    fs.rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  try {
    await listening(child);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    home,
    authority: `127.0.0.1:${used}`,
    origin: `http://127.0.0.1:${used}`,
    /** Ends it and leaves its folders, as a person who closes VS Code does. */
    halt: () => ended(child),
    stop,
  };
}

/** Loads an extension's folder as it is: a link among the installed ones and an entry in their list. */
export function linkExtension(server, folder) {
  const { publisher, name, version } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const extensions = path.join(server.home, 'extensions');
  const id = `${publisher}.${name}`;
  const link = `${id}-${version}`;
  fs.mkdirSync(extensions, { recursive: true });
  fs.symlinkSync(path.resolve(folder), path.join(extensions, link));
  const location = { $mid: 1, path: path.join(extensions, link), scheme: 'file' };
  const list = path.join(extensions, 'extensions.json');
  const others = fs.existsSync(list) ? JSON.parse(fs.readFileSync(list, 'utf8')) : [];
  fs.writeFileSync(list, JSON.stringify([...others, { identifier: { id }, version, location, relativeLocation: link, metadata: {} }]));
}

/**
 * Adds a language pack: VS Code speaks its language from the next page load on. What the server keeps about packs it writes itself only
 * when one comes from a gallery, and the chosen language when it is chosen in the palette.
 */
export function speak(server, folder) {
  linkExtension(server, folder);
  const { publisher, name, version, contributes } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const packs = contributes.localizations.map(({ languageId, localizedLanguageName, translations }) => [
    languageId,
    {
      hash: `${name}-${version}`,
      label: localizedLanguageName,
      extensions: [{ extensionIdentifier: { id: `${publisher}.${name}` }, version }],
      translations: Object.fromEntries(translations.map((one) => [one.id, path.resolve(folder, one.path)])),
    },
  ]);
  fs.writeFileSync(path.join(server.home, 'data', 'languagepacks.json'), JSON.stringify(Object.fromEntries(packs)));
  fs.writeFileSync(path.join(server.home, 'data', 'User', 'argv.json'), JSON.stringify({ locale: packs[0][0] }));
}

/** Process ids of the engines that this machine runs from the UOE installed in this server. */
export function enginesOf(server) {
  const commandOf = (pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      return '';
    }
  };
  const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => [`${server.home}/`, 'dist/engine.js'].every((part) => commandOf(pid).includes(part))).map(Number);
}
