/** Measures sequences with the model: NLL of every target, scores of every option, hits of the argmax. One prefix serves many variants. */
import { scoreTargets } from '../passes/head';
import type { Conditions, OpenModel } from '../passes/model';
import { type Activations, blockTokens, inBlocks, originalPass } from '../passes/original-pass';
import { type PackedBatch, pack, targetsOf } from '../passes/packing';
import { type Stream, start, sweep, type Taps } from '../passes/sweep';
import type { TokenSequence } from '../protocol/sequences';
import type { Example } from './example';

/** Where a prefix ends: at the entrance of a layer's feed-forward. */
export interface Prefix {
  readonly layer: number;
  readonly at: 'feed';
}

/** Sequences that are measured together, with the stream their measurements start from. */
export interface PreparedBlock {
  readonly batch: PackedBatch;
  from(conditions: Conditions): Promise<Stream>;
}

/** A packed set, in blocks of prompts. */
export interface PreparedSet {
  readonly blocks: readonly PreparedBlock[];
}

/** Runs the layers that no variant changes: up to the feed-forward of `until`; none where it is left out. With a store their result is read when a block is measured, else it stays in memory. */
export async function prepareSet(
  model: OpenModel,
  sequences: readonly TokenSequence[],
  conditions: Conditions,
  until?: Prefix | null,
  activations?: Activations,
): Promise<PreparedSet> {
  const blocks: PreparedBlock[] = [];
  for (const own of inBlocks(sequences, activations?.blockTokens ?? Number.POSITIVE_INFINITY)) {
    const batch = pack(own);
    if (!until) {
      // The embedding may be among what changes.
      blocks.push({ batch, from: (own) => start(model, batch, own) });
    } else if (activations?.store) {
      const pass = await originalPass(model, { forget: own, retain: [] }, { forget: own.map((_, row) => row), retain: [] }, conditions, {
        keep: new Set([until.layer]),
        until,
        last: new Set(),
        activations,
      });
      blocks.push({ batch, from: async () => ({ ...until, x: await pass.entrance(until.layer) }) });
    } else {
      const stream = await sweep(model, batch, await start(model, batch, conditions), conditions, until);
      blocks.push({ batch, from: async () => stream });
    }
  }
  return { blocks };
}

export interface MeasureOptions {
  readonly wantArgmax?: boolean;
  readonly taps?: Taps;
}

/** Measures a prepared set from its streams on, in the order of its sequences. */
export async function measurePrepared(model: OpenModel, { blocks }: PreparedSet, conditions: Conditions, options: MeasureOptions = {}): Promise<Example[]> {
  const examples: Example[] = [];
  for (const block of blocks) examples.push(...(await measureBlock(model, block, conditions, options)));
  return examples;
}

async function measureBlock(model: OpenModel, { batch, from }: PreparedBlock, conditions: Conditions, options: MeasureOptions): Promise<Example[]> {
  const last = await sweep(model, batch, await from(conditions), conditions, undefined, options.taps);
  const targets = targetsOf(batch);
  const scores = await scoreTargets(model, last.x, targets.rows, targets.ids, conditions, { argmax: options.wantArgmax });
  const { argmax } = scores;
  const owned: number[][] = batch.sequences.map(() => []);
  targets.sequence.forEach((z, n) => {
    owned[z].push(n);
  });
  return batch.sequences.map((sequence, z) =>
    exampleOf(
      sequence,
      owned[z].map((n) => ({ branch: targets.branch[n], logp: scores.logp[n], ...(argmax ? { hit: argmax[n] === targets.ids[n] } : {}) })),
    ),
  );
}

/** One target token as it was measured; `branch` 0 without branches, `hit`: it is the most probable one, where that was asked for. */
export interface MeasuredTarget {
  readonly branch: number;
  readonly logp: number;
  readonly hit?: boolean;
}

/** What the metrics know of a sequence, from its targets in order. */
export function exampleOf(sequence: TokenSequence, targets: readonly MeasuredTarget[]): Example {
  const { blind } = sequence.source.columns ?? {};
  const shared = {
    id: sequence.id,
    ...(sequence.topic === undefined ? {} : { topic: sequence.topic }),
    ...(typeof blind === 'number' ? { blind } : {}),
  };
  const nlls = (own: readonly MeasuredTarget[]) => own.map(({ logp }) => -logp);
  const hits = (own: readonly MeasuredTarget[]) => (targets.every(({ hit }) => hit === undefined) ? {} : { argmaxHit: own.map(({ hit }) => hit === true) });
  if (!sequence.branches) return { ...shared, perToken: nlls(targets), ...hits(targets) };
  const byOption = sequence.branches.map((_, option) => targets.filter(({ branch }) => branch === option + 1));
  const { alternatives } = sequence;
  if (alternatives) {
    return {
      ...shared,
      perToken: nlls(byOption[0]),
      ...hits(byOption[0]),
      ...(alternatives.paraphrased === null ? {} : { paraphrased: nlls(byOption[alternatives.paraphrased]) }),
      perturbed: alternatives.perturbed.map((option) => nlls(byOption[option])),
    };
  }
  const right = sequence.answer === undefined ? [] : byOption[sequence.answer];
  return {
    ...shared,
    perToken: nlls(right),
    ...hits(right),
    optionScores: byOption.map((list) => list.reduce((sum, { logp }) => sum + logp, 0)),
    optionTokens: byOption.map((list) => list.length),
    ...(sequence.optionBytes ? { optionBytes: sequence.optionBytes } : {}),
    ...(sequence.optionCharacters ? { optionCharacters: sequence.optionCharacters } : {}),
    ...(sequence.optionTexts ? { optionTexts: sequence.optionTexts } : {}),
    ...(sequence.answer === undefined ? {} : { answer: sequence.answer }),
  };
}

/** Measures a set from the tokens on, in blocks of sequences. `memory`: bytes of the process's budget. */
export async function measure(
  model: OpenModel,
  sequences: readonly TokenSequence[],
  conditions: Conditions,
  memory: number,
  options: MeasureOptions = {},
): Promise<Example[]> {
  const { blocks } = await prepareSet(model, sequences, conditions, undefined, { store: null, blockTokens: blockTokens(model, memory) });
  const examples: Example[] = [];
  for (const block of blocks) {
    examples.push(...(await measureBlock(model, block, conditions, { ...options, taps: { ...options.taps, progress: undefined } })));
    options.taps?.progress?.(examples.length, sequences.length);
  }
  return examples;
}
