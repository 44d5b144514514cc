/** Tells whether a checkpoint folder is what it was when it was opened, without reading it. */
import path from 'node:path';
import { fileStatus, listFolder } from '../files/folder';
import { unwrap } from '../protocol/fault';

/** What an open checkpoint was read from: weights, their index, configuration and tokenizer. */
const READ = /\.safetensors$|^(config|generation_config|tokenizer|tokenizer_config|model\.safetensors\.index)\.json$|^chat_template\.jinja$/;

/** Name, place, size and time of every file that an open checkpoint depends on. Throws FaultError. */
export async function folderStamp(folder: string): Promise<string> {
  const found: unknown[] = [];
  for (const { name } of unwrap(await listFolder(folder))) {
    if (!READ.test(name)) continue;
    const status = await fileStatus(path.join(folder, name));
    if (!status.ok && status.fault.code !== 'not-found') unwrap(status);
    found.push(status.ok ? [name, status.value.device, status.value.inode, status.value.bytes, status.value.modified] : [name]);
  }
  return JSON.stringify(found);
}
