/** Named sets of values that the interface, or `--preset NAME`, writes out into a recipe. */
import { fail, ok, type Result } from './fault';
import { nearestName } from './nearest-name';
import type { Recipe } from './recipe-schema';

export interface RecipePreset {
  readonly id: string;
  readonly label: string;
  readonly help: string;
  readonly source: string;
  readonly recipe: Readonly<Partial<Recipe>>;
}

const demoSource = 'Our measurement on the demo model (four methods, three seeds each)';
const paperSource = 'UOE paper (arXiv 2411.18797), hyper-parameters of the single-expert runs';

const oneExpert = { target: 'auto', train: 'expert+router', anchor: { weight: 1, form: 'paper' } } as const;
const demoReading = { batchSize: 16, addDocumentStart: true, scoring: { options: 'likelihood', normalise: 'tokens' } } as const;
const demoOptimizer = { weightDecay: 0, schedule: 'constant', warmup: 5, clipNorm: 1 } as const;
const paperBatch = { ...oneExpert, optimizer: { lr: 1e-4 }, batchSize: 16 } as const;

export const presets: readonly RecipePreset[] = [
  {
    id: 'demo-npo',
    label: 'Demo: NPO',
    help: 'Keeps the neighbouring topic best of the four; about 40 steps to chance on the demo model.',
    source: demoSource,
    recipe: {
      ...oneExpert,
      ...demoReading,
      method: 'npo',
      methodOptions: { beta: 0.1 },
      retainLoss: { kind: 'nll', weight: 1 },
      optimizer: { lr: 3e-3, ...demoOptimizer },
      steps: 100,
    },
  },
  {
    id: 'demo-gdiff',
    label: 'Demo: GDIFF',
    help: 'Raises the forget loss while holding the retain loss; about 40 steps to chance on the demo model.',
    source: demoSource,
    recipe: {
      ...oneExpert,
      ...demoReading,
      method: 'gdiff',
      methodOptions: {},
      retainLoss: { kind: 'nll', weight: 1 },
      optimizer: { lr: 3e-3, ...demoOptimizer },
      steps: 100,
    },
  },
  {
    id: 'demo-ga',
    label: 'Demo: GA',
    help: 'Gradient ascent without a retain loss: 35 steps, more do harm.',
    source: demoSource,
    recipe: {
      ...oneExpert,
      ...demoReading,
      method: 'ga',
      methodOptions: {},
      retainLoss: { kind: 'none' },
      optimizer: { lr: 3e-3, ...demoOptimizer },
      steps: 35,
    },
  },
  {
    id: 'demo-rmu',
    label: 'Demo: RMU',
    help: 'Scrambles the hidden state after the target layer; about 35 steps to chance on the demo model.',
    source: demoSource,
    recipe: {
      ...oneExpert,
      ...demoReading,
      method: 'rmu',
      methodOptions: { c: { timesHiddenNorm: 8 }, retainWeight: 30, controlVector: 'seed' },
      retainLoss: { kind: 'none' },
      optimizer: { lr: 1e-2, ...demoOptimizer },
      steps: 100,
    },
  },
  {
    id: 'demo-gone',
    label: 'Demo: gone, not hidden',
    help: 'RMU on the dense layers and shared experts up to the target’s layer: 1.8 % of the demo model. What it takes does not come back when the expert is forbidden, weights are rounded or half of the facts are taught again for ten steps. Put rows of the neighbouring topic into the retain set.',
    source: 'Our measurement on the demo model, three seeds: docs/gone-not-hidden.md',
    recipe: {
      ...demoReading,
      target: 'auto',
      train: { components: [{ kind: 'dense' }, { kind: 'shared' }] },
      method: 'rmu',
      methodOptions: { c: { timesHiddenNorm: 8 }, retainWeight: 150, controlVector: 'seed' },
      retainLoss: { kind: 'kl', weight: 2 },
      optimizer: { lr: 1e-3, ...demoOptimizer },
      steps: 100,
    },
  },
  {
    id: 'paper',
    label: 'Paper: NPO',
    help: 'NPO with beta 0.001, lr 1e-4, batch 16, retain weight 1, anchor 1.',
    source: paperSource,
    recipe: { ...paperBatch, method: 'npo', methodOptions: { beta: 0.001 }, retainLoss: { kind: 'nll', weight: 1 } },
  },
  {
    id: 'paper-rmu-qwen',
    label: 'Paper: RMU, Qwen1.5-MoE',
    help: 'RMU with c 8000 and retain weight 1200, for Qwen1.5-MoE-A2.7B.',
    source: paperSource,
    recipe: { ...paperBatch, method: 'rmu', methodOptions: { c: 8000, retainWeight: 1200 }, retainLoss: { kind: 'none' } },
  },
  {
    id: 'paper-rmu-deepseek',
    label: 'Paper: RMU, DeepSeek-V2-Lite',
    help: 'RMU with c 32000 and retain weight 1200, for DeepSeek-V2-Lite.',
    source: paperSource,
    recipe: { ...paperBatch, method: 'rmu', methodOptions: { c: 32000, retainWeight: 1200 }, retainLoss: { kind: 'none' } },
  },
  {
    id: 'released',
    label: 'Released code',
    help: 'Constant lr 2e-4, 32 × 4 rows a step, 1024 tokens a row, the anchor over all experts; the method stays yours. Its packing and its 10 epochs have no counterpart here.',
    source: "The authors' released configuration and trainer",
    recipe: {
      target: 'auto',
      train: 'expert+router',
      anchor: { weight: 1, form: 'released' },
      optimizer: { lr: 2e-4, schedule: 'constant' },
      batchSize: 128,
      accumulate: 4,
      maxLength: 1024,
    },
  },
];

/** The recipe with a preset's values written out; its other fields stay, options go with their method, a retain loss needs a retain set. */
export function applyPreset(recipe: Recipe, id: string): Result<Recipe> {
  const preset = presets.find((each) => each.id === id);
  if (!preset) {
    const known = presets.map((each) => each.id);
    return fail('bad-data', `There is no preset "${id}"; there are ${known.join(', ')}.`, `Did you mean "${nearestName(id, known)}"?`);
  }
  const { retainLoss, ...values } = preset.recipe;
  const merged: Recipe = { ...recipe, ...values };
  const nested = {
    ...(values.anchor && { anchor: { ...recipe.anchor, ...values.anchor } }),
    ...(values.optimizer && { optimizer: { ...recipe.optimizer, ...values.optimizer } }),
    ...(retainLoss && recipe.retain !== undefined && { retainLoss }),
    ...(values.scoring && { scoring: { ...recipe.scoring, ...values.scoring } }),
  };
  return ok({ ...merged, ...nested });
}
