import path from 'node:path';
import { expect } from 'chai';
import { unwrap } from '../../src/protocol/fault';
import { demoOffer, openedFamilies } from '../../src/protocol/offer';
import { sessionEngine } from './session-engine';

describe('what the empty page offers', () => {
  it('is what the engine opens', async () => {
    const engine = sessionEngine();
    const { catalogue } = unwrap(await engine.request('handshake', { threads: 1 }));
    expect(catalogue.families.map(({ id }) => id)).to.have.members([...openedFamilies]);
    const { moeLayers, experts, parameters } = unwrap(await engine.request('openModel', { path: path.resolve('demo/checkpoint') }));
    expect({ moeLayers: moeLayers.length, experts, parameters: parameters.total }).to.deep.equal(demoOffer);
    engine.dispose();
  });
});
