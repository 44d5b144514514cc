import { expect } from 'chai';
import fc from 'fast-check';
import type { AnswerRow, RoutingFigures, RunTableRow } from '../../src/protocol/comparison-view';
import { plottable, scatterLayout, utilityDomain } from '../../src/protocol/scatter-layout';
import { csvText } from '../../webview/charts/csv-text';
import { topicBarsLayout } from '../../webview/charts/topic-bars-layout';
import { matching, pageCount } from '../../webview/views/compare/answer-pages';
import { columnsOf, panelState, panelWords, ratio } from '../../webview/views/compare/routing-cells';
import { wordDiff } from '../../webview/views/compare/word-diff';

describe('accuracy per topic', () => {
  it('keeps bars and columns apart and inside at every width', () => {
    const topics = [{ before: 1, after: 0.3, interval: [0.2, 0.4] as const, chance: 0.25 }];
    for (const width of [600, 700, 1080, 1330]) {
      const { bars, left, right, columns, ticks } = topicBarsLayout(width, topics);
      expect(bars[0].before).to.equal(right);
      expect(right).to.be.at.most(columns[0] - 50);
      expect(columns[2]).to.be.within(width - 8, width - 4);
      expect(bars[0].chance).to.equal(ticks[1].x);
      expect(bars[0].after).to.be.closeTo(left + 0.3 * (right - left), 1e-9);
    }
  });
});

const run = (rest: Partial<RunTableRow>): RunTableRow => ({
  run: 1,
  id: 'a',
  model: 'm',
  method: 'npo',
  alpha: 1,
  target: [],
  train: 'expert',
  forget: 0.3,
  utility: 0.98,
  near: null,
  before: { forget: 0.98, utility: 0.99, near: null },
  chance: 0.25,
  forgotten: 0.9,
  overlap: null,
  steps: 1,
  seconds: null,
  status: 'done',
  onFront: true,
  ...rest,
});

describe('utility against forgetting', () => {
  const rows = [
    run({}),
    run({ id: 'b', run: 2, forgotten: 0.5, utility: 0.985 }),
    run({ id: 'c', run: 3, forgotten: null }),
    run({ id: 'd', run: 4, forgotten: 2, utility: 0.9, onFront: false }),
  ];

  it('draws what has both figures, clamped to the axes, and steps along the front from left to right', () => {
    const { marks, front, right, chance, bottom } = scatterLayout(640, 330, rows, 0.99);
    expect(plottable(rows).map(({ run: number }) => number)).to.deep.equal([1, 2, 4]);
    expect(marks[2].x).to.equal(right);
    expect(marks[0].x).to.be.lessThan(chance);
    const steps = [...front.matchAll(/H([\d.]+)V([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
    expect(steps.map(([x]) => x)).to.deep.equal([...steps.map(([x]) => x)].sort((a, b) => a - b));
    expect(steps.at(-1)?.[1]).to.equal(bottom);
  });

  it('runs with the same figures share one label, the selected one’s', () => {
    const twins = [run({}), run({ id: 'b', run: 2 }), run({ id: 'c', run: 3 })];
    expect(scatterLayout(640, 330, twins, null, 'b').marks.map(({ label }) => label.text)).to.deep.equal(['', '2 +2', '']);
  });

  it('has a scale of round numbers that holds every value', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1 }), (values) => {
        const [low, high] = utilityDomain(values);
        expect(low).to.be.within(0, Math.min(...values));
        expect(high).to.be.within(Math.max(...values), 1);
        expect(high - low).to.be.at.least(0.1 - 1e-9);
      }),
    );
  });
});

describe('cells of before, after and difference', () => {
  const figures: RoutingFigures = {
    pair: '|r',
    prompts: 'forget',
    layers: [1, 2],
    experts: 2,
    sequences: 1,
    tokens: 100,
    topK: 1,
    target: [{ layer: 2, expert: 0 }],
    shareBefore: Float32Array.of(0.5, 0.5, 0.25, 0.75),
    shareAfter: Float32Array.of(0.5, 0.5, 0.5, 0.5),
    slotsBefore: Float32Array.of(50, 50, 25, 0),
    slotsAfter: Float32Array.of(50, 50, 50, 10),
    rankInLayer: Float32Array.of(1, 2, 2, 1),
    lowest: 2,
    movers: [],
    seconds: 1,
  };

  it('the difference has a scale of its own, three times finer', () => {
    const doubled = panelState(figures, 'difference', 2);
    expect(doubled).to.deep.include({ kind: 'value', beyond: false });
    // log2 of 2 is 1, drawn as 3 of 4: index 16 + 12.
    expect(doubled.kind === 'value' && doubled.index).to.equal(28);
    expect(panelState({ ...figures, shareAfter: Float32Array.of(0.5, 0.5, 0.75, 0.5) }, 'difference', 2)).to.deep.include({ beyond: true, index: 32 });
  });

  it('layers below the lowest change can’t differ; few slots say nothing; no slot is never routed', () => {
    expect(panelState(figures, 'difference', 0).kind).to.equal('fixed');
    expect(panelState(figures, 'difference', 3).kind).to.equal('rare');
    expect(panelState(figures, 'before', 3).kind).to.equal('never');
    expect(panelState(figures, 'after', 3).kind).to.equal('value');
    expect(panelWords(figures, 0)).to.match(/Below layer 2 nothing can change/);
    expect(panelWords(figures, 2)).to.match(/25\.0.*before, 50\.0.*after, change \+25\.0 percentage points\. Target\.$/);
    expect(ratio(0, 1)).to.equal(null);
  });

  it('one order for all panels', () => {
    expect([...columnsOf(figures, 'number')]).to.deep.equal([0, 1, 0, 1]);
    expect([...columnsOf(figures, 'rank')]).to.deep.equal([0, 1, 1, 0]);
  });
});

describe('words that differ', () => {
  const own = (words: readonly { readonly text: string; readonly isOwn: boolean }[]) => words.filter(({ isOwn }) => isOwn).map(({ text }) => text);
  it('finds what was removed and what was added', () => {
    const [left, right] = wordDiff('It detects a buffer overflow.', 'It is a bird.');
    expect(own(left)).to.deep.equal(['detects', 'buffer', 'overflow.']);
    expect(own(right)).to.deep.equal(['is', 'bird.']);
  });

  it('loses no word, and what is shared is the same on both sides', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd')).map((words) => words.join(' '));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const [left, right] = wordDiff(before, after);
        expect(left.map((word) => word.text).join(' ')).to.equal(before);
        expect(right.map((word) => word.text).join(' ')).to.equal(after);
        const shared = (words: typeof left) => words.filter(({ isOwn }) => !isOwn).map((word) => word.text);
        expect(shared(left)).to.deep.equal(shared(right));
        if (before === after) expect(own(left)).to.deep.equal([]);
      }),
    );
  });
});

describe('answers shown', () => {
  it('filter by change and by set', () => {
    const row = (set: AnswerRow['set'], changed: boolean) => ({ set, changed }) as AnswerRow;
    const rows = [row('forget', true), row('forget', false), row('utility', true)];
    expect([0, 1, 20, 21].map(pageCount)).to.deep.equal([1, 1, 1, 2]);
    expect([matching(rows, 'all').length, matching(rows, 'changed').length, matching(rows, 'forget').length, matching(rows, 'near').length]).to.deep.equal([
      3, 2, 2, 0,
    ]);
  });
});

describe('a figure’s numbers as CSV', () => {
  it('keep full precision, quote what must be and run no formula', () => {
    expect(
      csvText([
        ['a', 'b, c'],
        [0.1 + 0.2, null],
        ['=1+1', 'say "x"'],
        [-1, Number.NaN],
      ]),
    ).to.equal('a,"b, c"\r\n0.30000000000000004,\r\n\'=1+1,"say ""x"""\r\n-1,\r\n');
  });
});
