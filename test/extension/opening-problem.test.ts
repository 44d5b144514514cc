import { expect } from 'chai';
import { applyPatch } from '../../src/checkpoint/apply-patch';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { openingProblem } from '../../src/extension/workbench/opening-problem';
import { unwrap } from '../../src/protocol/fault';
import { shardName, threeShards, writeFolder } from '../checkpoint/small-checkpoint';
import { movedBy, SOME_UNITS } from '../checkpoint/small-patch';
import { withFault } from '../files/faults';

describe('a checkpoint that does not open', () => {
  it('because applying a patch was cut short offers to restore the original; another one does not', async () => {
    const folder = writeFolder(threeShards());
    const checkpoint = unwrap(await openCheckpoint(folder));
    const patch = await movedBy(checkpoint, SOME_UNITS);
    // The process dies when the second shard is about to take its place.
    const second = (operation: string, at: string) => operation === 'rename' && at.endsWith(shardName(1, 3)) && at.includes('new');
    let dead = false;
    const counts = (operation: string, at: string) => {
      dead ||= second(operation, at);
      return dead;
    };
    await withFault({ at: 0, code: 'KILL', counts }, () => applyPatch(checkpoint, patch));
    await checkpoint.close();
    const actionsOf = async (at: string) => {
      const opened = await openCheckpoint(at);
      return opened.ok ? expect.fail('it opened') : openingProblem(opened.fault).actions.map(({ id }) => id);
    };
    expect(await actionsOf(folder)).to.deep.equal(['restoreOriginal', 'openCheckpoint', 'useDemo']);
    expect(await actionsOf(`${folder}-none`)).to.deep.equal(['openCheckpoint', 'useDemo']);
  });
});
