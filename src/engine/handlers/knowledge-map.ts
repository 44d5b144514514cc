import path from 'node:path';
import { aggregate } from '../../attribution/affinity';
import { ablations, componentsIn } from '../../audit/ablate';
import { modelKey } from '../../experiment/activations';
import { agreementOf, componentsOfMap, mapKey, readMap, setOfMap, writeMap } from '../../experiment/knowledge-map';
import { planMap as planOf } from '../../experiment/map-plan';
import { spreadRows } from '../../experiment/routing-change';
import { sha256Of } from '../../files/sha256';
import { ablationTokens, type Component } from '../../passes/ablated-suffix';
import type { Conditions } from '../../passes/model';
import { blockTokens } from '../../passes/original-pass';
import type { DataSource, MapParams } from '../../protocol/engine';
import { refuse } from '../../protocol/fault';
import type { TokenSequence } from '../../protocol/sequences';
import { backendInUse } from '../../tensor/backend';
import type { Call, Handler, Session } from '../call';
import type { OpenedModel } from '../opened-models';
import { readSet } from '../reading';
import { routingOf } from '../routing';
import { backendReady } from '../session-backend';
import { conditionsFor } from '../variant';

interface Prepared {
  readonly opened: OpenedModel;
  readonly conditions: Conditions;
  readonly forget: readonly TokenSequence[];
  readonly retain: readonly TokenSequence[];
  readonly prompts: readonly TokenSequence[];
  readonly components: readonly Component[];
  readonly blockTokens: number;
  readonly poolTokens: number;
  readonly key: string;
}

const namesOf = (sources: readonly DataSource[] | undefined): readonly string[] =>
  (sources ?? []).map((source) => (source.kind === 'file' ? path.basename(source.path) : source.origin));

function layersOf(asked: readonly number[] | undefined, { model }: OpenedModel): readonly number[] | undefined {
  const { layers } = model.shape;
  const wrong = asked?.find((layer) => layer >= layers);
  if (wrong !== undefined) refuse('out-of-range', `Layer ${wrong} does not exist: the model has layers 0 to ${layers - 1}.`);
  return asked;
}

const idOf = ({ id, ids, targetMask, branches, answer, topic }: TokenSequence) => [id, ids.join(' '), targetMask.join(''), branches, answer, topic];

/** Everything a map depends on, read. */
async function prepared(session: Session, params: MapParams, signal: AbortSignal): Promise<Prepared> {
  const opened = await session.models.open(params.model, session.settings.memory, signal);
  const { model } = opened;
  const conditions = await conditionsFor(session, opened, params, signal);
  const measured = async (sources: readonly DataSource[] | undefined, what: string): Promise<readonly TokenSequence[]> => {
    if (!sources || sources.length === 0) return [];
    const { sequences } = (await readSet(opened, sources, 'evaluate', params, signal)).made;
    if (sequences.length === 0)
      refuse('bad-data', `No row of the ${what} set has a target token left.`, 'Give rows with text after the first token, or a larger --max-length.');
    return spreadRows(sequences.length, params.rows ?? sequences.length).map((row) => sequences[row]);
  };
  const forget = await measured(params.forget, 'forget');
  const retain = await measured(params.retain, 'retain');
  const prompts = (await readSet(opened, params.prompts ?? params.forget, 'train', params, signal)).made.sequences;
  const layers = layersOf(params.layers, opened);
  const { by = 'zero', normalise = 'none' } = params;
  const units = [...conditions.overlay].map(([unit, { values }]) => [unit, sha256Of(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))]);
  const key = mapKey([await modelKey(opened), units, by, normalise, layers ?? null, forget.map(idOf), retain.map(idOf), prompts.map(idOf)]);
  const { memory } = session.settings;
  return {
    opened,
    conditions,
    forget,
    retain,
    prompts,
    components: componentsIn(model, layers).filter(({ kind }) => by === 'zero' || kind === 'expert'),
    blockTokens: ablationTokens(model, memory),
    poolTokens: blockTokens(model, memory),
    key,
  };
}

const folderOf = ({ workspace }: MapParams): string | null => (workspace === undefined ? null : path.join(workspace, '.uoe'));

export const planMap: Handler<'planMap'> = async (session, params, call) => {
  const { opened, forget, retain, key, ...inputs } = await prepared(session, params, call.signal);
  const folder = folderOf(params);
  const known = folder !== null && (await readMap(folder, key)) !== null;
  await backendReady(session, opened);
  const plan = await planOf({ ...inputs, model: opened.model, sequences: [...forget, ...retain], memory: session.settings.memory });
  return { ...plan, rows: { forget: forget.length, retain: retain.length }, known };
};

/** Affinity of every expert to the prompts (Eq. 2). */
async function affinities({ opened, prompts, conditions }: Prepared, memory: number, call: Call): Promise<(id: { layer: number; expert: number }) => number> {
  const activations = { store: null, blockTokens: blockTokens(opened.model, memory) };
  const progress = (done: number, total: number) => call.progress('Reading prompts', done, total, 'layers');
  const { record } = await routingOf(opened.model, prompts, conditions, activations, progress);
  const { affinity } = aggregate(record);
  return ({ layer, expert }) => affinity[record.layers.indexOf(layer) * record.experts + expert];
}

/** Leaves every component out in turn; a map that was measured before is read again. */
export const measureMap: Handler<'measureMap'> = async (session, params, call) => {
  const all = await prepared(session, params, call.signal);
  const folder = folderOf(params);
  const stored = folder === null || params.again ? null : await readMap(folder, all.key);
  if (stored || params.known) return stored;
  const { opened, forget, retain, components, conditions, key } = all;
  const { model } = opened;
  await backendReady(session, opened);
  const began = performance.now();
  const affinity = await affinities(all, session.settings.memory, call);
  let rowPasses = 0;
  const names = { forget: namesOf(params.forget), retain: namesOf(params.retain) };
  const { original, ablated } = await ablations({
    model,
    sets: [{ name: names.forget.join(', '), sequences: forget }, ...(retain.length > 0 ? [{ name: names.retain.join(', '), sequences: retain }] : [])],
    components,
    conditions,
    normalise: params.normalise,
    blockTokens: all.blockTokens,
    poolTokens: all.poolTokens,
    by: params.by ?? 'zero',
    progress: (done, total) => {
      rowPasses = done;
      call.progress('Measuring effects', done, total, 'row passes');
    },
  });
  const entries = componentsOfMap(original, ablated, affinity);
  const { name, threads } = backendInUse();
  const map = {
    key,
    family: model.family,
    by: params.by ?? ('zero' as const),
    forget: setOfMap(names.forget, original[0]),
    retain: original.length > 1 ? setOfMap(names.retain, original[1]) : null,
    components: entries,
    agreement: agreementOf(entries),
    backend: { name, threads },
    measuredAt: new Date().toISOString(),
    seconds: (performance.now() - began) / 1000,
    rowPasses,
  };
  if (folder !== null) await writeMap(folder, map);
  return map;
};
