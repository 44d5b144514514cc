/** The table of all runs of a folder. A run whose files are as they were at the last look is not read again. */
import path from 'node:path';
import { isOfTheFile } from '../files/disk-fault';
import type { RunTable, RunTableRow } from '../protocol/comparison-view';
import { type Fault, FaultError } from '../protocol/fault';
import { rowOf, tableOf } from './comparison';
import { readScores } from './history';
import type { RunReader } from './run-reader';

export interface VersionedReader extends RunReader {
  /** Another text for another content of a file, told without reading it; null where there is none. */
  version(at: string): Promise<string | null>;
}

export interface KnownRuns {
  /**
   * By number, then by start. `model`: of this checkpoint only. A folder that holds no readable run is left out; `unread` is told what could
   * not be read. Throws FaultError where the folder of all can't be listed.
   */
  table(folder: string, model?: string, unread?: (fault: Fault) => void): Promise<RunTable>;
}

interface Known {
  readonly version: string;
  readonly row: RunTableRow;
  readonly startedAt: string;
}

/** What a row is made from. */
const files = ['run.json', 'recipe.json', 'evaluation.json'];
/** Runs looked at at once. */
const together = 32;

export function knownRuns(reader: VersionedReader): KnownRuns {
  const known = new Map<string, Known>();

  async function look(folder: string, tell: (fault: Fault) => void): Promise<Known | null> {
    const version = (await Promise.all(files.map((name) => reader.version(path.join(folder, name))))).join('|');
    const last = known.get(folder);
    if (last?.version === version) return last;
    known.delete(folder);
    const read = await readScores(reader, folder);
    if (!read.ok) {
      if (read.fault.code !== 'not-found') tell(read.fault);
      return null;
    }
    const { record, unread } = read.value;
    const now = { version, row: rowOf(read.value), startedAt: record.startedAt };
    if (unread) tell(unread);
    // Whether a run still goes on stands in no file.
    else if (record.status !== 'running' && record.status !== 'interrupted') known.set(folder, now);
    return now;
  }

  return {
    async table(root, model, unread = () => undefined) {
      const names = await reader.folders(root);
      if (!names.ok && !isOfTheFile(names.fault)) throw new FaultError(names.fault);
      const folders = names.ok ? names.value.filter((name) => !name.startsWith('.')).map((name) => path.join(root, name)) : [];
      for (const folder of known.keys()) if (path.dirname(folder) === root && !folders.includes(folder)) known.delete(folder);
      const all: Known[] = [];
      for (let start = 0; start < folders.length; start += together)
        for (const found of await Promise.all(folders.slice(start, start + together).map((own) => look(own, unread)))) if (found) all.push(found);
      const wanted = all.filter(({ row }) => model === undefined || row.model === model);
      wanted.sort((a, b) => a.row.run - b.row.run || (a.startedAt < b.startedAt ? -1 : 1));
      return tableOf(wanted.map(({ row }) => row));
    },
  };
}
