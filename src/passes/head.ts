/** The head: final norm and logits in slices of the vocabulary; log-probabilities of targets, their gradient, KL. Never `[T, V]` at once unless asked. */
import { linear } from '../model/linear';
import { type TensorRef, unitName } from '../protocol/tensors';
import { inScope, read, readInto, upload, uploadMatrix } from '../tensor/host';
import { gatherRows, rowIndex } from '../tensor/rows';
import { exp, grads, matMul, max, mul, reshape, softmax, sub, sum, type Tensor, type Tensor2D } from '../tensor/tf';
import { noOverlay } from '../weights/store';
import { addInto, addRow, addRows, blockRows, eachBlock, rowsAtOnce, takeRows, workRoom } from './blocks';
import { breathe } from './breath';
import { blockForward } from './forward';
import type { Conditions, OpenModel } from './model';
import { addPartGradient, gradientOf, namesOfTrained, unitsOnTape, type WeightGradients } from './weight-gradients';

/** Bytes of one slice of the head's weight as f32. */
const sliceBytes = 96 * 2 ** 20;
/** Rows of activations per product with a slice, so that logits stay below 64 MiB for most slices. */
const headRows = 1024;
/** Rows that a kernel takes together at most (tensor/native/steady-kernels.ts). */
const vectorRows = 16;

/** Tokens of the vocabulary in one slice. */
function sliceTokens({ ends }: OpenModel): number {
  const [vocabulary, d] = ends.head.shape;
  return Math.max(1, Math.min(vocabulary, Math.floor(sliceBytes / (d * 4)), 2 ** 14));
}

/** A slice of the head: weight `[V', d]`, bias `[V']`. */
interface HeadSlice {
  readonly weight: Tensor2D;
  readonly bias?: Tensor;
}

/** Runs `body` for consecutive slices `[from, to)` of the vocabulary with the slice of the head; `original`: the checkpoint's own, where it is wanted. */
async function eachSlice(
  model: OpenModel,
  conditions: Conditions,
  body: (slice: HeadSlice, from: number, to: number, original: HeadSlice) => Promise<void>,
  wantOriginal = false,
): Promise<void> {
  const { head, headBias } = model.ends;
  const isChanged = [head, ...(headBias ? [headBias] : [])].some((ref) => conditions.overlay.has(unitName(ref)));
  const [vocabulary, d] = head.shape;
  const size = sliceTokens(model);
  const slices = Array.from({ length: Math.ceil(vocabulary / size) }, (_, i) => [i * size, Math.min(vocabulary, (i + 1) * size)] as const).map(
    ([from, to]) => ({
      parts: {
        weight: size >= vocabulary ? head : { name: head.name, rows: [from, to] as const, shape: [to - from, d] },
        ...(headBias ? { bias: size >= vocabulary ? headBias : { name: headBias.name, rows: [from, to] as const, shape: [to - from] } } : {}),
      },
      from,
      to,
    }),
  );
  model.weights.ahead(
    slices.map(({ parts }) => parts),
    conditions.overlay,
  );
  for (const { parts, from, to } of slices) {
    const lease = await model.weights.lease<Readonly<Record<string, TensorRef>>>(parts, conditions.overlay);
    const other = wantOriginal && isChanged ? await model.weights.lease<Readonly<Record<string, TensorRef>>>(parts, noOverlay) : lease;
    const sliceOf = ({ w }: typeof lease): HeadSlice => ({ weight: w.weight as Tensor2D, bias: w.bias });
    try {
      await body(sliceOf(lease), from, to, sliceOf(other));
    } finally {
      if (other !== lease) other.release();
      lease.release();
    }
  }
}

/** Logits `[to - from, V']` of normed rows h `[N, d]`. */
function sliceLogits(h: Float32Array, { weight, bias }: HeadSlice, from: number, to: number): Tensor2D {
  const d = weight.shape[1];
  return linear(uploadMatrix(h.subarray(from * d, to * d), to - from, d), weight, bias);
}

/** Runs `body` for blocks of rows that are multiplied with a slice of the head. */
async function eachRows(
  rows: number,
  { weight: { shape } }: HeadSlice,
  signal: AbortSignal | undefined,
  body: (from: number, to: number) => void,
): Promise<void> {
  const most = Math.min(headRows, rowsAtOnce(shape[0] * shape[1]));
  let to = 0;
  for (let from = 0; from < rows; from = to) {
    // TensorFlow takes rows in vectors: only the last few, on their own, are short of one.
    const left = Math.min(most, rows - from);
    to = from + (left - (left % vectorRows) || left);
    body(from, to);
    await breathe(signal);
  }
}

/** Final norm of chosen rows of the last stream: `[N, d]`. */
async function normed(model: OpenModel, x: Float32Array, rows: Int32Array, conditions: Conditions): Promise<Float32Array> {
  return blockForward(model.weights, model.ends.norm, takeRows(x, rows, model.shape.hiddenSize), model.shape.hiddenSize, conditions);
}

/** Running log-sum-exp over slices, `[N]`. */
interface LogSum {
  readonly max: Float64Array;
  readonly sum: Float64Array;
}
const logSum = (rows: number): LogSum => ({ max: new Float64Array(rows).fill(Number.NEGATIVE_INFINITY), sum: new Float64Array(rows) });

function joinSlice(all: LogSum, row: number, sliceMax: number, sliceSum: number): void {
  const top = Math.max(all.max[row], sliceMax);
  all.sum[row] = all.sum[row] * Math.exp(all.max[row] - top) + sliceSum * Math.exp(sliceMax - top);
  all.max[row] = top;
}
const normaliser = (all: LogSum): Float64Array => all.max.map((top, row) => top + Math.log(all.sum[row]));

/**
 * Probabilities within a slice, and the slice's maximum and sum of exponentials per row. The sum is 1 / (largest probability):
 * the softmax kernel is many times faster than exp.
 */
function sliceSoftmax(logits: Tensor2D): { probabilities: Tensor2D; tops: Float32Array; sums: Float64Array } {
  const probabilities = softmax(logits) as Tensor2D;
  const tops = read(max(logits, 1));
  return { probabilities, tops, sums: Float64Array.from(read(max(probabilities, 1)), (largest) => 1 / largest) };
}

/** Reduces one block of logits into the running sums. */
function reduceBlock(logits: Tensor2D, all: LogSum, firstRow: number): void {
  const { tops, sums } = sliceSoftmax(logits);
  for (let i = 0; i < tops.length; i++) joinSlice(all, firstRow + i, tops[i], sums[i]);
}

/** Probabilities `[rows, slice]` over the whole vocabulary, given each row's log-sum-exp, times `factor` per row. */
function scaledProbabilities(logits: Tensor2D, firstRow: number, logSumExp: Float64Array, factor: (row: number) => number): Tensor2D {
  const { probabilities, tops, sums } = sliceSoftmax(logits);
  const weights = Float32Array.from(tops, (top, i) => Math.exp(top + Math.log(sums[i]) - logSumExp[firstRow + i]) * factor(firstRow + i));
  return mul(probabilities, upload(weights, [tops.length, 1])) as Tensor2D;
}

export interface TargetScores {
  /** log p of each target `[N]`. */
  readonly logp: Float64Array;
  /** log-sum-exp of the logits at each target's row `[N]`. */
  readonly logSumExp: Float64Array;
  /** Most probable token at each target's row `[N]`, where asked for. */
  readonly argmax: Int32Array | null;
  /** Logits `[N, V]`, where asked for and small enough to keep. */
  readonly logits: Float32Array | null;
}

const keptLogitsBytes = 2 ** 26;

/** Whether the logits of so many rows are kept from the forward pass for its gradient; else they are multiplied again. */
export const keepsLogits = (model: OpenModel, rows: number): boolean => {
  const [vocabulary] = model.ends.head.shape;
  return vocabulary <= sliceTokens(model) && rows * vocabulary * 4 <= keptLogitsBytes;
};

/** The distinct rows, in the order they first come, and which of them each target has. */
function distinct(rows: Int32Array): { readonly rows: Int32Array; readonly of: Int32Array; readonly targets: readonly number[][] } {
  const index = new Map<number, number>();
  const targets: number[][] = [];
  const of = rows.map((row, n) => {
    const known = index.get(row);
    if (known !== undefined) {
      targets[known].push(n);
      return known;
    }
    index.set(row, targets.length);
    targets.push([n]);
    return targets.length - 1;
  });
  return { rows: Int32Array.from(index.keys()), of, targets };
}

/** log p(ids[n]) predicted at rows[n] of the last stream x `[T, d]`. Targets at one row (first tokens of a question's options) share its logits. */
export async function scoreTargets(
  model: OpenModel,
  x: Float32Array,
  targetRows: Int32Array,
  ids: Int32Array,
  conditions: Conditions,
  want: { readonly argmax?: boolean; readonly logits?: boolean } = {},
): Promise<TargetScores> {
  const { rows, of, targets } = distinct(targetRows);
  const h = await normed(model, x, rows, conditions);
  const all = logSum(rows.length);
  const picked = new Float64Array(ids.length);
  const best = want.argmax ? { value: new Float64Array(rows.length).fill(Number.NEGATIVE_INFINITY), id: new Int32Array(rows.length) } : null;
  const [vocabulary] = model.ends.head.shape;
  const keeps = want.logits && rows.length === ids.length && keepsLogits(model, ids.length);
  const kept = keeps ? new Float32Array(ids.length * vocabulary) : null;
  await eachSlice(model, conditions, (slice, first, last) =>
    eachRows(rows.length, slice, conditions.signal, (from, to) =>
      inScope(() => {
        const logits = sliceLogits(h, slice, from, to);
        reduceBlock(logits, all, from);
        const width = last - first;
        const inside: number[] = [];
        for (let row = from; row < to; row++) for (const n of targets[row]) if (ids[n] >= first && ids[n] < last) inside.push(n);
        if (inside.length > 0) {
          const flat = gatherRows(reshape(logits, [(to - from) * width, 1]), rowIndex(inside.map((n) => (of[n] - from) * width + ids[n] - first)));
          read(flat).forEach((value, i) => {
            picked[inside[i]] = value;
          });
        }
        if (!best && !kept) return;
        const values = kept?.subarray(from * vocabulary, to * vocabulary) ?? workRoom(0, (to - from) * width);
        readInto(logits, values);
        if (!best) return;
        for (let row = from; row < to; row++) {
          for (let v = 0; v < width; v++) {
            const value = values[(row - from) * width + v];
            if (value > best.value[row]) {
              best.value[row] = value;
              best.id[row] = first + v;
            }
          }
        }
      }),
    ),
  );
  const perRow = normaliser(all);
  const logSumExp = picked.map((_, n) => perRow[of[n]]);
  return { logp: picked.map((value, n) => value - logSumExp[n]), logSumExp, argmax: best ? of.map((row) => best.id[row]) : null, logits: kept };
}

/** Adds the gradients of a slice of the head, where it trains, from those of logits `[N, V']` of normed rows `[N, d]`. */
function addHeadGradients(model: OpenModel, weights: WeightGradients | undefined, first: number, dLogits: Tensor2D, h: () => Tensor2D): void {
  const { head, headBias } = model.ends;
  const rows = [first, first + dLogits.shape[1]] as const;
  if (weights?.trained.has(unitName(head)))
    addPartGradient(model, weights.gradients, { ...head, rows, shape: [dLogits.shape[1], head.shape[1]] }, matMul(dLogits, h(), true, false));
  if (headBias && weights?.trained.has(unitName(headBias)))
    addPartGradient(model, weights.gradients, { ...headBias, rows, shape: [dLogits.shape[1]] }, sum(dLogits, 0));
}

/** What the targets' own logits add to the gradients of the head: coefficient[n] at ids[n]. */
function addTargetGradients(
  model: OpenModel,
  weights: WeightGradients | undefined,
  targets: readonly number[],
  ids: Int32Array,
  coefficient: Float64Array,
  h: Float32Array,
): void {
  const { head, headBias } = model.ends;
  const d = head.shape[1];
  if (weights?.trained.has(unitName(head))) {
    const gradient = gradientOf(model, weights.gradients, head);
    for (const n of targets) addRow(gradient, ids[n], h, n * d, d, coefficient[n]);
  }
  if (headBias && weights?.trained.has(unitName(headBias))) {
    const gradient = gradientOf(model, weights.gradients, headBias);
    for (const n of targets) gradient[ids[n]] += coefficient[n];
  }
}

/** Gradient of a function of normed rows back through the final norm into the stream: dx `[T, d]` += . */
async function pullBackNorm(
  model: OpenModel,
  x: Float32Array,
  rows: Int32Array,
  dh: Float32Array,
  dx: Float32Array,
  conditions: Conditions,
  weights?: WeightGradients,
): Promise<void> {
  const d = model.shape.hiddenSize;
  const { norm } = model.ends;
  const own = takeRows(x, rows, d);
  const lease = await model.weights.lease(norm.parts, conditions.overlay);
  const trains = weights !== undefined && namesOfTrained(norm.parts, weights.trained).size > 0;
  const units = trains ? await unitsOnTape(model, norm.parts, weights, conditions.overlay) : null;
  try {
    await eachBlock(rows.length, blockRows(norm.parts, 3), (from, to) => {
      const gradient = inScope(() => {
        const shape = [to - from, d] as const;
        const [result, ...dUnits] = grads((y, ...trained) => norm.run(units ? { ...lease.w, ...units.parts(trained) } : lease.w, y as Tensor2D))(
          [upload(own.subarray(from * d, to * d), shape), ...(units?.tensors ?? [])],
          upload(dh.subarray(from * d, to * d), shape),
        );
        units?.add(dUnits);
        return read(result);
      });
      addRows(dx, rows.subarray(from, to), gradient, d);
    });
  } finally {
    units?.release();
    lease.release();
  }
}

/** Gradient of sum_n coefficient[n] * log p(ids[n] at rows[n]) with respect to the last stream: dx `[T, d]`; and to norm and head where they train. */
export async function pullBackTargets(
  model: OpenModel,
  x: Float32Array,
  rows: Int32Array,
  ids: Int32Array,
  coefficient: Float64Array,
  logSumExp: Float64Array,
  conditions: Conditions,
  kept: Float32Array | null = null,
  weights?: WeightGradients,
): Promise<Float32Array> {
  const d = model.shape.hiddenSize;
  const dx = new Float32Array(x.length);
  if (rows.length === 0) return dx;
  const h = await normed(model, x, rows, conditions);
  const dh = new Float32Array(h.length);
  await eachSlice(model, conditions, (slice, first, last) =>
    eachRows(rows.length, slice, conditions.signal, (from, to) =>
      inScope(() => {
        const logits = kept
          ? uploadMatrix(kept.subarray(from * (last - first), to * (last - first)), to - from, last - first)
          : sliceLogits(h, slice, from, to);
        const block = workRoom(0, (to - from) * d);
        const dLogits = scaledProbabilities(logits, from, logSumExp, (row) => -coefficient[row]);
        readInto(matMul(dLogits, slice.weight), block);
        addInto(dh.subarray(from * d, to * d), block);
        addHeadGradients(model, weights, first, dLogits, () => uploadMatrix(h.subarray(from * d, to * d), to - from, d));
        const inside: number[] = [];
        for (let n = from; n < to; n++) if (ids[n] >= first && ids[n] < last) inside.push(n);
        if (inside.length === 0) return;
        const targetRows = read(gatherRows(slice.weight, rowIndex(inside.map((n) => ids[n] - first))));
        addRows(
          dh,
          inside,
          targetRows,
          d,
          inside.map((n) => coefficient[n]),
        );
        addTargetGradients(model, weights, inside, ids, coefficient, h);
      }),
    ),
  );
  await pullBackNorm(model, x, rows, dh, dx, conditions, weights);
  return dx;
}

/** sum over rows of KL(original || current) at rows of two last streams, times `coefficient`; and its gradient for the current stream. */
export async function klDivergence(
  model: OpenModel,
  x: Float32Array,
  original: Float32Array,
  rows: Int32Array,
  coefficient: number,
  conditions: Conditions,
): Promise<{ value: number; perRow: Float64Array; pullBack: (weights?: WeightGradients) => Promise<Float32Array> }> {
  const d = model.shape.hiddenSize;
  const reference: Conditions = { ...conditions, overlay: new Map(), forbidden: new Map() };
  const now = await normed(model, x, rows, conditions);
  const then = await normed(model, original, rows, reference);
  const nowSum = logSum(rows.length);
  const thenSum = logSum(rows.length);
  await eachSlice(
    model,
    conditions,
    (slice, _first, _last, before) =>
      eachRows(rows.length, slice, conditions.signal, (from, to) =>
        inScope(() => {
          reduceBlock(sliceLogits(now, slice, from, to), nowSum, from);
          reduceBlock(sliceLogits(then, before, from, to), thenSum, from);
        }),
      ),
    true,
  );
  const nowNormaliser = normaliser(nowSum);
  const thenNormaliser = normaliser(thenSum);
  const column = (values: Float64Array, from: number, to: number) => upload(Float32Array.from(values.subarray(from, to)), [to - from, 1]);
  const perRow = new Float64Array(rows.length);
  await eachSlice(
    model,
    conditions,
    (slice, _first, _last, before) =>
      eachRows(rows.length, slice, conditions.signal, (from, to) =>
        inScope(() => {
          const logNow = sub(sliceLogits(now, slice, from, to), column(nowNormaliser, from, to));
          const logThen = sub(sliceLogits(then, before, from, to), column(thenNormaliser, from, to));
          read(sum(mul(exp(logThen), sub(logThen, logNow)), 1)).forEach((value, i) => {
            perRow[from + i] += value;
          });
        }),
      ),
    true,
  );
  return {
    value: coefficient * perRow.reduce((total, value) => total + value, 0),
    perRow,
    async pullBack(weights) {
      const dx = new Float32Array(x.length);
      const dh = new Float32Array(now.length);
      await eachSlice(
        model,
        conditions,
        (slice, first, _last, before) =>
          eachRows(rows.length, slice, conditions.signal, (from, to) =>
            inScope(() => {
              const pNow = scaledProbabilities(sliceLogits(now, slice, from, to), from, nowNormaliser, () => coefficient);
              const pThen = scaledProbabilities(sliceLogits(then, before, from, to), from, thenNormaliser, () => coefficient);
              const dLogits = sub(pNow, pThen) as Tensor2D;
              const block = read(matMul(dLogits, slice.weight));
              addHeadGradients(model, weights, first, dLogits, () => uploadMatrix(now.subarray(from * d, to * d), to - from, d));
              for (let i = 0; i < block.length; i++) dh[from * d + i] += block[i];
            }),
          ),
        true,
      );
      await pullBackNorm(model, x, rows, dh, dx, conditions, weights);
      return dx;
    },
  };
}

/** Logits `[N, V]` at rows of the last stream. */
export async function logitsAt(model: OpenModel, x: Float32Array, rows: Int32Array, conditions: Conditions): Promise<Float32Array> {
  const [vocabulary] = model.ends.head.shape;
  const h = await normed(model, x, rows, conditions);
  const out = new Float32Array(rows.length * vocabulary);
  await eachSlice(model, conditions, (slice, first, last) =>
    eachRows(rows.length, slice, conditions.signal, (from, to) =>
      inScope(() => {
        const width = last - first;
        const values = read(sliceLogits(h, slice, from, to));
        for (let n = from; n < to; n++) out.set(values.subarray((n - from) * width, (n - from + 1) * width), n * vocabulary + first);
      }),
    ),
  );
  return out;
}
