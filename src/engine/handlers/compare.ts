import { type ComparedRun, compare as compareRuns, comparisonCsv, comparisonJson, comparisonMarkdown, comparisonText } from '../../experiment/comparison';
import { historyOnce, readRunFolder, resolveRun, runsFolder } from '../../experiment/history';
import { diskReader } from '../../experiment/run-reader';
import { type Fault, sentence, unwrap } from '../../protocol/fault';
import type { Handler } from '../call';

async function named(runs: readonly string[], workspace: string): Promise<ComparedRun[]> {
  const folders: ComparedRun[] = [];
  const history = historyOnce(diskReader, workspace);
  for (const run of runs)
    folders.push(unwrap(await readRunFolder(diskReader, unwrap(await resolveRun(diskReader, workspace, run, process.cwd(), history)), 0)));
  return folders;
}

/** Runs that are named must be whole; of all the workspace's, each says what can be read of it. */
export const compare: Handler<'compare'> = async (session, { runs, workspace, model }) => {
  const unread = (fault: Fault) => session.emit('log', { level: 'warn', message: sentence(fault) });
  const table = runs === undefined ? await session.runs.table(runsFolder(workspace), model, unread) : compareRuns(await named(runs, workspace));
  return { text: comparisonText(table), markdown: comparisonMarkdown(table), csv: comparisonCsv(table), json: comparisonJson(table), table };
};
