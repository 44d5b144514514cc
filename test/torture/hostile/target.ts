/** A reader of what comes from strangers, as a function of bytes. It answers with the refusal, or null where the input was taken; whatever it throws is a defect. */
import fs from 'node:fs';
import path from 'node:path';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint';
import { type Fault, FaultError, type Result } from '../../../src/protocol/fault';

export interface Target {
  readonly name: string;
  /** What the input is made of. `wrapped`: a safetensors file, whose header is JSON. */
  readonly form: 'json' | 'text' | 'bytes' | 'wrapped';
  /** Of 100,000 inputs in all. */
  readonly share: number;
  /** Words of the format. */
  readonly words?: readonly string[];
  /** Bytes at the end that hold the format's directory. */
  readonly tail?: number;
  /** Small real inputs. */
  readonly seeds: readonly Uint8Array[];
  /** Some of them ask for what is not there. */
  readonly refusedSeeds?: true;
  /** Inputs that ask for more than anybody may have. They are tried as they are, before all others: chance rarely makes one. */
  hostile?(): Iterable<Uint8Array>;
  run(input: Uint8Array): Promise<Fault | null>;
  close?(): Promise<void>;
}

/** What targets are made in. Fixtures are read from the current folder, the root of a clone. */
export interface Scene {
  /** For the files that inputs are written to. */
  readonly folder: string;
  readonly checkpoint: Checkpoint;
  readonly patchFile: string;
}

export type OpenTarget = (scene: Scene) => Target | Promise<Target>;

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
export const jsonOf = (value: unknown): Uint8Array => bytesOf(JSON.stringify(value));
export const textOf = (input: Uint8Array): string => new TextDecoder().decode(input);
export const faultOfResult = (result: Result<unknown>): Fault | null => (result.ok ? null : result.fault);

/** A FaultError is a refusal like any other; anything else goes on up. */
export async function refused(work: () => Promise<Fault | null> | Fault | null): Promise<Fault | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FaultError) return error.fault;
    throw error;
  }
}

export const fixtures = (folder: string, ending: string): string[] =>
  fs
    .readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => path.join(folder, name));
