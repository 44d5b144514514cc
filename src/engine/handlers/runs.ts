import { cutExports } from '../../experiment/exports';
import { readHistory, readRunFolder, resolveRun } from '../../experiment/history';
import { diskReader } from '../../experiment/run-reader';
import { unwrap } from '../../protocol/fault';
import type { Handler } from '../call';

export const runs: Handler<'runs'> = async (_session, { workspace }) => {
  const history = await readHistory(diskReader, workspace);
  return { runs: history.runs.map(({ record }) => record), broken: history.broken, cut: await cutExports(workspace) };
};

export const readRun: Handler<'readRun'> = async (_session, { run, workspace, mostSteps }) =>
  unwrap(await readRunFolder(diskReader, unwrap(await resolveRun(diskReader, workspace, run, process.cwd())), mostSteps));
