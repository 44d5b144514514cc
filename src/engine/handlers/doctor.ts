import os from 'node:os';
import { version } from '../../../package.json';
import { openCheckpoint } from '../../checkpoint/open-checkpoint';
import { freeBytes } from '../../files/disk-fault';
import { diskSpeed, readSpeed } from '../../files/disk-speed';
import type { DoctorReport } from '../../protocol/engine';
import { sentence, unwrap } from '../../protocol/fault';
import { type Backend, type BackendName, howToGetNative, openBackend } from '../../tensor/backend';
import { nativeFolder, readManifest } from '../../tensor/native/place';
import { unsupportedHere } from '../../tensor/native/setup';
import { mostError, tryBackend } from '../../tensor/native/trial';
import { gigaflops, productError } from '../../tensor/self-test';
import { findWebgpu, howToGetWebgpu } from '../../tensor/webgpu/place';
import type { Handler } from '../call';

type Seen = DoctorReport['backends'][number];

/** Seconds of products on each backend, and bounds of reading and writing. Three backends and two disks make about ten seconds. */
const times = { full: { seconds: 2.5, disk: { bytes: 512 << 20, seconds: 1 } }, quick: { seconds: 0.25, disk: { bytes: 64 << 20, seconds: 0.1 } } };

interface Trying {
  readonly used: Backend | null;
  readonly speed: number | null;
  /** Of bf16 products. */
  readonly fastSpeed: number | null;
  readonly threads: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** The backend in use is measured here, the others in processes of their own: threads of one would disturb the other. */
async function measured(name: BackendName, { used, speed, fastSpeed, threads, seconds, signal }: Trying): Promise<Seen> {
  const notes = {
    tensorflow: 'TensorFlow itself; the fastest.',
    wasm: 'WebAssembly; works everywhere.',
    webgpu: 'Experimental, only where it is asked for.',
    cpu: 'Plain JavaScript; slow, for checking.',
  };
  const note = notes[name];
  if (used?.name === name) return { name, available: true, threads: used.threads, gigaflops: speed, bf16Gigaflops: fastSpeed, note: `${note} ${used.why}` };
  const absent = (why: string): Seen => ({ name, available: false, threads: null, gigaflops: null, bf16Gigaflops: null, note: why });
  const manifest = name === 'tensorflow' ? await readManifest(nativeFolder()) : undefined;
  if (manifest === null) return absent(unsupportedHere() ?? 'TensorFlow is not set up on this machine.');
  if (name === 'webgpu' && (await findWebgpu()) === null) return absent(`Experimental and not installed. ${howToGetWebgpu()}`);
  const trial = await tryBackend(name, name === 'cpu' || name === 'webgpu' ? 1 : threads, { manifest, signal, seconds });
  if (!trial.ok) return absent(trial.fault.message);
  const { threads: counted, gigaflops: own, bf16Gigaflops = null } = trial.value;
  return { name, available: true, threads: counted, gigaflops: own, bf16Gigaflops, note };
}

/** The largest file of a checkpoint, and how fast it is read. */
async function checkpointSpeed(folder: string, bounds: (typeof times)['full']['disk']): Promise<NonNullable<DoctorReport['disk']['checkpoint']>> {
  const checkpoint = unwrap(await openCheckpoint(folder));
  try {
    const file = checkpoint.shards.toSorted((a, b) => b.bytes - a.bytes)[0].path;
    return { file, read: unwrap(await readSpeed(file, bounds)) };
  } finally {
    await checkpoint.close();
  }
}

/** What this machine can do, tried out; what is missing and how to get it. */
export const doctor: Handler<'doctor'> = async ({ settings }, { folder, model, quick }, call): Promise<DoctorReport> => {
  const { seconds, disk: bounds } = quick ? times.quick : times.full;
  const missing: string[] = [];
  const steps = 5;
  call.progress('Testing the disk', 0, steps, 'tests');
  const checkpoint = model === undefined ? null : await checkpointSpeed(model, bounds);
  const speed = await diskSpeed(folder, bounds);
  if (!speed.ok) missing.push(sentence(speed.fault));
  const { write, read } = speed.ok ? speed.value : { write: null, read: null };
  call.progress('Testing arithmetic', 1, steps, 'tests');
  const opened = await openBackend(settings.backend, settings.threads);
  const error = opened.ok ? productError() : Number.POSITIVE_INFINITY;
  if (!opened.ok) missing.push(sentence(opened.fault));
  const trying: Trying = {
    used: opened.ok ? opened.value : null,
    speed: opened.ok ? await gigaflops(seconds, { signal: call.signal }) : null,
    fastSpeed: opened.ok && opened.value.name === 'tensorflow' ? await gigaflops(seconds / 2, { signal: call.signal, precision: 'fast' }) : null,
    threads: settings.threads === 'auto' ? os.availableParallelism() : settings.threads,
    seconds,
    signal: call.signal,
  };
  const backends: Seen[] = [];
  for (const name of ['tensorflow', 'webgpu', 'wasm', 'cpu'] as const) {
    backends.push(await measured(name, trying));
    call.progress('Testing arithmetic', 1 + backends.length, steps, 'tests');
  }
  if (!backends[0].available && unsupportedHere() === null) {
    missing.push(`${backends[0].note} ${howToGetNative}`);
  }
  const free = os.freemem();
  if (settings.memory > os.totalmem()) missing.push("The memory budget is larger than this machine's memory: set a smaller --memory.");
  return {
    version,
    node: process.versions.node,
    platform: `${os.platform()} ${os.arch()} ${os.release()}`,
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memory: { total: os.totalmem(), free, budget: settings.memory },
    disk: { folder, free: await freeBytes(folder), write, read, checkpoint },
    backends,
    selfTest: { passed: error < mostError, error },
    missing,
  };
};
