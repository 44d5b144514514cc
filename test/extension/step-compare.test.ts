import { expect } from 'chai';
import { answerRow, answersText } from '../../src/experiment/answer-rows';
import { routingFigures } from '../../src/experiment/routing-comparison';
import { createComparison } from '../../src/extension/workbench/comparison';
import { initialState } from '../../src/extension/workbench/initial';
import { createJobs } from '../../src/extension/workbench/job';
import { createStore } from '../../src/extension/workbench/store';
import type { AttributionResult } from '../../src/protocol/engine';
import { fail, ok } from '../../src/protocol/fault';
import { webviewMessage } from '../../src/protocol/webview-message';
import type { WorkbenchState } from '../../src/protocol/workbench';
import { runFolder, runRecord } from '../experiment/run-fixture';

/** MoE layers 1 and 3 of three experts, two sequences. */
function attribution(shares: readonly (readonly number[])[], slots: readonly number[]): AttributionResult {
  const layers = shares.map((row, at) => ({ layer: 2 * at + 1, experts: row.map((share, expert) => ({ expert, affinity: share / 2, share })) }));
  const target = { layer: 3, expert: 1, affinity: 0.1, share: 0.2 };
  return {
    key: 'k',
    record: { family: 'f', sequences: 2, tokens: 10, topK: 1, layers, ranking: [target], target, stability: null },
    affinity: new Float32Array(12),
    slots: Float32Array.from(slots),
    relative: null,
    sequences: [],
    seconds: 1,
    weights: { bytes: 0, reading: 0, widening: 0, waiting: 0 },
  };
}

const before = attribution(
  [
    [0.5, 0.3, 0.2],
    [0.2, 0.2, 0.6],
  ],
  [3, 2, 1, 1, 1, 3, 2, 1, 1, 1, 1, 3],
);
const after = attribution(
  [
    [0.5, 0.3, 0.2],
    [0.1, 0.6, 0.3],
  ],
  [3, 2, 1, 0, 3, 2, 2, 1, 1, 1, 3, 1],
);

describe('routing before and after', () => {
  const figures = routingFigures({ pair: '|r', prompts: 'forget', runs: [{ experts: [{ layer: 3, expert: 1 }], train: 'expert+router' }] }, before, after);

  it('sums slots over sequences and keeps one order for both', () => {
    expect([...figures.slotsBefore]).to.deep.equal([5, 3, 2, 2, 2, 6]);
    expect([...figures.slotsAfter]).to.deep.equal([5, 3, 2, 1, 6, 3]);
    expect([...figures.rankInLayer]).to.deep.equal([1, 2, 3, 2, 3, 1]);
    expect(figures.lowest).to.equal(3);
    const full = routingFigures({ pair: '|r', prompts: 'forget', runs: [{ experts: [{ layer: 3, expert: 1 }], train: 'full' }] }, before, after);
    expect(full.lowest, 'every layer may have changed').to.equal(0);
  });

  it('names what moved most, and nothing that did not move', () => {
    expect(figures.movers.map(({ layer, expert, slotsBefore, slotsAfter }) => [layer, expert, slotsBefore, slotsAfter])).to.deep.equal([
      [3, 1, 2, 6],
      [3, 2, 6, 3],
      [3, 0, 2, 1],
    ]);
  });
});

describe('answers', () => {
  const question = {
    id: '1',
    set: 'forget',
    prompt: 'Which? ',
    options: [
      { text: ' red', before: Math.log(0.6), after: Math.log(0.1) },
      { text: ' blue', before: Math.log(0.2), after: Math.log(0.3) },
    ],
    answer: 0,
    chosenBefore: 0,
    chosenAfter: 1,
  };

  it('turn log-probabilities into the options’ shares and name the choice', () => {
    const row = answerRow(question);
    expect(row.options.map(({ before: share }) => share)).to.have.deep.members([0.75, 0.25].map((share) => row.options[share === 0.75 ? 0 : 1].before));
    expect(row.options[0].before).to.be.closeTo(0.75, 1e-12);
    expect(row.options[0].after).to.be.closeTo(0.25, 1e-12);
    expect(row).to.deep.include({ before: 'red', after: 'blue', changed: true, chance: 0.5, prompt: 'Which?' });
    expect(row.options.map(({ isRight }) => isRight)).to.deep.equal([true, false]);
  });

  it('written answers have no options and no chance', () => {
    const row = answerRow({ id: '2', set: 'utility', prompt: 'Say', before: 'a b', after: 'a b' });
    expect(row).to.deep.include({ changed: false, chance: null, options: [] });
  });

  it('are the same lines on both sides but for what changed', () => {
    const rows = [answerRow(question), answerRow({ id: '2', set: 'near', prompt: 'Say', before: 'x', after: 'x' })];
    const [one, other] = [answersText(rows, 'before', 'A').split('\n'), answersText(rows, 'after', 'B').split('\n')];
    expect(one.length).to.equal(other.length);
    expect(one.flatMap((line, i) => (line === other[i] ? [] : [i]))).to.deep.equal([0, 3, 4, 5]);
    expect(one.join('\n')).to.include('* ');
  });
});

describe('step 4 in the host', () => {
  const runs = { a: runFolder({ record: runRecord({ id: 'a' }) }), b: runFolder({ record: runRecord({ id: 'b', number: 2 }) }) };

  function setUp(answers: Readonly<Record<string, (params: never) => unknown>>) {
    const asked: string[] = [];
    const faults: string[] = [];
    const engine = {
      request: async (name: string, params: never) => {
        asked.push(name);
        return answers[name]?.(params) ?? fail('not-found', `no ${name}`);
      },
    };
    const store = createStore<WorkbenchState>(initialState(true));
    const figures = createStore<object>({});
    const jobs = createJobs({ onShown: () => undefined, present: () => () => undefined } as unknown as Parameters<typeof createJobs>[0]);
    const step = createComparison({
      engine,
      store,
      figures,
      jobs,
      workspace: () => '/w',
      report: (fault: { code: string }) => faults.push(fault.code),
    } as never);
    return { step, store, figures, asked, faults };
  }
  const readRun = ({ run }: { run: keyof typeof runs }) => (runs[run] ? ok(runs[run]) : fail('not-found', 'no run'));
  const table = { rows: [], best: { forget: [], utility: [], near: [] }, front: [] };

  it('shows a run beside the original or another run, and reads the table of its checkpoint', async () => {
    const models: unknown[] = [];
    const compare = ({ model }: { model: string }) => {
      models.push(model);
      return ok({ table });
    };
    const { step, store } = setUp({ readRun: readRun as never, compare });
    expect(await step.show('a', null)).to.equal(true);
    await new Promise(setImmediate);
    expect(store.get().comparison).to.deep.include({ run: 'a', pair: '|a', table });
    expect(await step.show('b', 'a')).to.equal(true);
    expect(store.get().comparison?.before.run).to.equal('a');
    expect(models[0]).to.equal('/models/demo-moe');
  });

  it('keeps the figures of a pair, and shows none of another', async () => {
    const { step, figures, asked } = setUp({ readRun: readRun as never, attribute: () => ok(before), compare: () => ok({ table }) });
    await step.show('a', null);
    await step.readRouting('forget');
    expect(figures.get()).to.have.nested.property('routing.pair', '|a');
    await step.show('b', null);
    expect(figures.get()).to.have.property('routing', null);
    await step.show('a', null);
    await step.readRouting('forget');
    expect(figures.get()).to.have.nested.property('routing.pair', '|a');
    expect(asked.filter((name) => name === 'attribute')).to.have.length(2);
  });

  it('reports a run that can’t be read and leaves what is shown', async () => {
    const { step, store, faults } = setUp({ readRun: readRun as never, compare: () => ok({ table }) });
    await step.show('a', null);
    expect(await step.show('gone', null)).to.equal(false);
    expect(store.get().comparison?.run).to.equal('a');
    expect(faults).to.deep.equal(['not-found']);
  });
});

describe('figures from the page', () => {
  const figure = { type: 'saveFigure', name: 'Run 1 routing', form: 'svg', content: '<svg/>' };
  it('have a plain name, a known form and a bounded size', () => {
    expect(webviewMessage.safeParse(figure).success).to.equal(true);
    for (const wrong of [{ name: '../x' }, { name: '' }, { name: 'a/b' }, { name: '.x' }, { form: 'exe' }, { content: 'x'.repeat(16_000_001) }, { path: '/x' }])
      expect(webviewMessage.safeParse({ ...figure, ...wrong }).success, JSON.stringify(wrong).slice(0, 40)).to.equal(false);
  });
});
