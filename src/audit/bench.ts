/** Measures original and edited model on the same rows under the same intervention; the layers that none of it changes run once for both. */
import type { Example } from '../evaluate/example';
import * as extractionStrength from '../evaluate/extraction-strength';
import { measurePrepared, type Prefix, prepareSet } from '../evaluate/measure';
import * as nll from '../evaluate/nll';
import { setScore } from '../evaluate/set-score';
import { wilson } from '../evaluate/statistics';
import { changedFrom, prefixBefore } from '../passes/components';
import { asStored, type Conditions, forbidding, type OpenModel } from '../passes/model';
import { type Activations, inBlocks } from '../passes/original-pass';
import { refuse, unwrap } from '../protocol/fault';
import type { ResolvedRecipe } from '../protocol/recipe';
import type { ExpertId, SetScore, Target } from '../protocol/records';
import type { TokenSequence } from '../protocol/sequences';
import { takeStep } from '../unlearn/step';
import { openTraining } from '../unlearn/training';
import { noOverlay, type Overlay } from '../weights/store';
import type { AuditOptions, AuditSet, Bench, Intervention, Pair, RelearnTrain } from './audit';
import { halvesOf } from './halves';
import { fullRate, usualBatch } from './relearn';
import { roundingTo } from './rounding';

export interface BenchInputs {
  readonly model: OpenModel;
  readonly recipe: ResolvedRecipe;
  /** What the run trained. */
  readonly target: Target;
  /** The run's result, as an export holds it. */
  readonly edited: Overlay;
  readonly sets: readonly AuditSet[];
  readonly paraphrases: AuditSet | null;
  /** The run's forget rows, as it trained on them. */
  readonly forget: readonly TokenSequence[];
  /** The rows of an evaluation set as text to train on. */
  readonly asText: (set: AuditSet) => Promise<readonly TokenSequence[]>;
  readonly options: AuditOptions;
  readonly activations: Activations;
  readonly signal?: AbortSignal;
  /** Rows measured, or updates made, since the last call. */
  readonly did?: (what: { readonly rows?: number; readonly steps?: number }) => void;
}

/** Where the prefix ends that all these weights share with the original, under interventions on the target's experts. */
const prefixOf = (model: OpenModel, overlay: Overlay, { experts }: Target): Prefix | null => prefixBefore(changedFrom(model, overlay.keys(), experts));

export function openBench(inputs: BenchInputs): Bench {
  const { model, recipe, target, edited, activations, signal, options } = inputs;
  const { normalise } = recipe.scoring;
  const plain: Conditions = { ...asStored, signal };
  const prefix = prefixOf(model, edited, target);

  /** A set under several conditions that share `base` below the prefix; only the original's own prefix is kept on disk. */
  async function examples(
    sequences: readonly TokenSequence[],
    each: readonly Conditions[],
    base: Conditions,
    until: Prefix | null,
    wantArgmax = false,
  ): Promise<Example[][]> {
    const results: Example[][] = each.map(() => []);
    const kept = base === plain && until ? activations : { store: null, blockTokens: activations.blockTokens };
    for (const block of inBlocks(sequences, activations.blockTokens)) {
      const prepared = await prepareSet(model, block, base, until, kept);
      for (const [i, conditions] of each.entries()) {
        for (const example of await measurePrepared(model, prepared, conditions, { wantArgmax })) results[i].push(example);
        inputs.did?.({ rows: block.length });
      }
    }
    return results;
  }

  async function scores({ file, sequences }: AuditSet, change: (overlay: Overlay) => Conditions, base: Conditions): Promise<Pair> {
    const [original, own] = await examples(sequences, [change(noOverlay), change(edited)], base, prefix);
    return { original: setScore(file, original, normalise), edited: setScore(file, own, normalise) };
  }

  const known = new Map<AuditSet, Pair>();
  async function asIs(set: AuditSet): Promise<Pair> {
    const pair = known.get(set) ?? (await scores(set, (overlay) => ({ ...plain, overlay }), plain));
    known.set(set, pair);
    return pair;
  }

  function under(set: AuditSet, { forbidden = [], forced = [], bits }: Intervention): Promise<Pair> {
    const barred = routed(forbidden, forced);
    if (bits === undefined) return scores(set, (overlay) => ({ ...plain, overlay, forbidden: barred }), plain);
    const rounding = roundingTo(bits, model);
    const rounded = (overlay: Overlay): Conditions => ({ ...plain, overlay: Object.assign(new Map(overlay), { rounding }), forbidden: barred });
    return scores(set, rounded, rounded(noOverlay));
  }

  async function completion({ file, sequences }: AuditSet): Promise<{ whole: Pair; strength: Pair }> {
    const each = [plain, { ...plain, overlay: edited }];
    const [original, own] = (await examples(sequences, each, plain, prefix, true)).map((rows) => completed(file, rows));
    return { whole: { original: original.whole, edited: own.whole }, strength: { original: original.strength, edited: own.strength } };
  }

  /** Fine-tunes what `train` names from `start` on the rows: plain NLL, the run's own optimiser at a constant rate, the same batches for both models. */
  async function taught(start: Overlay, rows: readonly TokenSequence[], how: Relearning): Promise<Overlay> {
    const { training, initial } = await openTraining({
      model,
      // Its retain loss alone is that loss.
      recipe: how.recipe,
      target: { ...target, train: how.train },
      rows: { forget: [], retain: rows },
      overlay: start,
      activations: { ...activations, store: null },
      signal,
    });
    let state = initial;
    while (state.step < how.recipe.steps) {
      const { record, next } = await takeStep(training, state, signal);
      if (!next)
        refuse(
          'not-finite',
          `Relearning step ${record.step} of ${how.recipe.steps} gave a loss or a weight that is not finite.`,
          'Start the run again with a lower learning rate.',
        );
      state = next as NonNullable<typeof next>;
      inputs.did?.({ steps: 1 });
    }
    return new Map([...start, ...training.parametrisation.overlay(state.params)]);
  }

  async function relearn(train: RelearnTrain): ReturnType<Bench['relearn']> {
    const forget = inputs.sets.find(({ role }) => role === 'forget');
    const cut = forget ? halvesOf(forget.sequences, inputs.forget, await inputs.asText(forget), recipe.seed) : null;
    if (!forget || !cut)
      return refuse('bad-data', 'The forget set has fewer than two facts, so half of them cannot be left out.', 'Give a forget set with more rows.');
    const halves = { asked: { ...forget, sequences: cut.asked }, taught: { ...forget, sequences: cut.taught } };
    const how = relearning(recipe, target, train, options.steps, cut.learnt.length);
    const scored = async (start: Overlay): Promise<Record<'asked' | 'taught', SetScore>> => {
      const overlay = await taught(start, cut.learnt, how);
      const score = async ({ file, sequences }: AuditSet) => {
        const [rows] = await examples(sequences, [{ ...plain, overlay }], plain, prefixOf(model, overlay, target));
        return setScore(file, rows, normalise);
      };
      return { asked: await score(halves.asked), taught: await score(halves.taught) };
    };
    const [original, own] = [await scored(noOverlay), await scored(edited)];
    const pair = (half: 'asked' | 'taught') => ({ set: halves[half], under: { original: original[half], edited: own[half] } });
    const { steps, batchSize, optimizer } = how.recipe;
    const settings = { steps, lr: optimizer.lr, batchSize, train: how.train, seed: recipe.seed, by: cut.by, groups: cut.groups, learntRows: cut.learnt.length };
    return { asked: pair('asked'), taught: pair('taught'), settings };
  }

  return { sets: inputs.sets, paraphrases: inputs.paraphrases, options, asIs, under, completion, relearn };
}

/** Layers with experts that may not, or must, be chosen. */
function routed(forbidden: readonly ExpertId[], forced: readonly ExpertId[]): Conditions['forbidden'] {
  const layers = new Map(forbidding(forbidden, 'score'));
  for (const { layer, expert } of forced) {
    const own = layers.get(layer) ?? { experts: new Set<number>(), by: 'score' as const };
    layers.set(layer, { ...own, forced: new Set([...(own.forced ?? []), expert]) });
  }
  return layers;
}

/** Teacher-forced first choices say what greedy decoding would do: it goes on to the end exactly where every later one is right. */
function completed(name: string, rows: readonly Example[]): { whole: SetScore; strength: SetScore } {
  const perExample = rows.map(({ id, argmaxHit = [] }) => ({ id, value: argmaxHit.length === 0 ? null : argmaxHit.every(Boolean) ? 1 : 0 }));
  const values = perExample.flatMap(({ value }) => (value === null ? [] : [value]));
  const share = values.reduce<number>((sum, value) => sum + value, 0) / values.length;
  const shared = { name, kind: 'extraction' as const, nll: unwrap(nll.score(rows)).value, blind: null };
  return {
    whole: { ...shared, score: { value: share, n: values.length, interval: wilson(share, values.length), perExample } },
    strength: { ...shared, score: unwrap(extractionStrength.score(rows.map(({ topic: _, ...row }) => row))) },
  };
}

interface Relearning {
  readonly recipe: ResolvedRecipe;
  readonly train: Target['train'];
}

/** The run's recipe as a fine-tuning: NLL of the rows as its only loss. */
function relearning(recipe: ResolvedRecipe, target: Target, train: RelearnTrain, steps: number, rows: number): Relearning {
  const all = train === 'full';
  return {
    train: all ? 'full' : target.train,
    recipe: {
      ...recipe,
      method: 'ga',
      methodOptions: {},
      anchor: { ...recipe.anchor, weight: 0 },
      retainLoss: { kind: 'nll', weight: 1 },
      optimizer: { ...recipe.optimizer, lr: recipe.optimizer.lr * (all && target.train !== 'full' ? fullRate : 1), schedule: 'constant', warmup: 0 },
      steps,
      batchSize: Math.min(rows, recipe.batchSize === 'all' ? usualBatch : recipe.batchSize),
      order: 'shuffled',
    },
  };
}
