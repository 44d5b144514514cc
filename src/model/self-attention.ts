/** Grouped-query self-attention with rotary halves: the families without a latent differ in biases, norms, clipping, rotary width and sinks. */
import type { TensorRef } from '../protocol/tensors';
import { clipByValue, concat, reshape, slice, type Tensor2D, type Tensor3D } from '../tensor/tf';
import type { Attention, NormKind, Parts, Rotation, TensorNames, Weights } from './family';
import { linear } from './linear';
import { layerNorm, rmsNorm } from './norm';
import { type RopeTable, rotate } from './rope';

export interface SelfAttentionSettings {
  /** ".../layers.N" */
  readonly prefix: string;
  readonly d: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly eps: number;
  /** Of the norm before it. */
  readonly norm?: NormKind;
  /** Its dim may be below headDim: then the first places of a head turn and the others stay. */
  readonly rope: RopeTable;
  readonly window: number | null;
  readonly bias: { readonly qkv: boolean; readonly output: boolean };
  /** RMSNorm on queries and keys: per head, over the full width before splitting heads, or none. */
  readonly queryKeyNorm: 'none' | 'head' | 'full';
  /** Clamp q, k and v to [-clip, clip] before rotating. */
  readonly clip: number | null;
  /** One more logit a head in the softmax. */
  readonly sinks?: boolean;
}

/** Rotates the first `dim` places of every head: x `[N, heads, headDim]`. */
function rotateFirst(x: Tensor3D, { cos, sin }: Rotation, dim: number): Tensor3D {
  const [rows, heads, headDim] = x.shape;
  if (dim === headDim) return rotate(x, cos, sin, 'halves');
  const turned = rotate(slice(x, [0, 0, 0], [rows, heads, dim]), cos, sin, 'halves');
  return concat([turned, slice(x, [0, 0, dim], [rows, heads, headDim - dim])], 2) as Tensor3D;
}

export function selfAttention(settings: SelfAttentionSettings, names: TensorNames): Attention {
  const { prefix, d, heads, kvHeads, headDim, eps, queryKeyNorm, clip, bias } = settings;
  const ref = (name: string, shape: readonly number[]): TensorRef => ({ name: names.stored(`${prefix}.${name}`), shape });
  const width = { q: heads * headDim, k: kvHeads * headDim, v: kvHeads * headDim };
  const normWidth = (own: number) => (queryKeyNorm === 'head' ? headDim : own);
  const parts: Parts = {
    norm: ref('input_layernorm.weight', [d]),
    ...(settings.norm === 'layer' ? { normBias: ref('input_layernorm.bias', [d]) } : {}),
    q: ref('self_attn.q_proj.weight', [width.q, d]),
    k: ref('self_attn.k_proj.weight', [width.k, d]),
    v: ref('self_attn.v_proj.weight', [width.v, d]),
    o: ref('self_attn.o_proj.weight', [d, width.q]),
    ...(bias.qkv
      ? { qBias: ref('self_attn.q_proj.bias', [width.q]), kBias: ref('self_attn.k_proj.bias', [width.k]), vBias: ref('self_attn.v_proj.bias', [width.v]) }
      : {}),
    ...(bias.output ? { oBias: ref('self_attn.o_proj.bias', [d]) } : {}),
    ...(queryKeyNorm === 'none'
      ? {}
      : { qNorm: ref('self_attn.q_norm.weight', [normWidth(width.q)]), kNorm: ref('self_attn.k_norm.weight', [normWidth(width.k)]) }),
    ...(settings.sinks ? { sinks: ref('self_attn.sinks', [heads]) } : {}),
  };
  const { dim } = settings.rope;
  const before = (w: Weights, x: Tensor2D) => (settings.norm === 'layer' ? layerNorm(x, w.norm, w.normBias, eps) : rmsNorm(x, w.norm, eps));
  return {
    parts,
    heads,
    kvHeads,
    keyWidth: headDim,
    valueWidth: headDim,
    scale: headDim ** -0.5,
    window: settings.window,
    rope: settings.rope,
    ropeLayout: 'halves',
    project(w, x, rotation) {
      const rows = x.shape[0];
      const normed = before(w, x);
      const clipped = <T extends Parameters<typeof clipByValue>[0] & object>(y: T): T => (clip === null ? y : (clipByValue(y, -clip, clip) as unknown as T));
      const headsOf = (name: 'q' | 'k' | 'v', count: number): Tensor3D => {
        const flat = linear(normed, w[name], w[`${name}Bias`]);
        const norm = w[`${name}Norm`];
        if (queryKeyNorm === 'full' && norm) return reshape(clipped(rmsNorm(flat, norm, eps)), [rows, count, headDim]);
        const split = reshape(flat, [rows, count, headDim]) as Tensor3D;
        return clipped(queryKeyNorm === 'head' && norm ? rmsNorm(split, norm, eps) : split);
      };
      return {
        q: rotateFirst(headsOf('q', heads), rotation, dim),
        k: rotateFirst(headsOf('k', kvHeads), rotation, dim),
        v: headsOf('v', kvHeads),
      };
    },
    output: (w, context) => linear(context, w.o, w.oBias),
  };
}
