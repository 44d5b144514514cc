/** How fast this machine runs the pieces of an open model: each piece for a moment on rows like the recipe's, and some of its bytes read. */
import { randomInt } from 'node:crypto';
import os from 'node:os';
import { runAttention } from '../model/attention';
import type { Moe } from '../model/family';
import { blockRows } from '../passes/blocks';
import { attentionForward, eachExpertBlock, onSpan, routerForward } from '../passes/forward';
import { pullBackTargets, scoreTargets } from '../passes/head';
import { asStored, type Conditions, type OpenModel } from '../passes/model';
import { pack } from '../passes/packing';
import { pullBackAttention } from '../passes/pull-back';
import { addPartGradient, type UnitGradients } from '../passes/weight-gradients';
import { unwrap } from '../protocol/fault';
import { elementCount, type TensorRef, unitName } from '../protocol/tensors';
import { backendInUse } from '../tensor/backend';
import { discard, hold, inScope, readInto, uploadMatrix } from '../tensor/host';
import { grads, type Tensor2D } from '../tensor/tf';
import { clipped, freshState, update } from '../unlearn/adamw';
import { initialLora, loraParametrisation } from '../unlearn/lora';
import { isFiniteAll } from '../unlearn/step';
import { noOverlay } from '../weights/store';
import { type Arithmetic, attentionFlops, matrixElements, type Piece, pieceNames, type Work } from './work-plan';

/** Seconds of starting a piece, and of each of its floating-point operations with all that goes with them. */
export interface PieceSpeed {
  readonly call: number;
  readonly flop: number;
}

export interface SpeedSample {
  readonly forward: Readonly<Record<Piece, PieceSpeed>>;
  readonly back: Readonly<Record<Piece, PieceSpeed>>;
  /** Backward with the gradients of the weights; as without them for pieces that were not asked for. */
  readonly trained: Readonly<Record<Piece, PieceSpeed>>;
  /** Seconds of updating a value, of a value of what LoRA adds times its rank, and of putting a byte of a changed weight into the backend. */
  readonly update: number;
  readonly adapt: number;
  readonly lay: number;
  /** Seconds of reading a byte as the disk and the system's cache give it now, again at once, and of widening it. */
  readonly read: number;
  readonly reread: number;
  /** Cores that reading and arithmetic share. */
  readonly cores: number;
  readonly threads: number;
  /** Seconds the sample took. */
  readonly seconds: number;
}

/** A piece is run until it took this long, at least `leastRounds` times: first all of them to warm up, since what runs often is compiled, then to be timed. */
const pieceSeconds = { warm: 0.04, timed: 0.08 };
const leastRounds = 2;
/** Multiplications of the larger of two trials, and rows of the smaller. */
const trialMultiplications = 2 ** 28;
const fewRows = 8;
const mostRows = 512;
const readPieces = 16;
const readBytes = 2 ** 20;
const updateValues = 2 ** 18;
const adaptedSide = 512;
const adaptedRank = 8;

/** Numbers in [-1, 1) that look like a stream. */
const stream = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => (((i + 1) * 0.6180339887498949) % 1) * 2 - 1);

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

/** From a small and a large trial: what each call costs and what each operation. Neither is below nothing. */
function speedOf(small: Arithmetic & { readonly seconds: number }, large: Arithmetic & { readonly seconds: number }): PieceSpeed {
  const slope = (large.seconds / large.calls - small.seconds / small.calls) / (large.flops / large.calls - small.flops / small.calls);
  const most = large.seconds / large.flops;
  const flop = Number.isFinite(slope) ? Math.min(most, Math.max(slope, most / 10)) : most;
  return { flop, call: Math.max(0, (small.seconds - small.flops * flop) / small.calls) };
}

/** One round over all pieces. */
interface Trials {
  readonly model: OpenModel;
  readonly conditions: Conditions;
  /** Of each piece. */
  readonly seconds: number;
  /** Seconds of all runs, and what they would have been had each been as quick as the quickest: other programs and garbage take the rest. */
  readonly spent: { all: number; quick: number };
}

type Way = 'forward' | 'back' | 'trained';

/** Seconds of a piece without what it waited for weights: its lower decile. */
async function timed({ model, seconds: enough, spent }: Trials, body: () => Promise<unknown>): Promise<number> {
  await body();
  const rounds: number[] = [];
  for (let sum = 0; sum < enough || rounds.length < leastRounds; ) {
    const [began, waited] = [performance.now(), model.weights.readSoFar().waiting];
    await body();
    const seconds = (performance.now() - began) / 1000;
    rounds.push(Math.max(1e-9, seconds - (model.weights.readSoFar().waiting - waited)));
    sum += seconds;
  }
  const quick = rounds.toSorted((a, b) => a - b)[Math.floor(rounds.length / 10)];
  spent.all += rounds.reduce((sum, seconds) => sum + seconds, 0);
  spent.quick += rounds.length * quick;
  return quick;
}

/** Two numbers of rows: few, and as many as take a moment. */
const sizes = (multiplications: number, most: number): [number, number] => {
  const large = Math.max(2 * fewRows, Math.min(mostRows, most, Math.floor(trialMultiplications / multiplications)));
  return [fewRows, large];
};

async function attentionSpeeds(trials: Trials, layer: number, length: number, trains: boolean) {
  const { model, conditions } = trials;
  const d = model.shape.hiddenSize;
  const { attention } = model.layers[layer];
  const large = Math.max(2, Math.floor(sizes(matrixElements(attention.parts), blockRows(attention.parts))[1] / length));
  const gradients: UnitGradients = new Map();
  const trained = new Set(Object.values(attention.parts).map(unitName));
  const trial = async (sequences: number, way: Way) => {
    const ids = new Int32Array(length);
    const source = { file: 'sample', line: 1 };
    const batch = pack(Array.from({ length: sequences }, (_, i) => ({ id: String(i), ids, targetMask: new Uint8Array(length), source })));
    const x = stream(batch.tokens * d);
    const own = attentionFlops(
      attention,
      Array.from({ length: sequences }, () => length),
    );
    const flops = own.rows + own.pairs;
    if (way === 'forward') return { calls: 1, flops, seconds: await timed(trials, () => attentionForward(model, layer, batch, x, conditions)) };
    // Run again on the tape, then back: projections once more and twice the scores; and projections a third time for their weights.
    if (way === 'trained') {
      const run = () => pullBackAttention(model, layer, batch, x, x, conditions, { trained, gradients });
      return { calls: 1, flops: 2 * flops + own.pairs + 2 * batch.tokens * matrixElements(attention.parts), seconds: await timed(trials, run) };
    }
    const lease = await model.weights.lease(attention.parts, noOverlay);
    const out = new Float32Array(x.length);
    const run = async () =>
      onSpan(attention, batch.spans[0], x, d, out, (own, rotation, mask) => {
        const forward = (input: unknown) => runAttention(attention, lease.w, input as Tensor2D, rotation, mask, sequences);
        return grads(forward)([own], uploadMatrix(x, batch.tokens, d))[0];
      });
    return { calls: 1, flops: 2 * flops + own.pairs, seconds: await timed(trials, run).finally(lease.release) };
  };
  const speed = async (way: Way) => speedOf(await trial(1, way), await trial(large, way));
  const [forward, back] = [await speed('forward'), await speed('back')];
  return { forward, back, trained: trains ? await speed('trained') : back };
}

async function feedSpeeds(trials: Trials, moe: Moe, trains: boolean) {
  const { model, conditions } = trials;
  const d = model.shape.hiddenSize;
  const block = moe.expert(0);
  const weights = matrixElements(block.parts);
  const [few, many] = sizes(weights, blockRows(block.parts));
  const u = stream(many * d);
  const sum = new Float32Array(many * d);
  const forward = async (count: number) => {
    const rows = Int32Array.from({ length: count }, (_, i) => i);
    const run = () =>
      eachExpertBlock(model.weights, block, u, rows, d, noOverlay, conditions.signal, (outputs) => {
        for (let i = 0; i < outputs.length; i++) sum[i] += outputs[i];
      });
    return { calls: 1, flops: 2 * count * weights, seconds: await timed(trials, run) };
  };
  const speed = speedOf(await forward(few), await forward(many));
  const { closed } = block;
  if (!closed) return { forward: speed, back: speed, trained: speed };
  const lease = await model.weights.lease(block.parts, noOverlay);
  const gradients: UnitGradients = new Map();
  const pulled = async (count: number, parts: ReadonlySet<string>) => {
    const rows = u.subarray(0, count * d);
    const run = async () =>
      inScope(() => {
        const x = uploadMatrix(rows, count, d);
        const result = closed.pullBack(lease.w, () => x, closed.inner(lease.w, x), uploadMatrix(rows, count, d), null, { input: true, parts });
        if (result.input) readInto(result.input, sum.subarray(0, count * d));
        for (const [part, values] of result.parts) addPartGradient(model, gradients, block.parts[part], values);
      });
    // The first two products of the forward, and three; one more for each weight.
    return { calls: 1, flops: 2 * count * weights * (5 / 3 + (parts.size > 0 ? 1 : 0)), seconds: await timed(trials, run) };
  };
  const speedWith = async (parts: ReadonlySet<string>) => speedOf(await pulled(few, parts), await pulled(many, parts));
  try {
    const back = await speedWith(new Set());
    return { forward: speed, back, trained: trains ? await speedWith(new Set(Object.keys(block.parts))) : back };
  } finally {
    lease.release();
  }
}

async function routerSpeed(trials: Trials, layer: number, moe: Moe): Promise<PieceSpeed> {
  const { model, conditions } = trials;
  const d = model.shape.hiddenSize;
  const weights = matrixElements(moe.router.parts);
  const trial = async (rows: number) => ({
    calls: 1,
    flops: 2 * rows * weights,
    seconds: await timed(trials, () => routerForward(model, layer, moe, stream(rows * d), conditions)),
  });
  return speedOf(await trial(fewRows), await trial(mostRows));
}

/** Tokens of the vocabulary that are tried: the head is multiplied in slices. */
const headTokens = 4096;

async function headSpeeds(trials: Trials, trains: boolean) {
  const { model, conditions } = trials;
  const d = model.shape.hiddenSize;
  const { head } = model.ends;
  const tokens = Math.min(headTokens, head.shape[0]);
  const part = tokens === head.shape[0] ? head : { name: head.name, rows: [0, tokens] as const, shape: [tokens, d] };
  const cut: OpenModel = { ...model, ends: { ...model.ends, head: part } };
  const [few, many] = sizes(tokens * d, mostRows);
  const x = stream(many * d);
  // Of the tokens that are tried alone, not of the whole vocabulary.
  const unit = unitName(head);
  const weights = { trained: new Set([unit]), gradients: new Map([[unit, { shape: [tokens, d], values: new Float32Array(trains ? tokens * d : 0) }]]) };
  const trial = async (count: number, way: Way) => {
    const rows = Int32Array.from({ length: count }, (_, i) => i);
    const ids = new Int32Array(count);
    const flops = 2 * count * tokens * d;
    if (way === 'forward') return { calls: 1, flops, seconds: await timed(trials, () => scoreTargets(cut, x, rows, ids, conditions)) };
    const { logits, logSumExp } = await scoreTargets(cut, x, rows, ids, conditions, { logits: true });
    const ones = new Float64Array(count).fill(1);
    const run = () => pullBackTargets(cut, x, rows, ids, ones, logSumExp, conditions, logits, way === 'trained' ? weights : undefined);
    return { calls: 1, flops: ((logits ? 1 : 2) + (way === 'trained' ? 1 : 0)) * flops, seconds: await timed(trials, run) };
  };
  const speed = async (way: Way) => speedOf(await trial(few, way), await trial(many, way));
  const [forward, back] = [await speed('forward'), await speed('back')];
  return { forward, back, trained: trains ? await speed('trained') : back };
}

/** Seconds of a byte from places spread over the checkpoint, first as they come, then again from the system's cache. */
async function readingSpeed(model: OpenModel): Promise<{ read: number; reread: number }> {
  const large = [...model.weights.checkpoint.tensors.values()].filter(({ bytes, shape }) => bytes >= readBytes && shape.length === 2);
  if (large.length === 0) {
    // Small checkpoints: whole tensors, as many as make up a piece.
    const all = [...model.weights.checkpoint.tensors.values()];
    const pass = async () => {
      let bytes = 0;
      const began = performance.now();
      for (const { name, shape, bytes: own } of all.slice(0, readPieces)) {
        await model.weights.values({ name, shape }, noOverlay);
        bytes += own;
      }
      return (performance.now() - began) / 1000 / Math.max(1, bytes);
    };
    return { read: await pass(), reread: await pass() };
  }
  const pieces = Array.from({ length: readPieces }, () => {
    const { name, shape, bytes } = large[randomInt(large.length)];
    const rows = Math.max(1, Math.floor((readBytes * shape[0]) / bytes));
    const from = randomInt(Math.max(1, shape[0] - rows));
    return { name, rows: [from, from + rows] as const, shape: [rows, ...shape.slice(1)] };
  });
  const pass = async () => {
    let bytes = 0;
    const began = performance.now();
    for (const piece of pieces) bytes += unwrap(await model.weights.checkpoint.read(piece)).bytes.byteLength;
    return (performance.now() - began) / 1000 / bytes;
  };
  return { read: await pass(), reread: await pass() };
}

/** Median seconds of some rounds, the first left out. */
function quickly(rounds: number, body: () => void): number {
  const all = Array.from({ length: rounds + 1 }, () => {
    const began = performance.now();
    body();
    return (performance.now() - began) / 1000;
  });
  return median(all.slice(1));
}

/** An update with all that a step does to a value beside it: the norm of the gradient, clipping, and whether the result is finite. */
function updateSpeed(): number {
  const params = new Map([['values', stream(updateValues)]]);
  let state = freshState(params);
  const options = { lr: 1e-6, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.01 };
  return (
    quickly(3, () => {
      const next = update(params, clipped(params, 1).grads, state, options);
      if (!isFiniteAll(next.params.get('values') as Float32Array)) throw new Error('The sample of an update is not finite.');
      state = next.state;
    }) / updateValues
  );
}

/** What LoRA does to a weight in an update: the weight with what is added to it, and the gradients of both matrices from that of the weight. */
function adaptSpeed(): number {
  const ref: TensorRef = { name: 'values', shape: [adaptedSide, adaptedSide] };
  const parts = [{ ref }];
  const size = elementCount(ref.shape);
  const weight = { shape: ref.shape, values: stream(size) };
  const choice = { rank: adaptedRank, alpha: adaptedRank };
  const lora = loraParametrisation(parts, new Map([[ref.name, weight]]), choice);
  const params = new Map([...initialLora(parts, choice, 0)].map(([name, { length }]) => [name, stream(length)]));
  return (
    quickly(3, () => {
      lora.overlay(params);
      lora.gradients(new Map([[ref.name, weight]]), params);
    }) /
    (size * adaptedRank)
  );
}

function laySpeed(): number {
  const values = stream(updateValues);
  return quickly(3, () => discard(hold(values, [values.length]))) / values.byteLength;
}

/** What a sample is asked for beside forward and backward. */
export interface SampledTraining {
  /** Pieces of which something trains. */
  readonly trained: ReadonlySet<Piece>;
  readonly adapts: boolean;
}
export const nothingTrains: SampledTraining = { trained: new Set(), adapts: false };

/** Measures the pieces of a middle layer. `length`: of a typical row. */
export async function sampleSpeed(model: OpenModel, length: number, { trained, adapts }: SampledTraining, signal?: AbortSignal): Promise<SpeedSample> {
  const began = performance.now();
  const conditions: Conditions = { ...asStored, signal };
  const { moeLayers } = model.shape;
  const layer = moeLayers[moeLayers.length >> 1];
  const moe = model.layers[layer].feed as Moe;
  const reading = await readingSpeed(model);
  const round = async (seconds: number) => {
    const trials: Trials = { model, conditions, seconds, spent: { all: 0, quick: 0 } };
    const attention = await attentionSpeeds(trials, layer, length, trained.has('attention'));
    const feed = await feedSpeeds(trials, moe, trained.has('feed'));
    const head = await headSpeeds(trials, trained.has('head'));
    const router = await routerSpeed(trials, layer, moe);
    const slower = trials.spent.all / trials.spent.quick;
    const asBusy = (speeds: Readonly<Record<Piece, PieceSpeed>>) =>
      Object.fromEntries(pieceNames.map((piece) => [piece, { call: speeds[piece].call * slower, flop: speeds[piece].flop * slower }])) as typeof speeds;
    return {
      forward: asBusy({ attention: attention.forward, router, feed: feed.forward, head: head.forward }),
      back: asBusy({ attention: attention.back, router, feed: feed.back, head: head.back }),
      trained: asBusy({ attention: attention.trained, router, feed: feed.trained, head: head.trained }),
    };
  };
  await round(pieceSeconds.warm);
  const speeds = await round(pieceSeconds.timed);
  const { threads } = backendInUse();
  return {
    ...speeds,
    update: updateSpeed(),
    adapt: adapts ? adaptSpeed() : 0,
    lay: laySpeed(),
    ...reading,
    cores: os.availableParallelism(),
    threads,
    seconds: (performance.now() - began) / 1000,
  };
}

export interface WorkSeconds {
  readonly reading: number;
  readonly computing: number;
  readonly total: number;
}

/** Seconds of work at these speeds. `cold`: bytes not read before; `ahead`: reading goes on while the backend computes. */
export function secondsOf(work: Work, speed: SpeedSample, cold: number, ahead: boolean): WorkSeconds {
  const { bytes } = work;
  const arithmetic = (way: Way) =>
    pieceNames.reduce((sum, piece) => sum + work[way][piece].calls * speed[way][piece].call + work[way][piece].flops * speed[way][piece].flop, 0);
  const beside = work.updated * speed.update + work.adapted * speed.adapt + work.laid * speed.lay;
  const computing = arithmetic('forward') + arithmetic('back') + arithmetic('trained') + beside;
  const reading = Math.min(bytes, cold) * speed.read + Math.max(0, bytes - cold) * speed.reread;
  return { reading, computing, total: ahead ? Math.max(reading, computing) : reading + computing };
}
