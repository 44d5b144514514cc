/** Puts a training together: units, constants, control vector, room for frozen outputs; and its first state. */
import { moeForward } from '../passes/forward';
import { frozenOutputs, frozenRowBytes } from '../passes/frozen-outputs';
import { asStored, type Conditions, type OpenModel } from '../passes/model';
import type { Activations, OriginalPass } from '../passes/original-pass';
import { pack } from '../passes/packing';
import { start, sweep, type Taps } from '../passes/sweep';
import { partsTrain } from '../passes/weight-gradients';
import type { ResolvedRecipe } from '../protocol/recipe';
import type { Target } from '../protocol/records';
import { type HostTensor, type TensorRef, unitName } from '../protocol/tensors';
import { noOverlay, type Overlay } from '../weights/store';
import { freshState } from './adamw';
import { initialLora, loraParametrisation } from './lora';
import { type Parametrisation, unitParametrisation } from './parametrisation';
import { controlVector } from './rmu';
import { type HeldRouter, holdRouting } from './router-projection';
import type { Training, TrainState } from './step';
import { adaptedParts, trainedUnits } from './trained-units';
import { prepareTraining, type StepRange, type TrainingRows, type TrainingSet } from './training-set';

/** Part of the memory budget for outputs of frozen experts. */
const frozenShare = 0.15;

export interface TrainingInputs {
  readonly model: OpenModel;
  readonly recipe: ResolvedRecipe;
  readonly target: Target;
  readonly rows: TrainingRows;
  /** Steps to prepare; all when left out. */
  readonly steps?: StepRange;
  /** RMU's u `[d]` from a file, used as given; else it is drawn from the seed. */
  readonly controlVector?: Float32Array;
  readonly overlay?: Overlay;
  /** A pass of the original over all rows, where attribution made one. */
  readonly pass?: OriginalPass | null;
  /** Where the original's activations are kept and found. */
  readonly activations?: Activations;
  /** Where streams of a step go that its memory has no room for. */
  readonly spillFolder?: string;
  readonly signal?: AbortSignal;
  readonly progress?: Taps['progress'];
  readonly ran?: Training['ran'];
}

/** How the units are trained, and its first parameters. */
async function parametrised(
  { model, recipe, target }: TrainingInputs,
  units: readonly TensorRef[],
  overlay: Overlay,
): Promise<{ parametrisation: Parametrisation; params: Map<string, Float32Array> }> {
  const values = new Map<string, Float32Array>();
  for (const unit of units) values.set(unitName(unit), await model.weights.values(unit, overlay));
  const { train } = target;
  if (typeof train === 'string' || 'components' in train) return { parametrisation: unitParametrisation(units), params: values };
  const parts = adaptedParts(model, target, recipe.method === 'rmu');
  const base = new Map(units.map((unit): [string, HostTensor] => [unitName(unit), { shape: unit.shape, values: values.get(unitName(unit)) as Float32Array }]));
  return { parametrisation: loraParametrisation(parts, base, train.lora), params: initialLora(parts, train.lora, recipe.seed) };
}

/** Routers in training with the inputs that the retain rows give them at the start. */
async function heldRouters({ model, signal }: TrainingInputs, set: TrainingSet, trained: ReadonlySet<string>, overlay: Overlay): Promise<HeldRouter[]> {
  const layers = model.shape.moeLayers.filter((layer) => {
    const { feed } = model.layers[layer];
    return feed.kind === 'moe' && partsTrain(feed.router.parts, trained);
  });
  const retain = set.batch.sequences.slice(set.forgetCount);
  if (layers.length === 0 || retain.length === 0) return [];
  const conditions: Conditions = { ...asStored, overlay, signal };
  const batch = pack(retain);
  const inputs = new Map<number, Float32Array>();
  const until = { layer: Math.max(...layers), at: 'routed' } as const;
  await sweep(model, batch, await start(model, batch, conditions), conditions, until, { routing: ({ layer, u }) => void inputs.set(layer, u) });
  const routers: HeldRouter[] = [];
  for (const layer of layers) {
    const { feed } = model.layers[layer];
    if (feed.kind !== 'moe') continue;
    const { router } = feed;
    routers.push({
      layer,
      router,
      selectionBias: router.selectionBias ? await model.weights.values(router.selectionBias, overlay) : null,
      weight: unitName(router.parts.weight),
      bias: router.parts.bias ? unitName(router.parts.bias) : null,
      u: inputs.get(layer) as Float32Array,
      d: model.shape.hiddenSize,
    });
  }
  return routers;
}

/** Experts of a layer that have a trained part. */
function trainedExperts(model: OpenModel, layer: number, trained: ReadonlySet<string>): ReadonlySet<number> {
  const { feed } = model.layers[layer];
  if (feed.kind !== 'moe') return new Set();
  return new Set(Array.from({ length: feed.experts }, (_, e) => e).filter((e) => partsTrain(feed.expert(e).parts, trained)));
}

export async function openTraining(inputs: TrainingInputs): Promise<{ training: Training; initial: TrainState }> {
  const { model, recipe, target, rows } = inputs;
  const overlay = inputs.overlay ?? noOverlay;
  const units = trainedUnits(model, target, recipe.method === 'rmu');
  const steps = inputs.steps ?? { from: 1, to: recipe.steps };
  const set = await prepareTraining(model, recipe, target, rows, steps, overlay, inputs.pass ?? null, inputs.activations, inputs.signal, inputs.progress);
  const { hiddenSize: d, experts } = model.shape;
  let control: Float32Array | null = null;
  if (recipe.method === 'rmu') {
    const { c } = recipe.methodOptions;
    const scale = typeof c === 'number' ? c : c.timesHiddenNorm * set.hiddenNorm;
    control = (inputs.controlVector ?? controlVector(d, recipe.seed)).map((value) => value * scale);
  }
  const { parametrisation, params } = await parametrised(inputs, units, overlay);
  const trained = new Set(units.map(unitName));
  const trainedHere = trainedExperts(model, set.lowest, trained);
  const routers = recipe.routerProjection ? await heldRouters(inputs, set, trained, overlay) : [];
  const frozenBytes = set.routed ? Math.min(recipe.memory * frozenShare, set.batch.tokens * experts * frozenRowBytes(d)) : 0;
  const frozen = frozenOutputs(d, set.batch.tokens, frozenBytes);
  // Where weights are read anew each time, they are read once for all rows, not in every step that has new ones.
  const keepsAll = set.batch.tokens * model.shape.topK * frozenRowBytes(d) <= frozenBytes;
  const { routed } = set;
  if (routed && !model.weights.staysWidened && keepsAll) {
    const conditions: Conditions = { ...asStored, overlay, signal: inputs.signal };
    const outputs = frozen.forBatch((row) => row, trainedHere);
    await moeForward(model, set.lowest, routed.u, async () => new Float32Array(routed.u.length), conditions, { outputs, fresh: true });
  }
  return {
    training: {
      model,
      recipe,
      target,
      rows,
      steps,
      set,
      units,
      parametrisation,
      holdRouting: routers.length > 0 ? holdRouting(routers, params, recipe.seed) : null,
      trainedHere,
      control,
      frozen,
      overlay,
      ran: inputs.ran,
      spillFolder: inputs.spillFolder,
    },
    initial: { step: 0, params, optimizer: freshState(params) },
  };
}
