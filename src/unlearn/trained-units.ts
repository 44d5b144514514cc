/** From what a recipe trains to units of the checkpoint. */
import type { Architecture } from '../model/families';
import { type ComponentPart, componentParts } from '../passes/components';
import type { OpenModel } from '../passes/model';
import { refuse } from '../protocol/fault';
import type { ExpertId, Target } from '../protocol/records';
import { type TensorRef, unitName } from '../protocol/tensors';
import type { ChoiceKind, ComponentChoice } from '../protocol/train-choice';

/** Units of parts, each once. */
function unitsOf(model: OpenModel, parts: readonly Pick<ComponentPart, 'ref'>[]): TensorRef[] {
  const units = new Map<string, TensorRef>();
  for (const { ref } of parts) if (!units.has(unitName(ref))) units.set(unitName(ref), model.weights.unitOf(ref));
  return [...units.values()];
}

/** Target experts, then the router, layer by layer. */
function targetParts(model: OpenModel, { experts, train }: Target): Pick<ComponentPart, 'ref'>[] {
  const layers = [...new Set(experts.map(({ layer }) => layer))].sort((a, b) => a - b);
  return layers.flatMap((layer) => {
    const { feed } = model.layers[layer];
    if (feed.kind !== 'moe') return [];
    const own = train === 'router' ? [] : experts.filter((each) => each.layer === layer).flatMap(({ expert }) => Object.values(feed.expert(expert).parts));
    return [...own, ...(train === 'expert' ? [] : Object.values(feed.router.parts))].map((ref) => ({ ref }));
  });
}

const matches = ({ kind, layers, experts }: ComponentChoice, part: ComponentPart, targets: readonly ExpertId[]): boolean =>
  (kind === 'target' ? targets.some(({ layer, expert }) => part.layer === layer && part.expert === expert) : part.kind === kind) &&
  (layers === undefined || (part.layer !== null && layers.includes(part.layer))) &&
  (experts === undefined || (part.expert !== undefined && experts.includes(part.expert)));

const called: Readonly<Record<ChoiceKind, string>> = {
  router: 'router',
  expert: 'experts',
  shared: 'shared experts',
  attention: 'attention',
  dense: 'dense feed-forward',
  norm: 'norms',
  embedding: 'embedding',
  head: 'head',
  target: 'target experts',
};

/** Refuses a choice that names what the model does not have. A whole kind among others may be missing: it has no effect. */
function refuseMissing({ layers, shape }: Architecture, parts: readonly ComponentPart[], choice: ComponentChoice, alone: boolean): void {
  const { kind, experts } = choice;
  if (kind === 'target' || (!alone && choice.layers === undefined && experts === undefined)) return;
  const beyond = experts?.find((expert) => expert >= shape.experts);
  if (beyond !== undefined)
    refuse('out-of-range', `"train.components" names expert ${beyond}, which does not exist.`, `Experts are 0 to ${shape.experts - 1}.`);
  const having = [...new Set(parts.filter((part) => part.kind === kind).map(({ layer }) => layer))];
  if (having.length === 0) refuse('out-of-range', `"train.components" names kind "${kind}", but this model has no ${called[kind]}.`, 'Leave it out.');
  const lacking = choice.layers?.find((layer) => !having.includes(layer));
  if (lacking !== undefined) {
    const why = lacking < layers.length ? `has no ${called[kind]}` : `does not exist (the model has layers 0 to ${layers.length - 1})`;
    refuse(
      'out-of-range',
      `"train.components" names layer ${lacking} for kind "${kind}"; layer ${lacking} ${why}.`,
      'Name other layers, or leave "layers" out.',
    );
  }
}

/** The linear weights that LoRA adapts: projections of attention, of experts, of shared experts and of dense layers. Not routers, gates of shared experts, embedding or head. */
const isAdapted = ({ kind, ref }: ComponentPart): boolean =>
  (kind === 'attention' || kind === 'expert' || kind === 'shared' || kind === 'dense') && ref.shape.length === 2 && ref.shape[0] > 1;

/** The highest layer that holds a target expert: nothing above it trains where the loss is one of its hidden states. */
export const highestTarget = (experts: readonly ExpertId[]): number => Math.max(...experts.map(({ layer }) => layer));

/** Parts that a choice of whole kinds trains. `hidden`: the loss acts after the highest target layer, so that nothing above it trains. */
function chosenParts(model: Architecture, { experts, train }: Target, hidden: boolean): ComponentPart[] {
  const parts = componentParts(model);
  if (typeof train === 'object' && 'components' in train) {
    const alone = train.components.length === 1;
    for (const choice of train.components) refuseMissing(model, parts, choice, alone);
  }
  const top = hidden ? highestTarget(experts) : null;
  const reached = ({ kind, layer }: ComponentPart) => top === null || (layer === null ? kind === 'embedding' : layer <= top);
  const chosen = (part: ComponentPart): boolean => {
    if (train === 'full') return true;
    if (typeof train !== 'object') return false;
    return 'lora' in train ? isAdapted(part) : train.components.some((choice) => matches(choice, part, experts));
  };
  const own = parts.filter((part) => chosen(part) && reached(part));
  if (own.length === 0)
    refuse('bad-data', `Nothing that "train" names lies at or below layer ${top}, after which RMU acts.`, 'Name lower layers, or a target in a higher one.');
  return own;
}

/**
 * Trained units: of the target in the order expert parts then router, layer by layer; of whole kinds in the order of a forward.
 * `hidden`: the loss is one of hidden states (RMU). Throws a FaultError where the choice names what the model does not have.
 */
export function trainedUnits(model: OpenModel, target: Target, hidden = false): TensorRef[] {
  const simple = target.train === 'expert+router' || target.train === 'expert' || target.train === 'router';
  return unitsOf(model, simple ? targetParts(model, target) : chosenParts(model, target, hidden));
}

/** Parts that LoRA adapts, each with the whole of its own linear map. */
export const adaptedParts = (model: Architecture, target: Target, hidden: boolean): ComponentPart[] => chosenParts(model, target, hidden);
