/** Where the native backend lies on this machine, and what is written down about it. */
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { kindOf } from '../../files/folder';
import { readJson } from '../../files/read';

/** Raised when an addon of an earlier version of UOE can't be used any more. */
const format = 1;

const manifestForm = z.object({
  format: z.literal(format),
  /** The addon, and the small one that keeps the start quiet. */
  addon: z.string(),
  quiet: z.string(),
  /** TensorFlow's version, as its library says it. */
  tensorflow: z.string(),
  /** A CUDA device computes. */
  gpu: z.boolean(),
  /** Folder with TensorFlow's two libraries. */
  libraries: z.string(),
  /** Fetched into the cache, or a Python package of this machine, used in place. */
  origin: z.enum(['fetched', 'installed']),
});

/** What a set-up left behind; it is written last, so that it stands for a set-up that is whole. */
export type NativeManifest = z.infer<typeof manifestForm>;

export const newManifest = (known: Omit<NativeManifest, 'format'>): NativeManifest => ({ format, ...known });

/** $UOE_NATIVE, else uoe/native in the user's cache folder. */
export function nativeFolder(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.UOE_NATIVE) return path.resolve(environment.UOE_NATIVE);
  return path.join(environment.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'uoe', 'native');
}

export const manifestFile = (folder: string): string => path.join(folder, 'native.json');

/** The set-up in a folder; null where there is none, or one of another version of UOE. */
export async function readManifest(folder: string): Promise<NativeManifest | null> {
  const file = manifestFile(folder);
  const kind = await kindOf(file);
  if (!kind.ok || kind.value !== 'file') return null;
  const json = await readJson(file);
  const parsed = json.ok ? manifestForm.safeParse(json.value) : null;
  return parsed?.success ? parsed.data : null;
}

/** Sources of the addons and Node-API headers, which the build put beside the program. */
export const sourcesFolder = (): string => path.join(__dirname, 'native');
