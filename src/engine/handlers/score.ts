import { writeSafetensors } from '../../checkpoint/safetensors';
import type { Example } from '../../evaluate/example';
import { measure, measurePrepared, prepareSet } from '../../evaluate/measure';
import { checkPartName, shardRange, writeScorePart } from '../../experiment/reading-parts';
import type { Conditions } from '../../passes/model';
import { refuse, unwrap } from '../../protocol/fault';
import type { RequestParams } from '../../protocol/rpc';
import type { Call, Handler, Session } from '../call';
import type { OpenedModel } from '../opened-models';
import { type ReadSet, readSet } from '../reading';
import { keyOf } from '../reading-key';
import { scoredRows, scoreResult } from '../score-rows';
import { logitTensors, refuseTooMuch, routingTensors, writtenRows } from '../score-tensors';
import { backendReady } from '../session-backend';
import { conditionsFor } from '../variant';

/** Measures in one pass and writes what was asked for besides. */
async function measureAndWrite(
  session: Session,
  { model }: OpenedModel,
  { rows, made }: ReadSet,
  conditions: Conditions,
  files: Pick<RequestParams<'score'>, 'logits' | 'routing'>,
  call: Call,
): Promise<Example[]> {
  const numbers = new Map(rows.map((row, number) => [row, number]));
  const prepared = await prepareSet(model, made.sequences, conditions);
  const [{ batch, from }] = prepared.blocks;
  const written = writtenRows(
    batch,
    made.rows.map((row) => numbers.get(row) as number),
  );
  if (files.routing !== undefined) refuseTooMuch(model, written, session.settings.memory);
  const routing = routingTensors(model, files.routing === undefined ? [] : written);
  let last = (await from(conditions)).x;
  const examples = await measurePrepared(model, prepared, conditions, {
    taps: {
      ...routing.taps,
      entrance(layer, x) {
        routing.taps.entrance?.(layer, x);
        last = x;
      },
      progress: (done, total) => call.progress('Scoring', done, total, 'layers'),
    },
  });
  if (files.routing !== undefined) unwrap(await writeSafetensors(files.routing, routing.tensors));
  if (files.logits !== undefined) unwrap(await writeSafetensors(files.logits, logitTensors(model, written, last, conditions)));
  return examples;
}

export const score: Handler<'score'> = async (session, params, call) => {
  const opened = await session.models.open(params.model, session.settings.memory, call.signal);
  const conditions = await conditionsFor(session, opened, params, call.signal);
  const set = await readSet(opened, params.data, 'evaluate', params, call.signal);
  const { shard, normalise = 'none' } = params;
  const { sequences: all, skipped, truncated } = set.made;
  if (all.length === 0)
    refuse('bad-data', 'No row of the data has a target token left.', 'Give rows with text after the first token, or a larger --max-length.');
  if (shard) checkPartName('score', shard.to);
  if (shard && (params.logits !== undefined || params.routing !== undefined))
    refuse('usage', 'A part of a scoring writes no logits and no routing.', 'Leave out --logits and --routing, or --shard.');
  const range = shard ? shardRange(shard, all.length, 'data') : { from: 0, to: all.length, of: all.length };
  const sequences = all.slice(range.from, range.to);
  const backend = await backendReady(session, opened);
  const examples =
    params.logits === undefined && params.routing === undefined
      ? await measure(opened.model, sequences, conditions, session.settings.memory, {
          taps: { progress: (done, total) => call.progress('Scoring', done, total, 'rows') },
        })
      : await measureAndWrite(session, opened, set, conditions, params, call);
  const rows = scoredRows(examples, normalise);
  const topics = examples.map(({ topic }) => topic ?? null);
  if (shard) {
    // Targets, options and the right one are part of what is scored.
    const asked = all.map(({ ids: _ids, source: _source, ...own }) => JSON.stringify({ ...own, targetMask: [...own.targetMask] })).join('\n');
    const identity = {
      ...{ model: unwrap(await opened.checkpoint.fingerprint(call.signal)), settings: keyOf([set], conditions, normalise, params.options ?? '', asked) },
      backend: backend.name,
    };
    unwrap(await writeScorePart(shard.to, { identity, range, rows, topics, skipped, truncated }));
  }
  return scoreResult(rows, topics, { skipped, truncated });
};
