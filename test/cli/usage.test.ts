import path from 'node:path';
import { expect } from 'chai';
import { verbs } from '../../src/cli/verbs';
import { buildIfStale, uoe } from './command';

const checkpoint = path.join('test', 'fixtures', 'golden', 'mixtral');

describe('uoe: usage', () => {
  before(buildIfStale);

  const wrong: readonly (readonly [what: string, args: readonly string[], says: RegExp])[] = [
    ['an unknown verb', ['forget-me'], /unknown command 'forget-me'/i],
    ['a missing argument', ['inspect'], /missing required argument 'model'/i],
    ['an unknown option', ['score', checkpoint, '--data', 'x.jsonl', '--logit', 'y'], /unknown option '--logit'.*--logits/i],
    ['a missing option', ['score', checkpoint], /--data <file>.*not specified/i],
    ['a number that is none', ['inspect', checkpoint, '--threads', 'many'], /'many' is invalid.*whole number/i],
    ['an expert that is none', ['score', checkpoint, '--data', 'x.jsonl', '--forbid', '1'], /'1' is invalid.*LAYER:EXPERT/],
    ['one argument too many', ['inspect', checkpoint, 'another'], /too many arguments/i],
    ['neither recipe nor flags', ['unlearn', '--forget', 'x.jsonl'], /neither a recipe nor --model and --forget/i],
    ['nowhere to export to', ['export', '1'], /--to FOLDER or --patch FILE/],
  ];
  for (const [what, args, says] of wrong) {
    it(`${what}: exit code 2, one sentence on stderr, nothing on stdout`, async () => {
      const { code, stdout, stderr } = await uoe(args);
      expect(code, stderr).to.equal(2);
      expect(stdout).to.equal('');
      expect(stderr).to.match(says);
      expect(stderr.trim().split('\n')).to.have.length(1);
    });
  }

  it('no verb: the help on stderr, exit code 2', async () => {
    const { code, stdout, stderr } = await uoe([]);
    expect([code, stdout]).to.deep.equal([2, '']);
    for (const { name } of verbs) expect(stderr).to.include(`\n  ${name} `);
  });

  it('--help of a verb shows an example and the common options, exit code 0', async () => {
    const { code, stdout } = await uoe(['attribute', '--help']);
    expect(code).to.equal(0);
    expect(stdout).to.include('Example:\n  uoe attribute ');
    for (const option of [
      '--forbid',
      '--forbid-by',
      '--document-start',
      '--memory',
      '--threads',
      '--backend',
      '--seed',
      '--max-length',
      '--workspace',
      '--json',
    ]) {
      expect(stdout).to.include(option);
    }
  });

  it('every verb has an example that begins with its name', () => {
    for (const { name, example } of verbs) expect(example, name).to.match(new RegExp(`^uoe ${name}\\b`));
  });

  it('--json prints one document and nothing else; --version the version', async () => {
    const { code, stdout } = await uoe(['runs', '--json', '--workspace', path.join('test', 'fixtures')]);
    expect(code).to.equal(0);
    expect(JSON.parse(stdout)).to.deep.equal({ runs: [], broken: [], cut: [] });
    expect((await uoe(['--version'])).stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it('a backend that is not there is said, exit code 1', async () => {
    const { code, stderr } = await uoe([
      'generate',
      checkpoint,
      '--data',
      path.join('test', 'fixtures', 'golden', 'mixtral', 'golden.json'),
      '--backend',
      'tensorflow',
    ]);
    expect(code).to.equal(1);
    expect(stderr.trim().split('\n')).to.have.length(1);
  });
});
