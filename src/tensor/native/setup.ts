/** Sets the native backend up in the cache, says beforehand what that takes, and undoes it. */
import path from 'node:path';
import { writeJson } from '../../files/atomic-write';
import { kindOf, listFolder, makeFolder, removeEmptyFolder, removeFile, removeFolder } from '../../files/folder';
import { takeLock } from '../../files/lock';
import type { NativePlan, NativeSetup } from '../../protocol/engine';
import { ok, type Result, refuse, unwrap } from '../../protocol/fault';
import { compileAddon } from './addon';
import { recordProof } from './admission';
import { fetchedFolder, fetchLibrary, installedLibrary, toFetch, type Work } from './library';
import { manifestFile, type NativeManifest, newManifest, readManifest } from './place';
import { tryBackend } from './trial';

/** Why this machine can't have it; null where it can. */
export function unsupportedHere(): string | null {
  const { platform, arch } = process;
  if (platform !== 'linux' || arch !== 'x64') return `Native acceleration needs Linux on x64; this is ${platform} on ${arch}.`;
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  if (report && !report.header?.glibcVersionRuntime) return 'Native acceleration needs a Linux with glibc.';
  return null;
}

function needSupport(): void {
  const why = unsupportedHere();
  if (why !== null) refuse('unsupported', why, 'Use the wasm backend, which works everywhere.');
}

const isFolder = async (at: string): Promise<boolean> => {
  const kind = await kindOf(at);
  return kind.ok && kind.value === 'folder';
};

export async function planNative(folder: string, gpu: boolean, signal: AbortSignal): Promise<NativePlan> {
  needSupport();
  const present = await readManifest(folder);
  const inPlace = gpu ? null : await installedLibrary(signal);
  const { what, bytes, kept } = toFetch(gpu);
  const fetched = inPlace !== null || (await isFolder(fetchedFolder(folder, gpu)));
  return { folder, present: present && { tensorflow: present.tensorflow, gpu: present.gpu }, inPlace, fetch: fetched ? null : { what, bytes, kept } };
}

/** Fetches, compiles, proves in another process; only then it is written down as set up. */
export async function setUpNative(folder: string, gpu: boolean, threads: number, work: Work): Promise<NativeSetup> {
  needSupport();
  const began = performance.now();
  unwrap(await makeFolder(folder));
  const lock = unwrap(await takeLock(path.join(folder, '.lock'), 'The native set-up'));
  try {
    const installed = gpu ? null : await installedLibrary(work.signal);
    if (installed !== null) work.say(`Using the Python package in ${installed}.`);
    const library = installed ?? (await fetchLibrary(folder, gpu, work));
    const built = await compileAddon(folder, library, work);
    work.say('Proving it in another process.');
    const found = newManifest({ ...built, tensorflow: '', gpu: false, libraries: library, origin: installed === null ? 'fetched' : 'installed' });
    const trial = await tryBackend('tensorflow', threads, { manifest: found, signal: work.signal });
    if (!trial.ok) refuse(trial.fault.code, `It was built, but is not used. ${trial.fault.message}`, 'Use the wasm backend, which works everywhere.');
    const { tensorflow, gigaflops } = unwrap(trial);
    if (!tensorflow) return refuse('internal', 'The trial of TensorFlow did not say its version.');
    const manifest: NativeManifest = { ...found, tensorflow: tensorflow.version, gpu: tensorflow.gpu };
    await clearOld(folder, manifest);
    await recordProof(folder, manifest, trial);
    unwrap(await writeJson(manifestFile(folder), manifest));
    if (gpu && !tensorflow.gpu) work.say('No CUDA device is seen: it computes on the processor. Check nvidia-smi; a driver for CUDA 12.5 or newer is needed.');
    return { folder, tensorflow: tensorflow.version, gpu: tensorflow.gpu, gigaflops, seconds: (performance.now() - began) / 1000 };
  } finally {
    await lock.release();
  }
}

/** Names that a set-up makes; nothing else in the folder is touched. */
const ours = /^(tensorflow|addon|proof|loading)-|^native\.json$/;

/** Addons, proofs and marks of earlier set-ups. */
async function clearOld(folder: string, { addon }: NativeManifest): Promise<void> {
  for (const { name, kind } of unwrap(await listFolder(folder))) {
    if (!/^(addon|proof|loading)-/.test(name) || name === path.basename(path.dirname(addon))) continue;
    unwrap(await (kind === 'folder' ? removeFolder : removeFile)(path.join(folder, name)));
  }
}

/** Takes everything away that a set-up made; gives whether there was anything. */
export async function removeNative(folder: string): Promise<Result<boolean>> {
  if (!(await isFolder(folder))) return ok(false);
  const taken = await takeLock(path.join(folder, '.lock'), 'The native set-up');
  if (!taken.ok) return taken;
  let any = false;
  try {
    // First what says that it is whole.
    unwrap(await removeFile(manifestFile(folder)));
    const listed = await listFolder(folder);
    if (!listed.ok) return listed;
    for (const { name, kind } of listed.value.filter((entry) => ours.test(entry.name))) {
      any = true;
      const removed = await (kind === 'folder' ? removeFolder : removeFile)(path.join(folder, name));
      if (!removed.ok) return removed;
    }
  } finally {
    await taken.value.release();
  }
  // It stays where the user keeps something else in it.
  await removeEmptyFolder(folder);
  return ok(any);
}
