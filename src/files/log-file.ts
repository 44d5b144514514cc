/** A log that a process writes by itself, at its end: it goes on when whoever started that process is gone. */
import type { FileHandle } from 'node:fs/promises';
import type { Result } from '../protocol/fault';
import { onDisk } from './disk-fault';
import { fileSystem } from './file-system';

/** Opens the log to be added to, and writes a line that says what begins. */
export const openLog = (at: string, line: string): Promise<Result<FileHandle>> =>
  onDisk('write', at, async () => {
    const handle = await fileSystem.open(at, 'a');
    try {
      await handle.write(`${line}\n`);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  });
