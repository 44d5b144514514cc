/** GLM-4.5 MoE: grouped-query attention that turns a part of each head, DeepSeek-V3's router, shared experts on every MoE layer. */
import { refuse, unwrap } from '../protocol/fault';
import { checkSizes, layersWhere, readConfig } from './config';
import type { Family } from './family';
import { expertBlock, mlpBlock } from './mlp';
import { normBlock } from './norm';
import { type RopeTable, ropeSettings, ropeTable } from './rope';
import { router } from './router';
import { selfAttention } from './self-attention';

interface Config {
  readonly layers: number;
  readonly d: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly experts: number;
  readonly topK: number;
  readonly m: number;
  readonly sharedExperts: number;
  readonly denseWidth: number;
  readonly firstMoe: number;
  readonly groups: { readonly groups: number; readonly keep: number; readonly best: 2 };
  readonly renormalise: boolean;
  readonly scale: number;
  readonly bias: boolean;
  readonly queryKeyNorm: boolean;
  readonly eps: number;
  readonly vocab: number;
  readonly maxPositions: number;
  readonly rope: RopeTable;
}

export const glm4Moe: Family<Config> = {
  id: 'glm4_moe',
  label: 'GLM-4.5 MoE',
  help: 'Partly rotated heads, sigmoid router with a correction bias and groups, shared experts on every MoE layer.',
  source: 'arXiv 2508.06471; transformers models/glm4_moe',
  config: (raw) =>
    readConfig(raw, (c) => {
      const d = c.int('hidden_size', 4096);
      const heads = c.int('num_attention_heads', 96);
      const kvHeads = c.intOrNull('num_key_value_heads', 8) ?? heads;
      const headDim = c.int('head_dim', Math.floor(d / heads));
      const experts = c.int(['n_routed_experts', 'num_local_experts'], 128);
      const topK = c.int('num_experts_per_tok', 8);
      const layers = c.int('num_hidden_layers', 46);
      const maxPositions = c.int('max_position_embeddings', 131072);
      checkSizes({ heads, kvHeads, experts, topK, layers, d });
      // null is all of the head, absent half of it.
      const partial = raw.partial_rotary_factor === null ? 1 : c.float('partial_rotary_factor', 0.5);
      const { values } = ropeSettings(raw, headDim, maxPositions, 1e4);
      const rotary = Math.trunc(headDim * (typeof values.partial_rotary_factor === 'number' ? values.partial_rotary_factor : partial));
      if (rotary < 2 || rotary % 2 !== 0 || rotary > headDim)
        refuse('bad-file', `config.json: partial_rotary_factor turns ${rotary} of a head's ${headDim} places.`, 'It must be an even number of them.');
      return {
        layers,
        d,
        heads,
        kvHeads,
        headDim,
        experts,
        topK,
        m: c.int('moe_intermediate_size', 1408),
        sharedExperts: c.int('n_shared_experts', 1),
        denseWidth: c.int('intermediate_size', 10944),
        firstMoe: c.int('first_k_dense_replace', 1),
        groups: { groups: c.int('n_group', 1), keep: c.int('topk_group', 1), best: 2 as const },
        renormalise: c.flag('norm_topk_prob', true),
        scale: c.float('routed_scaling_factor', 1),
        bias: c.flag('attention_bias', false),
        queryKeyNorm: c.flag('use_qk_norm', false),
        eps: c.float('rms_norm_eps', 1e-5),
        vocab: c.int('vocab_size', 151552),
        maxPositions,
        rope: unwrap(ropeTable(ropeSettings(raw, rotary, maxPositions, 1e4))),
      };
    }),
  shape: (c) => ({
    layers: c.layers,
    moeLayers: layersWhere(c.layers, (layer) => layer >= c.firstMoe),
    experts: c.experts,
    topK: c.topK,
    hiddenSize: c.d,
    vocabSize: c.vocab,
    maxPositions: c.maxPositions,
    eps: c.eps,
  }),
  layer(c, index, names) {
    const prefix = `model.layers.${index}`;
    const norm = normBlock({ name: names.stored(`${prefix}.post_attention_layernorm.weight`), shape: [c.d] }, c.eps);
    const attention = selfAttention(
      {
        prefix,
        d: c.d,
        heads: c.heads,
        kvHeads: c.kvHeads,
        headDim: c.headDim,
        eps: c.eps,
        rope: c.rope,
        window: null,
        bias: { qkv: c.bias, output: false },
        queryKeyNorm: c.queryKeyNorm ? 'head' : 'none',
        clip: null,
      },
      names,
    );
    if (index < c.firstMoe) return { attention, feed: { kind: 'dense', norm, block: mlpBlock(`${prefix}.mlp`, names, c.d, c.denseWidth) } };
    return {
      attention,
      feed: {
        kind: 'moe',
        norm,
        router: router({
          weight: { name: names.stored(`${prefix}.mlp.gate.weight`), shape: [c.experts, c.d] },
          selectionBias: { name: names.stored(`${prefix}.mlp.gate.e_score_correction_bias`), shape: [c.experts] },
          experts: c.experts,
          topK: c.topK,
          scoring: 'sigmoid',
          renormalise: c.renormalise,
          epsilon: 1e-20,
          scale: c.scale,
          groups: c.groups,
        }),
        experts: c.experts,
        expert: (e) => expertBlock(`${prefix}.mlp.experts`, e, names, c.d, c.m),
        shared: c.sharedExperts > 0 ? mlpBlock(`${prefix}.mlp.shared_experts`, names, c.d, c.sharedExperts * c.m) : null,
        sharedExperts: c.sharedExperts,
      },
    };
  },
};
