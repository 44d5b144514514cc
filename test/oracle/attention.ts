/** Causal attention with grouped query heads: every family but deepseek. */
import type { Parts } from './checkpoint';
import type { OracleConfig } from './config';
import { dot, linear, type Matrix, rmsNorm, softmax, zeros } from './matrix';
import { ropeOf, rotate } from './rope';

/** Head h of every row: [tokens, width] -> [tokens, size]. */
const head = (x: Matrix, h: number, size: number): Matrix => x.map((row) => row.slice(h * size, (h + 1) * size));

/** softmax(q k^T * scale) v of one head; query t sees keys up to t, and with a window only those with t - key < window. A sink is one more logit without a value. */
export function attendHead(q: Matrix, k: Matrix, v: Matrix, scale: number, window: number | null, sink?: number): Matrix {
  return q.map((query, t) => {
    const first = window === null ? 0 : Math.max(0, t - window + 1);
    const keys = Array.from({ length: t - first + 1 }, (_, i) => first + i);
    const scores = keys.map((key) => dot(query, k[key]) * scale);
    const weights = softmax(Float64Array.from(sink === undefined ? scores : [...scores, sink]));
    const out = new Float64Array(v[0].length);
    keys.forEach((key, i) => {
      for (let j = 0; j < out.length; j++) out[j] += weights[i] * v[key][j];
    });
    return out;
  });
}

/** Puts heads side by side: [heads][tokens, size] -> [tokens, heads * size]. */
export function joinHeads(heads: Matrix[]): Matrix {
  const size = heads[0][0].length;
  const joined = zeros(heads[0].length, heads.length * size);
  heads.forEach((rows, h) => {
    rows.forEach((row, t) => {
      joined[t].set(row, h * size);
    });
  });
  return joined;
}

/** x: the normed residual stream [tokens, hidden]; gives the output projection [tokens, hidden]. */
export function groupedQueryAttention(config: OracleConfig, part: Parts, x: Matrix, window: number | null): Matrix {
  const family = config.model_type;
  const inputBias = family === 'qwen2_moe' ? config.qkv_bias : family !== 'mixtral' && config.attention_bias;
  const outputBias = ['qwen3_moe', 'olmoe', 'phimoe', 'gpt_oss'].includes(family) && config.attention_bias;
  const headNorms = family === 'qwen3_moe' || (family === 'glm4_moe' && config.use_qk_norm);
  const sinks = family === 'gpt_oss' ? part('sinks').values : null;
  const project = (name: string): Matrix => linear(x, part(`${name}.weight`), inputBias ? part(`${name}.bias`) : undefined);
  let q = project('q_proj');
  let k = project('k_proj');
  let v = project('v_proj');
  if (family === 'olmoe') {
    // OLMoE norms the full width before the heads are split, then clips queries, keys and values.
    q = q.map((row) => rmsNorm(row, part('q_norm.weight'), config.rms_norm_eps));
    k = k.map((row) => rmsNorm(row, part('k_norm.weight'), config.rms_norm_eps));
    const limit = config.clip_qkv;
    if (limit !== null) [q, k, v] = [q, k, v].map((rows) => rows.map((row) => row.map((value) => Math.min(Math.max(value, -limit), limit))));
  }
  const rope = ropeOf(config.rope, config.rotary_dim, x.length);
  const headsPerKey = config.num_attention_heads / config.num_key_value_heads;
  const prepared = (rows: Matrix, h: number, norm: string): Matrix =>
    head(rows, h, config.head_dim).map((row, t) => {
      const normed = headNorms ? rmsNorm(row, part(norm), config.rms_norm_eps) : row;
      return rotate(normed, t, rope, false);
    });
  const outputs = Array.from({ length: config.num_attention_heads }, (_, h) => {
    const group = Math.floor(h / headsPerKey);
    const [own, keys] = [prepared(q, h, 'q_norm.weight'), prepared(k, group, 'k_norm.weight')];
    return attendHead(own, keys, head(v, group, config.head_dim), config.head_dim ** -0.5, window, sinks?.[h]);
  });
  return linear(joinHeads(outputs), part('o_proj.weight'), outputBias ? part('o_proj.bias') : undefined);
}
