/**
 * Puts faults into src/files: the n-th file operation fails, once or for good (as for a killed process, or a network mount that is gone);
 * reads and writes transfer less than they were asked for, or take their time; something happens to a file between two operations.
 */
import type { FileHandle } from 'node:fs/promises';
import { fileSystem } from '../../src/files/file-system';

export interface FaultPlan {
  /** 0-based number of the operation that fails. */
  readonly at: number;
  /**
   * Error number, or 'KILL': this and every later operation fails. 'SHORT': from `at` on, each read and write transfers at most a third. 'END': this
   * read or write transfers nothing, as at the end of a file that was cut.
   */
  readonly code: string;
  /** Which operations count; all by default. */
  readonly counts?: (operation: string, path: string) => boolean;
  /** Every later operation fails too, and files that were opened before never work again: the mount is gone. */
  readonly lasting?: boolean;
  /** Whether closing a file counts as well: a network file system reports late there. The file is closed all the same. */
  readonly closes?: boolean;
  /** Called before every counted operation with its number. */
  readonly before?: (number: number, operation: string, path: string) => void | Promise<void>;
}

const CHANGING = new Set([
  'rename',
  'link',
  'symlink',
  'unlink',
  'mkdir',
  'rmdir',
  'rm',
  'handle.write',
  'handle.writeFile',
  'handle.sync',
  'handle.datasync',
  'handle.truncate',
]);

/** Operations after which the disk is different: a kill at any other leaves what a kill at the next of these leaves. */
export const changing = (operation: string): boolean => CHANGING.has(operation);

const errno = (code: string, operation: string): Error => Object.assign(new Error(`${code}: injected, ${operation}`), { code: code === 'KILL' ? 'EIO' : code });

/** What becomes of an operation: nothing, or fewer bytes than asked for. */
type Verdict = 'whole' | 'short' | 'none';

/** Stands between src/files and the disk until `remove`; the plan holds from `arm` to `disarm`. */
export interface PlantedFault {
  arm(): void;
  disarm(): void;
  remove(): void;
  /** Operations counted since `arm`. */
  operations(): number;
  /** Where the fault struck first; null where it has not. */
  struck(): { readonly operation: string; readonly path: string } | null;
}

export function plantFault({ at, code, counts = () => true, lasting = false, closes = false, before }: FaultPlan): PlantedFault {
  const original = { ...fileSystem };
  const onwards = lasting || code === 'KILL';
  let operations = 0;
  let armed = false;
  /** Files opened in an earlier life of the mount are gone. */
  let life = 0;
  let struck: { operation: string; path: string } | null = null;
  const strike = (operation: string, path: string): void => {
    if (struck) return;
    struck = { operation, path };
    if (lasting) life++;
  };
  const step = async (operation: string, path: string): Promise<Verdict> => {
    if (!armed || !counts(operation, path)) return 'whole';
    const number = operations++;
    await before?.(number, operation, path);
    if (at < 0 || number < at) return 'whole';
    const transfers = operation === 'handle.read' || operation === 'handle.write';
    if (code === 'SHORT' || code === 'END') {
      if (!transfers || (code === 'END' && number > at)) return 'whole';
      strike(operation, path);
      return code === 'SHORT' ? 'short' : 'none';
    }
    if (number > at && !onwards) return 'whole';
    strike(operation, path);
    throw errno(code, operation);
  };
  const watch = (handle: FileHandle, path: string): FileHandle => {
    const born = life;
    return new Proxy(handle, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return async (...args: unknown[]) => {
          const operation = `handle.${String(name)}`;
          if (name === 'close') {
            // A dead process's files are closed for it, and a close that reports an error has closed.
            const closed: unknown = await Reflect.apply(value, target, args);
            if (closes) await step(operation, path);
            return closed;
          }
          if (!armed && born < life) throw errno('ESTALE', operation);
          const verdict = await step(operation, path);
          if (verdict === 'none') return { bytesRead: 0, bytesWritten: 0 };
          // read(buffer, offset, length, position) and write alike.
          const cut = verdict === 'short' ? [args[0], args[1], Math.max(1, Math.floor(Number(args[2] ?? 0) / 3)), ...args.slice(3)] : args;
          return Reflect.apply(value, target, cut) as unknown;
        };
      },
    });
  };
  for (const name of Object.keys(original) as (keyof typeof fileSystem)[]) {
    const real = original[name] as (...args: unknown[]) => Promise<unknown>;
    const faulty = async (...args: unknown[]): Promise<unknown> => {
      await step(name, String(args[0]));
      const result = await real(...args);
      return name === 'open' ? watch(result as FileHandle, String(args[0])) : result;
    };
    Object.assign(fileSystem, { [name]: faulty });
  }
  return {
    arm: () => {
      armed = true;
    },
    disarm: () => {
      armed = false;
    },
    remove: () => {
      armed = false;
      Object.assign(fileSystem, original);
    },
    operations: () => operations,
    struck: () => struck,
  };
}

/** Runs `work` with the fault in place; `operations` is how many counted operations were begun. */
export async function withFault<T>(plan: FaultPlan, work: () => Promise<T>): Promise<{ value: T; operations: number }> {
  const planted = plantFault(plan);
  planted.arm();
  try {
    return { value: await work(), operations: planted.operations() };
  } finally {
    planted.remove();
  }
}
