/** Chooses and starts a backend. TensorFlow.js has one active backend per process, and so does UOE. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import '@tensorflow/tfjs-backend-cpu';
import { BackendWasm, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { init } from '@tensorflow/tfjs-backend-wasm/dist/backend_wasm';
import {
  backend as activeBackend,
  enableProdMode,
  memory as engineMemory,
  env,
  ready,
  registerBackend,
  removeBackend,
  setBackend,
} from '@tensorflow/tfjs-core';
import { fail, ok, type Result } from '../protocol/fault';
import { installWasmGather } from './wasm-gather';
import { guardWasmHeap, type WasmBackend } from './wasm-heap';
import { installWasmMatMul } from './wasm-matmul';
import { startWasmWithThreads } from './wasm-threads';

export type BackendName = 'wasm' | 'cpu';

export interface Backend {
  readonly name: BackendName;
  readonly threads: number;
  readonly why: string;
}

let current: Backend | null = null;
let wasmThreads = 0;
let kernelsInstalled = false;

/** Where the build puts the package's wasm files: beside the bundle. */
const wasmFolder = () => path.join(__dirname, 'wasm');

/** Below this hidden size most products last less than a millisecond: waiting for a second thread costs more than it saves on a busy machine. */
const smallHiddenSize = 512;

/** One thread per core up to 8 (the binary's own limit); 'auto' takes one for small models. */
const threadCount = (threads: number | 'auto', hiddenSize: number): number =>
  Math.max(1, Math.min(8, threads !== 'auto' ? threads : hiddenSize < smallHiddenSize ? 1 : os.availableParallelism()));

/**
 * Starts (or switches to) a backend: 'auto' is wasm with repaired kernels; cpu is plain JavaScript, the check.
 * The thread count of wasm is fixed while tensors are alive in it; it is started anew for another count when none are.
 */
export async function openBackend(wanted: 'auto' | string, threads: number | 'auto', hiddenSize = Number.POSITIVE_INFINITY): Promise<Result<Backend>> {
  if (wanted !== 'auto' && wanted !== 'wasm' && wanted !== 'cpu') {
    return fail('unsupported', `Backend "${wanted}" is not part of this version.`, 'Use --backend wasm (fast) or cpu (plain JavaScript), or leave it out.');
  }
  enableProdMode();
  if (wanted === 'cpu') {
    await setBackend('cpu');
    await ready();
    current = { name: 'cpu', threads: 1, why: 'Plain JavaScript was asked for.' };
    return ok(current);
  }
  const count = threadCount(threads, hiddenSize);
  if (wasmThreads > 0 && count !== wasmThreads && engineMemory().numTensors === 0) {
    removeBackend('wasm');
    registerBackend('wasm', async () => new BackendWasm((await init()).wasm));
    wasmThreads = 0;
  }
  if (wasmThreads > 0) {
    await setBackend('wasm');
  } else {
    const folder = wasmFolder();
    if (!fs.existsSync(path.join(folder, 'tfjs-backend-wasm-threaded-simd.wasm'))) {
      return fail('not-found', `The wasm files are missing in ${folder}.`, 'Build again with "npm run build".');
    }
    if (!kernelsInstalled) {
      installWasmMatMul(path.join(folder, 'matmul.wasm'));
      installWasmGather();
      kernelsInstalled = true;
    }
    setWasmPaths(`${folder}${path.sep}`);
    if (count > 1) {
      wasmThreads = await startWasmWithThreads(count, folder);
    } else {
      env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
      await setBackend('wasm');
      await ready();
      wasmThreads = 1;
    }
    guardWasmHeap(activeBackend() as WasmBackend);
  }
  const small = threads === 'auto' && count === 1 ? ' One thread: for a model this small more would only wait for each other.' : '';
  const why = `${wanted === 'wasm' ? 'WebAssembly was asked for.' : 'WebAssembly works on every machine without set-up.'}${small}`;
  current = { name: 'wasm', threads: wasmThreads, why };
  return ok(current);
}

/** The backend in use; an error in the program if none was opened. */
export function backendInUse(): Backend {
  if (!current) throw new Error('No backend was opened.');
  return current;
}

/** Ends the wasm threads so that the process can end by itself. */
export function closeBackend(): void {
  if (wasmThreads > 0) {
    removeBackend('wasm');
    registerBackend('wasm', async () => new BackendWasm((await init()).wasm));
  }
  wasmThreads = 0;
  current = null;
}
