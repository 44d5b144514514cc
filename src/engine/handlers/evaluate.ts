import type { Example } from '../../evaluate/example';
import { forgetQuality, descriptor as qualityDescriptor } from '../../evaluate/forget-quality';
import { measure } from '../../evaluate/measure';
import { rowMetrics } from '../../evaluate/metrics';
import { minKAuc, descriptor as minKDescriptor } from '../../evaluate/min-k';
import { descriptor as leakDescriptor, privLeak } from '../../evaluate/priv-leak';
import { setScore } from '../../evaluate/set-score';
import { truthRatio } from '../../evaluate/truth-ratio';
import { decode } from '../../passes/decode';
import type { Conditions } from '../../passes/model';
import type { EvaluatedSet } from '../../protocol/engine';
import { fail, type Result, refuse, sentence, unwrap } from '../../protocol/fault';
import type { Score } from '../../protocol/records';
import type { RequestParams } from '../../protocol/rpc';
import type { TokenSequence } from '../../protocol/sequences';
import { toSequences } from '../../text/sequences';
import type { Call, Handler, Session } from '../call';
import type { OpenedModel } from '../opened-models';
import { type ReadSet, readSet } from '../reading';
import { type ReferenceSet, readReference } from '../reference-scores';
import { backendReady } from '../session-backend';
import { conditionsFor } from '../variant';

type Params = RequestParams<'evaluate'>;

const targetText = ({ tokenizer }: OpenedModel, { ids, targetMask, branches }: TokenSequence): string =>
  tokenizer?.decode(
    ids.filter((_, t) => targetMask[t] === 1 && t < (branches?.[1] ?? ids.length)),
    { skipSpecial: true },
  ) ?? '';

/** Greedy answers of the rows that have a prompt and an answer, beside what they should be. */
async function withAnswers(
  opened: OpenedModel,
  set: ReadSet,
  examples: readonly Example[],
  conditions: Conditions,
  params: Params,
  call: Call,
): Promise<Example[]> {
  const { tokenizer, model, endTokens } = opened;
  const asked = set.made.sequences.flatMap((_, z) => (set.made.rows[z].kind === 'prompt and answer' ? [z] : []));
  if (!params.maxNewTokens || asked.length === 0 || tokenizer === null) return [...examples];
  const { vocabSize, maxPositions } = model.shape;
  const prompts = unwrap(
    await toSequences(
      asked.map((z) => set.made.rows[z]),
      {
        tokenizer,
        purpose: 'generate',
        maxLength: params.maxLength,
        documentStart: params.documentStart,
        chat: params.chat,
        vocabSize,
        maxPositions,
        signal: call.signal,
      },
    ),
  );
  const answers = new Map(prompts.rows.map((row, i) => [row, i]));
  const made = await decode(
    model,
    prompts.sequences.map(({ ids }) => ids),
    { maxNewTokens: params.maxNewTokens, endTokens, progress: (done, total) => call.progress('Generating', done, total, 'rows') },
    conditions,
  );
  return examples.map((example, z) => {
    const answer = answers.get(set.made.rows[z]);
    if (answer === undefined || !asked.includes(z)) return example;
    const tokens = made[answer].filter((token) => !endTokens.has(token));
    return { ...example, text: tokenizer.decode(tokens, { skipSpecial: true }), reference: targetText(opened, set.made.sequences[z]) };
  });
}

async function evaluated(
  session: Session,
  opened: OpenedModel,
  name: string,
  set: ReadSet,
  conditions: Conditions,
  params: Params,
  others: Others,
  call: Call,
): Promise<EvaluatedSet> {
  const { sequences, skipped, truncated } = set.made;
  if (sequences.length === 0)
    refuse('bad-data', `${name} has no row with a target token left.`, 'Give rows with text after the first token, or a larger --max-length.');
  const progress = (done: number, total: number) => call.progress(`Measuring ${name}`, done, total, 'rows');
  const measured = await measure(opened.model, sequences, conditions, session.settings.memory, { wantArgmax: true, taps: { progress } });
  const examples = await withAnswers(opened, set, measured, conditions, params, call);
  const metrics: Record<string, Score> = {};
  const missing: Record<string, string> = {};
  const note = (id: string, result: Result<Score>): void => {
    if (result.ok) metrics[id] = result.value;
    else missing[id] = sentence(result.fault);
  };
  for (const { descriptor, score } of rowMetrics) note(descriptor.id, score(examples, { normalise: params.normalise, truth: params.truth }));
  const reference = others.reference?.(name);
  if (others.holdout) {
    const auc = minKAuc(examples, others.holdout);
    note(minKDescriptor.id, auc);
    const known = reference?.ok ? reference.value.minKAuc : undefined;
    if (!auc.ok) note(leakDescriptor.id, auc);
    else if (reference && known === undefined) note(leakDescriptor.id, lacking(reference, name, 'Min-K % AUC', '--holdout'));
    else note(leakDescriptor.id, privLeak(auc.value, known));
  }
  const truthRatios = examples.map(truthRatio).filter((ratio) => ratio !== null);
  if (reference && truthRatios.length > 0) {
    const own = reference.ok ? reference.value.truthRatios : undefined;
    note(qualityDescriptor.id, own ? forgetQuality(truthRatios, own) : lacking(reference, name, 'truth ratios', 'rows with perturbed answers'));
  }
  const ratios = truthRatios.length > 0 ? { truthRatios } : {};
  return { name, score: setScore(name, examples, params.normalise), metrics, missing, ...ratios, skipped, truncated };
}

/** What the sets are held against. */
interface Others {
  /** The hold-out's rows, measured. */
  readonly holdout?: readonly Example[];
  readonly reference?: (set: string) => Result<ReferenceSet>;
}

const lacking = (reference: Result<ReferenceSet>, set: string, what: string, remedy: string): Result<never> =>
  reference.ok ? fail('bad-data', `The reference's scores have no ${what} for ${set}.`, `Evaluate the reference with ${remedy}.`) : reference;

/** The hold-out under the same conditions, and the reference's scores. */
async function othersOf(session: Session, opened: OpenedModel, conditions: Conditions, params: Params, call: Call): Promise<Others> {
  const reference = params.reference === undefined ? {} : { reference: unwrap(await readReference(params.reference)) };
  if (!params.holdout) return reference;
  const { sequences } = (await readSet(opened, [params.holdout], 'evaluate', params, call.signal)).made;
  if (sequences.length === 0) refuse('bad-data', 'The hold-out has no row with a target token.', 'Give rows with text after the first token.');
  await backendReady(session, opened);
  const progress = (done: number, total: number) => call.progress('Measuring the hold-out', done, total, 'rows');
  return { ...reference, holdout: await measure(opened.model, sequences, conditions, session.settings.memory, { taps: { progress } }) };
}

export const evaluate: Handler<'evaluate'> = async (session, params, call) => {
  const opened = await session.models.open(params.model, session.settings.memory, call.signal);
  const conditions = await conditionsFor(session, opened, params, call.signal);
  const read: { name: string; set: ReadSet }[] = [];
  for (const { name, data } of params.sets) read.push({ name, set: await readSet(opened, [data], 'evaluate', params, call.signal) });
  await backendReady(session, opened);
  const sets: EvaluatedSet[] = [];
  const others = await othersOf(session, opened, conditions, params, call);
  for (const { name, set } of read) sets.push(await evaluated(session, opened, name, set, conditions, params, others, call));
  return { sets };
};
