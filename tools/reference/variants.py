"""The configurations of test/fixtures/variants: what the six golden models leave out. One entry = one folder.

config: config.json as written (old or new spelling); layout "hub" (one tensor per expert) or "fused" (3-D, the layout transformers has in memory);
dtype of the stored weights; shards; mtp: adds tensors of a layer after the last, as DeepSeek-V3 ships, which must be ignored.
"""
COMMON = {"hidden_act": "silu", "initializer_range": 0.02, "use_cache": True, "bos_token_id": 1, "eos_token_id": 2, "attention_dropout": 0.0,
          "hidden_size": 32, "num_attention_heads": 4, "max_position_embeddings": 512, "vocab_size": 97, "tie_word_embeddings": False}


def config(model_type, architecture, **fields):
    return {"architectures": [architecture], "model_type": model_type, **COMMON, **fields}


def mixtral(**f):
    return config("mixtral", "MixtralForCausalLM", **{"intermediate_size": 12, "num_hidden_layers": 3, "rms_norm_eps": 1e-5, "output_router_logits": False,
                                                      "router_aux_loss_coef": 0.02, "num_experts_per_tok": 2, **f})


def qwen2(**f):
    return config("qwen2_moe", "Qwen2MoeForCausalLM", **{"intermediate_size": 24, "moe_intermediate_size": 12, "shared_expert_intermediate_size": 16,
                                                         "rms_norm_eps": 1e-6, "num_experts": 8, "num_experts_per_tok": 3, **f})


def qwen3(**f):
    return config("qwen3_moe", "Qwen3MoeForCausalLM", **{"intermediate_size": 24, "moe_intermediate_size": 12, "rms_norm_eps": 1e-6,
                                                         "num_experts_per_tok": 3, **f})


def olmoe(**f):
    return config("olmoe", "OlmoeForCausalLM", **{"intermediate_size": 12, "num_hidden_layers": 3, "rms_norm_eps": 1e-5, "pad_token_id": 1,
                                                  "num_experts": 8, "num_experts_per_tok": 3, **f})


def deepseek(version, **f):
    return config(f"deepseek_v{version}", f"DeepseekV{version}ForCausalLM",
                  **{"intermediate_size": 24, "moe_intermediate_size": 12, "rms_norm_eps": 1e-6, "num_hidden_layers": 4, "num_key_value_heads": 4,
                     "kv_lora_rank": 12, "qk_nope_head_dim": 6, "qk_rope_head_dim": 8, "v_head_dim": 10, "attention_bias": False,
                     "num_experts_per_tok": 3, "seq_aux": True, "aux_loss_alpha": 0.001, **f})


def phimoe(**f):
    return config("phimoe", "PhimoeForCausalLM", **{"intermediate_size": 12, "num_hidden_layers": 3, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "num_experts_per_tok": 2,
                                                    "input_jitter_noise": 0.01, "output_router_logits": False, "router_aux_loss_coef": 0.0, **f})


def glm4(**f):
    return config("glm4_moe", "Glm4MoeForCausalLM", **{"intermediate_size": 24, "moe_intermediate_size": 12, "rms_norm_eps": 1e-5, "num_experts_per_tok": 3, **f})


def gpt_oss(**f):
    return config("gpt_oss", "GptOssForCausalLM", **{"intermediate_size": 12, "num_hidden_layers": 3, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "num_experts_per_tok": 3,
                                                     "output_router_logits": False, "router_aux_loss_coef": 0.9, **f})


VARIANTS = {
    "mixtral_window": {
        "what": "GQA, sliding window 4, head_dim unlike hidden/heads, bf16, 3 shards",
        "dtype": "bfloat16", "shards": 3,
        "config": mixtral(num_key_value_heads=2, head_dim=12, sliding_window=4, num_local_experts=6, rope_theta=1000000.0, torch_dtype="bfloat16")},
    "mixtral_fused": {
        "what": "3-D experts under mlp.*, tied, one key/value head, new spelling, rope_theta left to the family's default of 1e6",
        "layout": "fused",
        "config": mixtral(num_key_value_heads=1, sliding_window=None, num_local_experts=8, tie_word_embeddings=True, rope_parameters={"rope_type": "default"}, dtype="float32")},
    "qwen2_moe_dense_window": {
        "what": "dense layers by decoder_sparse_step 2 and mlp_only_layers, renormalised, sliding window 3 on even layers below max_window_layers, tied, GQA, new spelling",
        "config": qwen2(num_hidden_layers=6, num_key_value_heads=2, num_experts=6, decoder_sparse_step=2, mlp_only_layers=[3], norm_topk_prob=True, use_sliding_window=True,
                        sliding_window=3, max_window_layers=3, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 50000.0}, dtype="float32")},
    "qwen2_moe_llama3": {
        "what": "llama3 rope, explicit layer_types, no q/k/v bias, GQA, bf16, old spelling",
        "dtype": "bfloat16",
        "config": qwen2(num_hidden_layers=3, num_key_value_heads=2, decoder_sparse_step=1, norm_topk_prob=False, qkv_bias=False, use_sliding_window=True,
                        sliding_window=4, max_window_layers=0, layer_types=["full_attention", "sliding_attention", "full_attention"], rope_theta=10000.0,
                        rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
                        torch_dtype="bfloat16")},
    "qwen3_moe_yarn_fused": {
        "what": "f16, 3-D experts, attention_bias (o too), yarn, GQA, dense first layer, not renormalised, num_local_experts as transformers 5 writes it",
        "dtype": "float16", "layout": "fused",
        "config": qwen3(num_hidden_layers=4, num_local_experts=8, num_key_value_heads=2, head_dim=12, attention_bias=True, mlp_only_layers=[0], decoder_sparse_step=1,
                        norm_topk_prob=False, sliding_window=None, use_sliding_window=False, dtype="float16",
                        rope_parameters={"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 128, "beta_fast": 24, "beta_slow": 2})},
    "qwen3_moe_window_linear": {
        "what": "sliding window 4 on every layer, linear rope, head_dim 6 (not hidden/heads), sparse step 2, renormalised, 2 shards",
        "shards": 2,
        "config": qwen3(num_hidden_layers=4, num_experts=8, num_key_value_heads=1, head_dim=6, attention_bias=False, decoder_sparse_step=2, mlp_only_layers=[],
                        norm_topk_prob=True, use_sliding_window=True, sliding_window=4, max_window_layers=1, rope_theta=10000.0,
                        rope_scaling={"type": "linear", "factor": 3.0}, torch_dtype="float32")},
    "olmoe_clip": {
        "what": "clip_qkv 0.6, renormalised, GQA, bf16",
        "dtype": "bfloat16",
        "config": olmoe(num_key_value_heads=2, clip_qkv=0.6, norm_topk_prob=True, attention_bias=False, rope_theta=10000.0, rope_scaling=None, torch_dtype="bfloat16")},
    "olmoe_bias_fused": {
        "what": "attention_bias (o too), 3-D experts, f16, tied, clip_qkv 1.5 after the bias, new spelling",
        "dtype": "float16", "layout": "fused",
        "config": olmoe(num_key_value_heads=4, clip_qkv=1.5, norm_topk_prob=False, attention_bias=True, tie_word_embeddings=True,
                        rope_parameters={"rope_type": "default", "rope_theta": 500000.0}, dtype="float16")},
    "deepseek_v2_groups": {
        "what": "q_lora_rank, group_limited_greedy 2 of 4 groups, routed_scaling_factor 16, 2 dense layers first, no yarn, bf16, 3 shards",
        "dtype": "bfloat16", "shards": 3,
        "config": deepseek(2, first_k_dense_replace=2, moe_layer_freq=1, n_routed_experts=12, n_shared_experts=1, n_group=4, topk_group=2, topk_method="group_limited_greedy",
                           norm_topk_prob=False, scoring_func="softmax", routed_scaling_factor=16.0, q_lora_rank=14, rope_theta=10000, rope_scaling=None,
                           torch_dtype="bfloat16")},
    "deepseek_v2_bias": {
        "what": "attention_bias, mlp_bias, linear rope with mscale_all_dim (scales the softmax too), moe_layer_freq 2 and norm_topk_prob true, which transformers does not read",
        "config": deepseek(2, num_hidden_layers=3, first_k_dense_replace=1, moe_layer_freq=2, n_routed_experts=8, n_shared_experts=2, n_group=1, topk_group=1, topk_method="greedy",
                           norm_topk_prob=True, scoring_func="softmax", routed_scaling_factor=1.5, q_lora_rank=None, attention_bias=True, mlp_bias=True,
                           rope_theta=10000, rope_scaling={"type": "linear", "factor": 8.0, "mscale_all_dim": 0.8}, torch_dtype="float32")},
    "deepseek_v3_fused": {
        "what": "no q_lora, one group, not renormalised, default rope, tied, 3-D experts, f16 with a float32 correction bias, new spelling",
        "dtype": "float16", "layout": "fused",
        "config": deepseek(3, first_k_dense_replace=1, n_routed_experts=8, n_shared_experts=1, n_group=1, topk_group=1, topk_method="noaux_tc", norm_topk_prob=False,
                           scoring_func="sigmoid", routed_scaling_factor=1.8, q_lora_rank=None, tie_word_embeddings=True,
                           rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, dtype="float16")},
    "deepseek_v3_halves": {
        "what": "rope_interleave false, attention_bias with q_lora, no dense layer, 3 of 4 groups, yarn, bf16 with a float32 correction bias, 2 shards, tensors of an MTP layer",
        "dtype": "bfloat16", "shards": 2, "mtp": True,
        "config": deepseek(3, num_hidden_layers=3, first_k_dense_replace=0, n_routed_experts=12, n_shared_experts=2, n_group=4, topk_group=3, topk_method="noaux_tc",
                           norm_topk_prob=True, scoring_func="sigmoid", routed_scaling_factor=2.0, q_lora_rank=14, rope_interleave=False, attention_bias=True,
                           num_nextn_predict_layers=1, rope_theta=10000, torch_dtype="bfloat16",
                           rope_scaling={"type": "yarn", "factor": 8, "original_max_position_embeddings": 64, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 0.8})},
    "phimoe": {
        "what": "as published: w1, w2, w3 one by one, LayerNorm, attention_bias (o too), lm_head_bias, sliding window 4, bf16, 2 shards; router_jitter_noise 0.2, so that experts share",
        "dtype": "bfloat16", "shards": 2,
        "config": phimoe(num_local_experts=6, sliding_window=4, attention_bias=True, lm_head_bias=True, router_jitter_noise=0.2, rope_theta=10000.0, rope_scaling=None,
                         torch_dtype="bfloat16")},
    "phimoe_longrope": {
        "what": "longrope over original length 8, which some sequences and the greedy tokens pass, with unequal mscales; 3-D experts beside mlp.router, no biases, tied, one key/value head, new spelling",
        "layout": "fused",
        "config": phimoe(num_local_experts=8, num_key_value_heads=1, sliding_window=None, attention_bias=False, lm_head_bias=False, router_jitter_noise=0.1,
                         tie_word_embeddings=True, dtype="float32", original_max_position_embeddings=8,
                         rope_parameters={"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0, 1.3, 1.7, 2.5], "long_factor": [1.0, 2.0, 6.0, 20.0],
                                          "short_mscale": 1.1, "long_mscale": 1.3, "original_max_position_embeddings": 8})},
    "glm4_moe": {
        "what": "half of each head turns (the default), query and key norms, q/k/v bias (o none), GQA, head_dim unlike hidden/heads, one group, no dense layer, bf16 with a float32 correction bias, tensors of an MTP layer",
        "dtype": "bfloat16", "mtp": True,
        "config": glm4(num_hidden_layers=3, num_key_value_heads=2, head_dim=12, attention_bias=True, use_qk_norm=True, first_k_dense_replace=0, n_routed_experts=8, n_shared_experts=1,
                       n_group=1, topk_group=1, norm_topk_prob=True, routed_scaling_factor=2.5, num_nextn_predict_layers=1, rope_theta=1000000.0, rope_scaling=None,
                       torch_dtype="bfloat16")},
    "glm4_moe_groups": {
        "what": "dense first layer, 2 of 4 groups, not renormalised, two shared experts, 3-D experts, partial_rotary_factor 0.25 under yarn, no norms or biases in attention, new spelling",
        "layout": "fused",
        "config": glm4(num_hidden_layers=4, num_key_value_heads=4, head_dim=16, attention_bias=False, use_qk_norm=False, first_k_dense_replace=1, n_routed_experts=12,
                       n_shared_experts=2, n_group=4, topk_group=2, norm_topk_prob=False, routed_scaling_factor=1.5, dtype="float32",
                       rope_parameters={"rope_type": "yarn", "rope_theta": 10000.0, "partial_rotary_factor": 0.25, "factor": 4.0, "original_max_position_embeddings": 128})},
    "gpt_oss": {
        "what": "sinks, sliding window 4 on even layers (no layer_types), biases in attention, yarn without truncating, head_dim unlike hidden/heads, swiglu_limit 1.0, which clamps, bf16, 2 shards",
        "dtype": "bfloat16", "shards": 2,
        "config": gpt_oss(num_local_experts=8, head_dim=12, sliding_window=4, attention_bias=True, swiglu_limit=1.0, rope_theta=150000, torch_dtype="bfloat16",
                          rope_scaling={"rope_type": "yarn", "factor": 8.0, "beta_fast": 32.0, "beta_slow": 1.0, "original_max_position_embeddings": 64, "truncate": False})},
    "gpt_oss_full": {
        "what": "layer_types with the window on the last layer alone, no attention_bias, the family's own rope (nothing said but rope_theta), swiglu_alpha 1.2, tied, f16, num_experts as an alias",
        "dtype": "float16",
        "config": gpt_oss(num_experts=6, head_dim=8, num_key_value_heads=4, sliding_window=3, layer_types=["full_attention", "full_attention", "sliding_attention"], attention_bias=False,
                          swiglu_alpha=1.2, swiglu_limit=7.0, rope_theta=1000.0, tie_word_embeddings=True, dtype="float16")},
}
