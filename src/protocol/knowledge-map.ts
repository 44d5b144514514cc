/** The knowledge map: what every component of a model does for two sets of rows, beside the affinity of its experts. */
import type { ExpertId, PairedChange } from './records';

export type MapKind = 'attention' | 'shared' | 'dense' | 'expert';

/** What leaving a component out takes away from one set. */
export interface MapEffect {
  /** Score of the original - score without the component. */
  readonly score: number;
  /** 95 %, paired bootstrap over rows within their topic; null where no row is touched, or there are fewer than two. */
  readonly interval: PairedChange['interval'] | null;
  /** Rise of the mean NLL of the answers' tokens, nats. */
  readonly nll: number;
  /** Rows that the component touches; no other can change. */
  readonly rows: number;
}

export interface MapComponent {
  readonly kind: MapKind;
  readonly layer: number;
  readonly expert?: number;
  readonly forget: MapEffect;
  readonly retain: MapEffect | null;
  /** Effect on forget - effect on retain. */
  readonly specificity: number | null;
  /** From 1, over all components by effect on forget, equal ones by NLL. */
  readonly rank: number;
  /** Of an expert: affinity to the prompts, and its rank among the experts measured by affinity and by the rise of NLL on forget. */
  readonly affinity: number | null;
  readonly affinityRank: number | null;
  readonly effectRank: number | null;
  /** Of the experts' ranks by affinity and by rise of NLL: used, in the first tenth by affinity and beyond the first fifth by effect; hidden, the other way round. */
  readonly disagrees: 'used' | 'hidden' | null;
}

export interface MapSet {
  readonly names: readonly string[];
  readonly rows: number;
  readonly kind: 'accuracy' | 'probability';
  readonly score: number;
  readonly nll: number;
}

export interface KnowledgeMap {
  readonly key: string;
  readonly family: string;
  readonly by: 'zero' | 'forbid';
  readonly forget: MapSet;
  readonly retain: MapSet | null;
  /** In the order of a forward. */
  readonly components: readonly MapComponent[];
  /** Spearman's rank correlation over the experts between affinity and effect on forget, by score and by NLL; null below three experts. */
  readonly agreement: { readonly score: number | null; readonly nll: number | null; readonly experts: number };
  readonly backend: { readonly name: string; readonly threads: number };
  readonly measuredAt: string;
  readonly seconds: number;
  /** Rows times layers that were computed. */
  readonly rowPasses: number;
}

/** It has a number within its layer. */
export const isExpert = <A extends { readonly kind: MapKind; readonly layer: number; readonly expert?: number }>(component: A): component is A & ExpertId =>
  component.kind === 'expert' && component.expert !== undefined;

/** What a map costs, before it is measured. */
export interface MapPlan {
  readonly components: number;
  readonly rows: { readonly forget: number; readonly retain: number };
  /** Rows times layers above the components, estimated from a sample of the rows. */
  readonly rowPasses: number;
  /** What the same would be with every component and every row through all layers. */
  readonly wholePasses: number;
  readonly seconds: number;
  readonly bytesToRead: number;
  /** It was measured before, and is at hand. */
  readonly known: boolean;
  /** Seconds that this estimate took. */
  readonly sampleSeconds: number;
}
