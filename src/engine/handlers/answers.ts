import { measure } from '../../evaluate/measure';
import { readRunFolder, resolveRun } from '../../experiment/history';
import { spreadRows } from '../../experiment/routing-change';
import { diskReader } from '../../experiment/run-reader';
import { decode } from '../../passes/decode';
import type { Conditions } from '../../passes/model';
import type { AnswerComparison, Reading, Scoring } from '../../protocol/engine';
import { unwrap } from '../../protocol/fault';
import type { Recipe } from '../../protocol/recipe';
import type { Call, Handler, Session } from '../call';
import type { OpenedModel } from '../opened-models';
import { readSet } from '../reading';
import { readingOf } from '../run-reading';
import { scoredRows } from '../score-rows';
import { backendReady } from '../session-backend';
import { conditionsFor } from '../variant';

type AnswerRow = AnswerComparison['rows'][number];

const usualLimit = 20;
const newTokens = 32;

interface Both {
  readonly before: Conditions;
  readonly after: Conditions;
}

const setsOf = ({ evaluate }: Recipe): { readonly name: string; readonly path: string }[] => [
  ...(evaluate?.forget === undefined ? [] : [{ name: 'forget', path: evaluate.forget }]),
  ...(evaluate?.near === undefined ? [] : [{ name: 'near', path: evaluate.near }]),
  ...(evaluate?.utility ?? []).map((path) => ({ name: 'utility', path })),
];

/** At most `limit` of them, spread evenly: files are often sorted by topic. */
const spread = <T>(list: readonly T[], limit: number): T[] => spreadRows(list.length, limit).map((row) => list[row]);

/** Scores of every option of the set's questions. */
async function questionRows(
  session: Session,
  opened: OpenedModel,
  set: string,
  path: string,
  how: Reading & Scoring,
  both: Both,
  limit: number,
  call: Call,
): Promise<AnswerRow[]> {
  const { made } = await readSet(opened, [{ kind: 'file', path }], 'evaluate', how, call.signal);
  const sequences = spread(
    made.sequences.filter(({ answer }) => answer !== undefined),
    limit,
  );
  if (sequences.length === 0) return [];
  const score = async (conditions: Conditions) =>
    scoredRows(await measure(opened.model, sequences, conditions, session.settings.memory), how.normalise ?? 'none');
  const [before, after] = [await score(both.before), await score(both.after)];
  return sequences.flatMap((sequence, i) => {
    const [then, now] = [before[i], after[i]];
    if (!('scores' in then) || !('scores' in now)) return [];
    const prompt = opened.tokenizer?.decode(sequence.ids.slice(0, sequence.branches?.[0] ?? 0), { skipSpecial: true }) ?? '';
    const options = then.scores.map((score, o) => ({ text: sequence.optionTexts?.[o] ?? String(o), before: score, after: now.scores[o] }));
    return [{ id: sequence.id, set, prompt, options, answer: then.answer, chosenBefore: then.chosen, chosenAfter: now.chosen }];
  });
}

/** Greedy answers to the set's prompts. */
async function generatedRows(opened: OpenedModel, set: string, path: string, how: Reading, both: Both, limit: number, call: Call): Promise<AnswerRow[]> {
  const { tokenizer, endTokens, model } = opened;
  if (tokenizer === null) return [];
  const { made } = await readSet(opened, [{ kind: 'file', path }], 'generate', how, call.signal);
  const sequences = spread(
    made.sequences.filter((_, i) => made.rows[i].kind === 'prompt and answer'),
    limit,
  );
  if (sequences.length === 0) return [];
  const answer = async (conditions: Conditions) =>
    (
      await decode(
        model,
        sequences.map(({ ids }) => ids),
        { maxNewTokens: newTokens, endTokens },
        conditions,
      )
    ).map((tokens) =>
      tokenizer.decode(
        tokens.filter((token) => !endTokens.has(token)),
        { skipSpecial: true },
      ),
    );
  const [before, after] = [await answer(both.before), await answer(both.after)];
  return sequences.map(({ id, ids }, i) => ({ id, set, prompt: tokenizer.decode(ids, { skipSpecial: true }), before: before[i], after: after[i] }));
}

/** Rows of a run's evaluation sets, as the model answered before and answers now. */
export const answers: Handler<'answers'> = async (session, { model, run, before, workspace, limit = usualLimit }, call) => {
  const folder = unwrap(await resolveRun(diskReader, workspace, run, process.cwd()));
  const { recipe } = unwrap(await readRunFolder(diskReader, folder));
  const opened = await session.models.open(model, session.settings.memory, call.signal);
  const both: Both = {
    before: await conditionsFor(session, opened, before === undefined ? {} : { run: before, workspace }, call.signal),
    after: await conditionsFor(session, opened, { run: folder, workspace }, call.signal),
  };
  await backendReady(session, opened);
  const how = readingOf(recipe);
  const rows: AnswerRow[] = [];
  const sets = setsOf(recipe);
  for (const [at, { name, path }] of sets.entries()) {
    rows.push(
      ...(await questionRows(session, opened, name, path, how, both, limit, call)),
      ...(await generatedRows(opened, name, path, how, both, limit, call)),
    );
    call.progress('Asking', at + 1, sets.length, 'sets');
  }
  return { rows };
};
