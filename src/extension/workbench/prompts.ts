/**
 * Which forget prompts count. Ticking one aggregates anew from the routing of each prompt, kept from the last pass: heatmap, ranking,
 * target and evidence follow at once, with the outcome that a pass over the ticked prompts alone would have.
 */
import { createHash } from 'node:crypto';
import { aggregate, type RoutingRecord } from '../../attribution/affinity';
import { halvings } from '../../attribution/stability';
import type { AttributionResult, Reading } from '../../protocol/engine';
import { fail, ok, type Result } from '../../protocol/fault';
import type { PromptList, PromptTicks, TokenStrip } from '../../protocol/prompts-view';
import type { ExpertId } from '../../protocol/records';
import type { HeatmapFigures, WorkbenchState } from '../../protocol/workbench';
import type { EngineClient, RequestOptions } from '../engine/client';
import { concentrationOf } from './evidence';
import { figuresOf, ranking, rankingRow, retainShares } from './heatmap';
import type { Source } from './sources';
import type { Store } from './store';
import { t } from './text';

const rankingLength = 10;
/** Of the engine's attribution too: the same halves. */
const seed = 0;

/** What a reload keeps: prompts that don't count, by their place in the list with this key. */
export interface Unticked {
  readonly key: string;
  readonly prompts: readonly number[];
}

/** Arrays too big for the state. */
export interface PromptFigures {
  readonly heatmap: HeatmapFigures | null;
  readonly prompts: PromptList | null;
  readonly ticks: PromptTicks | null;
  readonly tokens: TokenStrip | null;
}

export interface PromptParts {
  readonly engine: EngineClient;
  readonly store: Store<WorkbenchState>;
  readonly figures: Store<PromptFigures>;
  /** The target or what is forgotten changed. */
  readonly onChange: () => void;
}

export interface Prompts {
  /** Shows an attribution over `sources`; ticks and target are kept where it is of the same prompts. */
  take(result: AttributionResult, sources: readonly Source[]): void;
  clear(): void;
  tick(prompts: readonly number[], ticked: boolean): void;
  /** The user's own target; the best expert is followed again once it is chosen. False for an expert that is not there. */
  pick(target: ExpertId): boolean;
  showTokens(model: string, prompt: number, reading: Reading, options?: RequestOptions): Promise<Result<null>>;
  /** The data changed: what is shown belongs to the data before. */
  outdate(): void;
  /** Files with the ticked prompts alone. `save` writes rows as a .jsonl file and returns its path. */
  files(save: (text: string) => Promise<Result<string>>, whole: () => Promise<Result<readonly string[]>>): Promise<Result<readonly string[]>>;
  /** What was read, in the order that the list's `source` counts. */
  sources(): readonly Source[];
  /** Null before anything was read. */
  unticked(): Unticked | null;
  /** Applied when the list with that key is next shown. */
  restore(unticked: Unticked | null): void;
}

interface Held {
  readonly key: string;
  readonly record: RoutingRecord;
  /** Affinities for display beside an equal share, in the record's shape; null where the record's own will do. */
  readonly relative: Float32Array | null;
  readonly retainShare: Float32Array | null;
  readonly prompts: AttributionResult['sequences'];
  readonly sources: readonly Source[];
  readonly whole: AttributionResult['record']['stability'];
  readonly seconds: number;
}

/** The same prompts in the same order have the same key, whatever they are compared with. */
const keyOf = (prompts: AttributionResult['sequences']): string =>
  createHash('sha256')
    .update(JSON.stringify(prompts.map(({ id, source, line, text, tokens }) => [id, source, line, text, tokens])))
    .digest('hex');

/** The engine's answer as the record it was made from. */
export function routingOf({ record, affinity, slots, sequences }: AttributionResult): RoutingRecord {
  return {
    layers: record.layers.map((layer) => layer.layer),
    experts: Math.max(...record.layers.map((layer) => layer.experts.length)),
    topK: record.topK,
    lengths: Int32Array.from(sequences, (sequence) => sequence.tokens),
    affinity,
    slots,
  };
}

export function createPrompts({ engine, store, figures, onChange }: PromptParts): Prompts {
  let held: Held | null = null;
  let ticked = new Uint8Array();
  let picked: ExpertId | null = null;
  let kept: Unticked | null = null;
  let turn = 0;
  let strip = 0;
  let file: { readonly of: string; readonly path: string } | null = null;

  const members = () => [...ticked.keys()].filter((prompt) => ticked[prompt] === 1);
  const signature = ({ key }: Held) => `${key}:${ticked.join('')}`;

  function showTarget(heatmap: HeatmapFigures, { record, prompts }: Held): void {
    const { attribution } = store.get();
    const counted = members().length > 0;
    const [best] = counted ? ranking(heatmap, 1) : [];
    const target = (picked && counted && rankingRow(heatmap, picked)) || best || null;
    const width = record.layers.length * record.experts;
    const cell = target ? record.layers.indexOf(target.layer) * record.experts + target.expert : 0;
    figures.set({ ticks: { ticked: ticked.slice(), means: target && Float32Array.from(prompts, (_, z) => record.affinity[z * width + cell]) } });
    const view = store.get().prompts;
    store.set({
      target,
      ...(attribution ? { attribution: { ...attribution, concentration: target && concentrationOf(heatmap, target.layer) } } : {}),
      ...(view ? { prompts: { ...view, targetPicked: picked !== null } } : {}),
    });
    onChange();
  }

  /** Between other work of this process: of large models each halving takes tens of milliseconds. */
  function checkStability(current: Held, chosen: readonly number[]): void {
    const own = ++turn;
    const show = (stability: Held['whole'] | 'pending') => {
      const { attribution } = store.get();
      if (attribution) store.set({ attribution: { ...attribution, stability } });
    };
    if (chosen.length === current.prompts.length) {
      show(current.whole);
      return;
    }
    const steps = halvings(current.record, seed, chosen);
    const next = () => {
      if (own !== turn) return;
      const step = steps.next();
      if (step.done) show(step.value);
      else setTimeout(next, 0);
    };
    setTimeout(next, 150);
  }

  function show(current: Held): void {
    const chosen = members();
    const whole = aggregate(current.record, chosen);
    const { record, relative, retainShare } = current;
    const shown = relative && aggregate({ ...record, affinity: relative }, chosen).affinity;
    const heatmap = figuresOf(signature(current), record, whole, retainShare, shown);
    const before = store.get().attribution;
    figures.set({ heatmap });
    store.set({
      prompts: {
        total: current.prompts.length,
        ticked: chosen.length,
        tokens: current.record.lengths.reduce((sum, length) => sum + length, 0),
        sources: countedSources(current),
        targetPicked: picked !== null,
      },
      attribution: {
        key: heatmap.key,
        sequences: whole.sequences,
        tokens: whole.tokens,
        selectable: heatmap.layers.length * heatmap.experts,
        ranking: chosen.length > 0 ? ranking(heatmap, rankingLength) : [],
        best: rankedFirst(heatmap),
        stability: 'pending',
        concentration: null,
        hasRetain: heatmap.retainShare !== null,
        seconds: current.seconds,
        outOfDate: before?.outOfDate ?? false,
      },
    });
    showTarget(heatmap, current);
    checkStability(current, chosen);
  }

  function countedSources({ sources, prompts }: Held) {
    const counts = sources.map(({ view }) => ({ name: view.name, kind: view.kind, prompts: 0, ticked: 0 }));
    prompts.forEach(({ source }, prompt) => {
      counts[source].prompts++;
      counts[source].ticked += ticked[prompt];
    });
    return counts;
  }

  const rankedFirst = (heatmap: HeatmapFigures): ExpertId => {
    const [{ layer, expert }] = ranking(heatmap, 1);
    return { layer, expert };
  };

  return {
    take(result, sources) {
      const key = keyOf(result.sequences);
      const same = held?.key === key ? ticked : null;
      const record = routingOf(result);
      held = {
        key,
        record,
        relative: result.relative,
        retainShare: retainShares(result.record, record.experts),
        prompts: result.sequences,
        sources,
        whole: result.record.stability,
        seconds: result.seconds,
      };
      ticked = same ?? new Uint8Array(result.sequences.length).fill(1);
      if (kept?.key === key) for (const prompt of kept.prompts) if (prompt < ticked.length) ticked[prompt] = 0;
      kept = null;
      if (!same) picked = null;
      figures.set({
        prompts: { key, items: result.sequences.map(({ text, tokens, line, source }) => ({ text, tokens, line, source })) },
        tokens: null,
      });
      store.set({ attribution: null });
      show(held);
    },
    clear() {
      held = null;
      picked = null;
      ticked = new Uint8Array();
      turn++;
      strip++;
      figures.set({ heatmap: null, prompts: null, ticks: null, tokens: null });
      store.set({ attribution: null, target: null, prompts: null });
    },
    tick(prompts, on) {
      if (!held) return;
      for (const prompt of prompts) if (prompt < ticked.length) ticked[prompt] = on ? 1 : 0;
      show(held);
    },
    pick(target) {
      const { heatmap } = figures.get();
      if (!held || !heatmap || !rankingRow(heatmap, target) || members().length === 0) return false;
      const best = rankedFirst(heatmap);
      picked = best.layer === target.layer && best.expert === target.expert ? null : target;
      showTarget(heatmap, held);
      return true;
    },
    async showTokens(model, prompt, reading, options) {
      const own = ++strip;
      const sequence = held?.prompts[prompt];
      const source = sequence && held?.sources[sequence.source];
      if (!held || !sequence || !source) return ok(null);
      const { topK } = held.record;
      const gates = await engine.request('tokenGates', { model, source: source.data, id: sequence.id, ...reading }, options);
      if (!gates.ok) return gates;
      const { tokens, layers, experts, scores } = gates.value;
      if (own === strip) figures.set({ tokens: { prompt, tokens, layers, topK, experts, scores } });
      return ok(null);
    },
    outdate() {
      const { attribution } = store.get();
      if (attribution) store.set({ attribution: { ...attribution, outOfDate: true } });
    },
    async files(save, whole) {
      if (store.get().attribution?.outOfDate && held)
        return fail('conflict', t('The data changed after the prompts were read.'), t('Read them again in step 2.'));
      if (!held || (held.sources.length === 1 && members().length === held.prompts.length)) return whole();
      if (members().length === 0) return fail('usage', t('No forget prompt is ticked.'), t('Tick at least one in step 2.'));
      const of = signature(held);
      if (file?.of === of) return ok([file.path]);
      const { prompts, sources } = held;
      const rows = members().map((prompt) => ({ source: prompts[prompt].source, line: prompts[prompt].line }));
      const chosen = await engine.request('chosenRows', { sources: sources.map((source) => source.data), rows });
      if (!chosen.ok) return chosen;
      const path = await save(chosen.value.text);
      if (!path.ok) return path;
      file = { of, path: path.value };
      return ok([path.value]);
    },
    sources: () => held?.sources ?? [],
    unticked: () => held && { key: held.key, prompts: [...ticked.keys()].filter((prompt) => ticked[prompt] === 0) },
    restore(unticked) {
      kept = unticked;
    },
  };
}
