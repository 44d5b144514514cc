/** What the package says it contains, held to what was bundled in the same build. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';

interface Metafile {
  readonly outputs: Readonly<
    Record<
      string,
      {
        readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>>;
        readonly imports?: readonly { readonly path: string; readonly external?: boolean }[];
      }
    >
  >;
  readonly copied: readonly string[];
}
interface Bill {
  readonly components: readonly {
    readonly name: string;
    readonly version: string;
    readonly purl: string;
    readonly licenses: readonly unknown[];
    readonly hashes: readonly unknown[];
  }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

const module = (file: string): string => JSON.stringify(pathToFileURL(path.resolve(file)).href);

function node(script: string): void {
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

describe('the package', function () {
  this.timeout(120_000);
  const build = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-sbom-'));
  after(() => fs.rmSync(build, { recursive: true, force: true }));
  let metafile: Metafile;
  /** `name@version` of every package with at least a byte in a bundle, or a copied file. */
  const bundled = new Set<string>();

  before(() => {
    node(`const { buildAll } = await import(${module('esbuild.config.mjs')}); await buildAll(${JSON.stringify(build)});`);
    node(`const { writeInventory } = await import(${module('tools/sbom.mjs')}); writeInventory(${JSON.stringify(build)});`);
    metafile = JSON.parse(fs.readFileSync(path.join(build, 'metafile.json'), 'utf8')) as Metafile;
    const files = Object.values(metafile.outputs).flatMap(({ inputs }) =>
      Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
    );
    for (const file of [...files, ...metafile.copied.map((name) => `node_modules/${name}/x`)]) {
      const parts = file.split('/');
      const at = parts.lastIndexOf('node_modules');
      if (at < 0) continue;
      const folder = parts.slice(0, at + (parts[at + 1].startsWith('@') ? 3 : 2)).join('/');
      const { name, version } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as { name: string; version: string };
      bundled.add(`${name}@${version}`);
    }
  });

  it('lists what the bundles hold and nothing else, each with its address, licence and hash', () => {
    const { components, dependencies } = JSON.parse(fs.readFileSync(path.join(build, 'sbom.cdx.json'), 'utf8')) as Bill;
    expect(bundled.size).to.be.above(40);
    expect(components.map(({ name, version }) => `${name}@${version}`)).to.have.members([...bundled]);
    for (const { name, purl, licenses, hashes } of components) {
      expect(purl).to.equal(`pkg:npm/${name.replace('@', '%40')}@${components.find((one) => one.purl === purl)?.version}`);
      expect(licenses, name).to.have.length(1);
      expect(hashes, name).to.have.length(1);
    }
    for (const { dependsOn } of dependencies) for (const reference of dependsOn) expect(bundled.has(reference.split('|')[0]), reference).to.equal(true);
  });

  it('has the text of the licence of each', () => {
    const sections = fs.readFileSync(path.join(build, 'ThirdPartyNotices.txt'), 'utf8').split(/\n\n={100}\n/);
    const [list, ...texts] = sections;
    expect(texts.map((text) => text.slice(0, text.indexOf('\n')))).to.have.members([...bundled]);
    for (const name of bundled) expect(list).to.include(`\n${name} (`);
    for (const text of texts) expect(text.length, text.slice(0, 60)).to.be.above(500);
  });

  it('is described by the same bytes each time', () => {
    const files = ['sbom.cdx.json', 'ThirdPartyNotices.txt'].map((name) => path.join(build, name));
    const first = files.map((file) => fs.readFileSync(file, 'utf8'));
    node(`const { writeInventory } = await import(${module('tools/sbom.mjs')}); writeInventory(${JSON.stringify(build)});`);
    expect(files.map((file) => fs.readFileSync(file, 'utf8'))).to.deep.equal(first);
    const allowed = fs.readFileSync('.vscodeignore', 'utf8').split('\n');
    expect(allowed).to.include.members(['!dist/sbom.cdx.json', '!dist/ThirdPartyNotices.txt']);
  });

  it('can open no connection: no network module is in a bundle, and pages name none of a browser’s', () => {
    const imported = Object.values(metafile.outputs).flatMap(({ imports = [] }) =>
      imports.flatMap(({ path: name, external }) => (external ? [name.replace(/^node:/, '')] : [])),
    );
    expect(imported).to.include('child_process').and.include('fs/promises');
    const networked = /^(net|tls|http|https|http2|dgram|dns|dns\/promises|inspector|inspector\/promises|undici|ws|node-fetch)$/;
    expect(imported.filter((name) => networked.test(name))).to.deep.equal([]);
    const text = (name: string) => fs.readFileSync(path.join(build, name), 'utf8');
    const scripts = fs.readdirSync(build).filter((name) => /\.js$|\.html$/.test(name));
    for (const name of scripts) {
      const source = text(name);
      expect(source, name).to.not.match(/require\(["'](node:)?(net|tls|https?|http2|dgram|dns|inspector|undici|ws|node-fetch)["']\)/);
      expect(source, name).to.not.match(/\b(sendBeacon|new WebSocket|new EventSource)\b/);
      // tfjs and its wasm runtime have code for pages of their own; engine and command line take the functions away before they load it.
      if (/^(extension|webview|report|reading-thread|webgpu-thread)/.test(name)) expect(source, name).to.not.match(/\bfetch\(|XMLHttpRequest/);
    }
    for (const name of ['engine.js', 'cli.js']) expect(text(name)).to.include('["fetch", "WebSocket", "EventSource", "XMLHttpRequest"]');
  });

  it('starts programs in two places alone', () => {
    const sources = (fs.readdirSync('src', { recursive: true }) as string[]).map((file) => file.replaceAll('\\', '/')).filter((file) => file.endsWith('.ts'));
    const starting = sources.filter((file) =>
      /(\bfrom |\bimport |\brequire\(|\bimport\()['"](node:)?(child_process|cluster)['"]/.test(fs.readFileSync(path.join('src', file), 'utf8')),
    );
    expect(starting).to.have.members(['extension/engine/client.ts', 'files/programs.ts']);
    for (const file of sources) expect(fs.readFileSync(path.join('src', file), 'utf8'), file).to.not.match(/\beval\(|new Function\(|telemetry/i);
  });
});
