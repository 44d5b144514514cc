/**
 * Kernels whose bits for a row depend on what is computed beside it, made steady: what is kept of a pass (passes/frozen-outputs.ts), and a run
 * that is resumed, rest on a row having the same bits in any company. Measured on TensorFlow 2.21: products of a single row of more than about a
 * thousand columns are summed in another order than a row among others (relative difference 1e-6); and the last elements of an array whose
 * size is no multiple of the processor's vector go through another exp, log, pow, rsqrt and sigmoid (3e-7). Products are otherwise steady,
 * also for other numbers of threads (test/tensor/rows.test.ts). None of this is known of CUDA devices.
 */
import {
  BatchMatMul,
  concat,
  Exp,
  getKernel,
  Log,
  type NamedAttrMap,
  type NamedTensorInfoMap,
  ones,
  Pow,
  Rsqrt,
  registerKernel,
  reshape,
  Sigmoid,
  Softmax,
  slice,
  type Tensor,
  type TensorInfo,
  unregisterKernel,
  util,
} from '@tensorflow/tfjs-core';

type Kernel = (given: { inputs: NamedTensorInfoMap; backend: object; attrs?: NamedAttrMap }) => TensorInfo | TensorInfo[];

function replace(name: string, make: (stock: Kernel) => Kernel): void {
  const config = getKernel(name, 'tensorflow');
  if (!config) throw new Error(`The native backend has no kernel ${name}.`);
  unregisterKernel(name, 'tensorflow');
  registerKernel({ ...config, kernelFunc: make(config.kernelFunc as Kernel) });
}

/** A single row is multiplied twice over, as two rows. */
const asTwoRows =
  (stock: Kernel): Kernel =>
  (given) => {
    const a = given.inputs.a as Tensor;
    const { transposeA } = given.attrs as NamedAttrMap & { transposeA: boolean };
    if (a.shape.length !== 2 || a.shape[transposeA ? 1 : 0] !== 1) return stock(given);
    const doubled = concat([a, a], transposeA ? 1 : 0);
    const product = stock({ ...given, inputs: { ...given.inputs, a: doubled } }) as Tensor;
    const row = slice(product, [0, 0], [1, product.shape[1] as number]);
    doubled.dispose();
    product.dispose();
    return row;
  };

/** Elements of the longest vector of a processor (AVX-512). */
const vector = 16;

/** Elements past the last whole vector get company: ones, for which all of these functions are defined. */
const inWholeVectors =
  (input: 'x' | 'a') =>
  (stock: Kernel): Kernel =>
  (given) => {
    const x = given.inputs[input] as Tensor;
    const size = util.sizeFromShape(x.shape);
    const missing = (vector - (size % vector)) % vector;
    const other = input === 'a' ? (given.inputs.b as TensorInfo) : null;
    if (missing === 0 || size === 0 || x.dtype !== 'float32' || (other !== null && util.sizeFromShape(other.shape) !== 1)) return stock(given);
    const flat = reshape(x, [size]);
    const rest = ones([missing]);
    const whole = concat([flat, rest]);
    const done = stock({ ...given, inputs: { ...given.inputs, [input]: whole } }) as Tensor;
    const own = slice(done, [0], [size]);
    const shaped = reshape(own, x.shape);
    for (const part of [flat, rest, whole, done, own]) part.dispose();
    return shaped;
  };

/** TensorFlow takes the reciprocals of all rows' sums together, in vectors: rows past the last whole one get company. */
const softmaxInWholeVectors =
  (stock: Kernel): Kernel =>
  (given) => {
    const logits = given.inputs.logits as Tensor;
    const width = logits.shape.at(-1) ?? 1;
    const rows = util.sizeFromShape(logits.shape) / width;
    const missing = (vector - (rows % vector)) % vector;
    if (missing === 0 || width === 0) return stock(given);
    const flat = reshape(logits, [rows, width]);
    const rest = ones([missing, width]);
    const whole = concat([flat, rest]);
    const done = stock({ ...given, inputs: { logits: whole } }) as Tensor;
    const own = slice(done, [0, 0], [rows, width]);
    const shaped = reshape(own, logits.shape);
    for (const part of [flat, rest, whole, done, own]) part.dispose();
    return shaped;
  };

/** `products`: what stands in for the product's kernel, inside. */
export function steadyKernels(products: (stock: Kernel) => Kernel): void {
  replace(BatchMatMul, (stock) => asTwoRows(products(stock)));
  for (const name of [Exp, Log, Rsqrt, Sigmoid]) replace(name, inWholeVectors('x'));
  replace(Pow, inWholeVectors('a'));
  replace(Softmax, softmaxInWholeVectors);
}
