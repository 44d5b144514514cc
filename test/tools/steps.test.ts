import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';

const steps = pathToFileURL(path.resolve('tools/steps.mjs')).href;

/** Value of an expression over the exports of tools/steps.mjs, with what it prints before. */
function evaluate(expression: string): { readonly value: unknown; readonly printed: string } {
  const script = `import * as steps from ${JSON.stringify(steps)}; const value = await (${expression}); console.log('\\n' + JSON.stringify(value));`;
  const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  const lines = run.stdout.trimEnd().split('\n');
  return { value: JSON.parse(lines[lines.length - 1]), printed: lines.slice(0, -1).join('\n') };
}

const verdict = (kind: string, status: number, output: string): unknown =>
  evaluate(`steps.verdict(${JSON.stringify(kind)}, ${status}, ${JSON.stringify(output)})`).value;

describe('steps of npm test', () => {
  it("counts mocha's and Node's closing lines", () => {
    expect(verdict('suite', 0, '  rooms\n\n  12 passing (3s)\n  2 pending\n')).to.deep.equal({ passed: 12, failed: 0, skipped: 2 });
    expect(verdict('suite', 1, '  12 passing (3s)\n  3 failing\n\n  1) x')).to.deep.equal({ passed: 12, failed: 3, skipped: 0 });
    expect(verdict('suite', 0, '# tests 4\n# pass 3\n# fail 0\n# skipped 1\nℹ pass 2\nℹ fail 0')).to.deep.equal({ passed: 5, failed: 0, skipped: 1 });
    expect(verdict('suite', 0, '7 passed, 0 failed')).to.deep.equal({ passed: 7, failed: 0, skipped: 0 });
  });

  it('counts a broken program as a failure though it counted none', () => {
    expect(verdict('suite', 1, '  12 passing (3s)')).to.deep.equal({ passed: 12, failed: 1, skipped: 0 });
    expect(verdict('suite', 0, 'nothing ran')).to.deep.equal({ passed: 0, failed: 1, skipped: 0 });
    expect(verdict('share', 0, '  0 passing (0s)'), 'others had taken all').to.deep.equal({ passed: 0, failed: 0, skipped: 0 });
    expect(verdict('share', 1, '  0 passing (0s)')).to.deep.equal({ passed: 0, failed: 1, skipped: 0 });
    expect(verdict('check', 2, '')).to.deep.equal({ passed: 0, failed: 1, skipped: 0 });
    expect(verdict('check', 0, '3 failing')).to.deep.equal({ passed: 1, failed: 0, skipped: 0 });
  });

  it('adds up the steps and shows the failures at the end', () => {
    const step = (name: string, kind: string, script: string): unknown => ({ name, kind, args: ['--eval', script], minutes: 1 });
    const list = [
      step('broken suite', 'suite', "console.log('  long story\\n  4 passing (1s)\\n  1 failing\\n\\n  1) the reason'); process.exit(1)"),
      step('sound check', 'check', "console.log('quiet')"),
      step('broken check', 'check', "console.error('the complaint'); process.exit(1)"),
    ];
    const { value, printed } = evaluate(`steps.runSteps(${JSON.stringify(list)})`);
    expect(value).to.deep.equal({ passed: 5, failed: 2, skipped: 0 });
    expect(printed).to.match(/^FAILED {2}broken suite .* s {2}4 passed, 1 failed\nok {6}sound check .* s\nFAILED {2}broken check .* s\n/);
    expect(printed).to.match(/---- broken suite [^\n]*\n\s*1 failing\n\n {2}1\) the reason\n/);
    expect(printed)
      .to.include('the complaint')
      .and.not.match(/^ +long story/m)
      .and.not.match(/^quiet/m);
  });
});
