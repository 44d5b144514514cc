import path from 'node:path';
import { answerRow } from '../../experiment/answer-rows';
import { readRunFolder, resolveRun } from '../../experiment/history';
import { reportMarkdown } from '../../experiment/report';
import { filledPage, type Measured, reportPage } from '../../experiment/report-page';
import { routingFigures } from '../../experiment/routing-comparison';
import { diskReader } from '../../experiment/run-reader';
import { readText } from '../../files/read';
import type { RunFolder } from '../../protocol/engine';
import { type Fault, fail, faultOf, sentence, unwrap } from '../../protocol/fault';
import type { Call, Handler, Session } from '../call';
import { readingOf } from '../run-reading';
import { answers } from './answers';
import { attribute } from './attribute';

/** Rows of each evaluation set that stand in a report. */
const answersPerSet = 20;

/** The page that was built beside the program. */
async function template(): Promise<string> {
  const at = path.join(__dirname, 'report.html');
  const text = await readText(at);
  return unwrap(text.ok ? text : fail('not-found', `The page of the report is missing: ${at}.`, 'Build again: npm run build.'));
}

/** Routing of the run's forget prompts and a sample of answers, before and after. Without its checkpoint or data a run still has a report. */
async function measured(session: Session, { record, recipe }: RunFolder, run: string, workspace: string, call: Call): Promise<Measured> {
  const { model } = recipe;
  try {
    const prompts = { model, prompts: [{ kind: 'file' as const, path: recipe.forget }], ...readingOf(recipe) };
    const before = await attribute(session, prompts, call);
    const after = await attribute(session, { ...prompts, run, workspace }, call);
    const routing = routingFigures({ pair: `|${record.id}`, prompts: 'forget', runs: [record.target] }, before, after);
    const { rows } = await answers(session, { model, run, workspace, limit: answersPerSet }, call);
    return { routing, answers: { pair: `|${record.id}`, rows: rows.map(answerRow) }, left: null };
  } catch (error) {
    const fault = faultOf(error);
    if (fault.code === 'cancelled' || fault.code === 'internal') throw error;
    return { routing: null, answers: null, left: sentence(fault) };
  }
}

const filesOnly: Measured = { routing: null, answers: null, left: 'The report was made from the run folder alone.' };

export const report: Handler<'report'> = async (session, { run, workspace, form, filesOnly: isPlain = false }, call) => {
  const folder = unwrap(await resolveRun(diskReader, workspace, run, process.cwd()));
  const stored = unwrap(await readRunFolder(diskReader, folder));
  if (form === 'markdown') return { text: reportMarkdown(stored, folder) };
  const page = await template();
  const unread = (fault: Fault) => session.emit('log', { level: 'warn', message: sentence(fault) });
  const others = await session.runs.table(path.dirname(folder), stored.record.model, unread);
  const figures = isPlain ? filesOnly : await measured(session, stored, folder, workspace, call);
  return { text: unwrap(filledPage(page, reportPage(stored, folder, figures, others))) };
};
