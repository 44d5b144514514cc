import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { temporaryFolder } from '../files/temporary-folder';

/** A bundle as tools/unit.mjs makes it: each file writes down that it ran, one fails. */
const bundle = `
const fs = require('node:fs');
const path = require('node:path');
const note = (name) => fs.appendFileSync(path.join(__dirname, 'ran.txt'), name + '\\n');
const file = (name, test = () => {}) => () => describe(name, () => {
  it('says so', async () => { note(name); await new Promise((resolve) => setTimeout(resolve, 20)); test(); });
  it.skip('is left out', () => {});
});
exports.files = Object.fromEntries([...'abcdefgh'].map((name) => ['test/' + name + '.test.ts', file(name)]));
exports.files['test/broken.test.ts'] = file('broken', () => { throw new Error('as planted'); });
exports.afterEach = () => note('after');
`;

function mocha(...args: string[]): Promise<{ code: number | null; out: string }> {
  const child = spawn(process.execPath, ['tools/mocha.mjs', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out })));
}

describe('test files in several processes', () => {
  it('run once each, whoever takes them; what failed is told at the end, with exit code 1', async () => {
    const folder = temporaryFolder();
    fs.writeFileSync(path.join(folder, 'tests.js'), bundle);
    const ended = await Promise.all([mocha(folder, 'all'), mocha(folder, 'all')]);
    const ran = fs.readFileSync(path.join(folder, 'ran.txt'), 'utf8').trim().split('\n');
    expect(ran.filter((name) => name !== 'after').sort()).to.deep.equal([...'abcdefgh', 'broken'].sort());
    expect(ran.filter((name) => name === 'after')).to.have.length(9);
    const counted = (word: string) => ended.reduce((sum, { out }) => sum + Number(new RegExp(`^ {2}(\\d+) ${word}`, 'm').exec(out)?.[1] ?? 0), 0);
    expect(['passing', 'pending', 'failing'].map(counted)).to.deep.equal([8, 9, 1]);
    expect(ended.map(({ code }) => code).sort()).to.deep.equal([0, 1]);
    expect(ended.find(({ code }) => code === 1)?.out).to.match(/1 failing\n[\s\S]*broken\n {7}says so:\n[\s\S]*as planted[\s\S]*$/);
    const late = await mocha(folder, 'all');
    expect([late.code, late.out]).to.deep.equal([0, '\n  0 passing (0s)\n']);
    const some = await mocha(folder, 'some', 'test/a', 'test/d', '--grep', 'is left');
    expect(some.out).to.include('\n  0 passing (0s)\n  2 pending\n');
  });
});
