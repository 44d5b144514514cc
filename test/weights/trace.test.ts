/** The trace of reading and arithmetic: what its figures mean, and that a store fills it only while it is open. */
import { expect } from 'chai';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { unwrap } from '../../src/protocol/fault';
import { openBackend } from '../../src/tensor/backend';
import { noOverlay, weightStore } from '../../src/weights/store';
import { openTrace, span } from '../../src/weights/trace';
import { filled, writeFolder } from '../checkpoint/small-checkpoint';

interface Event {
  readonly name: string;
  readonly ph: string;
  readonly cat?: string;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
}
const eventsOf = (json: object) => (json as { traceEvents: Event[] }).traceEvents.filter(({ ph }) => ph === 'X');

describe('trace of weights', () => {
  it('counts time that both took, however many spans it lies in, against the shorter one; a lease that waits computes nothing', () => {
    const trace = openTrace();
    // Read from 0 to 6 (two at once) and widened to 7; arithmetic from 4 to 20, of which 5 to 6 only waited.
    span('reading', 'a', 0, 4000);
    span('reading', 'b', 1000, 6000);
    span('widening', 'a', 4000, 5000);
    span('widening', 'b', 6000, 7000);
    span('computing', 'a', 4000, 20000);
    span('computing', 'inner', 8000, 9000);
    span('waiting', 'b', 5000, 6000);
    trace.close();
    span('computing', 'later', 30000, 90000);
    expect(trace.overlap()).to.deep.equal({ reading: 6, widening: 2, computing: 15, waiting: 1, together: 2, share: 2 / 7 });
    const events = eventsOf(trace.json());
    expect(events).to.have.length(7);
    const reads = events.filter(({ cat }) => cat === 'reading');
    expect(new Set(reads.map(({ tid }) => tid)).size, 'two reads at once take two rows').to.equal(2);
  });

  it('knows no share where nothing was read', () => {
    const trace = openTrace();
    span('computing', 'a', 0, 1000);
    trace.close();
    expect(trace.overlap().share).to.equal(null);
  });

  for (const aheadBytes of [2 ** 20, 0]) {
    it(`is filled by a store ${aheadBytes > 0 ? 'that reads ahead' : 'without a reading thread'}`, async () => {
      unwrap(await openBackend('cpu', 1));
      const checkpoint = unwrap(await openCheckpoint(writeFolder([{ 'm.up.weight': filled('BF16', [8, 4]), 'm.down.weight': filled('BF16', [4, 8]) }])));
      const store = weightStore(checkpoint, { widenedBytes: 0, aheadBytes });
      const parts = { up: { name: 'm.up.weight', shape: [8, 4] }, down: { name: 'm.down.weight', shape: [4, 8] } };
      const use = async () => {
        store.ahead([parts], noOverlay);
        (await store.lease(parts, noOverlay)).release();
      };
      const trace = openTrace();
      await use();
      trace.close();
      const count = eventsOf(trace.json()).length;
      await use();
      const events = eventsOf(trace.json());
      expect(events).to.have.length(count);
      const named = (cat: string) => events.filter((event) => event.cat === cat).map(({ name }) => name);
      expect(named('computing')).to.deep.equal(['m']);
      expect(named('reading')).to.have.members(['m.up.weight', 'm.down.weight']);
      if (aheadBytes > 0) expect(named('widening')).to.have.members(['m.up.weight', 'm.down.weight']);
      const { reading, computing, share } = trace.overlap();
      expect([reading > 0, computing > 0]).to.deep.equal([true, true]);
      if (aheadBytes === 0) expect(share, 'nothing is computed while the main thread reads').to.equal(0);
      store.close();
      await checkpoint.close();
    });
  }
});
