import { type ComparedRun, compare as compareRuns, comparisonCsv, comparisonJson, comparisonMarkdown, comparisonText } from '../../experiment/comparison';
import { readHistory, readRunFolder, resolveRun } from '../../experiment/history';
import { diskReader } from '../../experiment/run-reader';
import { unwrap } from '../../protocol/fault';
import type { Handler } from '../call';

/** Every run of the workspace; of one whose other files can't be read, what its record says. */
async function allRuns(workspace: string, model: string | undefined): Promise<ComparedRun[]> {
  const { runs } = await readHistory(diskReader, workspace);
  const all: ComparedRun[] = [];
  for (const { folder, record } of runs) {
    if (model !== undefined && record.model !== model) continue;
    const read = await readRunFolder(diskReader, folder);
    all.push(read.ok ? read.value : { record, recipe: null, evaluation: null });
  }
  return all;
}

export const compare: Handler<'compare'> = async (_session, { runs, workspace, model }) => {
  const folders: ComparedRun[] = [];
  if (runs === undefined) folders.push(...(await allRuns(workspace, model)));
  for (const run of runs ?? []) folders.push(unwrap(await readRunFolder(diskReader, unwrap(await resolveRun(diskReader, workspace, run, process.cwd())))));
  const table = compareRuns(folders);
  return { text: comparisonText(table), markdown: comparisonMarkdown(table), csv: comparisonCsv(table), json: comparisonJson(table), table };
};
