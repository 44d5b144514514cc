import { expect } from 'chai';
import { withoutPaths } from '../../src/extension/hidden-paths';
import { mapStrings } from '../../src/protocol/plain-text';

const clean = withoutPaths([
  { folder: '/home/ada', name: '~' },
  { folder: '/home/ada/project', name: '' },
  { folder: '/opt/uoe (1)', name: 'UOE' },
  { folder: 'C:\\models', name: 'models' },
]);

describe('paths on the page', () => {
  it('are shortened to what the user calls them, the nearest folder first', () => {
    expect(clean('Can’t write /home/ada/project/.uoe/runs/a: the disk is full.')).to.equal('Can’t write .uoe/runs/a: the disk is full.');
    expect(clean('There is no folder /home/ada/models.')).to.equal('There is no folder ~/models.');
    expect(clean('2 rows of /opt/uoe (1)/demo/data/forget.jsonl are cut, and "/home/ada/project".')).to.equal(
      '2 rows of UOE/demo/data/forget.jsonl are cut, and "project".',
    );
    expect(clean('C:\\models\\x has no config.json')).to.equal('models\\x has no config.json');
    expect(clean('/home/adams and /home/ada-2 are other folders')).to.equal('/home/adams and /home/ada-2 are other folders');
    expect(withoutPaths([])('/a/b')).to.equal('/a/b');
  });

  it('are taken out of every string of a state, and a state without any stays the same object', () => {
    const state = { problem: { text: 'at /home/ada/project/x', actions: [{ label: 'a' }] }, numbers: [1, null], figures: Float32Array.of(1) };
    expect(mapStrings(state, clean)).to.deep.equal({ ...state, problem: { ...state.problem, text: 'at x' } });
    const { figures } = mapStrings(state, clean);
    expect(figures).to.equal(state.figures);
    const plain = { a: 'b', c: [{ d: 1 }] };
    expect(mapStrings(plain, clean)).to.equal(plain);
  });
});
