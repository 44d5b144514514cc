/**
 * Products of a single row. With more than about a thousand columns TensorFlow sums them in another order than a row among others
 * (relative difference 1e-6, measured), and passes/frozen-outputs.ts keeps rows whatever rows they were computed beside.
 */
import {
  concat,
  getKernel,
  type KernelConfig,
  type NamedAttrMap,
  registerKernel,
  slice,
  type Tensor2D,
  type TensorInfo,
  unregisterKernel,
} from '@tensorflow/tfjs-core';

/** A single row is multiplied twice over, as two rows. */
export function installRowProduct(name: string): void {
  const stock = getKernel(name, 'tensorflow') as KernelConfig;
  unregisterKernel(name, 'tensorflow');
  registerKernel({
    ...stock,
    kernelFunc: (given) => {
      const { a } = given.inputs as { a: TensorInfo };
      const { transposeA } = given.attrs as NamedAttrMap & { transposeA: boolean };
      if (a.shape.length !== 2 || a.shape[transposeA ? 1 : 0] !== 1) return stock.kernelFunc(given);
      const doubled = concat([a as Tensor2D, a as Tensor2D], transposeA ? 1 : 0);
      const product = stock.kernelFunc({ ...given, inputs: { ...given.inputs, a: doubled } }) as Tensor2D;
      const row = slice(product, [0, 0], [1, product.shape[1]]);
      doubled.dispose();
      product.dispose();
      return row;
    },
  });
}
