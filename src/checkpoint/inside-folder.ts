/** Links in a checkpoint's folder: a stranger's may point at a file of yours. */
import path from 'node:path';
import { realPath } from '../files/folder';
import { refuse, unwrap } from '../protocol/fault';

/**
 * A file that is read or copied as part of a checkpoint must lie in its folder, links followed. The cache of huggingface_hub is the exception that
 * everybody has: <model>/snapshots/<revision>/<file> links to <model>/blobs/<hash>. Throws FaultError.
 */
export async function refuseEscape(folder: string, file: string): Promise<void> {
  const home = unwrap(await realPath(folder));
  const target = unwrap(await realPath(path.join(folder, file)));
  if (target.startsWith(home + path.sep)) return;
  const snapshots = path.dirname(home);
  if (path.basename(snapshots) === 'snapshots' && path.dirname(target) === path.join(path.dirname(snapshots), 'blobs')) return;
  refuse('bad-file', `${path.join(folder, file)} is a link that points outside its folder (${target}).`, 'Copy the file into the folder.');
}
