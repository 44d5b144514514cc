/**
 * Random tiny checkpoints of every family, as Hugging Face folders: for property tests that compare the program with the oracle
 * over configurations nobody wrote down. What is drawn: depth, widths, grouped heads, windows, biases, norms, rope kinds, both
 * spellings of config.json, dense layers, groups, renormalising, scaling, tied head, dtype, shards, expert layout.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Checkpoint } from './checkpoint';
import { completeConfig, type Family, type OracleConfig, type RawConfig } from './config';
import { fromLabels, type OracleSequence } from './losses';
import { forward, selectionGap } from './model';
import { type Random, randomOf } from './random';
import { type OracleTensor, roundTo, type StoredDtype, writeSafetensors } from './safetensors';

/** A float32 program may not take another expert than the oracle: no decision of the sequences is closer than this. */
export const safeSelectionGap = 1e-3;

export interface TinyCheckpoint {
  /** What config.json holds. */
  readonly config: RawConfig;
  readonly family: Family;
  /** Sequences on which no routing decision is closer than safeSelectionGap. */
  readonly forget: readonly OracleSequence[];
  readonly retain: readonly OracleSequence[];
  /** Distance of the closest routing decision on them. */
  readonly gap: number;
  /** The checkpoint as it lies in the folder, rounded to its dtype. */
  readonly checkpoint: Checkpoint;
}

type RawRope = Record<string, unknown> | null;

/** A rope scaling that the family's class accepts, or null. */
function tinyRope(family: Family, random: Random): RawRope {
  const deepseek = family === 'deepseek_v2' || family === 'deepseek_v3';
  const kind = random.pick(['default', 'default', 'linear', 'llama3', 'yarn', 'yarn']);
  if (kind === 'linear') return { type: 'linear', factor: random.pick([2, 4]) };
  if (kind === 'llama3') return { type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 };
  if (kind === 'default') return null;
  const yarn: Record<string, unknown> = { type: 'yarn', factor: random.pick([4, 40]), original_max_position_embeddings: 64 };
  if (random.chance(0.5)) Object.assign(yarn, { beta_fast: random.pick([16, 32]), beta_slow: random.pick([1, 2]) });
  if (deepseek && random.chance(0.7)) {
    const mscale = random.pick([0.7, 1]);
    Object.assign(yarn, { mscale, mscale_all_dim: random.pick([mscale, 0.5]) });
  } else if (random.chance(0.5)) {
    yarn.attention_factor = 1.25;
  }
  return yarn;
}

/** PhiMoE's longrope, whose original length some sequences pass, or null. */
function tinyLongRope(headDim: number, random: Random): RawRope {
  if (random.chance(0.3)) return null;
  const divisors = () => Array.from({ length: headDim / 2 }, () => 1 + random.integer(0, 20) / 10);
  return { type: 'longrope', short_factor: divisors(), long_factor: divisors(), short_mscale: 1.1, long_mscale: 1.3, original_max_position_embeddings: 6 };
}

/** Old spelling: rope_theta, rope_scaling, torch_dtype. New: rope_parameters, dtype. */
function spelled(config: Record<string, unknown>, rope: RawRope, theta: number, dtype: string, random: Random): RawConfig {
  if (random.chance(0.5)) return { ...config, rope_theta: theta, rope_scaling: rope, torch_dtype: dtype };
  const { type, ...rest } = rope ?? { type: 'default' };
  return { ...config, rope_parameters: { rope_type: type, rope_theta: theta, ...rest }, dtype };
}

/** A random config.json of the family. */
export function tinyConfig(family: Family, random: Random): RawConfig {
  const heads = random.pick([2, 4]);
  const headDim = random.pick([4, 8]);
  const hidden = heads * headDim;
  const layers = random.integer(2, 4);
  const experts = random.pick([4, 6, 8]);
  const k = random.integer(1, 3);
  const common: Record<string, unknown> = {
    model_type: family,
    hidden_act: 'silu',
    bos_token_id: 1,
    eos_token_id: 2,
    vocab_size: random.integer(40, 60),
    hidden_size: hidden,
    intermediate_size: random.integer(6, 12) * 2,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: random.pick([1, heads / 2, heads]),
    num_experts_per_tok: k,
    max_position_embeddings: 256,
    rms_norm_eps: random.pick([1e-5, 1e-6]),
    tie_word_embeddings: random.chance(0.3),
  };
  const shape: Record<Family, () => Record<string, unknown>> = {
    mixtral: () => ({
      architectures: ['MixtralForCausalLM'],
      num_local_experts: experts,
      head_dim: random.chance(0.5) ? 8 : headDim,
      sliding_window: random.pick([null, 3, 5]),
    }),
    qwen2_moe: () => ({
      architectures: ['Qwen2MoeForCausalLM'],
      num_experts: experts,
      moe_intermediate_size: random.integer(4, 8) * 2,
      shared_expert_intermediate_size: random.integer(4, 10) * 2,
      norm_topk_prob: random.chance(0.5),
      qkv_bias: random.chance(0.8),
      ...qwenLayers(layers, random),
      ...qwen2Windows(layers, random),
    }),
    qwen3_moe: () => ({
      architectures: ['Qwen3MoeForCausalLM'],
      // A re-saved checkpoint of this family carries the second name.
      [random.pick(['num_experts', 'num_local_experts'])]: experts,
      moe_intermediate_size: random.integer(4, 8) * 2,
      head_dim: random.pick([headDim, 6, 10]),
      norm_topk_prob: random.chance(0.5),
      attention_bias: random.chance(0.4),
      ...qwenLayers(layers, random),
      ...random.pick([{ use_sliding_window: true, sliding_window: 4 }, { use_sliding_window: false, sliding_window: 4 }, {}]),
    }),
    olmoe: () => ({
      architectures: ['OlmoeForCausalLM'],
      num_experts: experts,
      norm_topk_prob: random.chance(0.5),
      attention_bias: random.chance(0.3),
      clip_qkv: random.pick([null, 0.6, 1.5]),
    }),
    deepseek_v2: () => ({
      architectures: ['DeepseekV2ForCausalLM'],
      ...latent(heads, layers, random),
      n_routed_experts: 8,
      n_shared_experts: random.pick([1, 2]),
      routed_scaling_factor: random.pick([0.5, 1.5, 2.5]),
      norm_topk_prob: false,
      scoring_func: 'softmax',
      mlp_bias: random.chance(0.2),
      ...random.pick([
        { topk_method: 'greedy', n_group: 1, topk_group: 1 },
        { topk_method: 'group_limited_greedy', n_group: 4, topk_group: 2 },
        { topk_method: 'group_limited_greedy', n_group: 2, topk_group: 1 },
      ]),
    }),
    deepseek_v3: () => ({
      architectures: ['DeepseekV3ForCausalLM'],
      ...latent(heads, layers, random),
      n_routed_experts: 8,
      n_shared_experts: random.pick([1, 2]),
      routed_scaling_factor: random.pick([0.5, 1.5, 2.5]),
      norm_topk_prob: random.chance(0.7),
      scoring_func: 'sigmoid',
      topk_method: 'noaux_tc',
      num_nextn_predict_layers: 0,
      rope_interleave: random.chance(0.7),
      ...random.pick([
        { n_group: 1, topk_group: 1 },
        { n_group: 4, topk_group: 2 },
        { n_group: 2, topk_group: 1 },
      ]),
    }),
    phimoe: () => ({
      architectures: ['PhimoeForCausalLM'],
      num_local_experts: experts,
      num_experts_per_tok: 2,
      head_dim: headDim,
      sliding_window: random.pick([null, 3, 5]),
      router_jitter_noise: random.pick([0.2, 0.4]),
      attention_bias: random.chance(0.6),
      lm_head_bias: random.chance(0.6),
    }),
    glm4_moe: () => ({
      architectures: ['Glm4MoeForCausalLM'],
      n_routed_experts: 8,
      n_shared_experts: random.pick([1, 2]),
      moe_intermediate_size: random.integer(4, 8) * 2,
      head_dim: random.pick([8, 12]),
      ...random.pick([{ partial_rotary_factor: 1 }, { partial_rotary_factor: 0.5 }, {}]),
      attention_bias: random.chance(0.6),
      use_qk_norm: random.chance(0.5),
      first_k_dense_replace: random.integer(0, layers - 1),
      norm_topk_prob: random.chance(0.7),
      routed_scaling_factor: random.pick([0.5, 1.5, 2.5]),
      ...random.pick([
        { n_group: 1, topk_group: 1 },
        { n_group: 4, topk_group: 2 },
        { n_group: 2, topk_group: 1 },
      ]),
    }),
    gpt_oss: () => ({
      architectures: ['GptOssForCausalLM'],
      num_local_experts: experts,
      head_dim: random.pick([headDim, 6]),
      attention_bias: random.chance(0.7),
      sliding_window: random.pick([3, 4]),
      swiglu_limit: random.pick([1, 7]),
      ...random.pick([{}, { layer_types: Array.from({ length: layers }, () => random.pick(['sliding_attention', 'full_attention'])) }]),
    }),
  };
  const dtype = random.pick(['float32', 'float32', 'bfloat16', 'float16']);
  const own = { ...common, ...shape[family]() };
  const rope = family === 'phimoe' ? tinyLongRope(headDim, random) : tinyRope(family, random);
  return spelled(own, rope, random.pick([100, 10000, 1000000]), dtype, random);
}

const qwenLayers = (layers: number, random: Random): Record<string, unknown> =>
  random.pick([
    {},
    { decoder_sparse_step: 1, mlp_only_layers: [] },
    { decoder_sparse_step: 1, mlp_only_layers: [random.integer(0, layers - 1)] },
    { decoder_sparse_step: 2, mlp_only_layers: [] },
  ]);

const qwen2Windows = (layers: number, random: Random): Record<string, unknown> =>
  random.pick([
    { use_sliding_window: false, sliding_window: 4 },
    { use_sliding_window: true, sliding_window: 3, max_window_layers: random.integer(1, layers) },
    { use_sliding_window: true, sliding_window: 4, layer_types: Array.from({ length: layers }, () => random.pick(['sliding_attention', 'full_attention'])) },
  ]);

const latent = (heads: number, layers: number, random: Random): Record<string, unknown> => ({
  num_key_value_heads: heads,
  q_lora_rank: random.pick([null, 10]),
  kv_lora_rank: random.integer(4, 8) * 2,
  qk_nope_head_dim: random.pick([4, 6]),
  qk_rope_head_dim: random.pick([4, 8]),
  v_head_dim: random.pick([4, 6]),
  attention_bias: random.chance(0.3),
  moe_intermediate_size: random.integer(4, 8) * 2,
  first_k_dense_replace: random.integer(0, layers - 1),
});

/** How expert tensors are named: one by one as published, or aggregated in 3-D tensors. */
export type ExpertLayout = 'separate' | 'fused';

/** Name and shape of every tensor of a checkpoint, in file order. */
export function tensorShapes(config: OracleConfig, layout: ExpertLayout): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  const { hidden_size: d, moe_intermediate_size: m, num_experts: experts } = config;
  const family = config.model_type;
  const deepseek = family === 'deepseek_v2' || family === 'deepseek_v3';
  const sigmoid = family === 'deepseek_v3' || family === 'glm4_moe';
  const publishedApart = family === 'mixtral' || family === 'phimoe';
  const projection = (name: string, outputs: number, inputs: number, bias = false): void => {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    if (bias) shapes.set(`${name}.bias`, [outputs]);
  };
  const norm = (name: string, width: number): void => {
    shapes.set(`${name}.weight`, [width]);
    if (family === 'phimoe') shapes.set(`${name}.bias`, [width]);
  };
  const mlp = (name: string, width: number, bias = false): void => {
    projection(`${name}.gate_proj`, width, d, bias);
    projection(`${name}.up_proj`, width, d, bias);
    projection(`${name}.down_proj`, d, width, bias);
  };
  const grouped = (at: string): void => {
    const inputBias = family === 'qwen2_moe' ? config.qkv_bias : family !== 'mixtral' && config.attention_bias;
    const queries = config.num_attention_heads * config.head_dim;
    const keys = config.num_key_value_heads * config.head_dim;
    projection(`${at}.q_proj`, queries, d, inputBias);
    projection(`${at}.k_proj`, keys, d, inputBias);
    projection(`${at}.v_proj`, keys, d, inputBias);
    projection(`${at}.o_proj`, d, queries, family !== 'qwen2_moe' && family !== 'glm4_moe' && inputBias);
    if (family === 'gpt_oss') shapes.set(`${at}.sinks`, [config.num_attention_heads]);
    if (family === 'olmoe') norm(`${at}.q_norm`, queries);
    if (family === 'olmoe') norm(`${at}.k_norm`, keys);
    if (family !== 'qwen3_moe' && !config.use_qk_norm) return;
    norm(`${at}.q_norm`, config.head_dim);
    norm(`${at}.k_norm`, config.head_dim);
  };
  const latentParts = (at: string): void => {
    const queries = config.num_attention_heads * (config.qk_nope_head_dim + config.qk_rope_head_dim);
    if (config.q_lora_rank === null) {
      projection(`${at}.q_proj`, queries, d);
    } else {
      projection(`${at}.q_a_proj`, config.q_lora_rank, d, config.attention_bias);
      norm(`${at}.q_a_layernorm`, config.q_lora_rank);
      projection(`${at}.q_b_proj`, queries, config.q_lora_rank);
    }
    projection(`${at}.kv_a_proj_with_mqa`, config.kv_lora_rank + config.qk_rope_head_dim, d, config.attention_bias);
    norm(`${at}.kv_a_layernorm`, config.kv_lora_rank);
    projection(`${at}.kv_b_proj`, config.num_attention_heads * (config.qk_nope_head_dim + config.v_head_dim), config.kv_lora_rank);
    projection(`${at}.o_proj`, d, config.num_attention_heads * config.v_head_dim, config.attention_bias);
  };
  const mixtureParts = (at: string): void => {
    if (family === 'gpt_oss') {
      projection(`${at}.router`, experts, d, true);
      shapes.set(`${at}.experts.gate_up_proj`, [experts, d, 2 * m]);
      shapes.set(`${at}.experts.gate_up_proj_bias`, [experts, 2 * m]);
      shapes.set(`${at}.experts.down_proj`, [experts, m, d]);
      shapes.set(`${at}.experts.down_proj_bias`, [experts, d]);
      return;
    }
    projection(`${at}.${family === 'phimoe' && layout === 'fused' ? 'router' : 'gate'}`, experts, d);
    if (sigmoid) shapes.set(`${at}.gate.e_score_correction_bias`, [experts]);
    if (layout === 'fused') {
      shapes.set(`${at}.experts.gate_up_proj`, [experts, 2 * m, d]);
      shapes.set(`${at}.experts.down_proj`, [experts, d, m]);
    }
    for (let e = 0; layout === 'separate' && e < experts; e++) {
      if (!publishedApart) mlp(`${at}.experts.${e}`, m);
      else for (const [name, shape] of Object.entries({ w1: [m, d], w2: [d, m], w3: [m, d] })) shapes.set(`${at}.experts.${e}.${name}.weight`, shape);
    }
    if (deepseek || sigmoid) mlp(`${at}.shared_experts`, m * config.n_shared_experts, family === 'deepseek_v2' && config.mlp_bias);
    if (family === 'qwen2_moe') mlp(`${at}.shared_expert`, config.shared_expert_intermediate_size);
    if (family === 'qwen2_moe') projection(`${at}.shared_expert_gate`, 1, d);
  };

  projection('model.embed_tokens', config.vocab_size, d);
  for (let l = 0; l < config.num_hidden_layers; l++) {
    const at = `model.layers.${l}`;
    norm(`${at}.input_layernorm`, d);
    norm(`${at}.post_attention_layernorm`, d);
    (deepseek ? latentParts : grouped)(`${at}.self_attn`);
    if (!config.moe[l]) mlp(`${at}.mlp`, config.intermediate_size, family === 'deepseek_v2' && config.mlp_bias);
    // The aggregated tensors come with transformers' own module names; Mixtral and PhiMoE published their experts one by one.
    else mixtureParts(`${at}.${publishedApart && layout === 'separate' ? 'block_sparse_moe' : 'mlp'}`);
  }
  norm('model.norm', d);
  if (!config.tie_word_embeddings) projection('lm_head', config.vocab_size, d);
  if (config.lm_head_bias) shapes.set('lm_head.bias', [config.vocab_size]);
  return shapes;
}

/** Random weights: norms around 1, projections with a spread that keeps activations near 1, routers sharper. */
export function tinyWeights(config: OracleConfig, layout: ExpertLayout, random: Random): Map<string, OracleTensor> {
  const weights = new Map<string, OracleTensor>();
  for (const [name, shape] of tensorShapes(config, layout)) {
    const count = shape.reduce((product, size) => product * size, 1);
    const inputs = config.model_type === 'gpt_oss' && shape.length === 3 ? shape[1] : shape[shape.length - 1];
    const [mean, spread] = name.endsWith('norm.weight')
      ? [1, 0.1]
      : name.endsWith('e_score_correction_bias')
        ? [0, 0.1]
        : name.endsWith('bias') // also of norms and of gpt_oss's experts
          ? [0, 0.3]
          : name.endsWith('embed_tokens.weight') || name.endsWith('sinks')
            ? [0, 1]
            : [0, (/\.(gate|router)\.weight$/.test(name) ? 1.5 : 1) / Math.sqrt(inputs)];
    weights.set(name, { shape, values: Float64Array.from({ length: count }, () => mean + spread * random.normal()) });
  }
  return weights;
}

/** Three sequences to forget, two to retain, answers after a prompt. */
function tinySequences(vocabulary: number, random: Random): { forget: OracleSequence[]; retain: OracleSequence[] } {
  const sequence = (): OracleSequence => {
    const ids = Array.from({ length: random.integer(4, 8) }, () => random.integer(3, vocabulary - 1));
    const answer = random.integer(1, ids.length - 1);
    return fromLabels(
      ids,
      ids.map((id, t) => (t < answer ? -100 : id)),
    );
  };
  return { forget: [sequence(), sequence(), sequence()], retain: [sequence(), sequence()] };
}

const storedDtypes: Record<string, StoredDtype> = { float32: 'F32', bfloat16: 'BF16', float16: 'F16' };

/** How a tensor is stored. The correction bias stays float32 in published checkpoints. */
const dtypeIn =
  (config: RawConfig) =>
  (name: string): StoredDtype =>
    name.endsWith('e_score_correction_bias') ? 'F32' : storedDtypes[(config.torch_dtype ?? config.dtype) as string];

/** Writes a checkpoint folder (emptied first): one file, or two shards with an index. */
export function tinyCheckpoint(folder: string, config: RawConfig, weights: ReadonlyMap<string, OracleTensor>, sharded: boolean): void {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config, null, 2));
  const entries = [...weights];
  if (!sharded) {
    writeSafetensors(path.join(folder, 'model.safetensors'), entries, dtypeIn(config));
    return;
  }
  const weightMap: Record<string, string> = {};
  const half = Math.floor(entries.length / 2);
  [entries.slice(0, half), entries.slice(half)].forEach((part, i) => {
    const file = `model-0000${i + 1}-of-00002.safetensors`;
    writeSafetensors(path.join(folder, file), part, dtypeIn(config));
    for (const [name] of part) weightMap[name] = file;
  });
  fs.writeFileSync(path.join(folder, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: weightMap }));
}

/**
 * Writes a random checkpoint of the family into `folder` (emptied first) and returns what is in it, with sequences to run.
 * The same family and seed give the same bytes. Draws whose routing has a decision closer than safeSelectionGap on the
 * sequences are thrown away and drawn again: same configuration, other weights and sequences.
 */
export function writeTinyCheckpoint(folder: string, family: Family, seed: number): TinyCheckpoint {
  const random = randomOf(`${family} ${seed}`);
  const raw = tinyConfig(family, random);
  const config = completeConfig(raw);
  const layout = random.pick<ExpertLayout>(['separate', 'fused']);
  const sharded = random.chance(0.4);
  for (let attempt = 0; attempt < 200; attempt++) {
    const { forget, retain } = tinySequences(config.vocab_size, random);
    const drawn = tinyWeights(config, layout, random);
    const dtypes = new Map([...drawn.keys()].map((name) => [name, dtypeIn(raw)(name)]));
    const weights = new Map([...drawn].map(([name, { shape, values }]) => [name, { shape, values: values.map((value) => roundTo(dtypes.get(name)!, value)) }]));
    const checkpoint: Checkpoint = { config, raw, weights, dtypes };
    let gap = Infinity;
    for (const { ids } of [...forget, ...retain]) {
      if (gap >= safeSelectionGap) gap = Math.min(gap, selectionGap([forward(checkpoint, ids)]));
    }
    if (gap < safeSelectionGap) continue;
    tinyCheckpoint(folder, raw, weights, sharded);
    return { config: raw, family, forget, retain, gap, checkpoint };
  }
  throw new Error(`No weights with a clear routing for ${family} and seed ${seed} in 200 draws.`);
}
