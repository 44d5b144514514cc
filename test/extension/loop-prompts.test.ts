import fs from 'node:fs';
import path from 'node:path';
import { expect } from 'chai';
import { initialState } from '../../src/extension/workbench/initial';
import { createJobs } from '../../src/extension/workbench/job';
import { createLoop, type Figures } from '../../src/extension/workbench/loop';
import { fileSource, selectionSource } from '../../src/extension/workbench/sources';
import { createStore } from '../../src/extension/workbench/store';
import { type Fault, ok } from '../../src/protocol/fault';
import type { WorkbenchState } from '../../src/protocol/workbench';
import { temporaryFolder } from '../files/temporary-folder';
import { sessionEngine } from './session-engine';

const lines = fs.readFileSync('demo/data/forget.jsonl', 'utf8').trim().split('\n').slice(0, 8);
const selection = selectionSource({ text: 'Tabun is a nerve agent .\n\nLassa virus is an arenavirus .', document: 'notes.md', firstLine: 4, lastLine: 6 });

async function opened() {
  const workspace = temporaryFolder();
  const file = path.join(workspace, 'forget.jsonl');
  fs.writeFileSync(file, `${lines.join('\n')}\n`);
  const engine = sessionEngine();
  const store = createStore<WorkbenchState>(initialState(true));
  const figures = createStore<Figures>({
    heatmap: null,
    prompts: null,
    ticks: null,
    tokens: null,
    steps: { run: '', rows: [] },
    routing: null,
    answers: null,
  });
  const faults: Fault[] = [];
  let saved = 0;
  const loop = createLoop({
    engine,
    store,
    figures,
    jobs: createJobs({ onShown: (job) => store.set({ job }), present: () => () => undefined }),
    workspace: () => workspace,
    async saveSelection(text) {
      const at = path.join(workspace, `saved-${++saved}.${text.startsWith('{') ? 'jsonl' : 'txt'}`);
      fs.writeFileSync(at, text);
      return ok(at);
    },
    keepFile: async (from) => ok(from),
    report: (fault) => faults.push(fault),
    inform: () => undefined,
  });
  const files = { forget: [fileSource(file, 'forget.jsonl')] };
  await loop.openModel(path.resolve('demo/checkpoint'), 'Demo', undefined, files);
  return { workspace, file, engine, store, loop, files };
}

/** What the plan on the page says once it has been worked out. */
async function planned({ store, loop }: Awaited<ReturnType<typeof opened>>): Promise<NonNullable<WorkbenchState['plan']>> {
  store.set({ plan: null });
  loop.show('unlearn');
  for (;;) {
    const { plan } = store.get();
    if (plan && (plan.answer !== null || plan.refusal !== null)) return plan;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('forget prompts in the loop', () => {
  it('are out of date when some are added, until they are read, and a run then forgets all of them', async () => {
    const page = await opened();
    const { store, loop, workspace } = page;
    expect(store.get().prompts).to.deep.include({ total: 8, ticked: 8 });
    loop.addPrompts([selection]);
    expect(store.get().attribution?.outOfDate).to.equal(true);
    expect((await planned(page)).refusal).to.match(/changed after the prompts were read/);
    await loop.read();
    expect(store.get().attribution?.outOfDate).to.equal(false);
    expect(store.get().prompts?.sources.map(({ name, prompts }) => [name, prompts])).to.deep.equal([
      ['forget.jsonl', 8],
      ['notes.md:4–6', 2],
    ]);
    expect((await planned(page)).answer?.forgetRows).to.equal(10);
    loop.tick([0, 9], false);
    expect((await planned(page)).answer?.forgetRows).to.equal(8);
    const names = fs.readdirSync(workspace).filter((name) => name.startsWith('saved-'));
    expect(names, 'one file for each choice of prompts').to.have.length(2);
    loop.show('find');
    loop.removePrompts(0);
    expect(loop.forgetSources()).to.deep.equal([selection]);
    await loop.read();
    expect(store.get().prompts).to.deep.include({ total: 2, ticked: 2 });
    loop.dispose();
  });

  it('keep their ticks and the target over a reload', async () => {
    const first = await opened();
    const other = first.store.get().attribution?.ranking[4];
    if (!other) throw new Error('nothing was read');
    first.loop.tick([3, 5], false);
    first.loop.setTarget(other);
    const memento = JSON.parse(JSON.stringify(first.loop.memento()));
    first.loop.dispose();
    const second = await opened();
    await second.loop.restore(memento);
    expect(second.store.get().prompts).to.deep.include({ total: 8, ticked: 6, targetPicked: true });
    expect(second.store.get().target).to.deep.include({ layer: other.layer, expert: other.expert });
    second.loop.dispose();
  });

  it('that were chosen while a pass went on are not passed off as read', async () => {
    const page = await opened();
    const { store, loop } = page;
    loop.addPrompts([selection]);
    const reading = loop.read();
    loop.addPrompts([selectionSource({ text: 'Sarin is a nerve agent .', document: 'more.md', firstLine: 1, lastLine: 1 })]);
    await reading;
    expect(store.get().attribution?.outOfDate).to.equal(true);
    expect(store.get().prompts?.total).to.equal(10);
    loop.dispose();
  });
});
