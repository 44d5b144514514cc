/** Measures sequences with the model: NLL of every target, scores of every option, hits of the argmax. One prefix serves many variants. */
import { scoreTargets } from '../passes/head';
import type { Conditions, OpenModel } from '../passes/model';
import { type PackedBatch, pack, targetsOf } from '../passes/packing';
import { type Stream, start, sweep, type Taps, type Until } from '../passes/sweep';
import type { TokenSequence } from '../protocol/sequences';
import type { Example } from './example';

/** A packed set with the stream its measurements start from. */
export interface PreparedSet {
  readonly batch: PackedBatch;
  readonly from: Stream;
}

/** Runs the layers that no variant changes: up to the feed-forward of `until`. */
export async function prepareSet(model: OpenModel, sequences: readonly TokenSequence[], conditions: Conditions, until?: Until): Promise<PreparedSet> {
  const batch = pack(sequences);
  const first = await start(model, batch, conditions);
  return { batch, from: until ? await sweep(model, batch, first, conditions, until) : first };
}

export interface MeasureOptions {
  readonly wantArgmax?: boolean;
  readonly taps?: Taps;
}

/** Measures a prepared set from its stream on, in the order of its sequences. */
export async function measurePrepared(
  model: OpenModel,
  { batch, from }: PreparedSet,
  conditions: Conditions,
  options: MeasureOptions = {},
): Promise<Example[]> {
  const last = await sweep(model, batch, from, conditions, undefined, options.taps);
  const targets = targetsOf(batch);
  const scores = await scoreTargets(model, last.x, targets.rows, targets.ids, conditions, { argmax: options.wantArgmax });
  const owned: number[][] = batch.sequences.map(() => []);
  targets.sequence.forEach((z, n) => {
    owned[z].push(n);
  });
  return batch.sequences.map((sequence, z) => {
    const own = owned[z];
    const { blind } = sequence.source.columns ?? {};
    const shared = {
      id: sequence.id,
      ...(sequence.topic === undefined ? {} : { topic: sequence.topic }),
      ...(typeof blind === 'number' ? { blind } : {}),
    };
    const hit = (n: number) => scores.argmax !== null && scores.argmax[n] === targets.ids[n];
    if (!sequence.branches) {
      return {
        ...shared,
        perToken: own.map((n) => -scores.logp[n]),
        ...(scores.argmax ? { argmaxHit: own.map(hit) } : {}),
      };
    }
    const byOption = sequence.branches.map((_, option) => own.filter((n) => targets.branch[n] === option + 1));
    const right = sequence.answer === undefined ? [] : byOption[sequence.answer];
    return {
      ...shared,
      perToken: right.map((n) => -scores.logp[n]),
      ...(scores.argmax ? { argmaxHit: right.map(hit) } : {}),
      optionScores: byOption.map((list) => list.reduce((sum, n) => sum + scores.logp[n], 0)),
      optionTokens: byOption.map((list) => list.length),
      ...(sequence.optionBytes ? { optionBytes: sequence.optionBytes } : {}),
      ...(sequence.optionTexts ? { optionTexts: sequence.optionTexts } : {}),
      ...(sequence.answer === undefined ? {} : { answer: sequence.answer }),
    };
  });
}

/** Tokens measured at once, so that the streams of a set stay within a share of the budget. */
const blockTokens = (model: OpenModel, memory: number): number => Math.max(8192, Math.floor((memory * 0.1) / (model.shape.hiddenSize * 4 * 3)));

/** Measures a set from the tokens on, in blocks of sequences. `memory`: bytes of the process's budget. */
export async function measure(
  model: OpenModel,
  sequences: readonly TokenSequence[],
  conditions: Conditions,
  memory: number,
  options: MeasureOptions = {},
): Promise<Example[]> {
  const limit = blockTokens(model, memory);
  const examples: Example[] = [];
  for (let from = 0; from < sequences.length; ) {
    let tokens = 0;
    let to = from;
    while (to < sequences.length && (to === from || tokens + sequences[to].ids.length <= limit)) tokens += sequences[to++].ids.length;
    examples.push(
      ...(await measurePrepared(model, await prepareSet(model, sequences.slice(from, to), conditions), conditions, {
        ...options,
        taps: { ...options.taps, progress: undefined },
      })),
    );
    options.taps?.progress?.(to, sequences.length);
    from = to;
  }
  return examples;
}
