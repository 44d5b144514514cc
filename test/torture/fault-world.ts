/** Faults that the system itself makes: a disk that is full, one that is read-only, one that is unmounted, files that another process cuts or replaces. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { sentence, unwrap } from '../../src/protocol/fault';
import { type FaultPlan, plantFault } from '../files/faults';
import { bitsOf, newEngine, type Scene, type Work, works } from './fault-scene';
import { litter, openFiles, type Undisturbed, unclear, undisturbed } from './fault-trials';

/** What became of one case. */
export interface Case {
  readonly place: string;
  readonly said: string | null;
  readonly wrong: readonly string[];
}

/** Cases, or why none can be made here. */
export type World = { readonly skipped: string } | { readonly cases: readonly Case[] };

const command = (name: string, ...args: string[]): boolean => spawnSync(name, args, { stdio: 'ignore' }).status === 0;
const workNamed = (name: string): Work => works.find((work) => work.name === name) as Work;

/** A disk of its own under a folder of the scene; null where nobody may mount one. */
function mounted(at: string, bytes: number): (() => void) | null {
  fs.mkdirSync(at, { recursive: true });
  if (!command('mount', '-t', 'tmpfs', '-o', `size=${bytes}`, 'none', at)) return null;
  return () => void (command('umount', at) || command('umount', '-l', at));
}

const copy = (from: string, to: string) => fs.cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });

/** Runs a work of the scene once with what is broken, once with what is mended: the first is a clear sentence, the second gives the same bits. */
async function twice(scene: Scene, work: Work, reference: Undisturbed, code: string, breaks: () => void, mends: () => void, place: string): Promise<Case> {
  const wrong: string[] = [];
  let said: string | null = null;
  const engine = newEngine();
  try {
    if (!work.opensItself) unwrap(await engine.ask('openModel', { path: scene.model }));
    breaks();
    const first = await work.act(scene, engine);
    if (first.ok) {
      if (bitsOf(first.value.value) !== reference.bits) wrong.push('it succeeded with another result');
    } else {
      said = sentence(first.fault);
      const why = unclear(first.fault, code, scene.home);
      if (why) wrong.push(why);
    }
    wrong.push(...litter(scene, []));
    mends();
    if (first.ok) await work.again?.(scene, engine);
    const second = await work.act(scene, engine);
    if (!second.ok) wrong.push(`afterwards it did not work: ${sentence(second.fault)}`);
    else if (bitsOf(second.value.value) !== reference.bits) wrong.push('afterwards it gave another result');
  } finally {
    await engine.dispose();
  }
  const open = openFiles(scene);
  if (open.length > 0) wrong.push(`still open: ${open.join(', ')}`);
  return { place, said, wrong };
}

const noMounts = 'needs a user who may mount';

/** Works that write, on a disk of a few MB that is full but for some bytes: from none to what the work needs. */
export async function fullDisks(scene: Scene, count: number): Promise<World> {
  const cases: Case[] = [];
  for (const [name, part] of [
    ['unlearning', 'workspace'],
    ['a run with activations on disk', 'workspace'],
    ['export as a copy', 'out'],
    ['export of the patch', 'out'],
    ['apply', 'model'],
    ['audits', 'workspace'],
    ['gradients as a file', 'out'],
  ] as const) {
    const work = workNamed(name);
    const reference = await undisturbed(scene, work);
    for (let i = 0; i < count; i++) {
      scene.reset(work.start);
      const at = scene[part];
      const kept = `${at}-kept`;
      fs.renameSync(at, kept);
      const unmount = mounted(at, 4 << 20);
      try {
        if (unmount === null) return { skipped: noMounts };
        copy(kept, at);
        const ballast = path.join(at, '.uoe-ballast');
        const { bavail, bsize } = fs.statfsSync(at);
        const free = bavail * bsize;
        // Most of a work's files are small: the interesting amounts lie below a few hundred kB.
        const left = Math.min(free, Math.floor((i / Math.max(1, count - 1)) ** 2 * 400_000));
        const fill = () => fs.writeFileSync(ballast, Buffer.alloc(Math.floor((free - left) / 4096) * 4096));
        cases.push(await twice(scene, work, reference, 'ENOSPC', fill, () => fs.rmSync(ballast), `${name} with ${left} bytes free`));
      } finally {
        unmount?.();
        fs.rmSync(at, { recursive: true, force: true });
        fs.renameSync(kept, at);
      }
    }
  }
  return { cases };
}

/** Works that write, where nobody may: a disk mounted read-only. */
export async function readOnlyDisks(scene: Scene): Promise<World> {
  const cases: Case[] = [];
  for (const [name, part] of [
    ['unlearning', 'workspace'],
    ['resume', 'workspace'],
    ['audits', 'workspace'],
    ['export as a copy', 'out'],
    ['export with links', 'out'],
    ['export of the patch', 'out'],
    ['scores with logits and routing as files', 'out'],
    ['apply', 'model'],
    ['restore', 'model'],
    ['speed of the disk', 'workspace'],
  ] as const) {
    const work = workNamed(name);
    const reference = await undisturbed(scene, work);
    scene.reset(work.start);
    const at = scene[part];
    const kept = `${at}-kept`;
    fs.renameSync(at, kept);
    const unmount = mounted(at, 16 << 20);
    try {
      if (unmount === null) return { skipped: noMounts };
      copy(kept, at);
      const remount = (how: string) => () => void command('mount', '-o', `remount,${how}`, at);
      cases.push(await twice(scene, work, reference, 'EROFS', remount('ro'), remount('rw'), `${name} on a read-only disk`));
    } finally {
      unmount?.();
      fs.rmSync(at, { recursive: true, force: true });
      fs.renameSync(kept, at);
    }
  }
  return { cases };
}

/** The same where a folder's permissions say so, as a user whom they bind. */
export async function readOnlyFolders(scene: Scene): Promise<World> {
  const root = process.geteuid?.() === 0;
  const nobody = 65534;
  const cases: Case[] = [];
  if (process.geteuid === undefined) return { skipped: 'needs POSIX permissions' };
  for (const [name, part] of [
    ['unlearning', 'workspace'],
    ['export of the patch', 'out'],
    ['apply', 'model'],
  ] as const) {
    const work = workNamed(name);
    const reference = await undisturbed(scene, work);
    scene.reset(work.start);
    const breaks = () => {
      if (root) {
        command('chmod', '-R', 'a+rX', scene.home);
        command('chmod', 'a+x', path.dirname(scene.home));
        process.seteuid?.(nobody);
      } else fs.chmodSync(scene[part], 0o555);
    };
    const mends = () => {
      if (root) process.seteuid?.(0);
      else fs.chmodSync(scene[part], 0o755);
    };
    try {
      cases.push(await twice(scene, work, reference, 'EACCES', breaks, mends, `${name} in a read-only folder`));
    } finally {
      mends();
    }
  }
  return { cases };
}

/** A shard of another model, beside the checkpoint's folder. */
const otherOf = (shard: string): string => path.join(path.dirname(path.dirname(shard)), 'other-shard');

/** What another process does to a shard, between two operations of ours. */
const meddlings = {
  'cut short': (shard: string) => command('truncate', '-s', '-1000', shard),
  emptied: (shard: string) => command('truncate', '-s', '0', shard),
  'replaced by another': (shard: string) => command('cp', otherOf(shard), `${otherOf(shard)}.copy`) && command('mv', `${otherOf(shard)}.copy`, shard),
  'written over': (shard: string) => command('dd', `if=${otherOf(shard)}`, `of=${shard}`, 'conv=notrunc', 'status=none'),
  removed: (shard: string) => command('rm', shard),
} as const;

/** A shard is meddled with at some operation: the result is the old model's or the new one's, or a sentence; never a mix. Opening again mends it. */
export async function meddledShards(
  scene: Scene,
  count: number,
  seed: number,
  names = ['opening a checkpoint', 'attribution', 'evaluation', 'a run with streams on disk', 'export as a copy'],
): Promise<World> {
  if (!command('truncate', '--version') || !command('dd', '--version')) return { skipped: 'needs truncate and dd' };
  const cases: Case[] = [];
  for (const name of names) {
    const work = workNamed(name);
    const reference = await undisturbed(scene, work);
    const places = reference.operations.length;
    for (const [what, meddle] of Object.entries(meddlings)) {
      scene.reset(work.start);
      const shard = path.join(scene.model, fs.readdirSync(scene.model).filter((own) => own.endsWith('.safetensors'))[1]);
      const bytes = fs.readFileSync(shard);
      const other = Buffer.from(bytes);
      // Another model of the same form: signs of all its f32 values turned.
      for (let i = 8 + Number(bytes.readBigUInt64LE(0)) + 3; i < other.length; i += 4) other[i] ^= 0x80;
      const whole = await resultWith(scene, work, shard, other);
      for (let i = 0; i < count; i++) {
        const at = Math.floor(((i + ((seed * 0.37) % 1)) / count) * places);
        cases.push(await meddled(scene, work, { what, meddle, shard, bytes, other, at, old: reference.bits, changed: whole }));
      }
    }
  }
  return { cases };
}

/** Bits of the work on the model with the other shard. */
async function resultWith(scene: Scene, work: Work, shard: string, other: Buffer): Promise<string | null> {
  scene.reset(work.start);
  fs.writeFileSync(shard, other);
  const engine = newEngine();
  const result = await work.act(scene, engine);
  await engine.dispose();
  return result.ok ? bitsOf(result.value.value) : null;
}

interface Meddled {
  readonly what: string;
  readonly meddle: (shard: string) => boolean;
  readonly shard: string;
  readonly bytes: Buffer;
  readonly other: Buffer;
  readonly at: number;
  readonly old: string;
  readonly changed: string | null;
}

async function meddled(scene: Scene, work: Work, { what, meddle, shard, bytes, other, at, old, changed }: Meddled): Promise<Case> {
  const wrong: string[] = [];
  let said: string | null = null;
  scene.reset(work.start);
  // The time of a file is part of its version; a file system's clock may tick in milliseconds.
  const earlier = new Date(Date.now() - 60_000);
  fs.utimesSync(shard, earlier, earlier);
  fs.writeFileSync(otherOf(shard), other);
  const engine = newEngine();
  const plan: FaultPlan = {
    at: -1,
    code: 'EIO',
    counts: (_, file) => file.startsWith(scene.home),
    before: (number) => {
      if (number === at && !meddle(shard)) wrong.push(`the shard was not ${what}`);
    },
  };
  const planted = plantFault(plan);
  try {
    if (!work.opensItself) unwrap(await engine.ask('openModel', { path: scene.model }));
    planted.arm();
    const first = await work.act(scene, engine);
    planted.disarm();
    if (first.ok) {
      const bits = bitsOf(first.value.value);
      if (bits !== old && bits !== changed) wrong.push('the result is neither of the old nor of the new model');
    } else {
      said = sentence(first.fault);
      const why = unclear(first.fault, 'bad', scene.home);
      if (why) wrong.push(why);
    }
    // The user gets the shard back and opens the checkpoint again.
    fs.rmSync(shard, { force: true });
    fs.writeFileSync(shard, bytes);
    const opened = await engine.ask('openModel', { path: scene.model });
    if (!opened.ok) wrong.push(`afterwards it did not open: ${sentence(opened.fault)}`);
    if (first.ok) await work.again?.(scene, engine);
    const second = await work.act(scene, engine);
    if (!second.ok) wrong.push(`afterwards it did not work: ${sentence(second.fault)}`);
    else if (bitsOf(second.value.value) !== old) wrong.push('afterwards it gave another result');
  } finally {
    planted.remove();
    await engine.dispose();
  }
  const open = openFiles(scene);
  if (open.length > 0) wrong.push(`still open: ${open.join(', ')}`);
  return { place: `${work.name}, a shard ${what} at operation ${at}`, said, wrong };
}

/** The disk that holds the checkpoint is taken away in the middle, and mounted again. */
export async function unmountedDisks(scene: Scene, count: number): Promise<World> {
  const cases: Case[] = [];
  for (const name of ['opening a checkpoint', 'attribution', 'unlearning', 'export as a copy']) {
    const work = workNamed(name);
    const reference = await undisturbed(scene, work);
    for (let i = 0; i < count; i++) {
      const at = Math.floor(((i + 0.5) / count) * reference.operations.length);
      scene.reset(work.start);
      const kept = `${scene.model}-kept`;
      fs.renameSync(scene.model, kept);
      fs.mkdirSync(scene.model);
      if (!command('mount', '--bind', kept, scene.model)) {
        fs.rmdirSync(scene.model);
        fs.renameSync(kept, scene.model);
        return { skipped: noMounts };
      }
      const planted = plantFault({
        at: -1,
        code: 'EIO',
        counts: (_, file) => file.startsWith(scene.home),
        before: (number) => void (number === at && command('umount', '-l', scene.model)),
      });
      try {
        const mends = () => void command('mount', '--bind', kept, scene.model);
        cases.push(await twice(scene, work, reference, 'gone', () => planted.arm(), mends, `${name}, unmounted at operation ${at}`));
      } finally {
        planted.remove();
        while (command('umount', '-l', scene.model));
        fs.rmSync(scene.model, { recursive: true, force: true });
        fs.renameSync(kept, scene.model);
      }
    }
  }
  return { cases };
}
