/**
 * Products with frozen weights on bf16 operands (precision "fast"), summed by oneDNN in f32 and rounded to bf16 once. The weights are bf16 in
 * the checkpoint and lose nothing; activations and results keep 8 of 24 bits. As fast as the processor's bf16 instructions: twice f32 on AMD
 * Zen 4, slower than f32 on Intel without AMX (`uoe doctor` measures it).
 */
import type { KernelConfig, NamedAttrMap, NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs-core';
import { mayBeFast } from '../precision';

interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

/** What is used of the addon. */
export interface RawOperations {
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_BOOL: number;
  executeOp(name: string, attributes: readonly Attribute[], inputs: readonly number[], outputs: number): { readonly id: number }[];
  deleteTensor(id: number): void;
}

/** What is used of the package's backend. */
interface Tensors {
  getInputTensorIds(tensors: readonly TensorInfo[]): number[];
  createOutputTensor(made: object): TensorInfo;
}

/** TensorFlow's numbers of the element types. */
const [FLOAT, BFLOAT16] = [1, 14];

export interface Bf16Products {
  /** In place of BatchMatMul's kernel: takes bf16 operands where it may, else it is `stock`. */
  kernel(stock: NonNullable<KernelConfig['kernelFunc']>): NonNullable<KernelConfig['kernelFunc']>;
  /** A tensor is gone: so is what was made of it. */
  drop(dataId: object): void;
}

export function bf16Products(binding: RawOperations): Bf16Products {
  const twins = new Map<object, number>();
  const cast = (id: number, from: number, to: number) =>
    binding.executeOp(
      'Cast',
      [
        { name: 'SrcT', type: binding.TF_ATTR_TYPE, value: from },
        { name: 'DstT', type: binding.TF_ATTR_TYPE, value: to },
        { name: 'Truncate', type: binding.TF_ATTR_BOOL, value: false },
      ],
      [id],
      1,
    )[0];
  return {
    kernel: (stock) => (given) => {
      const { a, b } = given.inputs as NamedTensorInfoMap & { a: TensorInfo; b: TensorInfo };
      if (a.shape.length !== 2 || b.shape.length !== 2 || !mayBeFast(b)) return stock(given);
      const { transposeA, transposeB } = given.attrs as NamedAttrMap & { transposeA: boolean; transposeB: boolean };
      const backend = given.backend as Tensors;
      const [left, right] = backend.getInputTensorIds([a, b]);
      let twin = twins.get(b.dataId);
      if (twin === undefined) {
        twin = cast(right, FLOAT, BFLOAT16).id;
        twins.set(b.dataId, twin);
      }
      const rounded = cast(left, FLOAT, BFLOAT16).id;
      const [product] = binding.executeOp(
        'BatchMatMulV2',
        [
          { name: 'T', type: binding.TF_ATTR_TYPE, value: BFLOAT16 },
          { name: 'adj_x', type: binding.TF_ATTR_BOOL, value: transposeA },
          { name: 'adj_y', type: binding.TF_ATTR_BOOL, value: transposeB },
        ],
        [rounded, twin],
        1,
      );
      const widened = cast(product.id, BFLOAT16, FLOAT);
      binding.deleteTensor(rounded);
      binding.deleteTensor(product.id);
      return backend.createOutputTensor(widened);
    },
    drop(dataId) {
      const twin = twins.get(dataId);
      if (twin === undefined) return;
      twins.delete(dataId);
      binding.deleteTensor(twin);
    },
  };
}
