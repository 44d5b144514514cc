import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';

const HOME = process.cwd();
const ROOMS = [
  'protocol',
  'files',
  'tensor',
  'checkpoint',
  'text',
  'weights',
  'model',
  'passes',
  'attribution',
  'unlearn',
  'evaluate',
  'audit',
  'experiment',
  'engine',
  'cli',
  'extension',
];

/** A house that keeps every rule and uses every door. */
const sound: Readonly<Record<string, string>> = {
  ...Object.fromEntries(ROOMS.map((room) => [`src/${room}/room.ts`, `export const ${room} = 1;`])),
  'src/protocol/recipe.ts': "import { z } from 'zod'; import { protocol } from './room'; export const recipe = z.literal(protocol);",
  'src/files/disk.ts': "import fs from 'node:fs'; import write from 'lru-cache'; export const disk = [fs, write];",
  'src/tensor/wasm-backend.ts': "import fs from 'node:fs'; import { add } from '@tensorflow/tfjs-core'; export const tensor = [fs, add];",
  'src/checkpoint/shards.ts':
    "import { disk } from '../files/disk'; import type { recipe } from '../protocol/recipe'; export const shards: [typeof disk, typeof recipe] | null = null;",
  'src/extension/main.ts': "import * as vscode from 'vscode'; import { engine } from '../engine/room'; export const main = [vscode, engine];",
  'webview/main.ts': "import { recipe } from '../src/protocol/recipe'; import { button } from './ui/button'; export const main = [recipe, button];",
  'webview/ui/button.ts':
    "import { vsCodeButton } from '@vscode/webview-ui-toolkit'; import '@vscode/codicons/dist/codicon.css'; export const button = vsCodeButton;",
  'test/host/screen.test.ts': "import * as vscode from 'vscode'; export const screen = vscode;",
};

/** One breach a rule: file, its text, the rule that must catch it. */
const breaches: readonly (readonly [file: string, text: string, rule: string])[] = [
  ...ROOMS.slice(0, -1).map(
    (room, index) =>
      [
        `src/${room}/up.ts`,
        `import { ${ROOMS[index + 1]} } from '../${ROOMS[index + 1]}/room'; export const up = ${ROOMS[index + 1]};`,
        `room-order-${room}`,
      ] as const,
  ),
  ['src/checkpoint/typed.ts', "import type { extension } from '../extension/room'; export type Up = typeof extension;", 'room-order-checkpoint'],
  ['src/files/passed-on.ts', "export type { experiment } from '../experiment/room';", 'room-order-files'],
  ['src/text/late.ts', "export const late = () => import('../cli/room');", 'room-order-text'],
  ['src/extension/aside.ts', "import { cli } from '../cli/room'; export const aside = cli;", 'side-by-side'],
  ['src/helpers/shed.ts', "import { files } from '../files/room'; export const shed = files;", 'known-rooms'],
  ['src/cli/shed.ts', "import { shed } from '../helpers/shed'; export const taken = shed;", 'into-known-rooms'],
  ['src/model/chicken.ts', "import type { egg } from './egg'; export const chicken: typeof egg | number = 1;", 'no-cycles'],
  ['src/model/nowhere.ts', "import { nothing } from './nothing'; export const nowhere = nothing;", 'resolvable'],
  ['src/engine/editor.ts', "import type { Uri } from 'vscode'; export type Place = Uri;", 'vscode-in-extension'],
  ['src/evaluate/sum.ts', "import { sum } from '@tensorflow/tfjs-core'; export const total = sum;", 'tensorflow-in-tensor'],
  ['src/cli/list.ts', "import { readdir } from 'node:fs/promises'; export const list = readdir;", 'disk-in-files'],
  ['src/tensor/log.ts', "import fs from 'fs'; export const log = fs;", 'disk-in-files'],
  ['src/protocol/place.ts', "import path from 'node:path'; export const place = path;", 'protocol-imports-zod-only'],
  ['src/protocol/cache.ts', "import { LRUCache } from 'lru-cache'; export const cache = LRUCache;", 'protocol-imports-zod-only'],
  ['webview/scores.ts', "import { evaluate } from '../src/evaluate/room'; export const scores = evaluate;", 'webview-knows-protocol'],
  ['webview/path.ts', "import path from 'node:path'; export const join = path;", 'webview-in-browser'],
  ['src/engine/view.ts', "import { main } from '../../webview/main'; export const view = main;", 'src-without-webview'],
  ['webview/views/plain.ts', "import { vsCodeCheckbox } from '@vscode/webview-ui-toolkit'; export const box = vsCodeCheckbox;", 'kit-in-ui'],
  ['webview/views/icon.ts', "import '@vscode/codicons/dist/codicon.css'; export const icon = 1;", 'kit-in-ui'],
  ['src/audit/sample.ts', "import { sample } from '../../test/sample'; export const audited = sample;", 'product-without-tests'],
  ['webview/tool.ts', "import { tool } from '../bench/tool'; export const used = tool;", 'product-without-tests'],
];

function check(files: Readonly<Record<string, string>>): { readonly status: number | null; readonly lines: string[] } {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-walls-'));
  try {
    for (const [file, text] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      fs.writeFileSync(path.join(folder, file), `${text}\n`);
    }
    fs.symlinkSync(path.join(HOME, 'node_modules'), path.join(folder, 'node_modules'), 'junction');
    const run = spawnSync(process.execPath, [path.join(HOME, 'tools/walls.mjs'), folder], { encoding: 'utf8' });
    return { status: run.status, lines: `${run.stdout}${run.stderr}`.trim().split('\n') };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

describe('walls', () => {
  it('lets a sound house stand', () => {
    const { status, lines } = check(sound);
    expect(lines).to.deep.equal([`walls: ${Object.keys(sound).length} files, 15 imports, 0 violations`]);
    expect(status).to.equal(0);
  });

  it('sees a breach of every rule', () => {
    const planted = Object.fromEntries(breaches.map(([file, text]) => [file, text]));
    const neighbours = {
      'src/model/egg.ts': "import { chicken } from './chicken'; export const egg = chicken;",
      'test/sample.ts': 'export const sample = 1;',
      'bench/tool.ts': 'export const tool = 1;',
    };
    const { status, lines } = check({ ...sound, ...planted, ...neighbours });
    expect(status).to.equal(1);
    for (const [file, , rule] of breaches) {
      expect(
        lines.some((line) => line.startsWith(`${rule}: ${file} -> `)),
        `${rule} in ${file}\n${lines.join('\n')}`,
      ).to.equal(true);
    }
  });

  it('tries every rule there is', () => {
    const rules: { forbidden: { name: string }[] } = require(path.join(HOME, '.dependency-cruiser.cjs'));
    const tried = new Set(breaches.map(([, , rule]) => rule));
    expect(rules.forbidden.map((rule) => rule.name).filter((name) => !tried.has(name))).to.deep.equal([]);
  });

  it('fails when a source file was not cruised', () => {
    const { status, lines } = check({ ...sound, 'src/model/node_modules/hidden.ts': 'export const hidden = 1;' });
    expect(lines).to.include('not-cruised: src/model/node_modules/hidden.ts');
    expect(status).to.equal(1);
  });
});
