/** A backend tried out in a process of its own: whether it starts, whether its products are right, and how fast they are. */
import path from 'node:path';
import { lastWords, runProgram } from '../../files/programs';
import { fail, ok, type Result } from '../../protocol/fault';
import type { NativeManifest } from './place';

export interface Trial {
  readonly threads: number;
  /** Largest difference from the product in float64, relative to the largest element. */
  readonly error: number;
  /** Billions of f32 operations a second in products, copies in and out included. */
  readonly gigaflops: number;
  /** The same with bf16 operands (precision "fast"), where the backend has such products. */
  readonly bf16Gigaflops?: number;
  /** Of the native backend. */
  readonly tensorflow?: { readonly version: string; readonly gpu: boolean };
}

/** Products further off than this are wrong. */
export const mostError = 1e-4;

/** A first load of TensorFlow from a slow disk takes a while. */
const secondsAllowed = 180;

const signals: Readonly<Record<string, string>> = {
  SIGILL: 'it ran an instruction that this processor lacks',
  SIGSEGV: 'it touched memory that is not its own',
  SIGKILL: 'it was ended, most likely because memory or time ran out',
  SIGABRT: 'it gave itself up',
};

/** `manifest`: of a native set-up, for the backend "tensorflow". `seconds`: how long its products are timed. */
export async function tryBackend(
  name: 'tensorflow' | 'webgpu' | 'wasm' | 'cpu',
  threads: number,
  { manifest, signal, seconds = 0.3 }: { readonly manifest?: NativeManifest; readonly signal?: AbortSignal; readonly seconds?: number } = {},
): Promise<Result<Trial>> {
  const program = path.join(__dirname, 'backend-trial.js');
  const ended = await runProgram(process.execPath, [program, name, String(threads), String(seconds), ...(manifest ? [JSON.stringify(manifest)] : [])], {
    signal,
    limit: secondsAllowed,
    // process.execPath is VS Code itself on a desktop.
    environment: { ELECTRON_RUN_AS_NODE: '1', ELECTRON_NO_ASAR: '1', NODE_OPTIONS: '' },
  });
  if (ended.code !== 0) {
    const why = ended.signal === null ? lastWords(ended) : (signals[ended.signal] ?? `it was ended by ${ended.signal}`);
    return fail('unsupported', `Backend ${name} does not run on this machine: ${why.replace(/\.$/, '')}.`, 'Use --backend wasm.');
  }
  const trial = JSON.parse(ended.out) as Trial;
  if (!(trial.error < mostError)) {
    return fail('unsupported', `Backend ${name} multiplies wrongly on this machine (relative error ${trial.error.toExponential(1)}).`, 'Use --backend wasm.');
  }
  return ok(trial);
}
