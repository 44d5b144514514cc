/** The checkpoint that is open: one at a time, so that the memory budget is one model's. */
import path from 'node:path';
import type { Checkpoint } from '../checkpoint/checkpoint';
import { folderStamp } from '../checkpoint/folder-stamp';
import { openCheckpoint } from '../checkpoint/open-checkpoint';
import { exists, realPath } from '../files/folder';
import { readJson } from '../files/read';
import { type OpenModel, openModel } from '../passes/model';
import type { AttributionResult } from '../protocol/engine';
import { refuse, unwrap } from '../protocol/fault';
import { endTokenIds, openTokenizer, type Tokenizer } from '../text/tokenizer';
import { checkParts } from './checked-parts';

export interface OpenedModel {
  readonly path: string;
  readonly checkpoint: Checkpoint;
  readonly model: OpenModel;
  readonly tokenizer: Tokenizer | null;
  /** What ends a generation, with a tokenizer or without. */
  readonly endTokens: ReadonlySet<number>;
  /** Attributions made since it was opened, by key. */
  readonly attributions: Map<string, AttributionResult>;
}

export interface OpenedModels {
  /** The model of a folder as it is now; others that nobody uses are closed. It may be closed once it is not in use. Throws FaultError. */
  open(folder: string, memory: number, signal?: AbortSignal): Promise<OpenedModel>;
  /** Keeps a model open until the returned function is called. */
  hold(opened: OpenedModel): () => void;
  /** Closes what is not in use: one folder, or all. */
  close(folder?: string): Promise<void>;
}

async function openAnew(folder: string, memory: number, signal?: AbortSignal): Promise<OpenedModel> {
  const checkpoint = unwrap(await openCheckpoint(folder, signal));
  try {
    const model = unwrap(openModel(checkpoint, memory));
    checkParts(checkpoint, model);
    const tokenizer = unwrap(await openTokenizer(checkpoint.folder, checkpoint.config));
    const generationFile = path.join(checkpoint.folder, 'generation_config.json');
    const generation = tokenizer === null && unwrap(await exists(generationFile)) ? unwrap(await readJson(generationFile)) : null;
    const endTokens = new Set(tokenizer?.endTokens ?? endTokenIds(generation, checkpoint.config));
    return { path: folder, checkpoint, model, tokenizer, endTokens, attributions: new Map() };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

export function openedModels(): OpenedModels {
  interface Entry {
    readonly folder: string;
    readonly memory: number;
    /** Of the folder when it was opened; null where that could not be told. */
    readonly stamp: string | null;
    readonly opened: OpenedModel;
    users: number;
  }
  let entries: Entry[] = [];

  async function closeUnused(unwanted: (entry: Entry) => boolean): Promise<void> {
    const leaving = entries.filter((entry) => entry.users === 0 && unwanted(entry));
    entries = entries.filter((entry) => !leaving.includes(entry));
    for (const { opened } of leaving) {
      opened.model.weights.close();
      await opened.checkpoint.close();
    }
  }

  const realFolder = async (folder: string): Promise<string> => {
    const real = await realPath(path.resolve(folder));
    return real.ok ? real.value : path.resolve(folder);
  };

  return {
    async open(folder, memory, signal) {
      const real = await realFolder(folder);
      const stamp = await folderStamp(real).catch(() => null);
      const known = entries.find((entry) => entry.folder === real && entry.memory === memory && entry.stamp === stamp);
      if (known && stamp !== null) return known.opened;
      const opened = await openAnew(folder, memory, signal);
      try {
        // A drive that went away meanwhile would leave a model without its tokenizer, for instance.
        const after = await folderStamp(real);
        if (stamp !== null && after !== stamp) refuse('conflict', `${real} was changed while it was opened.`, 'Open the checkpoint again.');
      } catch (error) {
        opened.model.weights.close();
        await opened.checkpoint.close();
        throw error;
      }
      await closeUnused(() => true);
      entries.push({ folder: real, memory, stamp, opened, users: 0 });
      return opened;
    },
    hold(opened) {
      const entry = entries.find((one) => one.opened === opened);
      if (entry) entry.users++;
      return () => {
        if (entry) entry.users--;
      };
    },
    async close(folder) {
      const real = folder === undefined ? undefined : await realFolder(folder);
      await closeUnused((entry) => real === undefined || entry.folder === real);
    },
  };
}
