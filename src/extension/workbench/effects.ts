/** Step 2's knowledge map: what it would cost, the measurement, and its numbers as the page draws them. One that was measured before is at hand at once. */
import type { MapParams, Reading, Scoring } from '../../protocol/engine';
import type { Fault } from '../../protocol/fault';
import { isExpert, type KnowledgeMap, type MapComponent } from '../../protocol/knowledge-map';
import type { EffectFigures, EffectsView, WorkbenchState } from '../../protocol/workbench';
import type { EngineClient } from '../engine/client';
import type { Jobs } from './job';
import type { Source } from './sources';
import type { Store } from './store';
import { t } from './text';

export interface EffectsFigures {
  readonly effects?: EffectFigures | null;
}

/** What is measured: rows of both sets, and the prompts whose affinity stands beside. */
interface Subject {
  readonly model: string;
  readonly forget: readonly Source[];
  readonly retain: readonly Source[];
  readonly prompts: readonly Source[];
  readonly how: Reading & Scoring & { readonly workspace: string };
}

interface EffectsParts {
  readonly engine: EngineClient;
  readonly store: Store<WorkbenchState>;
  readonly figures: Store<EffectsFigures>;
  readonly jobs: Jobs;
  readonly failed: (title: string, fault: Fault) => void;
  /** Null where there is nothing to measure. */
  readonly subject: () => Subject | null;
}

export interface Effects {
  /** Says what measuring would cost. */
  plan(): Promise<void>;
  measure(): Promise<void>;
  /** Takes the plan away again. */
  dismiss(): void;
  /** Shows what was measured before on this model and these data; nothing else. */
  lookUp(): void;
  clear(): void;
}

const topLength = 12;

/** Attention and shared or dense stand before the experts. */
const columnOf = ({ kind, expert }: Pick<MapComponent, 'kind' | 'expert'>): number => (kind === 'attention' ? 0 : kind === 'expert' ? 2 + (expert ?? 0) : 1);

const codes = { used: 1, hidden: 2 } as const;

export function effectFigures({ key, components }: KnowledgeMap): EffectFigures {
  const layers = [...new Set(components.map(({ layer }) => layer))];
  const experts = 1 + Math.max(-1, ...components.map(({ expert }) => expert ?? -1));
  const width = 2 + experts;
  const empty = () => new Float32Array(layers.length * width).fill(Number.NaN);
  const columns = { score: empty(), low: empty(), high: empty(), nll: empty(), retain: empty(), rows: empty(), rank: empty(), affinityRank: empty() };
  const disagrees = new Uint8Array(layers.length * width);
  const second: EffectFigures['second'][number][] = layers.map(() => null);
  for (const component of components) {
    const { kind, layer, forget, retain } = component;
    const row = layers.indexOf(layer);
    if (kind === 'shared' || kind === 'dense') second[row] = kind;
    const at = row * width + columnOf(component);
    columns.score[at] = forget.score;
    columns.low[at] = forget.interval?.[0] ?? Number.NaN;
    columns.high[at] = forget.interval?.[1] ?? Number.NaN;
    columns.nll[at] = forget.nll;
    columns.retain[at] = retain?.score ?? Number.NaN;
    columns.rows[at] = forget.rows;
    columns.rank[at] = component.rank;
    columns.affinityRank[at] = component.affinityRank ?? Number.NaN;
    disagrees[at] = component.disagrees ? codes[component.disagrees] : 0;
  }
  return { key, layers, experts, second, ...columns, disagrees };
}

export function measuredView({ forget, retain, components, agreement, seconds }: KnowledgeMap): NonNullable<EffectsView['measured']> {
  const named = (kind: MapComponent['disagrees']) =>
    components
      .filter(isExpert)
      .filter(({ disagrees }) => disagrees === kind)
      .map(({ layer, expert }) => ({ layer, expert }));
  return {
    forget,
    retain,
    agreement: agreement.nll,
    experts: agreement.experts,
    components: components.length,
    seconds,
    top: [...components].sort((a, b) => a.rank - b.rank).slice(0, topLength),
    used: named('used'),
    hidden: named('hidden'),
  };
}

const namesOf = (sources: readonly Source[]): string => sources.map(({ view }) => view.name).join(', ');

export function createEffects({ engine, store, figures, jobs, failed, subject }: EffectsParts): Effects {
  let turn = 0;

  const paramsOf = ({ model, forget, retain, prompts, how }: Subject): MapParams => ({
    model,
    forget: forget.map(({ data }) => data),
    ...(retain.length > 0 ? { retain: retain.map(({ data }) => data) } : {}),
    prompts: prompts.map(({ data }) => data),
    ...how,
  });
  const viewOf = ({ forget, retain }: Subject): EffectsView => ({
    forget: namesOf(forget),
    retain: retain.length > 0 ? namesOf(retain) : null,
    plan: null,
    measured: null,
  });
  function show(own: Subject, map: KnowledgeMap | null): void {
    figures.set({ effects: map && effectFigures(map) });
    store.set({ effects: { ...viewOf(own), measured: map && measuredView(map) } });
  }
  function clear(): void {
    turn++;
    figures.set({ effects: null });
    store.set({ effects: null });
  }

  return {
    async plan() {
      const own = subject();
      if (!own) return;
      const at = ++turn;
      const plan = await jobs.run(t('Working out what measuring effects takes'), (options) => engine.request('planMap', paramsOf(own), options));
      if (!plan.ok) return failed(t('Effects could not be measured'), plan.fault);
      if (at === turn) store.set({ effects: { ...viewOf(own), plan: plan.value } });
    },
    async measure() {
      const own = subject();
      if (!own) return;
      const at = ++turn;
      const map = await jobs.run(t('Measuring effects'), (options) => engine.request('measureMap', paramsOf(own), options));
      if (!map.ok) return failed(t('Effects could not be measured'), map.fault);
      if (at === turn) show(own, map.value);
    },
    dismiss() {
      const { effects } = store.get();
      if (effects) store.set({ effects: { ...effects, plan: null } });
    },
    lookUp() {
      const own = subject();
      clear();
      if (!own) return;
      const at = turn;
      store.set({ effects: viewOf(own) });
      // What an earlier window measured; a fault of the data is said where they are read.
      void engine.request('measureMap', { ...paramsOf(own), known: true }).then((map) => {
        if (map.ok && map.value && at === turn) show(own, map.value);
      });
    },
    clear,
  };
}
