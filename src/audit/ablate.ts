/**
 * What each component of a model does for two sets of rows, by leaving its output out (zero ablation): an expert's contribution is missing where a
 * token chose it while the gates of the others stay as they are, an attention or a dense or shared block adds nothing to the stream. Layers above
 * see the changed stream and route by it. With `forbid` an expert is left out before the choice instead, and the next-best takes its place.
 * It shows what the model uses as it is; what several components hold between them shows in none of them alone.
 * Source: Michel et al., arXiv 1905.10650 (attention heads left out one at a time), here for whole blocks and experts.
 */
import type { Example, Normalise } from '../evaluate/example';
import { exampleOf, type MeasuredTarget } from '../evaluate/measure';
import { setScore } from '../evaluate/set-score';
import { type AblationOptions, ablate, type Component, componentsOf, jobsOf, originalBlock, rowPasses } from '../passes/ablated-suffix';
import type { Conditions, OpenModel } from '../passes/model';
import { inBlocks } from '../passes/original-pass';
import type { SetScore } from '../protocol/records';
import type { TokenSequence } from '../protocol/sequences';

export interface AblatedSet {
  readonly name: string;
  readonly sequences: readonly TokenSequence[];
}

/** One component left out; scores in the order of the sets. */
export interface Ablated {
  readonly component: Component;
  /** The original's own object where the component touches no row of the set. */
  readonly scores: readonly SetScore[];
  /** Rows of each set that it touches. */
  readonly rows: readonly number[];
}

export interface AblationInputs {
  readonly model: OpenModel;
  readonly sets: readonly AblatedSet[];
  readonly components: readonly Component[];
  readonly conditions: Conditions;
  readonly normalise?: Normalise;
  /** Most tokens of a block of prompts. */
  readonly blockTokens: number;
  /** Row passes done, of those that are expected. */
  readonly progress?: (done: number, total: number) => void;
}

/** Components of these layers, of all where none are named. */
export const componentsIn = (model: OpenModel, layers?: readonly number[]): Component[] =>
  componentsOf(model).filter(({ layer }) => layers === undefined || layers.includes(layer));

export async function ablations(inputs: AblationInputs & AblationOptions): Promise<{ readonly original: readonly SetScore[]; readonly ablated: Ablated[] }> {
  const { model, sets, components, conditions, normalise, blockTokens, progress } = inputs;
  const all = sets.flatMap(({ sequences }) => sequences);
  const starts = sets.map((_, i) => sets.slice(0, i).reduce((sum, { sequences }) => sum + sequences.length, 0));
  const originals: Example[] = [];
  /** Of each component, the rows it touches. */
  const changed = new Map<Component, Map<number, Example>>(components.map((component) => [component, new Map()]));
  const tokensOf = (rows: readonly TokenSequence[]) => rows.reduce((sum, { ids }) => sum + ids.length, 0);
  const tokens = tokensOf(all);
  let done = 0;
  let seen = 0;
  let expected = 0;
  for (const sequences of inBlocks(all, blockTokens)) {
    const first = originals.length;
    const original = await originalBlock(model, sequences, conditions);
    const { targets, owned } = original;
    const exampleWith = (z: number, logp: (n: number) => number): Example =>
      exampleOf(
        sequences[z],
        owned[z].map((n): MeasuredTarget => ({ branch: targets.branch[n], logp: logp(n) })),
      );
    sequences.forEach((_, z) => {
      originals.push(exampleWith(z, (n) => original.logp[n]));
    });
    const jobs = components.flatMap((component) => jobsOf(original, component));
    seen += tokensOf(sequences);
    const before = done;
    const own = jobs.reduce((sum, job) => sum + rowPasses(model, job), 0);
    expected = Math.round(((before + own) * tokens) / seen);
    const did = (count: number) => {
      done += count;
      progress?.(done, expected);
    };
    await ablate(model, original, jobs, conditions, { ...inputs, did }, ({ job, targets: anew, logp }) => {
      const values = new Map(anew.map((n, i) => [n, logp[i]]));
      changed.get(job.component)?.set(
        first + job.sequence,
        exampleWith(job.sequence, (n) => values.get(n) ?? original.logp[n]),
      );
    });
  }
  const rowsOf = (examples: readonly Example[], i: number) => examples.slice(starts[i], starts[i] + sets[i].sequences.length);
  const original = sets.map(({ name }, i) => setScore(name, rowsOf(originals, i), normalise));
  return {
    original,
    ablated: components.map((component) => {
      const own = changed.get(component) ?? new Map<number, Example>();
      const rows = sets.map(({ sequences }, i) => [...own.keys()].filter((z) => z >= starts[i] && z < starts[i] + sequences.length).length);
      const examples = originals.map((example, z) => own.get(z) ?? example);
      return { component, rows, scores: sets.map(({ name }, i) => (rows[i] === 0 ? original[i] : setScore(name, rowsOf(examples, i), normalise))) };
    }),
  };
}
