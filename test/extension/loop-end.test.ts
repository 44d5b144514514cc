import path from 'node:path';
import { expect } from 'chai';
import { openedPage } from './loop-page';

const recipe = { model: 'm', forget: 'f', method: 'ga' as const, steps: 1 };

describe('the end of a run on the page', () => {
  it('leads to its comparison', async () => {
    const { engine, loop, store } = await openedPage({ name: 'own.uoe.json', recipe });
    await loop.start();
    expect([store.get().step, store.get().comparison?.run === store.get().run?.id]).to.deep.equal(['compare', true]);
    loop.dispose();
    engine.dispose();
  });

  it('gives way to a command given since', async () => {
    for (const given of ['prompts', 'model'] as const) {
      const { engine, loop, store, files } = await openedPage({ name: 'own.uoe.json', recipe });
      let command: Promise<void> | undefined;
      store.subscribe(({ run }) => {
        if (run?.status !== 'done' || command !== undefined) return;
        command = Promise.resolve();
        if (given === 'prompts') loop.show('find');
        else command = loop.openModel(path.resolve('demo/checkpoint'), 'Demo', undefined, files);
      });
      await loop.start();
      await command;
      expect(store.get().step, given).to.equal('find');
      loop.dispose();
      engine.dispose();
    }
  });

  it('that a window opens with again gives way to a command given meanwhile', async () => {
    const { engine, loop, store, files } = await openedPage({ name: 'own.uoe.json', recipe });
    await loop.start();
    const memento = loop.memento();
    for (const at of ['reading', 'comparison'] as const) {
      await loop.openModel(path.resolve('demo/checkpoint'), 'Demo', undefined, files);
      let command: Promise<void> | undefined;
      const stop = store.subscribe(({ attribution, comparison }, before) => {
        if (command !== undefined || !(at === 'reading' ? attribution !== before.attribution : comparison)) return;
        command = Promise.resolve();
        if (at === 'reading') command = loop.openModel(path.resolve('demo/checkpoint'), 'Demo', undefined, files);
        else loop.show('find');
      });
      await loop.restore(memento);
      await command;
      expect([command === undefined, store.get().step], at).to.deep.equal([false, 'find']);
      stop();
    }
    await loop.restore(memento);
    expect([store.get().step, store.get().comparison?.run]).to.deep.equal(['compare', memento.run]);
    loop.dispose();
    engine.dispose();
  });
});
