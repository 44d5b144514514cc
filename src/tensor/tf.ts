/**
 * The door to TensorFlow.js: the operations that are right on every backend, and nothing else.
 * Not here on purpose: einsum (no wasm kernel), gather with batchDims, scatterND by itself, fused matMul with bias (wrong
 * values on wasm), matMul with partly broadcast batches (wrong on three backends), topk (no gradient; choices are made in JavaScript).
 */
import '@tensorflow/tfjs-core/dist/register_all_gradients';

export type { Tensor, Tensor2D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
export {
  add,
  cast,
  clipByValue,
  concat,
  div,
  equal,
  exp,
  grads,
  log,
  matMul,
  max,
  mean,
  minimum,
  mul,
  neg,
  reshape,
  rsqrt,
  sigmoid,
  slice,
  softmax,
  square,
  sub,
  sum,
  tile,
  transpose,
} from '@tensorflow/tfjs-core';
