/** `npm run paper` without its runs: what it would run, which rate it takes, and that its claims follow from the figures alone. */
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { planSweep } from '../../src/experiment/sweep-plan';
import { readJson } from '../../src/files/read';
import { unwrap } from '../../src/protocol/fault';

const folder = path.resolve('docs/paper');
// A module of tools stays outside this bundle: Node reads it where it lies.
const tool = (name: string) => import(pathToFileURL(path.resolve('tools/paper', `${name}.mjs`)).href);

interface Claim {
  readonly claim: string;
  readonly mark: string;
  readonly number: string;
}

type Labels = Readonly<Record<string, string>>;
/** Figures of each seed; a text is a seed that failed with it, null one that was not run. */
type Seed = { readonly forget: number; readonly utility: number; readonly overlapForget?: number } | string | null;

async function row(labels: Labels, seeds: readonly Seed[]) {
  const { rowOf } = await tool('rows');
  const runs = seeds.map((seed, i) => {
    if (seed === null) return { seed: i, state: 'waiting', run: null };
    if (typeof seed === 'string') return { seed: i, state: 'failed', run: { reason: seed } };
    return {
      seed: i,
      state: 'done',
      run: {
        id: `run-${i}`,
        near: 0.5,
        overlapRetain: 0.9,
        share: 0.01,
        steps: 40,
        seconds: 20,
        forbidden: 0.9,
        overlapForget: 0.7,
        ...seed,
        audits: {},
        reached: true,
      },
    };
  });
  return rowOf({ name: Object.values(labels).join(' · '), labels, runs, planned: seeds.length });
}

const three = (forget: number, utility: number, overlapForget = 0.7): readonly Seed[] =>
  [-0.01, 0, 0.01].map((noise) => ({ forget: forget + noise, utility: utility + noise, overlapForget: overlapForget + noise }));

async function claimsFor(rows: readonly { readonly table: string; readonly labels: Labels; readonly seeds: readonly Seed[] }[]): Promise<Claim[]> {
  const [{ claimsOf }, { tables }] = await Promise.all([tool('claims'), tool('tables')]);
  const filled = await Promise.all(
    (tables as { readonly id: string }[]).map(async (table) => ({
      ...table,
      rows: await Promise.all(rows.filter((each) => each.table === table.id).map(({ labels, seeds }) => row(labels, seeds))),
    })),
  );
  return claimsOf({ tables: filled, attribution: null });
}

const cell = (method: string, trained: string, seeds: readonly Seed[]) => ({ table: 'methods', labels: { method, trained }, seeds });
const aboutFull = 'GDIFF: one expert keeps more utility than all parameters at equal FE';
async function mark(claim: string, rows: Parameters<typeof claimsFor>[0]): Promise<Claim> {
  const found = (await claimsFor(rows)).find((each) => each.claim === claim);
  if (!found) throw new Error(`no claim "${claim}"`);
  return found;
}

describe("the paper's tables", () => {
  const files = fs.readdirSync(folder).filter((name) => name.endsWith('.sweep.json'));

  for (const file of files) {
    it(`${file} is a product of runs that can be`, async () => {
      const at = path.join(folder, file);
      const { tasks } = unwrap(await planSweep(unwrap(await readJson(at)), at, readJson));
      expect(tasks.length).to.be.above(2);
      for (const { recipe } of tasks) expect(fs.existsSync(recipe.model), recipe.model).to.equal(true);
    });
  }

  it('every sweep file belongs to a table, and every row has a place in its order', async () => {
    const { tables, quickTables } = await tool('tables');
    const named = [...tables, ...quickTables].flatMap(({ sweeps }: { readonly sweeps: readonly string[] }) => sweeps.map((name) => `${name}.sweep.json`));
    expect(files.filter((file) => !named.includes(file))).to.deep.equal([]);
    for (const { sweeps, order } of tables) {
      if (order === undefined) continue;
      for (const name of sweeps) {
        const at = path.join(folder, `${name}.sweep.json`);
        const { tasks } = unwrap(await planSweep(unwrap(await readJson(at)), at, readJson));
        for (const [axis, labels] of Object.entries(order as Record<string, string[]>)) {
          for (const task of tasks) expect(labels).to.include(task.labels[axis]);
        }
      }
    }
  });

  it('the other seeds are the same runs at the chosen rate, a random expert another with each', async () => {
    const { repeatSweep, searchedRows } = await tool('rows');
    const at = path.join(folder, 'methods.sweep.json');
    const { vary } = unwrap(await readJson(at)) as { readonly vary: unknown };
    const { tasks } = unwrap(await planSweep(unwrap(await readJson(at)), at, readJson));
    const best = (labels: Labels) => (labels['optimizer.lr'] === '0.01') === (labels.method === 'RMU');
    const searched = tasks.map(({ labels }) => ({ labels, state: 'done', run: { reached: true, stopForget: 0.3, stopUtility: best(labels) ? 0.9 : 0.8 } }));
    const repeats = repeatSweep('recipe.uoe.json', vary, searchedRows(searched, ['method', 'trained']));
    const planned = unwrap(await planSweep(repeats, path.join(folder, 'made.sweep.json'), readJson)).tasks;
    expect(planned).to.have.length(15 * 2);
    const of = (label: string) => {
      const found = planned.find(({ labels }) => labels.run === label);
      if (!found) throw new Error(`no run "${label}" among ${planned.map(({ labels }) => labels.run).join('; ')}`);
      return found.recipe;
    };
    const chosen = tasks.find(({ labels }) => labels.method === 'RMU' && labels.trained === 'one expert' && labels['optimizer.lr'] === '0.01');
    const repeat = of('RMU · one expert, rate 0.01, seed 2');
    const checks = { ...chosen?.recipe.checks, utility: [] };
    expect(repeat).to.deep.equal({ ...chosen?.recipe, seed: 2, checks });
    expect(of('NPO · random expert, rate 0.003, seed 1').target).to.deep.equal({ random: 1 });
    expect(of('NPO · random expert, rate 0.003, seed 2').target).to.deep.equal({ random: 2 });
  });

  it('takes the rate that keeps most of those that reach the goal, else the one that forgets most, and none while one is to come', async () => {
    const { chosenRate } = await tool('rows');
    const run = (rate: number, reached: boolean, stopForget: number, stopUtility: number) => ({
      rate,
      state: 'done',
      run: { reached, stopForget, stopUtility },
    });
    expect(chosenRate([run(0.01, true, 0.2, 0.9), run(0.003, true, 0.3, 0.95)])).to.equal(0.003);
    expect(chosenRate([run(0.01, true, 0.3, 0.5), run(0.003, false, 0.31, 0.99)])).to.equal(0.01);
    expect(chosenRate([run(0.01, false, 0.8, 0.5), run(0.003, false, 0.7, 0.4)])).to.equal(0.003);
    expect(chosenRate([run(0.01, true, 0.2, 0.9), { rate: 0.003, state: 'failed', run: null }])).to.equal(0.01);
    expect(chosenRate([run(0.01, true, 0.2, 0.9), { rate: 0.003, state: 'waiting', run: null }])).to.equal(null);
    expect(chosenRate([{ rate: 0.01, state: 'failed', run: null }])).to.equal(null);
  });
});

describe("the paper's claims", () => {
  const one = cell('GDIFF', 'one expert', three(0.27, 0.96));

  it('hold where the figures have their sign beyond twice the standard error, with the number', async () => {
    const found = await mark(aboutFull, [one, cell('GDIFF', 'all parameters', three(0.28, 0.78))]);
    expect(found.mark).to.equal('reproduced');
    expect(found.number).to.include('+18.0 points').and.to.include('96.0 ± 1.0 %');
  });

  it('fall where the figures contradict them, or lie within the spread', async () => {
    expect((await mark(aboutFull, [one, cell('GDIFF', 'all parameters', three(0.28, 0.99))])).mark).to.equal('not reproduced');
    const near = await mark(aboutFull, [one, cell('GDIFF', 'all parameters', three(0.28, 0.955))]);
    expect(near.mark).to.equal('not reproduced');
    expect(near.number).to.include('Within the spread');
  });

  it('are not decided by rows that are missing or not complete', async () => {
    for (const { mark: each, number } of (await claimsFor([])).filter(({ mark: decided }) => decided !== 'not testable here')) {
      expect(each, number).to.equal('not run');
    }
    const part = await mark(aboutFull, [one, cell('GDIFF', 'all parameters', [...three(0.28, 0.5).slice(0, 2), null])]);
    expect(part).to.include({ mark: 'not run' });
    expect(part.number).to.include('all parameters: 2 of 3 seeds');
  });

  it('compare utility only where both forget', async () => {
    const idle = await mark(aboutFull, [one, cell('GDIFF', 'all parameters', three(0.9, 0.99))]);
    expect(idle.mark).to.equal('not testable here');
    expect((await mark(aboutFull, [one, cell('GDIFF', 'all parameters', three(0.9, 0.7))])).mark).to.equal('reproduced');
    const lame = await mark(aboutFull, [cell('GDIFF', 'one expert', three(0.6, 0.99)), cell('GDIFF', 'all parameters', three(0.28, 0.7))]);
    expect(lame.mark).to.equal('not reproduced');
    expect((await mark(aboutFull, [one, cell('GDIFF', 'all parameters', ['NaN', 'NaN', 'NaN'])])).number).to.include('all seeds failed');
  });

  it('about rank: utility that falls with it, and utility that does not', async () => {
    const claim = 'GA: utility falls with the rank of the chosen expert’s affinity';
    const ranks = (utilities: readonly number[]) =>
      utilities.map((utility, i) => ({ table: 'ranks', labels: { expert: `#${i + 1}` }, seeds: three(0.3, utility) }));
    expect((await mark(claim, ranks([0.99, 0.95, 0.9, 0.7]))).mark).to.equal('reproduced');
    expect((await mark(claim, ranks([0.7, 0.9, 0.95, 0.99]))).mark).to.equal('not reproduced');
    expect((await mark(claim, [...ranks([0.99, 0.95, 0.9]), { table: 'ranks', labels: { expert: '#9' }, seeds: three(0.9, 0.9) }])).mark).to.equal(
      'not testable here',
    );
  });

  it('about routing: the selection that moves less is the one with more overlap', async () => {
    const claim = 'NPO: training all routers moves the routing of the forget set further than one expert with its anchor';
    const pair = (own: number, theirs: number) => [cell('NPO', 'one expert', three(0.3, 0.9, own)), cell('NPO', 'all routers', three(0.8, 0.9, theirs))];
    expect((await mark(claim, pair(0.7, 0.3))).mark).to.equal('reproduced');
    expect((await mark(claim, pair(0.3, 0.7))).mark).to.equal('not reproduced');
  });
});

describe("the paper's page", () => {
  it('without runs it says so in every row and shows no figure', async () => {
    const [{ documents }, { tables }] = await Promise.all([tool('document'), tool('tables')]);
    const planned = await Promise.all(
      tables.map(async (table: object) => ({ ...table, missing: [], rows: [await row({ method: 'GA', trained: 'one expert' }, [null, null, null])] })),
    );
    const written = documents({ tables: planned, attribution: null, machines: [], from: null, to: null });
    expect(Object.keys(written)).to.deep.equal(['paper.md', 'paper.json']);
    expect(written['paper.md'])
      .to.include('6 of 6 rows are not run yet')
      .and.to.include('Nothing was run yet')
      .and.to.include('0 reproduced, 0 not reproduced');
    expect(written['paper.md']).to.match(/\| GA \| one expert \| \*\*not run yet\*\* (\| – )+\|/);
    expect(JSON.parse(written['paper.json']).tables.methods.rows[0].figures.utility).to.equal(null);
  });

  it('names rows that do not forget and rows that failed, with the reason', async () => {
    const [{ documents }, { tables }] = await Promise.all([tool('document'), tool('tables')]);
    const rows = [
      await row({ method: 'GA', trained: 'all routers' }, three(0.92, 0.99)),
      await row({ method: 'GA', trained: 'one expert' }, ['the loss is not a number', null, null]),
    ];
    const { 'paper.md': text } = documents({ tables: [{ ...tables[0], missing: [], rows }], attribution: null, machines: [], from: null, to: null });
    expect(text).to.match(/GA · all routers \(.*\): FE 92\.0 ± 1\.0 %/);
    expect(text).to.include('GA · one expert: seed 0: the loss is not a number');
  });

  it('a rerun is held to the committed spread', async () => {
    const { withinSpread } = await tool('document');
    const table = async (utility: number) => ({ tables: { methods: { rows: [await row({ method: 'GA', trained: 'one expert' }, three(0.3, utility))] } } });
    expect(withinSpread(await table(0.9), await table(0.905))).to.deep.include({ outside: [] });
    expect(withinSpread(await table(0.9), await table(0.93)).outside).to.have.length(1);
  });
});
