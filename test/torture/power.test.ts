import { expect } from 'chai';
import { temporaryFolder } from '../files/temporary-folder';
import { cutPower } from './power';

describe('power cuts', function () {
  this.timeout(300_000);
  it('at seeded instants cost nothing that was done, leave no mix, and all goes on from there', async () => {
    const { rows, failures } = await cutPower(temporaryFolder(), Number(process.env.UOE_TORTURE_COUNT ?? 40), Number(process.env.UOE_SEED ?? 1));
    expect(failures).to.deep.equal([]);
    expect(rows).to.have.length(6);
  });
});
