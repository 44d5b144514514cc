import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import type { RunRecord } from '../../src/protocol/records';
import { buildIfStale, start, uoe } from './command';
import { goldenFiles } from './golden-files';

const folder = path.resolve('test', 'fixtures', 'golden', 'mixtral');

interface SweepAnswer {
  readonly tasks: readonly { readonly task: string; readonly state: string; readonly run: string | null }[];
  readonly lines: readonly {
    readonly labels: Record<string, string>;
    readonly done: number;
    readonly figures: { readonly steps: { readonly mean: number } };
  }[];
}

describe('uoe sweep', () => {
  before(buildIfStale);

  it('runs the product two at a time, is stopped, goes on with the rest, and gives the bits that one worker gives', async function () {
    this.timeout(180_000);
    const { forget, retain, at } = goldenFiles(folder);
    const file = at('methods.sweep.json');
    const recipe = { model: folder, forget, retain, target: { layer: 1, expert: 2 }, batchSize: 2, optimizer: { lr: 0.001 }, backend: 'wasm' };
    const methods = [
      { label: 'GDIFF', set: { method: 'gdiff', steps: 10 } },
      { label: 'RMU', set: { method: 'rmu', steps: 14 } },
    ];
    fs.writeFileSync(file, JSON.stringify({ recipe, vary: { method: methods, seed: [0, 1] } }));
    const [two, one] = [at('two'), at('one')];
    const sweep = (workspace: string, ...more: string[]) => ['sweep', file, '--workspace', workspace, '--json', ...more];
    const answer = (text: string) => JSON.parse(text) as SweepAnswer;

    const stopped = start(sweep(two, '--workers', '2'));
    await stopped.shown('RMU · 0: begins');
    stopped.interrupt();
    const cancelled = await stopped.outcome;
    expect(cancelled.code, cancelled.stderr).to.equal(130);
    expect(cancelled.stderr).to.match(/stopped after \d of 4 tasks\. The same command goes on with the rest/);

    const finished = await uoe(sweep(two, '--workers', '2'));
    expect(finished.code, finished.stderr).to.equal(0);
    const { tasks, lines } = answer(finished.stdout);
    expect(tasks.map(({ state }) => state)).to.deep.equal(['done', 'done', 'done', 'done']);
    expect(lines.map(({ labels, done, figures }) => [labels.method, done, figures.steps.mean])).to.deep.equal([
      ['GDIFF', 2, 10],
      ['RMU', 2, 14],
    ]);
    const runs = (workspace: string) => fs.readdirSync(path.join(workspace, '.uoe', 'runs')).filter((name) => !name.startsWith('.'));
    expect(runs(two)).to.have.length(4);

    const idle = await uoe(sweep(two));
    expect(idle.stderr, 'finished tasks are not run again').not.to.include('begins');
    expect(runs(two)).to.have.length(4);

    await uoe(sweep(one));
    const journals = (workspace: string) =>
      Object.fromEntries(
        runs(workspace).map((run) => {
          const read = (name: string) => fs.readFileSync(path.join(workspace, '.uoe', 'runs', run, name), 'utf8');
          const rows = read('steps.jsonl').trim().split('\n');
          return [(JSON.parse(read('run.json')) as RunRecord).sweep?.task, rows.map((row) => ({ ...(JSON.parse(row) as object), ms: 0 }))];
        }),
      );
    expect(journals(one)).to.deep.equal(journals(two));
  });

  it('on a cluster needs Slurm on the path: one sentence, and this machine offered; what would be submitted is shown without it', async () => {
    const { forget, retain, at } = goldenFiles(folder);
    const file = at('one.sweep.json');
    const recipe = { model: folder, forget, retain, target: { layer: 1, expert: 2 }, batchSize: 2, steps: 3, backend: 'wasm' };
    fs.writeFileSync(file, JSON.stringify({ recipe, vary: { seed: [0, 1] }, slurm: { partition: 'long', cpus: 2, parallel: 1 } }));
    const known = process.env.PATH;
    process.env.PATH = at('nothing');
    try {
      const refused = await uoe(['sweep', file, '--on', 'slurm', '--workspace', at('cluster')]);
      expect(refused.code).to.equal(1);
      expect(refused.stderr.trim()).to.match(
        /^Slurm is not here: there is no scontrol on the path\. Run this on a login node .* or run the tasks on this machine with --on local\.$/,
      );
      const shown = await uoe(['sweep', file, '--on', 'slurm', '--dry-run', '--workspace', at('cluster')]);
      expect(shown.code, shown.stderr).to.equal(0);
      expect(shown.stdout).to.include('#SBATCH --array=0-1%1\n').and.include('#SBATCH --partition=long\n').and.include(' --threads 2 ');
      expect(fs.existsSync(at('cluster')), 'a dry run writes nothing').to.equal(false);
    } finally {
      process.env.PATH = known;
    }
  });
});
