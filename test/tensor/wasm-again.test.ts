import { engine } from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { unwrap } from '../../src/protocol/fault';
import { openBackend } from '../../src/tensor/backend';
import { inScope, read, uploadMatrix } from '../../src/tensor/host';
import { matMul } from '../../src/tensor/tf';
import type { WasmBackend } from '../../src/tensor/wasm-heap';

describe('the wasm backend, chosen again', () => {
  it('takes no memory: every run and every read of prompts chooses it', async () => {
    const product = () =>
      inScope(() => Array.from(read(matMul(uploadMatrix(Float32Array.of(1, 2, 3, 4), 2, 2), uploadMatrix(Float32Array.of(1, 0, 0, 1), 2, 2)))));
    const heap = () => (engine().backend as WasmBackend).wasm.HEAPU8.length;
    unwrap(await openBackend('wasm', 1));
    expect(product()).to.deep.equal([1, 2, 3, 4]);
    // As much as is free in the heap that it begins with.
    for (let turn = 0; turn < 40; turn++) unwrap(await openBackend('wasm', 1));
    const before = heap();
    for (let turn = 0; turn < 100; turn++) unwrap(await openBackend('wasm', 1));
    expect(heap()).to.equal(before);
    expect(product()).to.deep.equal([1, 2, 3, 4]);
  });
});
