import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { nextNumber, readHistory, readRunFolder, resolveRun, runId, runsFolder } from '../../src/experiment/history';
import { diskReader, type RunReader } from '../../src/experiment/run-reader';
import { fail, ok, unwrap } from '../../src/protocol/fault';
import { runFolder, runRecord } from './run-fixture';

/** Files of a pretended disk, path to text. */
const reader = (files: Readonly<Record<string, string>>): RunReader => ({
  folders: async (at) => {
    const names = Object.keys(files).flatMap((file) => (file.startsWith(at + path.sep) ? [file.slice(at.length + 1).split(path.sep)[0]] : []));
    return names.length === 0 ? fail('not-found', `${at} is not there.`) : ok([...new Set(names)]);
  },
  text: async (at) => (Object.hasOwn(files, at) ? ok(files[at]) : fail('not-found', `${at} is not there.`)),
  held: async (at) => Object.hasOwn(files, at),
});

const workspace = path.resolve('/work space');
const at = (...parts: string[]): string => path.join(runsFolder(workspace), ...parts);
const stored = (id: string, number: number): Record<string, string> => ({ [at(id, 'run.json')]: JSON.stringify(runRecord({ id, number })) });

describe('a run that says it is running', () => {
  const files = { [at('a', 'run.json')]: JSON.stringify(runRecord({ id: 'a', number: 1, status: 'running' })) };

  it('was interrupted when no process holds its lock', async () => {
    const { runs } = await readHistory(reader(files), workspace);
    expect(runs[0].record.status).to.equal('interrupted');
    expect(runs[0].record.reason).to.contain('--resume');
  });

  it('is running while one does', async () => {
    const { runs } = await readHistory(reader({ ...files, [at('a', '.lock')]: '' }), workspace);
    expect(runs[0].record.status).to.equal('running');
  });
});

describe('run ids', () => {
  const date = new Date('2026-11-23T10:15:02.987Z');
  it('are UTC time and method, numbered when taken', () => {
    expect(runId(date, 'npo', new Set())).to.equal('2026-11-23T10-15-02-npo');
    expect(runId(date, 'npo', new Set(['2026-11-23T10-15-02-npo']))).to.equal('2026-11-23T10-15-02-npo-2');
    expect(runId(date, 'npo', new Set(['2026-11-23T10-15-02-npo', '2026-11-23T10-15-02-npo-2']))).to.equal('2026-11-23T10-15-02-npo-3');
    expect(runId(date, 'rmu', new Set(['2026-11-23T10-15-02-npo']))).to.equal('2026-11-23T10-15-02-rmu');
  });

  it('numbers go on from the largest', () => {
    expect(nextNumber([])).to.equal(1);
    expect(nextNumber([runRecord({ number: 7 }), runRecord({ number: 3 })])).to.equal(8);
  });
});

describe('history', () => {
  it('a workspace without runs has none, and no complaint', async () => {
    expect(await readHistory(reader({}), workspace)).to.deep.equal({ runs: [], broken: [], unread: null });
  });

  it('sorts by number and reports broken folders with one sentence each', async () => {
    const files = {
      ...stored('b', 2),
      ...stored('a', 10),
      ...stored('c', 1),
      [at('empty', 'steps.jsonl')]: '',
      [at('torn', 'run.json')]: '{"id": "torn", "num',
      [at('future', 'run.json')]: JSON.stringify({ ...runRecord(), status: 'dreaming' }),
      [at('list', 'run.json')]: '[]',
      [at('null', 'run.json')]: 'null',
      [at('.half-made', 'x')]: '',
    };
    const { runs, broken } = await readHistory(reader(files), workspace);
    expect(runs.map(({ record }) => record.number)).to.deep.equal([1, 2, 10]);
    expect(runs[2].folder).to.equal(at('a'));
    expect(broken.map(({ folder }) => path.basename(folder)).sort()).to.deep.equal(['empty', 'future', 'list', 'null', 'torn']);
    expect(broken.find(({ folder }) => folder.endsWith('future'))?.why).to.include('"status"');
    for (const { why } of broken) expect(why).to.match(/^\S[^\n]*\.$/);
  });

  it('a folder that cannot be listed is one broken entry', async () => {
    const { runs, broken } = await readHistory({ ...reader({}), folders: async () => fail('io', 'Permission denied.') }, workspace);
    expect([runs.length, broken[0].why]).to.deep.equal([0, 'Permission denied.']);
  });

  it('reads a thousand runs', async () => {
    const files = Object.assign({}, ...Array.from({ length: 1000 }, (_, i) => stored(`run-${i}`, i + 1)));
    const { runs } = await readHistory(
      { folders: async () => ok(Array.from({ length: 1000 }, (_, i) => `run-${i}`)), text: reader(files).text, held: async () => false },
      workspace,
    );
    expect(runs.length).to.equal(1000);
  });

  it('reads real folders', async () => {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'uoe-history-'));
    try {
      expect((await readHistory(diskReader, root)).runs).to.deep.equal([]);
      fs.mkdirSync(path.join(runsFolder(root), 'one'), { recursive: true });
      fs.mkdirSync(path.join(runsFolder(root), 'two'));
      fs.writeFileSync(path.join(runsFolder(root), 'one', 'run.json'), JSON.stringify(runRecord()));
      fs.writeFileSync(path.join(runsFolder(root), 'stray.txt'), 'x');
      const { runs, broken } = await readHistory(diskReader, root);
      expect([runs.length, broken.length]).to.deep.equal([1, 1]);
      expect(unwrap(await resolveRun(diskReader, root, '1'))).to.equal(path.join(runsFolder(root), 'one'));
    } finally {
      fs.rmSync(root, { recursive: true });
    }
  });
});

describe('a run folder', () => {
  const folder = at('a');
  const whole = runFolder();
  const files = (rest: Readonly<Record<string, string>> = {}): Record<string, string> => ({
    [at('a', 'run.json')]: JSON.stringify(whole.record),
    [at('a', 'recipe.json')]: JSON.stringify(whole.recipe),
    ...rest,
  });

  it('is called what its folder is called, wherever its file would lead', async () => {
    const record = { ...whole.record, id: '../../../elsewhere/.uoe/runs/b' };
    expect(unwrap(await readRunFolder(reader(files({ [at('a', 'run.json')]: JSON.stringify(record) })), folder)).record.id).to.equal('a');
  });

  it('a journal of a night is thinned on request, its first and last rows kept', async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => ({ step: i + 1, ms: 100 }));
    const all = files({ [at('a', 'steps.jsonl')]: rows.map((row) => `${JSON.stringify(row)}\n`).join('') });
    const { steps } = unwrap(await readRunFolder(reader(all), folder, 1000));
    expect(steps.length).to.be.within(400, 1000);
    expect([steps[0].step, steps.at(-5)?.step, steps.at(-1)?.step]).to.deep.equal([1, 19_996, 20_000]);
    expect(unwrap(await readRunFolder(reader(all), folder)).steps).to.have.length(20_000);
  });

  it('comes back as it was written', async () => {
    const all = files({
      [at('a', 'steps.jsonl')]: whole.steps.map((row) => `${JSON.stringify(row)}\n`).join(''),
      [at('a', 'checks.jsonl')]: whole.checks.map((row) => `${JSON.stringify(row)}\n`).join(''),
      [at('a', 'attribution.json')]: JSON.stringify(whole.attribution),
      [at('a', 'evaluation.json')]: JSON.stringify(whole.evaluation),
    });
    expect(unwrap(await readRunFolder(reader(all), folder))).to.deep.equal({ ...whole, record: { ...whole.record, id: 'a' } });
  });

  it('reads audits.json of when the forbidden expert was the only audit', async () => {
    const [{ role, before, after, forbiddenBefore, forbiddenAfter }] = whole.evaluation?.sets ?? [];
    const experts = [{ layer: 2, expert: 10 }];
    const old = { run: 'a', forbid: { experts, sets: [{ role, before, after, forbiddenBefore, forbiddenAfter }] } };
    const { audits } = unwrap(await readRunFolder(reader(files({ [at('a', 'audits.json')]: JSON.stringify(old) })), folder));
    const sets = [{ role, before, after, underBefore: forbiddenBefore, underAfter: forbiddenAfter }];
    expect(audits).to.deep.equal({ run: 'a', audits: { forbid: { settings: { experts }, sets, seconds: 0 } } });
    const broken = await readRunFolder(reader(files({ [at('a', 'audits.json')]: '{"run": "a", "audits": {"forbid": 3}}' })), folder);
    expect(broken).to.have.nested.property('fault.message').that.includes('audits.json');
  });

  it('a run that just began has no journals and no evaluation', async () => {
    const run = unwrap(await readRunFolder(reader(files()), folder));
    expect([run.steps, run.checks, run.attribution, run.evaluation]).to.deep.equal([[], [], null, null]);
  });

  it('leaves out a torn last line, and names the line of a bad one before', async () => {
    const torn = files({ [at('a', 'steps.jsonl')]: '{"step":1}\n{"step":2}\n{"st' });
    expect(unwrap(await readRunFolder(reader(torn), folder)).steps.length).to.equal(2);
    const hole = files({ [at('a', 'steps.jsonl')]: '{"step":1}\n{"step":2}\n\0\0\0,"ms":2}\n' });
    expect(unwrap(await readRunFolder(reader(hole), at('a'))).steps).to.have.length(2);
    const bad = files({ [at('a', 'steps.jsonl')]: '{"step":1}\n{"st\n{"step":3}\n' });
    expect(await readRunFolder(reader(bad), folder))
      .to.have.nested.property('fault.message')
      .that.includes('steps.jsonl line 2');
  });

  it('names the file that is not what it should be', async () => {
    expect(await readRunFolder(reader(files({ [at('a', 'evaluation.json')]: '{"sets": 3}' })), folder))
      .to.have.nested.property('fault.message')
      .that.includes('evaluation.json');
    expect(await readRunFolder(reader(files({ [at('a', 'recipe.json')]: '{"modle": "x"}' })), folder))
      .to.have.nested.property('fault.message')
      .that.includes('recipe.json');
  });
});

describe('naming a run', () => {
  const elsewhere = path.resolve('/elsewhere');
  const disk = reader({ ...stored('first', 1), ...stored('second', 2), ...stored('copy-of-second', 2), [path.join(elsewhere, 'r', 'run.json')]: '{}' });
  const resolve = (text: string) => resolveRun(disk, workspace, text, elsewhere);

  it('works by id, number and folder', async () => {
    expect(unwrap(await resolve('first'))).to.equal(at('first'));
    expect(unwrap(await resolve('1'))).to.equal(at('first'));
    expect(unwrap(await resolve(' #1 '))).to.equal(at('first'));
    expect(unwrap(await resolve('r'))).to.equal(path.join(elsewhere, 'r'));
    expect(unwrap(await resolve('./r'))).to.equal(path.join(elsewhere, 'r'));
    expect(unwrap(await resolve(at('second')))).to.equal(at('second'));
  });

  it('says when there is none, or more than one', async () => {
    expect(await resolve('third'))
      .to.have.nested.property('fault.message')
      .that.includes('no run "third"');
    expect(await resolve('9')).to.have.nested.property('fault.code', 'not-found');
    expect(await resolve('2'))
      .to.have.nested.property('fault.message')
      .that.includes('second');
    expect(await resolve('')).to.have.nested.property('fault.code', 'usage');
    expect(await resolve('..')).to.have.nested.property('fault.code', 'not-found');
  });
});
