import os from 'node:os';
import { version } from '../../../package.json';
import { freeBytes } from '../../files/disk-fault';
import type { DoctorReport } from '../../protocol/engine';
import { sentence } from '../../protocol/fault';
import { type Backend, howToGetNative, openBackend } from '../../tensor/backend';
import { nativeFolder, readManifest } from '../../tensor/native/place';
import { unsupportedHere } from '../../tensor/native/setup';
import { mostError, tryBackend } from '../../tensor/native/trial';
import { gigaflops, productError } from '../../tensor/self-test';
import type { Handler } from '../call';

type Seen = DoctorReport['backends'][number];

/** The backend in use is measured here, the others in processes of their own: threads of one would disturb the other. */
async function measured(name: 'tensorflow' | 'wasm' | 'cpu', used: Backend | null, speed: number | null, threads: number, signal: AbortSignal): Promise<Seen> {
  const notes = { tensorflow: 'TensorFlow itself; the fastest.', wasm: 'WebAssembly; works everywhere.', cpu: 'Plain JavaScript; slow, for checking.' };
  const note = notes[name];
  if (used?.name === name) return { name, available: true, threads: used.threads, gigaflops: speed, note: `${note} ${used.why}` };
  const absent = (why: string): Seen => ({ name, available: false, threads: null, gigaflops: null, note: why });
  const manifest = name === 'tensorflow' ? await readManifest(nativeFolder()) : undefined;
  if (manifest === null) return absent(unsupportedHere() ?? 'TensorFlow is not set up on this machine.');
  const trial = await tryBackend(name, name === 'cpu' ? 1 : threads, { manifest, signal });
  return trial.ok ? { name, available: true, threads: trial.value.threads, gigaflops: trial.value.gigaflops, note } : absent(trial.fault.message);
}

/** What this machine can do, tried out; what is missing and how to get it. */
export const doctor: Handler<'doctor'> = async ({ settings }, { folder }, call): Promise<DoctorReport> => {
  const missing: string[] = [];
  call.progress('Testing arithmetic', 0, 3, 'backends');
  const opened = await openBackend(settings.backend, settings.threads);
  let error = Number.POSITIVE_INFINITY;
  let speed: number | null = null;
  if (opened.ok) {
    error = productError();
    speed = gigaflops();
  } else {
    missing.push(sentence(opened.fault));
  }
  const used = opened.ok ? opened.value : null;
  const threads = settings.threads === 'auto' ? os.availableParallelism() : settings.threads;
  const backends: Seen[] = [];
  for (const name of ['tensorflow', 'wasm', 'cpu'] as const) {
    backends.push(await measured(name, used, speed, threads, call.signal));
    call.progress('Testing arithmetic', backends.length, 3, 'backends');
  }
  backends.push({ name: 'webgpu', available: false, threads: null, gigaflops: null, note: 'Not part of this version.' });
  if (!backends[0].available && unsupportedHere() === null) {
    missing.push(`${backends[0].note} ${howToGetNative}`);
  }
  const free = os.freemem();
  if (settings.memory > os.totalmem()) missing.push("The memory budget is larger than this machine's memory: set a smaller --memory.");
  const disk = await freeBytes(folder);
  return {
    version,
    node: process.versions.node,
    platform: `${os.platform()} ${os.arch()} ${os.release()}`,
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memory: { total: os.totalmem(), free, budget: settings.memory },
    disk: { folder, free: disk },
    backends,
    selfTest: { passed: error < mostError, error },
    missing,
  };
};
