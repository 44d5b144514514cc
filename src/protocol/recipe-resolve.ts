/** Fills every default of a recipe (DESIGN 4.2), and says what can't be done. */
import { fail, ok, type Result } from './fault';
import { conditionalDefaults, defaults, methodDefaults } from './recipe-defaults';
import { memoryBytes } from './recipe-memory';
import type { MethodChoice, MethodId, Recipe, ResolvedRecipe } from './recipe-schema';
import type { ComponentChoice, TrainChoice } from './train-choice';

export interface Resolution {
  readonly recipe: ResolvedRecipe;
  /** Sentences for the user; none of them stops a run. */
  readonly warnings: readonly string[];
}

const ownRetain: readonly MethodId[] = ['ga', 'rmu'];

function methodChoice(recipe: Recipe): MethodChoice {
  const method = recipe.method ?? defaults.method.value;
  const { beta, delta, c, retainWeight, controlVector } = recipe.methodOptions ?? {};
  switch (method) {
    case 'npo':
      return { method, methodOptions: { beta: beta ?? methodDefaults.npo.beta.value } };
    case 'simnpo':
      return { method, methodOptions: { beta: beta ?? methodDefaults.simnpo.beta.value, delta: delta ?? methodDefaults.simnpo.delta.value } };
    case 'rmu': {
      const { rmu } = methodDefaults;
      const weight = recipe.retain === undefined ? 0 : (retainWeight ?? rmu.retainWeight.value);
      return { method, methodOptions: { c: c ?? rmu.c.value, retainWeight: weight, controlVector: controlVector ?? rmu.controlVector.value } };
    }
    default:
      return { method, methodOptions: {} };
  }
}

function retainLoss(recipe: Recipe, method: MethodId): Result<ResolvedRecipe['retainLoss']> {
  const written = recipe.retainLoss ?? {};
  const weight = written.weight ?? conditionalDefaults.retainWeight.value;
  if (recipe.retain === undefined) {
    if (recipe.retainLoss === undefined || written.kind === 'none' || weight === 0)
      return ok({ kind: conditionalDefaults.retainKindWithoutRetain.value, weight });
    return fail('bad-data', 'The recipe has a "retainLoss" but no "retain" set to take it from.', 'Add "retain": "retain.jsonl", or take "retainLoss" out.');
  }
  const usual = ownRetain.includes(method) ? conditionalDefaults.retainKindNone : conditionalDefaults.retainKind;
  return ok({ kind: written.kind ?? usual.value, weight });
}

function componentFault({ kind, layers, experts }: ComponentChoice): Result<void> {
  if (experts && kind !== 'expert') return fail('bad-data', `Recipe field "train.components": "experts" has no meaning for kind "${kind}".`, 'Take it out.');
  if (layers && (kind === 'embedding' || kind === 'head' || kind === 'target'))
    return fail(
      'bad-data',
      `Recipe field "train.components": "layers" has no meaning for kind "${kind}", ${kind === 'target' ? 'which lies where the target does' : 'which belongs to no layer'}.`,
      'Take it out.',
    );
  return ok(undefined);
}

function trained(recipe: Recipe): Result<TrainChoice> {
  const train = recipe.train ?? defaults.train.value;
  if (typeof train === 'string') return ok(train);
  if ('lora' in train) {
    const rank = train.lora.rank ?? defaults.lora.rank.value;
    return ok({ lora: { rank, alpha: train.lora.alpha ?? defaults.lora.alphaTimesRank.value * rank } });
  }
  for (const component of train.components) {
    const checked = componentFault(component);
    if (!checked.ok) return checked;
  }
  return ok(train);
}

/** Whether the routers that the anchor looks at train, as far as the recipe alone can tell. */
function trainsTargetRouter(train: TrainChoice, target: Recipe['target']): boolean {
  if (train === 'expert+router' || train === 'router') return true;
  if (typeof train === 'string' || 'lora' in train) return false;
  const routers = train.components.filter(({ kind }) => kind === 'router');
  if (typeof target !== 'object' || 'random' in target || 'esft' in target) return routers.length > 0;
  const targets = 'experts' in target ? target.experts : [target];
  return targets.every(({ layer }) => routers.some(({ layers }) => layers === undefined || layers.includes(layer)));
}

function checked(recipe: Recipe): Result<Pick<ResolvedRecipe, 'checks' | 'stop' | 'evaluate'>> {
  if (recipe.stop && !recipe.checks) {
    return fail(
      'bad-data',
      'The recipe has "stop" rules but no "checks" to apply them to.',
      'Add "checks": {"everySteps": 10, "forget": "stop/forget.jsonl"}, or take "stop" out.',
    );
  }
  const { checks, stop, evaluate } = recipe;
  return ok({
    checks: checks
      ? { everySteps: checks.everySteps ?? defaults.checksEverySteps.value, forget: checks.forget, utility: checks.utility ?? defaults.checksUtility.value }
      : null,
    stop: stop
      ? {
          forgetAtMost: stop.forgetAtMost ?? null,
          utilityDropAtMost: stop.utilityDropAtMost ?? null,
          nllRiseAtMost: stop.nllRiseAtMost ?? null,
          patience: stop.patience ?? defaults.stopPatience.value,
        }
      : null,
    evaluate: evaluate ? { forget: evaluate.forget ?? null, near: evaluate.near ?? null, utility: evaluate.utility ?? [] } : null,
  });
}

function duplicateExpert(recipe: Recipe): string | undefined {
  if (typeof recipe.target !== 'object' || !('experts' in recipe.target)) return undefined;
  const seen = new Set<string>();
  return recipe.target.experts.map(({ layer, expert }) => `layer ${layer} expert ${expert}`).find((name) => seen.size === seen.add(name).size);
}

function warningsOf(recipe: Recipe): string[] {
  const warnings: string[] = [];
  if (recipe.retain === undefined) {
    const term = recipe.method === 'rmu' ? "no retain loss and RMU's retain term is 0" : 'no retain loss';
    warnings.push(`Without a "retain" set there is ${term}: nothing but the small number of trained parameters protects what the model should keep.`);
  }
  const utilityRule = recipe.stop?.utilityDropAtMost !== undefined || recipe.stop?.nllRiseAtMost !== undefined;
  if (utilityRule && !recipe.checks?.utility?.length) warnings.push('The stop rules on utility have no effect: "checks.utility" names no set.');
  return warnings;
}

/** All defaults filled, with warnings. Resolving the result again gives the same. */
export function resolveRecipe(recipe: Recipe): Result<Resolution> {
  const train = trained(recipe);
  if (!train.ok) return train;
  const twice = duplicateExpert(recipe);
  if (twice !== undefined) return fail('bad-data', `Recipe field "target.experts" names ${twice} twice.`, 'Name each expert once.');
  const choice = methodChoice(recipe);
  const retain = retainLoss(recipe, choice.method);
  if (!retain.ok) return retain;
  const measured = checked(recipe);
  if (!measured.ok) return measured;
  const memory = memoryBytes(recipe.memory ?? defaults.memory.value);
  if (!memory.ok) return memory;
  const anchored = trainsTargetRouter(train.value, recipe.target);
  const usualAnchor = anchored ? conditionalDefaults.anchorWeight : conditionalDefaults.anchorWeightRouterFrozen;
  const { optimizer = {}, scoring = {} } = recipe;
  return ok({
    recipe: {
      model: recipe.model,
      forget: recipe.forget,
      retain: recipe.retain ?? null,
      target: recipe.target ?? defaults.target.value,
      train: train.value,
      ...choice,
      anchor: { weight: recipe.anchor?.weight ?? usualAnchor.value, form: recipe.anchor?.form ?? defaults.anchorForm.value },
      retainLoss: retain.value,
      routerProjection: recipe.routerProjection ?? defaults.routerProjection.value,
      optimizer: {
        lr: optimizer.lr ?? defaults.optimizer.lr.value,
        beta1: optimizer.beta1 ?? defaults.optimizer.beta1.value,
        beta2: optimizer.beta2 ?? defaults.optimizer.beta2.value,
        eps: optimizer.eps ?? defaults.optimizer.eps.value,
        weightDecay: optimizer.weightDecay ?? defaults.optimizer.weightDecay.value,
        schedule: optimizer.schedule ?? defaults.optimizer.schedule.value,
        warmup: optimizer.warmup ?? defaults.optimizer.warmup.value,
        clipNorm: optimizer.clipNorm ?? defaults.optimizer.clipNorm.value,
      },
      steps: recipe.steps ?? defaults.steps.value,
      batchSize: recipe.batchSize ?? defaults.batchSize.value,
      accumulate: recipe.accumulate ?? defaults.accumulate.value,
      order: recipe.order ?? defaults.order.value,
      maxLength: recipe.maxLength ?? defaults.maxLength.value,
      addDocumentStart: recipe.addDocumentStart ?? defaults.addDocumentStart.value,
      chat: recipe.chat ?? defaults.chat.value,
      seed: recipe.seed ?? defaults.seed.value,
      ...measured.value,
      keep: recipe.keep ?? defaults.keep.value,
      scoring: { options: scoring.options ?? defaults.scoring.options.value, normalise: scoring.normalise ?? defaults.scoring.normalise.value },
      memory: memory.value,
      backend: recipe.backend ?? defaults.backend.value,
      threads: recipe.threads ?? defaults.threads.value,
      precision: recipe.precision ?? defaults.precision.value,
      fingerprints: recipe.fingerprints ?? null,
    },
    warnings: warningsOf(recipe),
  });
}
