import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';

describe('the audit of what ships', () => {
  it('parts findings in a bundle from those of packages of which nothing is bundled', () => {
    const cause = (title: string) => ({ title, url: 'https://example.org/1', range: '<2' });
    const report = {
      vulnerabilities: {
        zod: { name: 'zod', severity: 'high', via: [cause('slow pattern')], nodes: ['node_modules/zod'] },
        tar: { name: 'tar', severity: 'high', via: [cause('path traversal')], nodes: ['node_modules/tar'] },
        'node-pre-gyp': { name: 'node-pre-gyp', severity: 'high', via: ['tar'], nodes: ['node_modules/node-pre-gyp'] },
      },
    };
    const module = pathToFileURL(path.resolve('tools/audit.mjs')).href;
    const script = `const { partedFindings } = await import(${JSON.stringify(module)}); console.log(JSON.stringify(partedFindings(${JSON.stringify(report)}, ['node_modules/zod'])));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
    expect(JSON.parse(stdout || JSON.stringify(stderr))).to.deep.equal({
      bundled: ['zod (high): slow pattern, versions <2. https://example.org/1'],
      absent: ['tar (high): path traversal, versions <2. https://example.org/1'],
    });
  });
});
