/** The few operations a transformer needs, as loops over rows. A Matrix is a list of rows, [tokens, width]. */
import type { OracleTensor } from './safetensors';

export type Matrix = Float64Array[];

export const zeros = (rows: number, columns: number): Matrix => Array.from({ length: rows }, () => new Float64Array(columns));

export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

export const add = (a: Matrix, b: Matrix): Matrix => a.map((row, t) => row.map((value, i) => value + b[t][i]));

/** y = x W^T + b, W stored as [out, in] like torch.nn.Linear. */
export function linear(x: Matrix, weight: OracleTensor, bias?: OracleTensor): Matrix {
  const [outputs, inputs] = weight.shape;
  const w = weight.values;
  return x.map((row) => {
    if (row.length !== inputs) throw new Error(`A row of ${row.length} meets a weight of shape [${weight.shape.join(', ')}].`);
    const y = new Float64Array(outputs);
    for (let o = 0, at = 0; o < outputs; o++) {
      let sum = bias ? bias.values[o] : 0;
      for (let i = 0; i < inputs; i++, at++) sum += row[i] * w[at];
      y[o] = sum;
    }
    return y;
  });
}

/** x / sqrt(mean(x^2) + eps) * weight. */
export function rmsNorm(row: Float64Array, weight: OracleTensor, eps: number): Float64Array {
  const scale = 1 / Math.sqrt(dot(row, row) / row.length + eps);
  return row.map((value, i) => value * scale * weight.values[i]);
}

/** (x - mean(x)) / sqrt(var(x) + eps) * weight + bias. */
export function layerNorm(row: Float64Array, weight: OracleTensor, bias: OracleTensor, eps: number): Float64Array {
  const mean = row.reduce((a, b) => a + b, 0) / row.length;
  const normed = rmsNorm(
    row.map((value) => value - mean),
    weight,
    eps,
  );
  return normed.map((value, i) => value + bias.values[i]);
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const silu = (x: number): number => x * sigmoid(x);

/** log sigmoid(x), without overflow on either side. */
export const logSigmoid = (x: number): number => (x >= 0 ? -Math.log1p(Math.exp(-x)) : x - Math.log1p(Math.exp(x)));

/** log softmax; an entry of -Infinity stays -Infinity. */
export function logSoftmax(row: Float64Array): Float64Array {
  const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const logSum = largest + Math.log(row.reduce((sum, value) => sum + Math.exp(value - largest), 0));
  return row.map((value) => value - logSum);
}

export const softmax = (row: Float64Array): Float64Array => logSoftmax(row).map(Math.exp);
