/** `--shards`: parts made by processes of their own, put together to the very bits of one reading; what is there is not made again. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { temporaryFolder } from '../files/temporary-folder';
import { randomOf } from '../oracle/random';
import { buildIfStale, uoe, uoeJson } from './command';

const model = path.resolve('test', 'fixtures', 'golden', 'mixtral');

function rows(at: string, count: number, seed: number): string {
  const { uniform } = randomOf(seed);
  const lines = Array.from({ length: count }, () =>
    JSON.stringify({ input_ids: Array.from({ length: 5 + Math.floor(uniform() * 20) }, () => 1 + Math.floor(uniform() * 40)) }),
  );
  fs.writeFileSync(at, lines.join('\n'));
  return at;
}

describe('uoe attribute and score --shards', () => {
  before(buildIfStale);

  it('give what one reading gives, make only what is missing, and say which shard left no part', async function () {
    this.timeout(180_000);
    const folder = temporaryFolder();
    const [prompts, against] = [rows(path.join(folder, 'a.jsonl'), 9, 1), rows(path.join(folder, 'b.jsonl'), 5, 2)];
    const attribute = ['attribute', model, '--prompts', prompts, '--against', against, '--backend', 'wasm', '--seed', '3'];
    const sharded = ['--shards', '3', '--workers', '2', '--workspace', folder];
    const { seconds: _seconds, weights: _weights, ...whole } = await uoeJson<Record<string, unknown>>(attribute);
    expect(await uoeJson([...attribute, ...sharded])).to.deep.equal(whole);

    const [reading] = fs.readdirSync(path.join(folder, '.uoe', 'readings'));
    const at = (...names: string[]) => path.join(folder, '.uoe', 'readings', reading, ...names);
    expect(JSON.parse(fs.readFileSync(at('result.json'), 'utf8'))).to.deep.equal(whole);
    fs.rmSync(at('parts', '2-of-3.safetensors'));
    fs.truncateSync(at('parts', '3-of-3.safetensors'), 200);
    const again = await uoe([...attribute, ...sharded, '--json']);
    expect(JSON.parse(again.stdout)).to.deep.equal(whole);
    expect(again.stderr.match(/^shard \d of 3: begins$/gm)).to.have.members(['shard 2 of 3: begins', 'shard 3 of 3: begins']);

    // Other prompts in the same file are another reading.
    rows(prompts, 2, 4);
    const failed = await uoe([...attribute, ...sharded]);
    expect(failed.code).to.equal(1);
    expect(failed.stderr).to.match(
      /^Shard 1 of 3 has no part \(The prompts have 2 rows, which can't be cut into 3 shards\. Take fewer shards\); its log is \S+shard-1\.log\. 2 more have none\. The same command makes what is missing\.$/m,
    );

    const score = ['score', model, '--data', rows(path.join(folder, 'c.jsonl'), 7, 5), '--backend', 'wasm'];
    expect(await uoeJson([...score, '--shards', '2', '--workspace', folder])).to.deep.equal(await uoeJson(score));
  });

  it('for a cluster show the very jobs, and say where there is none', async () => {
    const folder = temporaryFolder();
    const data = rows(path.join(folder, 'a.jsonl'), 4, 1);
    const score = ['score', model, '--data', data, '--shards', '4', '--on', 'slurm', '--workspace', folder];
    const known = process.env.PATH;
    process.env.PATH = path.join(folder, 'nothing');
    try {
      const shown = await uoe([...score, '--workers', '2', '--site', '{"partition":"long","time":"5"}', '--memory', '1GiB', '--dry-run']);
      expect(shown.code, shown.stderr).to.equal(0);
      expect(shown.stdout).to.include('#SBATCH --array=0-3%2\n').and.include('#SBATCH --mem=1127M\n').and.include(' --shard 4/4 --to ');
      expect(shown.stdout, 'a shard that is put back would begin anew').not.to.include('--signal');
      expect(shown.stdout).to.match(/--- \S+merge\.sh\n[\s\S]* merge \S+parts --to \S+result\.json/);
      expect(fs.existsSync(path.join(folder, '.uoe')), 'a dry run writes nothing').to.equal(false);
      expect((await uoe(score)).stderr).to.match(/^Slurm is not here: .* run the tasks on this machine with --on local\.$/m);
    } finally {
      process.env.PATH = known;
    }
    expect((await uoe(score.filter((word) => !['--shards', '4'].includes(word)))).stderr).to.match(
      /^Where it runs can be chosen for shards alone\. Add --shards N\./m,
    );
  });
});
