/**
 * TensorFlow itself as a backend: the kernels of @tensorflow/tfjs-node-gpu 4.22.0 on an addon at any path, without the package's own loader
 * (it wants node-pre-gyp and package.json beside it, and cannot be bundled).
 */
import { createRequire } from 'node:module';
import util from 'node:util';
import { DataStorage, type DataType, engine, KernelBackend, ready, registerBackend, setBackend, type TensorInfo } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-node-gpu/dist/register_all_kernels';
import { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend';
import type { CopyOut } from '../host';
import { type Bf16Products, bf16Products, type RawOperations } from './bf16-products';
import type { NativeManifest } from './place';
import { steadyKernels } from './steady-kernels';

/** What we use of the addon. */
interface Binding extends RawOperations {
  readonly TF_Version: string;
  isUsingGpuDevice(): boolean;
  /** Of binding-patch.cc; absent in an addon that was compiled by an earlier version of UOE. Copies a tensor's values into a buffer. */
  readInto?(tensor: number, buffer: ArrayBufferLike, distance: number): void;
  /** The next tensor shares the memory of its array, where the address is a multiple of 64. */
  shareNext?(): void;
  /** Gives freed memory back to the system. */
  trim?(): void;
}

/** What we use of the package's backend, whose methods ours takes over. */
interface Inherited {
  move(dataId: object, values: unknown, shape: readonly number[], dtype: DataType, references: number): void;
  getInputTensorIds(tensors: readonly TensorInfo[]): number[];
  disposeData(dataId: object, force?: boolean): boolean;
}

/** What the package keeps of a tensor: its number in the addon, or values that no kernel has wanted yet. */
interface Stored {
  readonly id: number;
  readonly values: unknown;
}

export interface Native {
  readonly version: string;
  readonly gpu: boolean;
  readonly threads: number;
}

let native: Native | null = null;

/** What runs in this process; null before it was started. */
export const nativeInUse = (): Native | null => native;

/** Gone in Node 23; the package's kernels call them. */
function restoreUtil(): void {
  const old = util as { isNullOrUndefined?: (value: unknown) => boolean; isArray?: (value: unknown) => boolean };
  old.isNullOrUndefined ??= (value) => value === null || value === undefined;
  old.isArray ??= Array.isArray;
}

/** What TensorFlow reads once, when its library is loaded; the user's own values win but for threads. */
function setEnvironment(threads: number): void {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  // oneDNN's own pool never gives memory back, and blocks for 10 s when there is none.
  process.env.TF_ONEDNN_USE_SYSTEM_ALLOCATOR ??= '1';
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
  process.env.TF_NUM_INTRAOP_THREADS = String(threads);
}

function loadBinding({ addon, quiet }: NativeManifest): Binding {
  const load = (file: string): unknown => createRequire(file)(file);
  const start = load(quiet) as { hold(): void; give(): void };
  start.hold();
  try {
    return load(addon) as Binding;
  } finally {
    start.give();
  }
}

/** The package's class is of ES5 and cannot extend the class that tfjs-core's ES modules export: its methods are taken over one by one. */
function backendOn(binding: Binding, bf16: Bf16Products): KernelBackend {
  class NativeBackend extends KernelBackend {
    readonly binding = binding;
    readonly isGPUPackage = binding.isUsingGpuDevice();
    readonly isUsingGpuDevice = binding.isUsingGpuDevice();
    readonly tensorMap = new DataStorage<Stored>(this, engine());
    readonly shareNext = (): boolean => {
      binding.shareNext?.();
      return binding.shareNext !== undefined;
    };
    readonly trim = (): void => binding.trim?.();
    readonly copyOut: CopyOut = ({ dataId }, target) => {
      const { id, values } = this.tensorMap.get(dataId);
      if (values || !binding.readInto) return false;
      binding.readInto(id, target.buffer, target.byteOffset);
      return true;
    };
  }
  for (const name of Object.getOwnPropertyNames(NodeJSKernelBackend.prototype)) {
    if (name === 'constructor') continue;
    Object.defineProperty(NativeBackend.prototype, name, Object.getOwnPropertyDescriptor(NodeJSKernelBackend.prototype, name) as PropertyDescriptor);
  }
  const own = new NativeBackend() as NativeBackend & Inherited;
  const { move, disposeData } = own;
  // The package copies an array when a kernel first wants it; until then a write to the array would change the tensor.
  own.move = (dataId, values, shape, dtype, references) => {
    move.call(own, dataId, values, shape, dtype, references);
    if (ArrayBuffer.isView(values) && dtype !== 'complex64' && dtype !== 'string') own.getInputTensorIds([{ dataId, shape: [...shape], dtype }]);
  };
  own.disposeData = (dataId, force) => {
    const gone = disposeData.call(own, dataId, force);
    if (gone) bf16.drop(dataId);
    return gone;
  };
  return own;
}

/** Loads TensorFlow into this process, for good, and makes it the backend. A set-up that is not proved can end the process. */
export async function startNative(manifest: NativeManifest, threads: number): Promise<Native> {
  if (!native) {
    restoreUtil();
    setEnvironment(threads);
    const binding = loadBinding(manifest);
    const bf16 = bf16Products(binding);
    const backend = backendOn(binding, bf16);
    registerBackend('tensorflow', () => backend, 3);
    steadyKernels(bf16.kernel);
    native = { version: binding.TF_Version, gpu: binding.isUsingGpuDevice(), threads };
  }
  if (!(await setBackend('tensorflow'))) throw new Error('TensorFlow was loaded but did not become the backend.');
  await ready();
  return native;
}
