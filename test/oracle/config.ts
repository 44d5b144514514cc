/**
 * config.json of all families with the defaults of transformers' configuration classes (configuration_*.py)
 * filled in, and both spellings of rope read into one. Field names are those of config.json.
 */
export type Family = 'mixtral' | 'qwen2_moe' | 'qwen3_moe' | 'olmoe' | 'deepseek_v2' | 'deepseek_v3' | 'phimoe' | 'glm4_moe' | 'gpt_oss';

export const families: readonly Family[] = ['mixtral', 'qwen2_moe', 'qwen3_moe', 'olmoe', 'deepseek_v2', 'deepseek_v3', 'phimoe', 'glm4_moe', 'gpt_oss'];

export interface RopeParameters {
  readonly rope_type: 'default' | 'linear' | 'llama3' | 'yarn' | 'longrope';
  readonly rope_theta: number;
  readonly factor: number;
  readonly original_max_position_embeddings: number;
  readonly attention_factor?: number;
  readonly beta_fast: number;
  readonly beta_slow: number;
  readonly mscale?: number;
  readonly mscale_all_dim?: number;
  readonly truncate: boolean;
  readonly low_freq_factor: number;
  readonly high_freq_factor: number;
  /** longrope, and beside it phimoe's own magnitudes in place of attention_factor. */
  readonly short_factor?: readonly number[];
  readonly long_factor?: readonly number[];
  readonly short_mscale?: number;
  readonly long_mscale?: number;
}

export interface OracleConfig {
  readonly model_type: Family;
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly moe_intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  /** How many places of a head turn. */
  readonly rotary_dim: number;
  readonly rms_norm_eps: number;
  readonly tie_word_embeddings: boolean;
  readonly rope: RopeParameters;
  /** Per layer: how many keys back a query sees, itself included; null is all. */
  readonly windows: readonly (number | null)[];
  /** Per layer: has it a router? */
  readonly moe: readonly boolean[];
  readonly num_experts: number;
  readonly num_experts_per_tok: number;
  readonly norm_topk_prob: boolean;
  readonly routed_scaling_factor: number;
  readonly n_shared_experts: number;
  readonly shared_expert_intermediate_size: number;
  readonly n_group: number;
  readonly topk_group: number;
  readonly topk_method: string;
  readonly qkv_bias: boolean;
  readonly attention_bias: boolean;
  readonly mlp_bias: boolean;
  readonly clip_qkv: number | null;
  readonly q_lora_rank: number | null;
  readonly kv_lora_rank: number;
  readonly qk_nope_head_dim: number;
  readonly qk_rope_head_dim: number;
  readonly v_head_dim: number;
  readonly rope_interleave: boolean;
  readonly use_qk_norm: boolean;
  readonly lm_head_bias: boolean;
  readonly router_jitter_noise: number;
  readonly swiglu_alpha: number;
  readonly swiglu_limit: number;
}

export type RawConfig = Readonly<Record<string, unknown>>;

const isDeepseek = (family: Family): boolean => family === 'deepseek_v2' || family === 'deepseek_v3';

/** Fields whose default differs from family to family; undefined means that the checkpoint has to say. */
const familyDefaults: Record<Family, RawConfig> = {
  mixtral: { rms_norm_eps: 1e-5, num_key_value_heads: 8, num_experts: 8, num_experts_per_tok: 2, rope_theta: 1e6 },
  qwen2_moe: { rms_norm_eps: 1e-6, num_key_value_heads: 16, num_experts: 60, num_experts_per_tok: 4, max_window_layers: 28 },
  qwen3_moe: { rms_norm_eps: 1e-6, num_key_value_heads: 4, num_experts: 128, num_experts_per_tok: 8 },
  olmoe: { rms_norm_eps: 1e-5, num_experts: 64, num_experts_per_tok: 8 },
  deepseek_v2: { rms_norm_eps: 1e-6, num_experts: 64, n_shared_experts: 2, routed_scaling_factor: 1, first_k_dense_replace: 0, n_group: 1, topk_group: 1 },
  deepseek_v3: {
    rms_norm_eps: 1e-6,
    num_experts: 256,
    num_experts_per_tok: 8,
    n_shared_experts: 1,
    routed_scaling_factor: 2.5,
    first_k_dense_replace: 3,
    n_group: 8,
    topk_group: 4,
    norm_topk_prob: true,
  },
  phimoe: { rms_norm_eps: 1e-5, num_key_value_heads: 8, num_experts: 16, num_experts_per_tok: 2, rope_theta: 1e6 },
  glm4_moe: {
    rms_norm_eps: 1e-5,
    num_key_value_heads: 8,
    num_experts: 128,
    num_experts_per_tok: 8,
    n_shared_experts: 1,
    first_k_dense_replace: 1,
    norm_topk_prob: true,
  },
  gpt_oss: { rms_norm_eps: 1e-5, num_key_value_heads: 8, head_dim: 64, num_experts: 128, num_experts_per_tok: 4, sliding_window: 128, rope_theta: 150000 },
};

/** The families whose every layer is a mixture. */
const mixturesThroughout: readonly Family[] = ['mixtral', 'olmoe', 'phimoe', 'gpt_oss'];

/** Which layers are mixtures: qwen by decoder_sparse_step and mlp_only_layers; deepseek and glm4 from first_k_dense_replace on. */
function moeLayers(family: Family, raw: RawConfig, layers: number): boolean[] {
  return Array.from({ length: layers }, (_, l) => {
    if (mixturesThroughout.includes(family)) return true;
    if (isDeepseek(family) || family === 'glm4_moe') return l >= ((raw.first_k_dense_replace ?? familyDefaults[family].first_k_dense_replace) as number);
    const denseLayers = (raw.mlp_only_layers ?? []) as number[];
    return !denseLayers.includes(l) && (l + 1) % ((raw.decoder_sparse_step ?? 1) as number) === 0;
  });
}

/** mixtral, phimoe: sliding_window on every layer; qwen3: the same behind use_sliding_window; qwen2, gpt_oss: per layer_types; the others never. */
function slidingWindows(family: Family, raw: RawConfig, layers: number): (number | null)[] {
  const window = (raw.sliding_window ?? null) as number | null;
  const switchedOn = raw.use_sliding_window === true;
  if (family === 'mixtral' || family === 'phimoe') return Array(layers).fill(window);
  if (family === 'gpt_oss') {
    const width = raw.sliding_window === undefined ? (familyDefaults.gpt_oss.sliding_window as number) : window;
    const named = raw.layer_types as string[] | null | undefined;
    return Array.from({ length: layers }, (_, l) => ((named ? named[l] === 'sliding_attention' : l % 2 === 0) ? width : null));
  }
  if (family === 'qwen3_moe') return Array(layers).fill(switchedOn ? window : null);
  if (family !== 'qwen2_moe') return Array(layers).fill(null);
  const windowLayers = (raw.max_window_layers ?? familyDefaults.qwen2_moe.max_window_layers) as number;
  const types = (raw.layer_types ??
    Array.from({ length: layers }, (_, l) => (switchedOn && l % 2 === 0 && l < windowLayers ? 'sliding_attention' : 'full_attention'))) as string[];
  return types.map((type) => (type === 'sliding_attention' ? window : null));
}

/** rope_scaling + rope_theta (old spelling) or rope_parameters (new); "type" is the older name of "rope_type". */
function ropeParameters(family: Family, raw: RawConfig): RopeParameters {
  const unsaid = family === 'gpt_oss' ? { rope_type: 'yarn', factor: 32, truncate: false, original_max_position_embeddings: 4096 } : {};
  const given = (raw.rope_scaling ?? raw.rope_parameters ?? unsaid) as RawConfig;
  const type = (given.rope_type ?? given.type ?? 'default') as RopeParameters['rope_type'];
  if (!['default', 'linear', 'llama3', 'yarn', 'longrope'].includes(type)) throw new Error(`The oracle does not know rope type ${type}.`);
  const maximum = raw.max_position_embeddings as number;
  // PhiMoE's class puts the dictionary's number over the one on top.
  const [first, second] =
    family === 'phimoe'
      ? [given.original_max_position_embeddings, raw.original_max_position_embeddings]
      : [raw.original_max_position_embeddings, given.original_max_position_embeddings];
  const original = (first ?? second ?? maximum) as number;
  return {
    rope_type: type,
    rope_theta: (given.rope_theta ?? raw.rope_theta ?? familyDefaults[family].rope_theta ?? 10000) as number,
    factor: (given.factor ?? maximum / original) as number,
    original_max_position_embeddings: original,
    attention_factor: (given.attention_factor ?? undefined) as number | undefined,
    beta_fast: (given.beta_fast ?? 32) as number,
    beta_slow: (given.beta_slow ?? 1) as number,
    mscale: (given.mscale ?? undefined) as number | undefined,
    mscale_all_dim: (given.mscale_all_dim ?? undefined) as number | undefined,
    truncate: (given.truncate ?? true) as boolean,
    low_freq_factor: (given.low_freq_factor ?? 1) as number,
    high_freq_factor: (given.high_freq_factor ?? 4) as number,
    short_factor: given.short_factor as number[] | undefined,
    long_factor: given.long_factor as number[] | undefined,
    ...(family === 'phimoe' ? { short_mscale: given.short_mscale as number | undefined, long_mscale: given.long_mscale as number | undefined } : {}),
  };
}

/** glm4_moe turns a part of each head: the dictionary's factor, else the one on top (null: all), else half. */
function rotaryDim(family: Family, raw: RawConfig, headDim: number): number {
  if (family !== 'glm4_moe') return headDim;
  const given = (raw.rope_scaling ?? raw.rope_parameters ?? {}) as RawConfig;
  const top = raw.partial_rotary_factor === undefined ? 0.5 : (raw.partial_rotary_factor ?? 1);
  return Math.floor(headDim * ((given.partial_rotary_factor ?? top) as number));
}

export function completeConfig(raw: RawConfig): OracleConfig {
  const family = raw.model_type as Family;
  if (!families.includes(family)) throw new Error(`The oracle does not know model_type ${String(raw.model_type)}.`);
  if ((raw.hidden_act ?? 'silu') !== 'silu') throw new Error(`The oracle does not know hidden_act ${String(raw.hidden_act)}.`);
  const defaults = familyDefaults[family];
  const number = (name: string, other?: number): number => {
    const value = raw[name] ?? defaults[name] ?? other;
    if (typeof value !== 'number') throw new Error(`config.json has no ${name}.`);
    return value;
  };
  const layers = number('num_hidden_layers');
  const heads = number('num_attention_heads');
  const hidden = number('hidden_size');
  // null is "as many as query heads", absent is the family's default.
  const keyValueHeads = raw.num_key_value_heads === null ? heads : number('num_key_value_heads', heads);
  const headDim = isDeepseek(family) ? number('qk_rope_head_dim', 64) : number('head_dim', hidden / heads);
  const qLoraRank = raw.q_lora_rank === undefined ? 1536 : (raw.q_lora_rank as number | null);
  return {
    model_type: family,
    vocab_size: number('vocab_size'),
    hidden_size: hidden,
    intermediate_size: number('intermediate_size'),
    moe_intermediate_size: mixturesThroughout.includes(family) ? number('intermediate_size') : number('moe_intermediate_size'),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    head_dim: headDim,
    rotary_dim: rotaryDim(family, raw, headDim),
    rms_norm_eps: number('rms_norm_eps'),
    tie_word_embeddings: raw.tie_word_embeddings === true,
    rope: ropeParameters(family, raw),
    windows: slidingWindows(family, raw, layers),
    moe: moeLayers(family, raw, layers),
    // Each family's class knows its count under several names; a re-saved config.json may carry any of them.
    num_experts: (raw.num_experts ?? raw.num_local_experts ?? raw.n_routed_experts ?? defaults.num_experts) as number,
    num_experts_per_tok: number('num_experts_per_tok'),
    norm_topk_prob: (raw.norm_topk_prob ?? defaults.norm_topk_prob ?? false) as boolean,
    routed_scaling_factor: number('routed_scaling_factor', 1),
    n_shared_experts: number('n_shared_experts', 0),
    shared_expert_intermediate_size: number('shared_expert_intermediate_size', 5632),
    n_group: number('n_group', 1),
    topk_group: number('topk_group', 1),
    topk_method: (raw.topk_method ?? 'greedy') as string,
    qkv_bias: (raw.qkv_bias ?? true) as boolean,
    attention_bias: (raw.attention_bias ?? family === 'gpt_oss') as boolean,
    mlp_bias: (raw.mlp_bias ?? false) as boolean,
    clip_qkv: (raw.clip_qkv ?? null) as number | null,
    q_lora_rank: qLoraRank,
    kv_lora_rank: number('kv_lora_rank', 512),
    qk_nope_head_dim: number('qk_nope_head_dim', 128),
    qk_rope_head_dim: number('qk_rope_head_dim', 64),
    v_head_dim: number('v_head_dim', 128),
    rope_interleave: (raw.rope_interleave ?? true) as boolean,
    use_qk_norm: raw.use_qk_norm === true,
    lm_head_bias: raw.lm_head_bias === true,
    router_jitter_noise: number('router_jitter_noise', 0.01),
    swiglu_alpha: number('swiglu_alpha', 1.702),
    swiglu_limit: number('swiglu_limit', 7),
  };
}
