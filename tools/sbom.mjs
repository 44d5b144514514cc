// What the package contains, as npm's own software bill of materials (CycloneDX) cut down to what the bundles hold, and the licences of all of it.
//   node tools/sbom.mjs [FOLDER]     FOLDER is a build (default dist), whose metafile.json says what was bundled; writes sbom.cdx.json and ThirdPartyNotices.txt
// The same build gives the same bytes: no time, no random number.
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const home = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const readJson = (...at) => JSON.parse(fs.readFileSync(path.join(...at), 'utf8'));

/** Folders of the packages that a build holds code or files of, from esbuild's metafile: a package of which nothing is left counts as absent. */
export function packagesOf({ outputs, copied }) {
  const folders = new Set(copied.map((name) => `node_modules/${name}`));
  for (const { inputs } of Object.values(outputs)) {
    for (const [file, { bytesInOutput }] of Object.entries(inputs)) {
      const inside = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file.replace(/^[^/]*:/, ''));
      if (inside && bytesInOutput > 0) folders.add(inside[0]);
    }
  }
  return [...folders].sort();
}

const manifestOf = (folder) => readJson(home, folder, 'package.json');
const nameOf = ({ name, version }) => `${name}@${version}`;

function npmSbom() {
  const npm = spawnSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'application', '--package-lock-only'], {
    cwd: home,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    shell: process.platform === 'win32',
  });
  if (npm.status !== 0) throw new Error(`npm sbom failed: ${npm.stderr}`);
  return JSON.parse(npm.stdout);
}

/** npm's document with the components in `folders` alone, without what differs from one call to the next. */
export function billOfMaterials(folders, whole = npmSbom()) {
  const wanted = new Set(folders.map((folder) => nameOf(manifestOf(folder))));
  // npm lists a package that an override put in another's place under the other's name; the reference has its own.
  const referred = (reference) => reference.split('|')[0];
  const isWanted = (reference) => wanted.has(referred(reference));
  const seen = new Set();
  const components = whole.components
    .map((component) => ({ ...component, name: referred(component['bom-ref']).replace(/(?<=.)@[^@]*$/, '') }))
    .filter((component) => wanted.has(nameOf(component)) && !seen.has(nameOf(component)) && seen.add(nameOf(component)));
  const missing = [...wanted].filter((name) => !seen.has(name));
  if (missing.length > 0) throw new Error(`npm sbom does not list ${missing.join(', ')}, which the bundles hold.`);
  const { component, tools } = whole.metadata;
  const root = component['bom-ref'];
  const bill = {
    $schema: whole.$schema,
    bomFormat: whole.bomFormat,
    specVersion: whole.specVersion,
    version: 1,
    metadata: { lifecycles: [{ phase: 'build' }], tools, component: { ...component, name: 'uoe', description: undefined } },
    components: components.map(({ properties: _properties, ...rest }) => ({ ...rest, scope: 'required' })).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)),
    dependencies: whole.dependencies
      .filter(({ ref }) => ref === root || isWanted(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(isWanted).sort() }))
      .sort((a, b) => (a.ref < b.ref ? -1 : 1)),
  };
  const hash = crypto.createHash('sha256').update(JSON.stringify(bill)).digest('hex');
  const { $schema, bomFormat, specVersion, ...rest } = bill;
  // A UUID of version 8 (RFC 9562): its bits are ours to choose.
  const uuid = `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
  return { $schema, bomFormat, specVersion, serialNumber: `urn:uuid:${uuid}`, ...rest };
}

const mit = (holder) => `MIT License

${holder}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`;
const microsoft = 'Copyright (c) Microsoft Corporation. All rights reserved.';
/** Packages that come without the text of their licence: who holds the right, as their sources say. */
const withoutText = {
  '@microsoft/fast-element': () => mit(microsoft),
  '@microsoft/fast-foundation': () => mit(microsoft),
  '@microsoft/fast-web-utilities': () => mit(microsoft),
  seedrandom: () => mit('Copyright 2019 David Bau.'),
  '@tensorflow/tfjs-core': () => apache('Copyright 2017-2024 Google LLC. All Rights Reserved.'),
  '@tensorflow/tfjs-backend-cpu': () => apache('Copyright 2020-2024 Google LLC. All Rights Reserved.'),
  '@tensorflow/tfjs-backend-wasm': () => apache('Copyright 2019-2024 Google LLC. All Rights Reserved.'),
  '@tensorflow/tfjs-node-gpu': () => apache('Copyright 2018-2024 Google LLC. All Rights Reserved.'),
};
const apache = (holder) => `${holder}\n\n${fs.readFileSync(path.join(home, 'node_modules/@huggingface/tokenizers/LICENSE'), 'utf8')}`;

/** The texts that lie in a package: its licences, and what it wants to be said with them. */
function textsOf(folder) {
  const { name } = manifestOf(folder);
  const files = fs.readdirSync(path.join(home, folder)).filter((file) => /^(licen[cs]e|copying|notice|third-?party-?notices)/i.test(file));
  const texts = files.sort().map((file) =>
    fs
      .readFileSync(path.join(home, folder, file), 'utf8')
      .replaceAll('\r\n', '\n')
      .trim(),
  );
  if (texts.length > 0) return texts;
  const known = withoutText[name];
  if (!known) throw new Error(`${folder} has no text of its licence. Say in tools/sbom.mjs who holds the right.`);
  return [known().trim()];
}

const rule = '='.repeat(100);

/** One document: a list, then each package with the texts of its licences. */
export function thirdPartyNotices(folders) {
  const packages = [...new Map(folders.map((folder) => [nameOf(manifestOf(folder)), folder])).entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  const licence = (folder) => {
    const { license } = manifestOf(folder);
    if (typeof license !== 'string') throw new Error(`${folder} does not say its licence.`);
    return license;
  };
  return [
    'UOE contains code and files of these packages; below are the texts of their licences.',
    packages.map(([name, folder]) => `${name} (${licence(folder)})`).join('\n'),
    ...packages.map(
      ([name, folder]) =>
        `${rule}\n${name}\nLicence: ${licence(folder)}\nhttps://www.npmjs.com/package/${manifestOf(folder).name}\n\n${textsOf(folder).join('\n\n')}`,
    ),
    '',
  ].join('\n\n');
}

/** Writes both into a build. */
export function writeInventory(build) {
  const folders = packagesOf(readJson(build, 'metafile.json'));
  fs.writeFileSync(path.join(build, 'sbom.cdx.json'), `${JSON.stringify(billOfMaterials(folders), null, 2)}\n`);
  fs.writeFileSync(path.join(build, 'ThirdPartyNotices.txt'), thirdPartyNotices(folders));
  return folders.length;
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  console.log(`${writeInventory(path.resolve(process.argv[2] ?? path.join(home, 'dist')))} packages.`);
}
