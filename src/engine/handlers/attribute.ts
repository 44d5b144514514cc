import path from 'node:path';
import { attributionRecord } from '../../attribution/attribute';
import { openActivations } from '../../experiment/activations';
import { kindOf } from '../../files/folder';
import { sha256Of } from '../../files/sha256';
import type { Conditions } from '../../passes/model';
import type { AttributionResult } from '../../protocol/engine';
import { refuse } from '../../protocol/fault';
import { rowText } from '../../text/preview';
import { readSince } from '../../weights/store';
import type { Call, Handler, Session } from '../call';
import type { OpenedModel } from '../opened-models';
import { type ReadSet, readSet } from '../reading';
import { part, routingOf } from '../routing';
import { backendReady } from '../session-backend';
import { traced } from '../traced';
import { conditionsFor } from '../variant';

const shownCharacters = 200;

/** What an attribution depends on besides the open model, as a hash. */
function keyOf(sets: readonly (ReadSet | null)[], { overlay, forbidden }: Conditions, seed: number): string {
  const parts: string[] = [String(seed)];
  for (const set of sets) {
    parts.push(set === null ? '-' : String(set.made.sequences.length));
    for (const { id, ids } of set?.made.sequences ?? []) parts.push(`${id} ${ids.join(' ')}`);
  }
  for (const [unit, { values }] of overlay) parts.push(unit, sha256Of(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)));
  for (const [layer, { experts, by }] of forbidden) parts.push(`${layer}:${[...experts].join(',')}:${by}`);
  return sha256Of(parts.join('\n'));
}

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

/** One pass over both sets; their records apart. */
async function attributed(
  session: Session,
  opened: OpenedModel,
  prompts: ReadSet,
  against: ReadSet | null,
  conditions: Conditions,
  seed: number,
  key: string,
  workspace: string | undefined,
  call: Call,
): Promise<AttributionResult> {
  const began = performance.now();
  const readBefore = opened.model.weights.readSoFar();
  const { sequences } = prompts.made;
  const all = [...sequences, ...(against?.made.sequences ?? [])];
  call.progress('Reading prompts', 0, opened.model.shape.layers, 'layers');
  await backendReady(session, opened);
  const original = conditions.overlay.size === 0 && conditions.forbidden.size === 0;
  const activations = await openActivations(original ? await uoeFolder(workspace) : null, opened, all, session.settings.memory);
  const progress = (done: number, total: number) => call.progress('Reading prompts', done, total, 'layers');
  const { record, relative } = await routingOf(opened.model, all, conditions, activations, progress).finally(() => activations.store?.close());
  const own = part(record, 0, sequences.length);
  return {
    key,
    record: attributionRecord(opened.model.family, own, seed, against ? part(record, sequences.length, all.length) : undefined),
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
  const known = opened.attributions.get(key);
  if (known && params.trace === undefined) return known;
  const result = await traced(params.trace, () => attributed(session, opened, own, other, conditions, seed, key, params.workspace, call));
  opened.attributions.set(key, result);
  return result;
};
