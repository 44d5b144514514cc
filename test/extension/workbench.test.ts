import { expect } from 'chai';
import fc from 'fast-check';
import { aggregate, type RoutingRecord } from '../../src/attribution/affinity';
import { figuresOf, ranking, rankingRow, ranksOf } from '../../src/extension/workbench/heatmap';
import { createJobs, progressView } from '../../src/extension/workbench/job';
import { lowestForget, startedRun, withCheck } from '../../src/extension/workbench/live-run';
import { defaultPreset, recipeOf, settingsOf } from '../../src/extension/workbench/plan';
import { formatOf, selectionFileName, selectionName, sourceOf } from '../../src/extension/workbench/selection';
import { fileSource, noSources, pathsOf, savedSources, selectionSource, viewsOf } from '../../src/extension/workbench/sources';
import { fail, ok } from '../../src/protocol/fault';
import { parseRecipe, type Recipe, resolveRecipe } from '../../src/protocol/recipe';
import type { CheckRecord, RunRecord } from '../../src/protocol/records';
import type { HeatmapFigures, JobView } from '../../src/protocol/workbench';

/** MoE layers 1 and 3 of two experts. */
function attribution(): HeatmapFigures {
  const record: RoutingRecord = {
    layers: [1, 3],
    experts: 2,
    topK: 1,
    lengths: Int32Array.of(10, 20),
    affinity: Float64Array.of(0.1, 0.5, 0.7, 0, 0.3, 0.5, 0.7, 0.2),
    slots: Int32Array.of(4, 6, 9, 1, 8, 12, 20, 0),
  };
  return figuresOf('k', record, aggregate(record), null);
}

describe('figures of an attribution', () => {
  it('ranks experts over all layers and inside each', () => {
    const figures = attribution();
    expect(figures.layers).to.deep.equal([1, 3]);
    expect([...figures.rank]).to.deep.equal([3, 2, 1, 4]);
    expect([...figures.rankInLayer]).to.deep.equal([2, 1, 1, 2]);
    expect([...figures.slots]).to.deep.equal([12, 18, 29, 1]);
    expect([...figures.half]).to.deep.equal([1, 1]);
    expect([...figures.best]).to.deep.equal([0.5, Math.fround(0.7)]);
    expect(figures.retainShare).to.equal(null);
    expect(ranking(figures, 2).map(({ layer, expert }) => [layer, expert])).to.deep.equal([
      [3, 0],
      [1, 1],
    ]);
    expect(rankingRow(figures, { layer: 3, expert: 0 })).to.deep.include({ rank: 1, rankInLayer: 1, timesEqual: figures.affinity[2] * 2 });
    expect(rankingRow(figures, { layer: 2, expert: 0 })).to.equal(null);
    expect(rankingRow(figures, { layer: 1, expert: 2 })).to.equal(null);
  });

  it('gives each rank once, in the order of the values', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 40 }), (values) => {
        const ranks = ranksOf(values);
        expect([...ranks].sort((a, b) => a - b)).to.deep.equal(values.map((_, index) => index + 1));
        for (let i = 0; i < values.length; i++) for (let j = 0; j < values.length; j++) if (values[i] > values[j]) expect(ranks[i]).to.be.lessThan(ranks[j]);
      }),
      { numRuns: 50 },
    );
  });
});

describe('a selection as forget prompts', () => {
  const selection = { text: 'One.\n\nTwo.', document: 'notes.md', firstLine: 12, lastLine: 14 };

  it('is text, or rows where every line is one', () => {
    expect(formatOf('{"text":"a"}\n\n{"text":"b"}\n')).to.equal('jsonl');
    for (const text of ['a', '{"text":"a"}\nplain', '[1]', '"a"', '', '{"text":']) expect(formatOf(text), text).to.equal('txt');
  });

  it('is named by its document and lines, and kept in a file named by time', () => {
    expect(selectionName(selection)).to.equal('notes.md:12–14');
    expect(selectionName({ ...selection, lastLine: 12 })).to.equal('notes.md:12');
    expect(selectionFileName('{"text":"a"}', new Date('2026-01-02T03:04:05Z'))).to.equal('2026-01-02T03-04-05.jsonl');
    expect(sourceOf({ ...selection, text: '{"text":"a"}' })).to.deep.include({ origin: 'notes.md.jsonl', line: 12 });
    expect(sourceOf({ ...selection, document: 'rows.jsonl', text: '{"text":"a"}' })).to.deep.include({ origin: 'rows.jsonl' });
  });

  it('is saved once and is that file from then on', async () => {
    const sources = { ...noSources, forget: [selectionSource(selection)], retain: [fileSource('/r.jsonl', 'r.jsonl')] };
    expect(viewsOf(sources).forget).to.deep.equal({ name: 'notes.md:12–14', kind: 'selection' });
    let saves = 0;
    const save = async () => ok(`/w/${++saves}.txt`);
    const first = await savedSources(sources, save);
    if (!first.ok) throw new Error();
    const second = await savedSources(first.value, save);
    expect(second.ok && pathsOf(second.value).forget).to.deep.equal(['/w/1.txt']);
    expect(saves).to.equal(1);
    expect(await savedSources(sources, async () => fail('io', 'full'))).to.deep.equal(fail('io', 'full'));
  });
});

describe('the recipe of a plan', () => {
  const paths = { forget: ['/f.txt'], retain: [], stopForget: [], stopUtility: [], evaluateForget: [], evaluateNear: [], evaluateUtility: [] };
  const target = { layer: 2, expert: 10 };
  const demo: { name: string; recipe: Partial<Recipe> } = {
    name: 'Demo recipe',
    recipe: {
      model: 'checkpoint',
      forget: 'f',
      retain: 'r',
      method: 'npo',
      methodOptions: { beta: 0.1 },
      retainLoss: { kind: 'nll', weight: 1 },
      optimizer: { lr: 0.003, clipNorm: 1 },
      checks: { everySteps: 10, forget: 's' },
      stop: { forgetAtMost: 0.3 },
      addDocumentStart: true,
    },
  };

  /** Every recipe the form makes must be one the engine takes. */
  function resolved(recipe: Recipe) {
    const parsed = parseRecipe(recipe);
    if (!parsed.ok) throw new Error(parsed.fault.message);
    const filled = resolveRecipe(parsed.value);
    if (!filled.ok) throw new Error(filled.fault.message);
    return filled.value.recipe;
  }

  it('is valid for every method, with and without each kind of data', () => {
    const methods = ['npo', 'gdiff', 'ga', 'simnpo', 'rmu'];
    for (const preset of [defaultPreset, demo]) {
      for (const method of methods) {
        for (let mask = 0; mask < 64; mask++) {
          const roles = ['retain', 'stopForget', 'stopUtility', 'evaluateForget', 'evaluateNear', 'evaluateUtility'] as const;
          const some = { ...paths, ...Object.fromEntries(roles.filter((_, bit) => mask & (1 << bit)).map((role) => [role, [`/${role}`]])) };
          const recipe = resolved(recipeOf(preset, { ...settingsOf(preset), method }, '/m', target, some));
          expect(recipe.method).to.equal(method);
          expect(recipe.target).to.deep.equal(target);
          expect(recipe.evaluate === null).to.equal((mask & 56) === 0);
        }
      }
    }
  });

  it('keeps the preset’s own values, and drops what belongs to another method or to missing data', () => {
    const settings = settingsOf(demo);
    expect(settings).to.deep.include({ method: 'npo', lr: 0.003, steps: 100, anchorWeight: 1 });
    const plain = resolved(recipeOf(demo, { ...settings, anchorWeight: 10, lr: 0.01 }, '/m', target, paths));
    expect(plain).to.deep.include({ retain: null, checks: null, stop: null, evaluate: null, addDocumentStart: true, forget: '/f.txt' });
    expect(plain.anchor.weight).to.equal(10);
    expect(plain.optimizer).to.deep.include({ lr: 0.01, clipNorm: 1 });
    const other = recipeOf(demo, { ...settings, method: 'ga' }, '/m', target, { ...paths, retain: ['/r'] });
    expect(other.methodOptions).to.equal(undefined);
    expect(resolved(other).retainLoss.kind).to.equal('none');
  });
});

describe('a run as it goes on', () => {
  const check = (step: number, forget: number): CheckRecord => ({
    step,
    forget,
    utility: null,
    utilityNll: null,
    overlapForget: null,
    overlapRetain: null,
    targetShare: null,
    ms: 1,
  });

  it('knows the lowest forget score among the checks after the original', () => {
    expect(lowestForget([check(0, 0.1)])).to.equal(null);
    expect(lowestForget([check(0, 0.1), check(10, 0.5), check(20, 0.3), check(30, 0.3)])).to.equal(20);
  });

  it('takes a check of the same step once', () => {
    const record = {
      id: 'a',
      number: 1,
      method: 'npo',
      target: { experts: [], train: 'expert' },
      status: 'running',
      plannedSteps: 100,
    } as unknown as RunRecord;
    const run = withCheck(withCheck(startedRun(record, []), check(10, 0.5)), check(10, 0.4));
    expect(run.checks).to.have.length(1);
    expect(run.bestStep).to.equal(10);
  });
});

describe('jobs', () => {
  it('show the last one started, report progress, and end with null', async () => {
    const shown: (JobView | null)[] = [];
    const jobs = createJobs({ onShown: (view) => shown.push(view), present: () => () => undefined });
    await jobs.run('Reading', async ({ onProgress }) => {
      onProgress({ request: '1', phase: 'layers', done: 1, total: 4, unit: 'layers' });
      return ok(null);
    });
    expect(shown[0]).to.deep.include({ title: 'Reading', share: null });
    expect(shown[1]).to.deep.include({ message: 'layers · 1 of 4 layers', share: 0.25 });
    expect(shown.at(-1)).to.equal(null);
  });

  it('can be cancelled, and turn a thrown error into a fault', async () => {
    const jobs = createJobs({ onShown: () => undefined, present: () => () => undefined });
    const waiting = jobs.run(
      'Reading',
      ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(fail('cancelled', 'Cancelled.')))),
    );
    jobs.cancel();
    expect(await waiting).to.deep.equal(fail('cancelled', 'Cancelled.'));
    const broken = await jobs.run('Reading', async () => {
      throw new Error('no');
    });
    expect(broken.ok ? '' : broken.fault.code).to.equal('internal');
  });

  it('say progress in words', () => {
    expect(progressView({ request: '1', phase: 'Reading', done: 1200, total: 0, unit: 'rows' })).to.deep.equal({
      message: 'Reading · 1\u202f200 rows',
      share: null,
    });
  });
});
