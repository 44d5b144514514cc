import path from 'node:path';
import { attributionRecord } from '../../attribution/attribute';
import { openActivations } from '../../experiment/activations';
import { checkPartName, shardRange, writeAttributionPart } from '../../experiment/reading-parts';
import { kindOf } from '../../files/folder';
import type { Conditions } from '../../passes/model';
import type { AttributionResult } from '../../protocol/engine';
import { refuse, unwrap } from '../../protocol/fault';
import type { RequestParams } from '../../protocol/rpc';
import { rowText } from '../../text/preview';
import { readSince } from '../../weights/store';
import type { Call, Handler, Session } from '../call';
import type { OpenedModel } from '../opened-models';
import { type ReadSet, readSet } from '../reading';
import { keyOf } from '../reading-key';
import { part, routingOf } from '../routing';
import { backendReady } from '../session-backend';
import { traced } from '../traced';
import { conditionsFor } from '../variant';

const shownCharacters = 200;

function targeted(set: ReadSet, what: string): ReadSet {
  if (set.made.sequences.length === 0)
    refuse('bad-data', `No row of the ${what} has a target token left.`, 'Give rows with text after the first token, or a larger --max-length.');
  return set;
}

/** The workspace's own folder, where there is one: measuring alone makes none. */
async function uoeFolder(workspace: string | undefined): Promise<string | null> {
  if (workspace === undefined) return null;
  const folder = path.join(workspace, '.uoe');
  const kind = await kindOf(folder);
  return kind.ok && kind.value === 'folder' ? folder : null;
}

/** Rows `from..to` of a set. */
const rowsOf = (set: ReadSet, { from, to }: { readonly from: number; readonly to: number }): ReadSet => ({
  ...set,
  made: { ...set.made, rows: set.made.rows.slice(from, to), sequences: set.made.sequences.slice(from, to) },
});

/** One pass over both sets; their records apart. With `shard` over a range of each, which is also written to a file. */
async function attributed(
  session: Session,
  opened: OpenedModel,
  allPrompts: ReadSet,
  allAgainst: ReadSet | null,
  conditions: Conditions,
  { seed = 0, workspace, shard }: Pick<RequestParams<'attribute'>, 'seed' | 'workspace' | 'shard'>,
  key: string,
  settings: string,
  call: Call,
): Promise<AttributionResult> {
  if (shard) checkPartName('attribution', shard.to);
  const rangeOf = (set: ReadSet, what: string) =>
    shard ? shardRange(shard, set.made.sequences.length, what) : { from: 0, to: set.made.sequences.length, of: set.made.sequences.length };
  const [ranges, otherRanges] = [rangeOf(allPrompts, 'prompts'), allAgainst && rangeOf(allAgainst, 'rows of the second set')];
  const [prompts, against] = [rowsOf(allPrompts, ranges), allAgainst && otherRanges && rowsOf(allAgainst, otherRanges)];
  const began = performance.now();
  const readBefore = opened.model.weights.readSoFar();
  const { sequences } = prompts.made;
  const all = [...sequences, ...(against?.made.sequences ?? [])];
  call.progress('Reading prompts', 0, opened.model.shape.layers, 'layers');
  const backend = await backendReady(session, opened);
  const original = conditions.overlay.size === 0 && conditions.forbidden.size === 0;
  const activations = await openActivations(original ? await uoeFolder(workspace) : null, opened, all, session.settings.memory);
  const progress = (done: number, total: number) => call.progress('Reading prompts', done, total, 'layers');
  const { record, relative } = await routingOf(opened.model, all, conditions, activations, progress).finally(() => activations.store?.close());
  const own = part(record, 0, sequences.length);
  const other = against && part(record, sequences.length, all.length);
  if (shard) {
    const identity = { model: unwrap(await opened.checkpoint.fingerprint(call.signal)), settings, backend: backend.name };
    unwrap(
      await writeAttributionPart(shard.to, {
        ...{ identity, family: opened.model.family, prompts: { range: ranges, record: own } },
        against: other && otherRanges && { range: otherRanges, record: other },
      }),
    );
  }
  return {
    key,
    record: attributionRecord(opened.model.family, own, seed, other ?? undefined),
    affinity: Float32Array.from(own.affinity),
    relative: relative && Float32Array.from(relative.subarray(0, own.affinity.length)),
    slots: Float32Array.from(own.slots),
    sequences: prompts.made.rows.map((row, z) => ({
      id: row.id,
      source: prompts.sourceOf.get(row) ?? 0,
      line: row.at.line,
      text: rowText(row, sequences[z], opened.tokenizer).slice(0, shownCharacters),
      tokens: sequences[z].ids.length,
    })),
    seconds: (performance.now() - began) / 1000,
    weights: readSince(readBefore, opened.model.weights.readSoFar()),
  };
}

export const attribute: Handler<'attribute'> = async (session, params, call) => {
  const { model, prompts, against, seed = 0 } = params;
  const opened = await session.models.open(model, session.settings.memory, call.signal);
  const conditions = await conditionsFor(session, opened, params, call.signal);
  const own = targeted(await readSet(opened, prompts, 'train', params, call.signal), 'prompts');
  const other = against && against.length > 0 ? targeted(await readSet(opened, against, 'train', params, call.signal), 'second set') : null;
  const key = keyOf([own, other], conditions, seed);
  const known = params.shard ? undefined : opened.attributions.get(key);
  if (known && params.trace === undefined) return known;
  const result = await traced(params.trace, () => attributed(session, opened, own, other, conditions, params, key, keyOf([own, other], conditions), call));
  if (!params.shard) opened.attributions.set(key, result);
  return result;
};
