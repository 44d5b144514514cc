/** The weight store on real files: bounds, overlays, faults, and nothing left in the backend. */
import { expect } from 'chai';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint';
import { weightLimits } from '../../src/passes/model';
import { FaultError, unwrap } from '../../src/protocol/fault';
import type { HostTensor, TensorRef } from '../../src/protocol/tensors';
import { backendInUse, openBackend } from '../../src/tensor/backend';
import { backendMemory, read } from '../../src/tensor/host';
import { noOverlay, type Overlay, type StoreLimits, type WeightStore, weightStore } from '../../src/weights/store';
import { filled, type SmallTensor, writeFolder } from '../checkpoint/small-checkpoint';

const f32 = (shape: readonly number[], values: readonly number[]): SmallTensor => ({
  dtype: 'F32',
  shape,
  bytes: Buffer.from(Float32Array.from(values).buffer),
});
const counting = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

const tensors: Record<string, SmallTensor> = {
  a: f32([4, 4], counting(16)),
  b: f32([4, 4], counting(16, 100)),
  c: f32([4, 4], counting(16, 200)),
  fused: f32([3, 4, 2], counting(24)),
  halves: filled('BF16', [8, 4]),
};
const wholeBytes = (16 * 3 + 24 + 32) * 4;
const a: TensorRef = { name: 'a', shape: [4, 4] };
const b: TensorRef = { name: 'b', shape: [4, 4] };
const c: TensorRef = { name: 'c', shape: [4, 4] };
const halves: TensorRef = { name: 'halves', shape: [8, 4] };
const up: TensorRef = { name: 'fused', index: 1, rows: [2, 4], shape: [2, 2] };

async function withStore(limits: StoreLimits, body: (store: WeightStore) => Promise<void>, own: Record<string, SmallTensor> = tensors): Promise<void> {
  const before = backendMemory();
  const checkpoint = unwrap(await openCheckpoint(writeFolder([own])));
  const store = weightStore(checkpoint, limits);
  try {
    await body(store);
  } finally {
    store.close();
    await checkpoint.close();
  }
  expect(backendMemory(), 'left in the backend after closing').to.deep.equal(before);
}

async function faultOf(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof FaultError) return error.fault;
    throw error;
  }
  return expect.fail('nothing was thrown');
}

/** Leases, reads and releases. */
async function leased(store: WeightStore, ref: TensorRef, overlay: Overlay = noOverlay): Promise<number[]> {
  const lease = await store.lease({ own: ref }, overlay);
  const values = Array.from(read(lease.w.own));
  expect(lease.w.own.shape).to.deep.equal(ref.shape);
  lease.release();
  return values;
}

describe('weight store', () => {
  before(async () => {
    unwrap(await openBackend('cpu', 1));
  });

  it('gives a tensor, one slice of an aggregated tensor, rows of that slice', () =>
    withStore({ widenedBytes: 0, aheadBytes: 0 }, async (store) => {
      expect(await leased(store, a)).to.deep.equal(counting(16));
      expect(await leased(store, { name: 'fused', index: 2, shape: [4, 2] })).to.deep.equal(counting(8, 16));
      expect(await leased(store, up)).to.deep.equal([12, 13, 14, 15]);
      expect(await leased(store, { name: 'a', rows: [1, 2], shape: [1, 4] })).to.deep.equal([4, 5, 6, 7]);
      expect(store.unitOf(up)).to.deep.equal({ name: 'fused', index: 1, shape: [4, 2] });
      expect(store.unitOf(a)).to.deep.equal(a);
    }));

  it('keeps a checkpoint in the backend as a whole, or of a larger one what comes up again', async () => {
    const held = async (widenedBytes: number) => {
      let bytes = 0;
      let read = 0;
      await withStore({ widenedBytes, aheadBytes: 0 }, async (store) => {
        const before = backendMemory().bytes;
        for (const ref of [a, b, c, halves, a, a]) await leased(store, ref);
        bytes = backendMemory().bytes - before;
        read = store.bytesRead();
      });
      return { bytes, read };
    };
    expect(await held(wholeBytes)).to.deep.equal({ bytes: 3 * 64 + 128, read: 4 * 64 });
    expect(await held(wholeBytes - 1)).to.deep.equal({ bytes: 64, read: 5 * 64 });
    expect(await held(63)).to.deep.equal({ bytes: 0, read: 6 * 64 });
  });

  it('asks how much it may keep when weights are wanted, not when a checkpoint is opened, and once', async () => {
    let asked = 0;
    const limits = {
      aheadBytes: 0,
      get widenedBytes() {
        asked++;
        return wholeBytes;
      },
    };
    await withStore(limits, async (store) => {
      expect(asked).to.equal(0);
      for (const ref of [a, b, a]) await leased(store, ref);
      expect([asked, store.staysWidened]).to.deep.equal([1, true]);
    });
  });

  it('may keep a share of the budget; where the backend’s own memory is small, no more than that holds', () => {
    const keeps = (memory: number) => weightLimits({ totalBytes: 1e12 }, memory).widenedBytes;
    expect(keeps(4e9)).to.equal(1e9);
    expect(keeps(64e9)).to.equal(backendInUse().name === 'tensorflow' ? 16e9 : 1.5 * 2 ** 30);
  });

  it('stays within the widened bound when slices of one tensor add up to more than the checkpoint', () =>
    withStore({ widenedBytes: wholeBytes, aheadBytes: 0 }, async (store) => {
      const before = backendMemory().bytes;
      const kept = await store.lease({ a }, noOverlay);
      for (let row = 0; row < 3; row++) for (const ref of [a, b, c]) await leased(store, { ...ref, rows: [row, row + 2], shape: [2, 4] });
      for (const ref of [a, b, c, halves, { name: 'fused', index: 0, shape: [4, 2] }]) await leased(store, ref);
      expect(backendMemory().bytes - before).to.be.at.most(wholeBytes + 64);
      expect(Array.from(read(kept.w.a)), 'a lease outlives its eviction').to.deep.equal(counting(16));
      kept.release();
    }));

  it('leases of the same tensor at the same time share nothing that one could take from the other', () =>
    withStore({ widenedBytes: wholeBytes, aheadBytes: 0 }, async (store) => {
      const [first, second] = await Promise.all([store.lease({ a }, noOverlay), store.lease({ a, again: a }, noOverlay)]);
      first.release();
      expect(Array.from(read(second.w.again))).to.deep.equal(counting(16));
      second.release();
    }));

  for (const widenedBytes of [0, wholeBytes]) {
    it(`an overlay stands in for whole units, for their rows too (${widenedBytes} bytes widened)`, () =>
      withStore({ widenedBytes, aheadBytes: 0 }, async (store) => {
        const unit: HostTensor = { shape: [4, 2], values: Float32Array.from(counting(8, 500)) };
        const overlay: Overlay = new Map([['fused[1]', unit]]);
        expect(await leased(store, up, overlay)).to.deep.equal([504, 505, 506, 507]);
        expect(await leased(store, { name: 'fused', index: 1, shape: [4, 2] }, overlay)).to.deep.equal(counting(8, 500));
        expect(await leased(store, { name: 'fused', index: 0, shape: [4, 2] }, overlay), 'another slice').to.deep.equal(counting(8));
        expect(await leased(store, up), 'without the overlay').to.deep.equal([12, 13, 14, 15]);
        const values = await store.values(up, overlay);
        values.fill(0);
        expect(Array.from(unit.values), 'values are a copy').to.deep.equal(counting(8, 500));
      }));
  }

  it('names tensor and place of a NaN', async () => {
    const damaged = {
      ...tensors,
      fused: f32(
        [3, 4, 2],
        counting(24).map((value) => (value === 13 ? Number.NaN : value)),
      ),
    };
    await withStore(
      { widenedBytes: wholeBytes, aheadBytes: 0 },
      async (store) => {
        expect(await leased(store, { name: 'fused', index: 0, shape: [4, 2] })).to.have.length(8);
        const fault = await faultOf(store.lease({ up }, noOverlay));
        expect(fault.code).to.equal('not-finite');
        expect(fault.message).to.match(/fused\[1\].*element 1 of rows 2 to 4/);
      },
      damaged,
    );
  });

  for (const widenedBytes of [0, wholeBytes]) {
    it(`a lease whose last tensor fails holds none (${widenedBytes} bytes widened)`, () =>
      withStore({ widenedBytes, aheadBytes: 0 }, async (store) => {
        await leased(store, a);
        await leased(store, b);
        const before = backendMemory();
        const overlay: Overlay = new Map([['c', { shape: [4, 4], values: new Float32Array(16) }]]);
        const fault = await faultOf(store.lease({ a, b, c, missing: { name: 'nothing.here', shape: [2] } }, overlay));
        expect(fault.message).to.contain('nothing.here');
        expect(backendMemory()).to.deep.equal(before);
      }));
  }

  it('says which tensor a unit should have been cut from', () =>
    withStore({ widenedBytes: 0, aheadBytes: 0 }, async (store) => {
      expect(() => store.unitOf({ name: 'nothing.here', shape: [2] })).to.throw(FaultError, /no tensor nothing\.here/);
    }));
});
