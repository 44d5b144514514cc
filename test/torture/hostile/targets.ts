/** The readers of files and messages from strangers: one file each in targets/, one line each here. */
import path from 'node:path';
import { openCheckpoint } from '../../../src/checkpoint/open-checkpoint';
import { writePatch } from '../../../src/checkpoint/patch-file';
import { unwrap } from '../../../src/protocol/fault';
import { threeShards, writeFolder } from '../../checkpoint/small-checkpoint';
import { movedBy, SOME_UNITS } from '../../checkpoint/small-patch';
import type { OpenTarget, Scene, Target } from './target';
import { chatTemplates } from './targets/chat-templates';
import { configJson } from './targets/config-json';
import { engineRequests } from './targets/engine-requests';
import { indexJson } from './targets/index-json';
import { pageMessages } from './targets/page-messages';
import { patchFiles } from './targets/patch-files';
import { recipes } from './targets/recipes';
import { rowsOfCsv } from './targets/rows-of-csv';
import { rowsOfJson } from './targets/rows-of-json';
import { rowsOfJsonLines } from './targets/rows-of-json-lines';
import { rowsOfParquet } from './targets/rows-of-parquet';
import { runFolders } from './targets/run-folders';
import { safetensorsHeader } from './targets/safetensors-header';
import { sweepFiles } from './targets/sweep-files';
import { tokenizerConfig } from './targets/tokenizer-config';
import { tokenizerJson } from './targets/tokenizer-json';

const table: readonly OpenTarget[] = [
  safetensorsHeader,
  indexJson,
  configJson,
  tokenizerJson,
  tokenizerConfig,
  chatTemplates,
  rowsOfJsonLines,
  rowsOfJson,
  rowsOfCsv,
  rowsOfParquet,
  recipes,
  sweepFiles,
  ...runFolders,
  engineRequests,
  pageMessages,
  patchFiles,
];

/** `folder`: an empty folder for the files that inputs are written to. */
export async function targetsIn(folder: string): Promise<{ readonly targets: readonly Target[]; close(): Promise<void> }> {
  const checkpoint = unwrap(await openCheckpoint(writeFolder(threeShards(), { folder: path.join(folder, 'model') })));
  const patchFile = path.join(folder, 'patch.safetensors');
  unwrap(await writePatch(patchFile, { ...(await movedBy(checkpoint, SOME_UNITS)), metadata: { method: 'npo', note: 'a patch' } }));
  const scene: Scene = { folder, checkpoint, patchFile };
  const targets: Target[] = [];
  for (const open of table) targets.push(await open(scene));
  const close = async (): Promise<void> => {
    await checkpoint.close();
    for (const target of targets) await target.close?.();
  };
  return { targets, close };
}
