/** Sweep files: their product, what makes a task the same task, what can't be; and figures over repeats. */
import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { openSweep, refuseNamesake } from '../../src/experiment/sweep-folder';
import { sweepJsonSchema } from '../../src/experiment/sweep-json-schema';
import { planSweep, type Sweep } from '../../src/experiment/sweep-plan';
import { spreadOf, sweepLines, sweepText, taskResults } from '../../src/experiment/sweep-results';
import { fail, ok, sentence, unwrap } from '../../src/protocol/fault';
import { recipeJsonSchema } from '../../src/protocol/recipe';
import type { RunRecord } from '../../src/protocol/records';
import { temporaryFolder } from '../files/temporary-folder';

const recipe = { model: 'model', forget: 'forget.jsonl', retain: 'retain.jsonl' };
const noFile = async () => fail('not-found', 'no file');
const plan = (json: unknown) => planSweep(json, '/study/a.sweep.json', noFile);
const refused = async (json: unknown): Promise<string> => {
  const made = await plan(json);
  return made.ok ? 'it went well' : sentence(made.fault);
};

describe('a sweep file', () => {
  it('is the product of its settings, the last one fastest, paths against the file', async () => {
    const { name, tasks } = unwrap(await plan({ recipe, vary: { 'anchor.weight': [0, 1], seed: [3, 4] } }));
    expect(name).to.equal('a');
    expect(tasks.map(({ labels }) => Object.values(labels).join())).to.deep.equal(['0,3', '0,4', '1,3', '1,4']);
    expect(tasks[2].recipe).to.deep.include({ model: '/study/model', seed: 3, anchor: { weight: 1 } });
    expect(new Set(tasks.map(({ id }) => id)).size).to.equal(4);
  });

  it('takes labelled options of several settings, and targets as plain values', async () => {
    const options = [
      { label: 'GA', set: { method: 'ga', 'optimizer.lr': 0.5 } },
      { label: 'RMU', set: { method: 'rmu', 'methodOptions.c': 7 } },
    ];
    const { tasks } = unwrap(await plan({ recipe: { ...recipe, optimizer: { warmup: 2 } }, vary: { how: options, target: ['auto', { random: 7 }] } }));
    expect(tasks.map(({ labels }) => labels)).to.deep.include({ how: 'RMU', target: '{"random":7}' });
    expect(tasks[0].recipe.optimizer).to.deep.equal({ warmup: 2, lr: 0.5 });
    expect(tasks[3].recipe).to.deep.include({ target: { random: 7 }, methodOptions: { c: 7 } });
  });

  it('reads a recipe file, whose paths are against that file', async () => {
    const read = async (file: string) => (file === '/study/sub/r.uoe.json' ? ok(recipe) : fail('not-found', file));
    const made = unwrap(await planSweep({ recipe: 'sub/r.uoe.json', vary: { seed: [1] } }, '/study/a.json', read));
    expect(made.tasks[0].recipe.forget).to.equal('/study/sub/forget.jsonl');
  });

  it('a task stays itself when threads, memory, order of keys or its siblings change, and no longer when a result could', async () => {
    const id = async (more: object, values: unknown[] = [1]) => unwrap(await plan({ recipe: { ...more, ...recipe }, vary: { seed: values } })).tasks[0].id;
    const own = await id({});
    expect(await id({ threads: 2, memory: '2GB' })).to.equal(own);
    expect(await id({}, [1, 2])).to.equal(own);
    expect(await id({ retain: 'x', forget: 'y' })).to.equal(own);
    expect(await id({ steps: 7 })).not.to.equal(own);
    expect(await id({}, [2])).not.to.equal(own);
  });

  it('what can’t be is said in a sentence that names the task or the field', async () => {
    expect(await refused({ vary: {} })).to.match(/is not a sweep: "recipe"/);
    expect(await refused({ recipe, vary: { seed: [] } })).to.match(/"vary\.seed"/);
    expect(await refused({ recipe, vary: { stepz: [3] } })).to.match(/task "stepz 3": .*"stepz".*"steps"/);
    expect(await refused({ recipe, vary: { steps: [3, 3] } })).to.match(/"steps 3" and "steps 3" are the same run/);
    expect(await refused({ recipe, vary: { __proto__x: [1], seed: [1] } })).to.match(/__proto__x/);
  });
});

const record = (sweep: Sweep, i: number, more: Partial<RunRecord>): RunRecord =>
  ({
    id: `run-${i}`,
    number: i + 1,
    status: 'done',
    keptStep: 5,
    seconds: { total: 2 },
    sweep: { name: sweep.name, task: sweep.tasks[i].id },
    ...more,
  }) as RunRecord;

describe('results of a sweep', () => {
  it('are averaged over seeds; failed and unfinished tasks are counted, not averaged', async () => {
    const sweep = unwrap(await plan({ recipe, vary: { method: ['ga', 'npo'], seed: [0, 1, 2] } }));
    const forget = (after: number) => ({ summary: { forget: { before: 1, after } } });
    const results = taskResults(sweep, [
      record(sweep, 0, forget(0.25)),
      record(sweep, 1, forget(0.75)),
      record(sweep, 2, { status: 'failed', ...forget(0) }),
      record(sweep, 3, { status: 'cancelled' }),
      { ...record(sweep, 4, forget(0.5)), sweep: { name: 'another', task: sweep.tasks[4].id } },
    ]);
    expect(results.map(({ state }) => state)).to.deep.equal(['done', 'done', 'failed', 'unfinished', 'waiting', 'waiting']);
    const [ga, npo] = sweepLines(sweep, results);
    expect([ga.tasks, ga.done, ga.failed, ga.runs]).to.deep.equal([3, 2, 1, ['run-0', 'run-1']]);
    expect(ga.figures.forget?.mean).to.equal(0.5);
    expect(ga.figures.forget?.sd).to.be.closeTo(Math.SQRT1_2 / 2, 1e-12);
    expect(npo.figures.forget).to.equal(null);
    expect(sweepText(sweep, [ga, npo])).to.match(/ga +2\/3 \(1 failed\) +0\.500 ± 0\.354/);
  });

  it('a task that was run again counts by the run that is furthest', async () => {
    const sweep = unwrap(await plan({ recipe, vary: { seed: [0] } }));
    const done = { ...record(sweep, 0, {}), id: 'first' };
    const [result] = taskResults(sweep, [done, { ...record(sweep, 0, { status: 'cancelled' }), id: 'second' }]);
    expect([result.state, result.record?.id]).to.deep.equal(['done', 'first']);
  });

  it('mean and sample deviation are those of the definition', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 9 }), (values) => {
        const own = spreadOf([...values, null, undefined, Number.NaN]);
        const mean = values.reduce((a, b) => a + b) / values.length;
        expect(own?.n).to.equal(values.length);
        expect(own?.mean).to.be.closeTo(mean, 1e-12);
        if (values.length < 2) expect(own?.sd).to.equal(null);
        else
          expect((own?.sd ?? 0) ** 2 * (values.length - 1)).to.be.closeTo(
            values.reduce((sum, v) => sum + (v - mean) ** 2, 0),
            1e-9,
          );
      }),
    );
  });
});

describe('JSON Schema of a sweep', () => {
  it('has every field of the recipe to vary and to set, in full and by its path, each documented where the recipe documents it', () => {
    const schema = sweepJsonSchema() as {
      properties: Record<'recipe' | 'vary' | 'workers' | 'slurm', { description: string; properties: Record<string, { description?: string }> }>;
      $defs: { recipe: { required?: unknown }; set: { properties: Record<string, { description?: string }> } };
      required: string[];
    };
    expect(schema.required).to.deep.equal(['recipe', 'vary']);
    for (const [name, { description, properties = {} }] of Object.entries(schema.properties)) {
      expect(description ?? '', name).to.match(/\S/);
      for (const [own, field] of Object.entries(name === 'slurm' ? properties : {})) expect(field.description ?? '', own).to.match(/\S/);
    }
    const fields = schema.properties.vary.properties;
    expect(Object.keys(fields)).to.include.members(['method', 'seed', 'anchor.weight', 'optimizer.lr', 'target.random', 'methodOptions.c.timesHiddenNorm']);
    expect(Object.keys(schema.$defs.set.properties)).to.deep.equal(Object.keys(fields));
    const documented = Object.entries(recipeJsonSchema().properties as Record<string, { description: string }>);
    for (const [name, { description }] of documented) expect(fields[name].description, name).to.equal(description);
    expect(schema.$defs.recipe.required, 'what is varied need not stand in the recipe').to.equal(undefined);
    expect(JSON.parse(JSON.stringify(schema))).to.deep.equal(schema);
  });
});

describe('the folder of a sweep', () => {
  it('is of one file: another of its name is refused by the name of the first, until that is gone', async () => {
    const workspace = temporaryFolder();
    const own = unwrap(await plan({ recipe, vary: { seed: [1] } }));
    const [first, other, link] = ['one/a.sweep.json', 'two/a.sweep.json', 'linked/a.sweep.json'].map((name) => path.join(workspace, name));
    for (const file of [first, other]) {
      fs.mkdirSync(path.dirname(file));
      fs.writeFileSync(file, '{}');
    }
    fs.symlinkSync(path.dirname(first), path.dirname(link), 'junction');
    const refusal = (file: string) =>
      refuseNamesake(workspace, own, file).then(
        () => null,
        (error: Error) => error.message,
      );
    expect(await refusal(other), 'nobody has it yet').to.equal(null);
    await (await openSweep(workspace, own, first)).release();
    expect(await refusal(first)).to.equal(null);
    expect(await refusal(link)).to.equal(null);
    expect(await refusal(other)).to.equal(`Another file has the sweep a of this workspace: ${first}. Give one of the two files another name.`);
    fs.renameSync(first, path.join(workspace, 'moved.sweep.json'));
    expect(await refusal(other)).to.equal(null);
  });

  it('is of one process at a time, and what a killed one left unfinished goes with the next', async () => {
    const workspace = temporaryFolder();
    const own = unwrap(await plan({ recipe, vary: { seed: [1, 2] } }));
    const first = await openSweep(workspace, own, '/study/a.sweep.json');
    const tasks = path.join(workspace, '.uoe', 'sweeps', 'a', 'tasks');
    fs.writeFileSync(path.join(tasks, '.x.uoe.json.0123456789ab.uoe-tmp'), '{');
    const second = await openSweep(workspace, own, '/study/a.sweep.json').then(
      () => 'it went well',
      (error: Error) => error.message,
    );
    expect(second).to.match(new RegExp(`^Sweep a is in use by process ${process.pid} on `));
    await first.release();
    await (await openSweep(workspace, own, '/study/a.sweep.json')).release();
    expect(fs.readdirSync(tasks).sort()).to.deep.equal(own.tasks.map(({ id }) => `${id}.uoe.json`).sort());
  });
});
