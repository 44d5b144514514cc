/** What trains: the target's own parts, or whole kinds of parts of the model (DESIGN 4.2, "train"). */

/** Kinds of parts. Attention has its biases and its norms of queries and keys; `norm` is every other norm, the last one included. */
export const componentKinds = ['router', 'expert', 'shared', 'attention', 'dense', 'norm', 'embedding', 'head'] as const;
export type ComponentKind = (typeof componentKinds)[number];

/** What a recipe may name: a kind of parts, or the target experts whichever they are. */
export const choiceKinds = [...componentKinds, 'target'] as const;
export type ChoiceKind = (typeof choiceKinds)[number];

export interface ComponentChoice {
  readonly kind: ChoiceKind;
  /** All where left out. */
  readonly layers?: readonly number[];
  /** Of kind `expert`; all where left out. */
  readonly experts?: readonly number[];
}

export type SimpleTrain = 'expert+router' | 'expert' | 'router';

export interface LoraChoice {
  readonly rank: number;
  /** The update is alpha / rank times B A. */
  readonly alpha: number;
}

export type TrainChoice = SimpleTrain | 'full' | { readonly lora: LoraChoice } | { readonly components: readonly ComponentChoice[] };

/** Only parts of the target experts and of the routers of their layers. */
export const isOfTarget = (train: TrainChoice): train is SimpleTrain => train === 'expert+router' || train === 'expert' || train === 'router';

const names: Readonly<Record<ChoiceKind, string>> = {
  router: 'routers',
  expert: 'experts',
  shared: 'shared experts',
  attention: 'attention',
  dense: 'dense layers',
  norm: 'norms',
  embedding: 'embedding',
  head: 'head',
  target: 'target experts',
};

const componentWords = ({ kind, layers, experts }: ComponentChoice): string => {
  if (kind === 'target') return 'the target experts';
  const which = experts ? `${names[kind]} ${experts.join(', ')}` : names[kind];
  return layers ? `${which} of layer${layers.length === 1 ? '' : 's'} ${layers.join(', ')}` : experts ? which : `all ${which}`;
};

/** In a word or a few, for tables: `expert+router`, `full`, `LoRA rank 8`, `all routers`. */
export function trainName(train: TrainChoice): string {
  if (typeof train === 'string') return train;
  if ('lora' in train) return `LoRA rank ${train.lora.rank}`;
  return train.components.map(componentWords).join('; ');
}

/** In a sentence. */
export function trainSentence(train: TrainChoice): string {
  if (train === 'expert+router') return 'the target expert and the router of its layer';
  if (train === 'expert') return 'the target expert only';
  if (train === 'router') return 'the router only';
  if (train === 'full') return 'all parameters';
  if ('lora' in train)
    return `LoRA adapters of rank ${train.lora.rank} (alpha ${train.lora.alpha}) on every projection of attention, experts, shared experts and dense layers`;
  return train.components.map(componentWords).join('; ');
}
