/** One run as one HTML page: step 4 of the workbench, with the run's data inside it. */
import type { AnswersFigures, RoutingFigures, RunTable } from '../protocol/comparison-view';
import type { RunFolder } from '../protocol/engine';
import { fail, ok, type Result } from '../protocol/fault';
import { mapStrings, plainText } from '../protocol/plain-text';
import type { ReportPage } from '../protocol/report-page';
import { comparisonView } from './comparison-view';
import { pageBlocks, reportTitle } from './report';

/** Where the built page takes the title and the data; neither stands in it a second time. */
const titlePlace = '%REPORT-TITLE%';
const dataPlace = '%REPORT-DATA%';

/** What runs the model; null where it was left out, and `left` says why. */
export interface Measured {
  readonly routing: RoutingFigures | null;
  readonly answers: AnswersFigures | null;
  readonly left: string | null;
}

const listed = (figures: RoutingFigures): ReportPage['routing'] => ({
  ...figures,
  shareBefore: Array.from(figures.shareBefore),
  shareAfter: Array.from(figures.shareAfter),
  slotsBefore: Array.from(figures.slotsBefore),
  slotsAfter: Array.from(figures.slotsAfter),
  rankInLayer: Array.from(figures.rankInLayer),
});

/** `runs`: those of the same checkpoint, this one among them; a run alone has nothing to be compared with. */
export function reportPage(run: RunFolder, folder: string, { routing, answers, left }: Measured, runs: RunTable | null = null): ReportPage {
  return {
    title: reportTitle(run),
    comparison: { ...comparisonView(run, run.record.discarded ?? false), table: runs !== null && runs.rows.length > 1 ? runs : null },
    routing: routing && listed(routing),
    answers,
    left,
    blocks: pageBlocks(run, folder),
  };
}

const escapeHtml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** JSON that no HTML parser takes for markup: it stands in a script element of type application/json. */
const safeJson = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c').replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');

/** The built page with the run's data in it. */
export function filledPage(template: string, page: ReportPage): Result<string> {
  const [head, middle, ...rest] = template.split(titlePlace);
  const [body, end, ...more] = middle?.split(dataPlace) ?? [];
  if (end === undefined || rest.length > 0 || more.length > 0)
    return fail('internal', 'The page of the report has no place for its data.', 'Build again: npm run build.');
  const shown = mapStrings(page, plainText);
  return ok(`${head}${escapeHtml(shown.title)}${body}${safeJson(shown)}${end}`);
}
