/** Chooses and starts a backend. TensorFlow.js has one active backend per process, and so does UOE. */
import os from 'node:os';
import '@tensorflow/tfjs-backend-cpu';
import { enableProdMode, ready, setBackend } from '@tensorflow/tfjs-core';
import { fail, ok, type Result, sentence } from '../protocol/fault';
import { admit } from './native/admission';
import { nativeFolder, readManifest } from './native/place';
import { closeWasm, openWasm } from './wasm-backend';

export type BackendName = 'tensorflow' | 'webgpu' | 'wasm' | 'cpu';

export interface Backend {
  readonly name: BackendName;
  readonly threads: number;
  readonly why: string;
  /** A device of its own memory computes. */
  readonly gpu?: boolean;
  /** How to get a faster one, where there is a way. */
  readonly faster?: string;
}

let current: Backend | null = null;

/** Below this hidden size most products last less than a millisecond: waiting for a second thread costs more than it saves on a busy machine. */
const smallHiddenSize = 512;

/** Below this hidden size the calls into TensorFlow cost more than its products save. */
const smallForNative = 256;

/** One sentence for whoever lacks it. */
export const howToGetNative = 'Run "uoe setup-native" (in VS Code: "UOE: Set Up Native Acceleration").';

/** One thread per core up to 8 (the binary's own limit); 'auto' takes one for small models. */
const wasmThreads = (threads: number | 'auto', hiddenSize: number): number =>
  Math.max(1, Math.min(8, threads !== 'auto' ? threads : hiddenSize < smallHiddenSize ? 1 : os.availableParallelism()));

const nativeThreads = (threads: number | 'auto'): number => Math.max(1, threads === 'auto' ? os.availableParallelism() : threads);

/** Loads TensorFlow where a set-up is there and proved. */
async function openNative(threads: number | 'auto'): Promise<Result<{ readonly threads: number; readonly why: string; readonly gpu?: boolean }>> {
  const { nativeInUse, startNative } = await import('./native/tensorflow');
  const wanted = nativeThreads(threads);
  const told = ({ version, gpu, threads: own }: { version: string; gpu: boolean; threads: number }) => {
    const kept = own !== wanted && threads !== 'auto' ? ` It keeps the ${own} thread${own === 1 ? '' : 's'} it was started with in this process.` : '';
    return ok({
      threads: own,
      ...(gpu ? { gpu } : {}),
      why: `TensorFlow ${version} is set up on this machine${gpu ? ' and computes on its CUDA device' : ''}.${kept}`,
    });
  };
  const running = nativeInUse();
  if (running) {
    await setBackend('tensorflow');
    return told(running);
  }
  const folder = nativeFolder();
  const manifest = await readManifest(folder);
  if (!manifest) return fail('not-found', `TensorFlow is not set up on this machine (looked in ${folder}).`, howToGetNative);
  const admitted = await admit(folder, manifest, wanted);
  if (!admitted.ok) return admitted;
  const done = await admitted.value.begin();
  try {
    return told(await startNative(manifest, wanted));
  } catch (error) {
    return fail('unsupported', `TensorFlow could not be loaded: ${error instanceof Error ? error.message : String(error)}`, howToGetNative);
  } finally {
    await done();
  }
}

async function useWasm(threads: number | 'auto', hiddenSize: number, why: string, faster?: string): Promise<Result<Backend>> {
  const count = wasmThreads(threads, hiddenSize);
  const opened = await openWasm(count);
  if (!opened.ok) return opened;
  const small = threads === 'auto' && count === 1 ? ' One thread: for a model this small more would only wait for each other.' : '';
  return use({ name: 'wasm', threads: opened.value, why: `${why}${small}`, ...(faster === undefined ? {} : { faster }) });
}

function use(backend: Backend): Result<Backend> {
  current = backend;
  return ok(backend);
}

/**
 * Starts (or switches to) a backend. 'auto' is TensorFlow where it is set up and the model is large enough to gain by it, else wasm with
 * repaired kernels; cpu is plain JavaScript, the check. The thread count of wasm is fixed while tensors are alive in it; that of TensorFlow
 * as long as the process lives. webgpu is taken only where it is asked for.
 */
export async function openBackend(wanted: 'auto' | string, threads: number | 'auto', hiddenSize = Number.POSITIVE_INFINITY): Promise<Result<Backend>> {
  enableProdMode();
  if (wanted === 'cpu') {
    await setBackend('cpu');
    await ready();
    return use({ name: 'cpu', threads: 1, why: 'Plain JavaScript was asked for.' });
  }
  if (wanted === 'wasm') return useWasm(threads, hiddenSize, 'WebAssembly was asked for.');
  if (wanted === 'tensorflow') {
    const opened = await openNative(threads);
    return opened.ok ? use({ name: 'tensorflow', ...opened.value }) : opened;
  }
  if (wanted === 'webgpu') {
    const { openWebgpu } = await import('./webgpu/backend');
    const opened = await openWebgpu();
    return opened.ok ? use({ name: 'webgpu', threads: 1, ...opened.value }) : opened;
  }
  if (wanted !== 'auto') {
    return fail('unsupported', `Backend "${wanted}" is not part of this version.`, 'Use --backend tensorflow, webgpu, wasm or cpu, or leave it out.');
  }
  if (hiddenSize < smallForNative) return useWasm(threads, hiddenSize, `WebAssembly is the fastest for a hidden size of ${hiddenSize}.`);
  const opened = await openNative(threads);
  if (opened.ok) return use({ name: 'tensorflow', ...opened.value });
  const absent = opened.fault.code === 'not-found';
  const why = absent ? 'WebAssembly works on every machine without set-up.' : `WebAssembly, because TensorFlow can't be used: ${sentence(opened.fault)}`;
  return useWasm(
    threads,
    hiddenSize,
    why,
    absent && process.platform === 'linux' && process.arch === 'x64' ? `TensorFlow itself is several times as fast. ${howToGetNative}` : undefined,
  );
}

/** Multiplications of one slice of arithmetic: about 100 ms on one busy thread (wasm 20 GFLOP/s, TensorFlow 80 and more), so that a cancel is heard soon after it. */
export const sliceMultiplications = (): number => (current?.name === 'tensorflow' ? 2 ** 32 : 2 ** 30);

/** wasm's heap is 4 GiB at most; what a GPU holds is not asked. */
const smallRoom = 1.5 * 2 ** 30;

/** Bytes of weights that the backend in use can keep beside what it computes with. */
export const roomForWeights = (): number => (current?.name === 'tensorflow' && !current.gpu ? Number.POSITIVE_INFINITY : smallRoom);

/** The backend in use; an error in the program if none was opened. */
export function backendInUse(): Backend {
  if (!current) throw new Error('No backend was opened.');
  return current;
}

/** Ends the wasm threads so that the process can end by itself. */
export function closeBackend(): void {
  closeWasm();
  current = null;
}
