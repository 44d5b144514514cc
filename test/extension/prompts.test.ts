import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { aggregate } from '../../src/attribution/affinity';
import { concentration, half } from '../../src/extension/workbench/evidence';
import { figuresOf, retainShares } from '../../src/extension/workbench/heatmap';
import { initialState } from '../../src/extension/workbench/initial';
import { createPreview } from '../../src/extension/workbench/preview';
import { createPrompts, type PromptFigures, routingOf } from '../../src/extension/workbench/prompts';
import { fileSource, noSources, type Source, selectionSource } from '../../src/extension/workbench/sources';
import { createStore } from '../../src/extension/workbench/store';
import { ok, unwrap } from '../../src/protocol/fault';
import type { WorkbenchState } from '../../src/protocol/workbench';
import { temporaryFolder } from '../files/temporary-folder';
import { sessionEngine } from './session-engine';

const model = path.resolve('demo/checkpoint');
const reading = { documentStart: 'yes' as const };
const lines = fs.readFileSync('demo/data/forget.jsonl', 'utf8').trim().split('\n').slice(0, 12);
const others = fs.readFileSync('demo/data/retain.jsonl', 'utf8').trim().split('\n').slice(0, 12);

/** Twelve prompts of the demo read against twelve retain rows, and what a pass over some of them alone gives. */
function page() {
  const folder = temporaryFolder();
  const file = (name: string, rows: readonly string[]) => {
    const at = path.join(folder, name);
    fs.writeFileSync(at, `${rows.join('\n')}\n`);
    return fileSource(at, name);
  };
  const engine = sessionEngine();
  const store = createStore<WorkbenchState>(initialState(true));
  const figures = createStore<PromptFigures>({ heatmap: null, prompts: null, ticks: null, tokens: null });
  let changes = 0;
  const prompts = createPrompts({ engine, store, figures, onChange: () => changes++ });
  const against = [file('retain.jsonl', others).data];
  const attribute = async (sources: readonly Source[]) =>
    unwrap(await engine.request('attribute', { model, prompts: sources.map(({ data }) => data), against, ...reading }));
  const read = async (sources: readonly Source[]) => prompts.take(await attribute(sources), sources);
  return { file, engine, store, figures, prompts, attribute, read, changes: () => changes };
}

const settledStability = async (store: ReturnType<typeof page>['store']) => {
  while (store.get().attribution?.stability === 'pending') await new Promise((resolve) => setTimeout(resolve, 5));
  return store.get().attribution?.stability;
};

describe('forget prompts', () => {
  let current: ReturnType<typeof page>;
  beforeEach(() => {
    current = page();
  });
  afterEach(() => current.engine.dispose());

  it('aggregate to what a pass over the ticked ones alone gives, and no pass is made', async () => {
    const { file, engine, store, figures, prompts, attribute, read } = current;
    const source = file('forget.jsonl', lines);
    await read([source]);
    engine.asked.length = 0;
    const off = [0, 3, 4, 8, 9];
    prompts.tick(off, false);
    const ticked = await settledStability(store);
    expect(engine.asked).to.deep.equal([]);
    const alone = await attribute([
      file(
        'some.jsonl',
        lines.filter((_, at) => !off.includes(at)),
      ),
    ]);
    const record = routingOf(alone);
    const expected = figuresOf('k', record, aggregate(record), retainShares(alone.record, record.experts));
    const shown = figures.get().heatmap;
    for (const name of ['affinity', 'share'] as const) {
      expected[name].forEach((value, cell) => {
        expect(shown?.[name][cell]).to.be.closeTo(value, 1e-6);
      });
    }
    for (const name of ['slots', 'rank', 'rankInLayer', 'half', 'retainShare'] as const) expect(shown?.[name], name).to.deep.equal(expected[name]);
    const { attribution, target } = store.get();
    expect(target).to.deep.include({ layer: alone.record.target.layer, expert: alone.record.target.expert, rank: 1 });
    expect(attribution).to.deep.include({ sequences: 7, tokens: alone.record.tokens, best: { layer: target?.layer, expert: target?.expert } });
    expect(ticked).to.deep.equal(alone.record.stability);
  });

  it('say how many are ticked of each source, and what the target gets on each', async () => {
    const { file, store, figures, prompts, read } = current;
    const selection = selectionSource({ text: 'Tabun is a nerve agent .\n\nLassa virus is an arenavirus .', document: 'notes.md', firstLine: 4, lastLine: 6 });
    await read([file('forget.jsonl', lines.slice(0, 4)), selection]);
    prompts.tick([1, 5], false);
    expect(store.get().prompts).to.deep.include({ total: 6, ticked: 4 });
    expect(store.get().prompts?.sources).to.deep.equal([
      { name: 'forget.jsonl', kind: 'file', prompts: 4, ticked: 3 },
      { name: 'notes.md:4–6', kind: 'selection', prompts: 2, ticked: 1 },
    ]);
    expect(
      figures
        .get()
        .prompts?.items.slice(4)
        .map(({ line, text }) => [line, text]),
    ).to.deep.equal([
      [4, 'Tabun is a nerve agent .'],
      [6, 'Lassa virus is an arenavirus .'],
    ]);
    const { ticks } = figures.get();
    expect([...(ticks?.ticked ?? [])]).to.deep.equal([1, 0, 1, 1, 1, 0]);
    const counted = [...(ticks?.means ?? [])].filter((_, at) => ticks?.ticked[at] === 1);
    expect(counted.reduce((sum, mean) => sum + mean, 0) / counted.length).to.be.closeTo(store.get().target?.affinity ?? 0, 1e-6);
  });

  it('choose the target until the user picks one, and again once the best is picked', async () => {
    const { file, store, prompts, read } = current;
    await read([file('forget.jsonl', lines)]);
    const best = store.get().target;
    const other = store.get().attribution?.ranking[3];
    if (!best || !other) throw new Error('nothing was read');
    expect(prompts.pick(other)).to.equal(true);
    prompts.tick([0, 1], false);
    expect(store.get().target).to.deep.include({ layer: other.layer, expert: other.expert });
    expect(store.get().prompts?.targetPicked).to.equal(true);
    expect(prompts.pick({ layer: 99, expert: 0 })).to.equal(false);
    const winner = store.get().attribution?.best;
    if (winner) prompts.pick(winner);
    expect(store.get().target?.rank).to.equal(1);
    expect(store.get().prompts?.targetPicked).to.equal(false);
  });

  it('have no target when none is ticked, and say so for a run', async () => {
    const { file, store, prompts, read } = current;
    await read([file('forget.jsonl', lines)]);
    prompts.tick([...lines.keys()], false);
    expect(store.get().target).to.equal(null);
    expect(store.get().attribution?.ranking).to.deep.equal([]);
    const files = await prompts.files(
      async () => ok('x'),
      async () => ok([]),
    );
    expect(files.ok ? '' : files.fault.message).to.match(/ticked/);
  });

  it('go into a run alone: a whole file as it is, some rows as a file of their own, saved once', async () => {
    const { file, engine, prompts, read } = current;
    const source = file('forget.jsonl', lines);
    await read([source]);
    const saved: string[] = [];
    const save = async (text: string) => ok(`/saved-${saved.push(text)}.jsonl`);
    const whole = async () => ok(['/whole.jsonl']);
    expect(await prompts.files(save, whole)).to.deep.equal(ok(['/whole.jsonl']));
    prompts.tick([0, 2], false);
    expect(await prompts.files(save, whole)).to.deep.equal(ok(['/saved-1.jsonl']));
    expect(await prompts.files(save, whole)).to.deep.equal(ok(['/saved-1.jsonl']));
    const rows = saved[0]
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows.map(({ id }) => id)).to.deep.equal(lines.flatMap((_, at) => (at === 0 || at === 2 ? [] : [JSON.parse(lines[at]).id ?? String(at)])));
    prompts.outdate();
    expect((await prompts.files(save, whole)).ok).to.equal(false);
    expect(engine.asked.filter((name) => name === 'chosenRows')).to.have.length(1);
  });

  it('keep their ticks when they are read again with other retain text, and over a reload', async () => {
    const { file, engine, store, figures, prompts, read } = current;
    const source = file('forget.jsonl', lines);
    await read([source]);
    prompts.tick([5], false);
    const kept = prompts.unticked();
    const alone = unwrap(await engine.request('attribute', { model, prompts: [source.data], ...reading }));
    prompts.take(alone, [source]);
    expect(store.get().prompts?.ticked).to.equal(11);
    expect(store.get().attribution?.hasRetain).to.equal(false);
    prompts.clear();
    expect(store.get()).to.deep.include({ attribution: null, target: null, prompts: null });
    prompts.restore(kept);
    prompts.take(alone, [source]);
    expect(figures.get().ticks?.ticked[5]).to.equal(0);
  });

  it('show the tokens of one with the experts that each chose', async () => {
    const { file, figures, prompts, read } = current;
    await read([file('forget.jsonl', lines)]);
    expect(await prompts.showTokens(model, 2, reading)).to.deep.equal(ok(null));
    const { tokens, prompts: list, ticks, heatmap } = figures.get();
    if (!tokens || !heatmap) throw new Error('nothing is shown');
    expect(tokens.prompt).to.equal(2);
    expect(tokens.tokens).to.have.length(list?.items[2].tokens ?? 0);
    const { target } = current.store.get();
    const row = tokens.layers.indexOf(target?.layer ?? -1);
    const own = tokens.scores.subarray(row * tokens.tokens.length * tokens.topK, (row + 1) * tokens.tokens.length * tokens.topK);
    const experts = tokens.experts.subarray(row * tokens.tokens.length * tokens.topK);
    const mean = own.reduce((sum, score, at) => sum + (experts[at] === target?.expert ? score : 0), 0) / tokens.tokens.length;
    expect(mean, 'the column of the list').to.be.closeTo(ticks?.means?.[2] ?? 0, 1e-6);
  });
});

describe('evidence', () => {
  it('counts the fewest experts that carry half', () => {
    const curve = concentration(Float32Array.of(0.1, 0.5, 0.25, 0.15));
    expect(curve[0]).to.equal(0);
    expect(curve[1]).to.be.closeTo(0.5, 1e-6);
    expect(curve.at(-1)).to.be.closeTo(1, 1e-6);
    expect(half(curve)).to.equal(1);
    expect(half(concentration(Float32Array.of(0.25, 0.25, 0.25, 0.25)))).to.equal(2);
    expect(half(concentration(Float32Array.of(0, 0)))).to.equal(0);
  });
});

describe('preview of data', () => {
  it('describes every role that can be read, and says what is wrong with the one that can’t', async () => {
    const { file, engine, store } = page();
    const sources = {
      ...noSources,
      forget: [file('forget.jsonl', lines)],
      retain: [file('retain.jsonl', [...others, lines[0]])],
      evaluateNear: [file('near.jsonl', ['{"nothing": 1}'])],
    };
    await createPreview({ engine, store }).refresh(model, sources, reading);
    const { data, preview } = store.get();
    expect(data.forget?.detail).to.match(/^12 rows · \d+ tokens$/);
    expect(data.retain?.detail).to.match(/^13 rows/);
    expect(data.evaluateNear?.fault).to.match(/near\.jsonl, line 1: a row of no known kind/);
    expect(preview?.sets.map(({ name }) => name)).to.deep.equal(['forget', 'retain']);
    engine.dispose();
  });

  it('names the pairs that forget and retain share, with both texts', async () => {
    const { file, engine, store } = page();
    const sources = { ...noSources, forget: [file('forget.jsonl', lines)], retain: [file('retain.jsonl', [...others, lines[0]])] };
    await createPreview({ engine, store }).refresh(model, sources, reading);
    expect(store.get().preview?.nearDuplicates.total).to.be.greaterThan(0);
    const [pair] = store.get().preview?.nearDuplicates.shown ?? [];
    expect(pair.text).to.equal(pair.retainText);
    engine.dispose();
  });

  it('is given up when the data change', async () => {
    const { file, engine, store } = page();
    const preview = createPreview({ engine, store });
    const shown: number[] = [];
    store.subscribe((now, before) => now.preview && now.preview !== before.preview && shown.push(now.preview.sets[0].rows));
    const first = preview.refresh(model, { ...noSources, forget: [file('forget.jsonl', lines)] }, reading);
    await preview.refresh(model, { ...noSources, forget: [file('two.jsonl', lines.slice(0, 2))] }, reading);
    await first;
    expect(store.get().data.forget).to.deep.include({ name: 'two.jsonl' });
    expect(shown).to.deep.equal([2]);
    engine.dispose();
  });
});
