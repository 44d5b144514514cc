/**
 * Whether the set-up may be loaded into this process. It was proved in another process on the same Node and processor, once; and where the
 * last load ended its process, it is proved again first.
 */
import { createHash, randomBytes } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { writeJson } from '../../files/atomic-write';
import { fileStatus, kindOf, listFolder, removeFile } from '../../files/folder';
import { readJson } from '../../files/read';
import { fail, ok, type Result } from '../../protocol/fault';
import type { NativeManifest } from './place';
import { type Trial, tryBackend } from './trial';

const proofForm = z.object({
  /** null: it works. */
  why: z.string().nullable(),
  /** Loads that ended their process although a proof went well, one after the other. */
  crashes: z.number(),
});
type Proof = z.infer<typeof proofForm>;

/** After so many it is not loaded any more. */
const mostCrashes = 2;
const again = 'Run "uoe setup-native" to try again, or "uoe setup-native --remove" to be rid of it.';
const markStart = `loading-${os.hostname()}-`;

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** Addon, Node's binary interface and processor; a new addon has another time. */
async function proofFile(cache: string, { addon }: NativeManifest): Promise<Result<string>> {
  const status = await fileStatus(addon);
  if (!status.ok) return status;
  const { bytes, modified } = status.value;
  const key = [addon, bytes, modified, process.versions.modules, process.versions.electron ?? 'node', os.cpus()[0]?.model ?? ''].join('\n');
  return ok(path.join(cache, `proof-${createHash('sha256').update(key).digest('hex').slice(0, 12)}.json`));
}

async function readProof(file: string): Promise<Proof | null> {
  const kind = await kindOf(file);
  if (!kind.ok || kind.value !== 'file') return null;
  const json = await readJson(file);
  const parsed = json.ok ? proofForm.safeParse(json.value) : null;
  return parsed?.success ? parsed.data : null;
}

/** Marks of loads whose process is gone: it did not live to take them away. */
async function takeCrashMarks(cache: string): Promise<number> {
  const listed = await listFolder(cache);
  let found = 0;
  for (const { name } of listed.ok ? listed.value : []) {
    // The cache may be shared by machines: another's processes can't be looked at from here.
    const pid = name.startsWith(markStart) ? Number.parseInt(name.slice(markStart.length), 10) : Number.NaN;
    if (Number.isNaN(pid) || pid === process.pid || isAlive(pid)) continue;
    found++;
    await removeFile(path.join(cache, name));
  }
  return found;
}

/** What a set-up found out is written down for its own kind of process. */
export async function recordProof(cache: string, manifest: NativeManifest, trial: Result<Trial>): Promise<void> {
  const file = await proofFile(cache, manifest);
  if (file.ok) await writeJson(file.value, { why: trial.ok ? null : trial.fault.message, crashes: 0 } satisfies Proof);
}

export interface Admission {
  /** Around the load: what `begin` gives ends the mark. A process that dies between leaves it behind. */
  begin(): Promise<() => Promise<void>>;
}

/** Proves where that is still to be done; a fault says why the set-up can't be used. */
export async function admit(cache: string, manifest: NativeManifest, threads: number): Promise<Result<Admission>> {
  const file = await proofFile(cache, manifest);
  if (!file.ok) return fail('not-found', `The native set-up in ${cache} lacks its addon.`, again);
  let proof = await readProof(file.value);
  const crashed = await takeCrashMarks(cache);
  const crashes = (proof?.crashes ?? 0) + crashed;
  if (crashes >= mostCrashes) {
    await writeJson(file.value, { why: proof?.why ?? null, crashes } satisfies Proof);
    return fail('unsupported', `TensorFlow ended ${crashes} processes while it was being loaded, and is left alone.`, again);
  }
  if (!proof || crashed > 0) {
    const trial = await tryBackend('tensorflow', threads, { manifest });
    proof = { why: trial.ok ? null : trial.fault.message, crashes };
    // A cache that can't be written to costs a proof each time, nothing else.
    await writeJson(file.value, proof);
  }
  if (proof.why !== null) return fail('unsupported', proof.why, again);
  const proved = proof;
  return ok({
    async begin() {
      const mark = path.join(cache, `${markStart}${process.pid}-${randomBytes(4).toString('hex')}.json`);
      await writeJson(mark, { since: new Date().toISOString() });
      return async () => {
        await removeFile(mark);
        if (proved.crashes > 0) await writeJson(file.value, { ...proved, crashes: 0 });
      };
    },
  });
}
